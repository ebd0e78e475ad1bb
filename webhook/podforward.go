package webhook

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

// Forwarder passes a review on to an injector and returns its reply, in the memory of reply where that is large enough.
// Neither review nor reply may be used by it afterwards. Errors are those of [forward.Client].
type Forwarder interface {
	Forward(ctx context.Context, to forward.Injector, review, reply []byte) ([]byte, error)
}

// InjectorSource tells where the injector of a revision is, from the same snapshot as [MeshSource].
type InjectorSource interface {
	Injector(revision string) (forward.Injector, bool)
}

// ForwardRecorder counts what came of passing reviews on. It is called on the hot path and must not block.
type ForwardRecorder interface {
	Forwarded(revision string, result forward.Result, took time.Duration)
}

// Forwarding is what a [PodRouter] needs besides in forward mode. All fields are required.
type Forwarding struct {
	Client    Forwarder
	Injectors InjectorSource
	Recorder  ForwardRecorder
}

// forwarding is one pod on its way to the injector of the revision that was decided on.
type forwarding struct {
	*exchange
	in       routing.Input
	decision routing.Decision
	to       forward.Injector
	deadline deadline
	// unresolved is the policy for a pod that is left without the sidecar that it asked for.
	unresolved routing.Level
}

// forward has a pod injected by the injector of the revision that was decided on, and answers with its patch and the
// router's marks. Whatever goes wrong, it fails closed: the pod is refused, or the API server is asked to try again, and
// never is it admitted without the sidecar, or sent to another revision. That does not rest on the failurePolicy.
func (h *podHandler) forward(req *http.Request, f *forwarding) (response, *httpError) {
	began := h.Now()
	r, result, err := h.inject(req.Context(), f)
	h.Forwarding.Recorder.Forwarded(f.decision.Revision, result, h.Now().Sub(began))
	if err == nil {
		h.router.waiting.forget(f.review.uid)
	} else {
		if result.Temporary() && f.deadline.leavesRetry(h.Now()) && h.router.waiting.remember(f.review.uid, f.deadline) {
			return r, &httpError{InjectorUnavailable, http.StatusServiceUnavailable, f.explain(result, err)}
		}
		h.router.waiting.forget(f.review.uid)
		r = failed(codeOf(result), f.explain(result, err))
	}
	r.decision, r.forwarded = f.decision, result
	for _, w := range f.decision.Warnings.List() {
		r.warnings = append(r.warnings, routing.ExplainWarning(w, f.in))
	}
	return r, nil
}

// inject asks the injector. An error means that there is no answer of its that could be passed on.
func (h *podHandler) inject(ctx context.Context, f *forwarding) (response, forward.Result, error) {
	p, d := &f.review, f.decision
	if p.sidecar && p.sidecarRevision.present && string(p.sidecarRevision.value) != d.Revision {
		// Two revisions on one pod can leave two proxies, or one whose annotations lie about it.
		return conflict(f.explainSecond()), forward.SecondRevision, nil
	}
	var known bool
	if f.to, known = h.Forwarding.Injectors.Injector(d.Revision); !known {
		return response{}, forward.NoInjector, errNoInjector
	}
	ctx, cancel := f.deadline.context(ctx, h.Now())
	defer cancel()
	var err error
	if f.answer, err = h.Forwarding.Client.Forward(ctx, f.to, f.body, f.answer); err != nil {
		return response{}, forward.ResultOf(err), err //nolint:wrapcheck // explain says what was attempted
	}
	var reply injectorReply
	if f.patch, err = decodeReply(f.answer, f.patch, &reply); err != nil {
		return response{}, forward.BadReply, err
	}
	if err := reply.check(p.uid); err != nil {
		return response{}, forward.BadReply, err
	}
	return f.take(&reply)
}

// take turns the injector's answer into the router's.
func (f *forwarding) take(reply *injectorReply) (response, forward.Result, error) {
	p := &f.review
	r := allowed()
	r.audit, r.warnings = reply.audit, reply.warnings
	if !reply.allowed {
		r.allowed = false
		r.code, r.reason, r.message = http.StatusBadRequest, "", "no reason given" // 400: the API server's own default
		if s := reply.status; s != nil {
			r.reason = string(s.Reason)
			if s.Code >= http.StatusBadRequest {
				r.code = int(s.Code)
			}
			if s.Message != "" {
				r.message = s.Message
			}
		}
		r.message = f.explainDenied(r.message)
		return r, forward.Denied, nil
	}
	result, wanted := forward.Injected, marksOf(f.decision)
	if emptyPatch(reply.patch) {
		// Nothing to do: it has been done in an earlier call, or the injector leaves the pod alone.
		if result = forward.AlreadyInjected; !p.sidecar {
			result, wanted = forward.NotInjected, marks{} // no mark ever says of a pod what is not so
		}
	}
	var err error
	if f.patch, err = p.joinPatch(reply.patch, f.body, wanted); err != nil {
		return response{}, forward.BadReply, err
	}
	r.patch = f.patch
	switch {
	case result != forward.NotInjected:
		return r, result, nil
	case f.in.Pod.ImageAuto:
		return forbidden(f.explainNotInjected() + ", and a container's image is \"auto\", which only injection replaces. " +
			f.next(forward.NotInjected)), forward.NotInjected, nil
	case f.unresolved != routing.Warn:
		// Fail closed: the labels ask for a sidecar and its injector disagrees, by settings that no object shows.
		return forbidden(f.explainNotInjected() + ", although its labels ask for one. " + f.next(forward.NotInjected)),
			forward.NotInjected, nil
	}
	r.warnings = append(r.warnings, "the injector of revision "+quote(f.decision.Revision)+" left this pod without a sidecar")
	return r, forward.NotInjected, nil
}

// codeOf is the status of a pod that is refused because its injector could not be asked. What creates it tries again for
// any of them.
func codeOf(r forward.Result) int {
	switch {
	case r == forward.TimedOut, r == forward.Canceled:
		return http.StatusGatewayTimeout
	case r.Temporary():
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// who names the pod, where it is, and what leads to which revision.
func (f *forwarding) who() string {
	text := f.review.subject() + " in namespace " + quote(f.in.Namespace.Name) + " is refused: "
	if f.decision.Tag != "" {
		return text + "tag " + quote(f.decision.Tag) + " leads to revision " + quote(f.decision.Revision)
	}
	return text + "its sidecar is that of revision " + quote(f.decision.Revision)
}

// longestCause bounds what is repeated of an error: the message becomes an event, which is cut at 1 KiB.
const longestCause = 400

// explain is the message for a pod whose injector could not be asked.
func (f *forwarding) explain(result forward.Result, err error) string {
	cause := err.Error()
	if len(cause) > longestCause {
		cause = cause[:longestCause] + "..."
	}
	return f.who() + ", whose injector gave no answer that can be used (" + string(result) + "): " + cause + ". " +
		"No other revision is used instead. " + f.next(result)
}

func (f *forwarding) explainDenied(message string) string {
	return f.who() + ", whose injector says: " + message
}

func (f *forwarding) explainNotInjected() string {
	return f.who() + ", whose injector gives it no sidecar"
}

func (f *forwarding) explainSecond() string {
	return f.who() + ", and it already has the sidecar of revision " + quote(string(f.review.sidecarRevision.value)) +
		" (annotations " + routing.LabelRevision + " and " + annotationStatus + "); two of them break a pod. " +
		"Next: create it from its template again, which controllers do by themselves"
}

// next is the command that shows what is wrong.
func (f *forwarding) next(result forward.Result) string {
	revision := f.decision.Revision
	if !routing.ValidLabelValue(revision) {
		return "Next: kubectl get istiorevisions"
	}
	service, namespace, inCluster := serviceOf(f.to.Address)
	switch {
	case result == forward.NoCA, result == forward.Untrusted:
		return "Next: kubectl get validatingwebhookconfigurations -l " + routing.LabelRevision + "=" + revision
	case result == forward.NoInjector, !inCluster:
		return "Next: kubectl get istiorevision " + revision + " -o yaml"
	case result == forward.Unreachable, result == forward.Broken, result == forward.Suspended:
		return "Next: kubectl get endpointslices -n " + namespace + " -l kubernetes.io/service-name=" + service
	}
	return "Next: kubectl logs -n " + namespace + " -l app=istiod," + routing.LabelRevision + "=" + revision + " --tail=50"
}

// serviceOf takes an address such as istiod-x.istio-system.svc:443 apart.
func serviceOf(address string) (service, namespace string, ok bool) {
	host, _, _ := strings.Cut(address, ":")
	parts := strings.Split(host, ".")
	if len(parts) != 3 || parts[2] != "svc" {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// nowhere is the forwarding of a router that was given none: no injector is known, and so no pod admitted.
type nowhere struct{}

func (nowhere) Injector(string) (forward.Injector, bool) { return forward.Injector{}, false }

func (nowhere) Forward(_ context.Context, _ forward.Injector, _, reply []byte) ([]byte, error) {
	return reply, errNoInjector
}

func (nowhere) Forwarded(string, forward.Result, time.Duration) {}
