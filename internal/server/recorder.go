package server

// Recorder counts what the server does by itself. Its methods must not block.
type Recorder interface {
	// Refused: a request was answered without being handed to a handler.
	Refused(Refusal)
	// Closed: a connection was closed that the client may have wanted to keep.
	Closed(Closure)
	// HandshakeFailed: a connection came to nothing.
	HandshakeFailed(HandshakeFailure)
	// Panicked: a panic was caught.
	Panicked()
}

// Refusal is why a request was not handed to a handler.
type Refusal string

// The refusals. The first three are temporary, and the API server is told so.
const (
	// TooManyRequests: as many are in flight as may be.
	TooManyRequests Refusal = "too_many_requests"
	// TooManyOnPath: as many are in flight as one path may have.
	TooManyOnPath Refusal = "too_many_on_path"
	// TooManyBytes: bodies take as much memory as they may.
	TooManyBytes Refusal = "too_many_bytes"
	// BodyTooLarge: no AdmissionReview is that large.
	BodyTooLarge Refusal = "body_too_large"
	// BodyTooSlow: the body did not arrive in time.
	BodyTooSlow Refusal = "body_too_slow"
	// BodyBroken: the body broke off, or was none that HTTP knows.
	BodyBroken Refusal = "body_broken"
	// UnknownPath: nothing is served there.
	UnknownPath Refusal = "unknown_path"
)

// Refusals lists every refusal.
func Refusals() []Refusal {
	return []Refusal{TooManyRequests, TooManyOnPath, TooManyBytes, BodyTooLarge, BodyTooSlow, BodyBroken, UnknownPath}
}

// Closure is why a connection was closed by the server.
type Closure string

// The closures.
const (
	// Evicted: there were too many, and this one waited, or had not come far with its request.
	Evicted Closure = "evicted"
	// NoRoom: there were too many, and each had a request that was being answered. The new one was closed at once.
	NoRoom Closure = "no_room"
	// SlowBody: its unfinished body was in the way of others.
	SlowBody Closure = "slow_body"
	// Drained: it was idle when the server stopped.
	Drained Closure = "drained"
	// Dropped: its request was not answered when the time to stop was over. Each is a failed admission.
	Dropped Closure = "dropped"
)

// Closures lists every closure.
func Closures() []Closure { return []Closure{Evicted, NoRoom, SlowBody, Drained, Dropped} }

// HandshakeFailure is why a TLS handshake failed.
type HandshakeFailure string

// The failures.
const (
	// ClientGone: the client closed. So do load balancers and port scans; it is not logged.
	ClientGone HandshakeFailure = "client_gone"
	// HandshakeTimeout: the client sent nothing, or not enough.
	HandshakeTimeout HandshakeFailure = "timeout"
	// NotTLS: the client speaks something else, such as plain HTTP.
	NotTLS HandshakeFailure = "not_tls"
	// OldVersion: the client speaks no TLS 1.2.
	OldVersion HandshakeFailure = "old_version"
	// NoCertificate: the server has no certificate yet.
	NoCertificate HandshakeFailure = "no_certificate"
	// Distrusted: the client does not accept the server's certificate. Where it is the API server, the CA bundle of a
	// webhook configuration is wrong.
	Distrusted HandshakeFailure = "distrusted"
	// ClientUnknown: the client's certificate is missing, of another CA, or of another name.
	ClientUnknown HandshakeFailure = "client_unknown"
	// HandshakeOther is all else.
	HandshakeOther HandshakeFailure = "other"
)

// HandshakeFailures lists every failure.
func HandshakeFailures() []HandshakeFailure {
	return []HandshakeFailure{
		ClientGone, HandshakeTimeout, NotTLS, OldVersion, NoCertificate, Distrusted, ClientUnknown, HandshakeOther,
	}
}

// Stats are what the server holds at the moment.
type Stats struct {
	// Connections counts the open ones by what they do.
	Connections map[Phase]int
	// InFlight counts requests that a handler works on. BodyBytes is the memory of bodies.
	InFlight, BodyBytes int64
}
