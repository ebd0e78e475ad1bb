package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/revision-router/revision-router/internal/bounded"
)

// Result is what came of passing one review on. The set is closed: the same word is the metric's label, the field of
// the log and the cause in a message.
type Result string

// The results of a review that the injector answered.
const (
	// Injected: the injector's patch is part of the answer.
	Injected Result = "injected"
	// AlreadyInjected: the pod came with the sidecar of this very revision, and nothing was left to do.
	AlreadyInjected Result = "already_injected"
	// NotInjected: the injector allowed the pod and gave it no sidecar.
	NotInjected Result = "not_injected"
	// Denied: the injector refused the pod.
	Denied Result = "denied"
)

// The results of a review that came to nothing. No pod is admitted with any of them.
const (
	// NoInjector: the snapshot of the mesh does not know where the revision's injector is.
	NoInjector Result = "no_injector"
	// NoCA: what the snapshot has as CA bundle of the injector holds no certificate.
	NoCA Result = "no_ca"
	// Unreachable: no connection came about.
	Unreachable Result = "unreachable"
	// Untrusted: the injector's certificate is not one that the CA bundle and the server name vouch for.
	Untrusted Result = "untrusted"
	// Broken: the connection broke before the reply was whole.
	Broken Result = "broken"
	// TimedOut: there was no reply within the API server's deadline.
	TimedOut Result = "timed_out"
	// Suspended: the injector failed so often that it is left alone for a moment.
	Suspended Result = "suspended"
	// Canceled: the API server gave up.
	Canceled Result = "canceled"
	// BadStatus: the reply's HTTP status is not 200.
	BadStatus Result = "bad_status"
	// TooLarge: the reply is larger than that to any pod can be.
	TooLarge Result = "too_large"
	// BadReply: the reply is no AdmissionReview that answers the request, or its patch is no JSON Patch.
	BadReply Result = "bad_reply"
	// SecondRevision: the pod came with the sidecar of another revision. Nothing was sent.
	SecondRevision Result = "second_revision"
)

// Results lists every result.
func Results() []Result {
	return []Result{
		Injected, AlreadyInjected, NotInjected, Denied, NoInjector, NoCA, Unreachable, Untrusted, Broken, TimedOut,
		Suspended, Canceled, BadStatus, TooLarge, BadReply, SecondRevision,
	}
}

// Temporary reports whether the same request may well succeed in a second. A deadline that has passed leaves no second,
// and a reply that makes no sense will make none then.
func (r Result) Temporary() bool {
	return slices.Contains([]Result{NoInjector, NoCA, Unreachable, Untrusted, Broken, Suspended}, r)
}

// Error is why there is no reply of an injector.
type Error struct {
	Result Result
	err    error
}

// Error says what was attempted, and what became of it.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// ResultOf is the result that an error of [Client.Forward] stands for.
func ResultOf(err error) Result {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Result
	}
	return Broken
}

func failure(r Result, format string, args ...any) *Error {
	return &Error{Result: r, err: fmt.Errorf(format, args...)}
}

// classify names what an error of the transport means. ctx is the request's: once it is over, whatever the transport
// says about it is a consequence.
func classify(ctx context.Context, doing string, err error) *Error {
	switch cause := ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		return failure(TimedOut, "%s: no answer within the API server's deadline", doing)
	case cause != nil:
		return failure(Canceled, "%s: %w", doing, cause)
	case errors.Is(err, bounded.ErrTooLarge):
		return failure(TooLarge, "%s: %w", doing, err)
	case untrusted(err):
		return failure(Untrusted, "%s: %w", doing, err)
	case unreachable(err):
		return failure(Unreachable, "%s: %w", doing, err)
	}
	return failure(Broken, "%s: %w", doing, err)
}

func untrusted(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err) // no TLS at all
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	return verification || alert || header || authority || name
}

// unreachable: the connection never came to be. A time-out counts, as the request's own was ruled out: what is left are
// those of the dialer and of the handshake.
func unreachable(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
