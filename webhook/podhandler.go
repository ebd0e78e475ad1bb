package webhook

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/routing"
)

// podHandler answers the requests of one entry.
type podHandler struct {
	PodRouterOptions
	router *PodRouter
	entry  Entry
}

// ServeHTTP answers one AdmissionReview. Whatever goes wrong in here costs this request and no other: a panic is
// an HTTP 500, which the failurePolicy turns into what it says.
func (h *podHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := h.Now()
	x := h.router.exchange()
	x.began = began
	defer func() {
		p := recover()
		h.Recorder.Served(h.entry, h.Now().Sub(began), len(x.body))
		if p != nil {
			h.panicked(w, p) // and x is not used again: what panicked may still hold a part of it
			return
		}
		h.router.release(x)
	}()
	if e := h.serve(w, req, x); e != nil {
		h.reject(w, e)
	}
}

// serve goes through decode, gather, decide, respond and record. It returns an error where it wrote nothing.
func (h *podHandler) serve(w http.ResponseWriter, req *http.Request, x *exchange) *httpError {
	if e := x.receive(req); e != nil {
		return e
	}
	mesh := h.Meshes.Mesh()
	if mesh == nil {
		return &httpError{NoSnapshot, http.StatusServiceUnavailable, "the first snapshot of the mesh is not there yet"}
	}
	p := &x.review
	if err := decode(x.body, mesh.UsesPodLabels(), p); err != nil {
		return decodeError(err)
	}
	if e := p.check(); e != nil {
		return e
	}
	if exemption := p.exemption(); exemption != "" {
		h.Recorder.Exempted(exemption)
		h.reply(w, x, allowed())
		return nil
	}
	if e := p.checkPod(); e != nil {
		return e
	}
	ns, changing, e := h.namespace(req.Context(), mesh, string(p.namespace))
	switch {
	case e != nil:
		return e
	case changing:
		h.refuseChanging(w, x, ns)
		return nil
	}
	return h.decide(w, req, x, routing.Input{Mesh: mesh, Namespace: ns, Pod: p.pod()})
}

// decide is the second half of serve: all that the decision depends on is there.
func (h *podHandler) decide(
	w http.ResponseWriter, req *http.Request, x *exchange, in routing.Input,
) (e *httpError) {
	p := &x.review
	if in.Mesh.UsesWorkloads() {
		in.Pod.Workload = p.origin().Workload()
	}
	d := routing.Decide(in)
	policy := h.Policy()
	verdict := policy.Judge(d, in.Pod)
	var r response
	if d.Forward && verdict.Allowed() {
		until := h.router.waiting.earlier(p.uid, deadlineOf(x.began, req.URL), x.began)
		r, e = h.forward(req, &forwarding{
			exchange: x, in: in, decision: d, deadline: until, unresolved: policy.Unresolved,
		})
		if e != nil {
			return e
		}
	} else {
		r = h.respond(x, in, d, verdict)
	}
	h.Recorder.Decided(Outcome{Decision: d, Verdict: verdict, DryRun: p.dryRun})
	h.logDecision(p, in.Namespace.Name, d, r)
	h.notify(p, in, outcome{d, verdict}, r)
	h.reply(w, x, r)
	return nil
}

// namespace returns the labels that the decision is made with. They come from the snapshot, unless that does not
// know the namespace, or knows it with labels with which the API server would not have chosen this entry: the
// namespace was created or labelled a moment ago. Then the API server is asked, once.
//
// Its answer may disagree with the entry, too: the labels change at this very moment, and changing is true. Then
// neither answer can be trusted. The injectors' webhooks are still to come and are chosen by labels that the API
// server caches in its own time, so that a decision on either set may record a revision that does not inject, or
// let through a pod that nothing injects. So the pod is refused with a conflict, and what creates it tries again.
func (h *podHandler) namespace(ctx context.Context, mesh *routing.Mesh, name string) (
	ns routing.Namespace, changing bool, e *httpError,
) {
	ns, known := mesh.Namespace(name)
	if known && stateOf(ns) == h.entry.Namespace {
		return ns, false, nil
	}
	ns, err := h.Namespaces.Namespace(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		// The API server that sent the request did see it: the one that was asked will, in a moment.
		h.Recorder.ReadNamespace(ReadNotFound)
		return ns, false, &httpError{
			NamespaceNotFound, http.StatusServiceUnavailable,
			"the namespace " + quote(name) + " is not found yet",
		}
	case err != nil:
		h.Recorder.ReadNamespace(ReadFailed)
		h.Log.Error(err, "cannot read a namespace that the snapshot is behind on", "namespace", name)
		return ns, false, &httpError{
			NamespaceUnread, http.StatusServiceUnavailable,
			"the labels of namespace " + quote(name) + " cannot be read",
		}
	case stateOf(ns) != h.entry.Namespace:
		h.Recorder.ReadNamespace(ReadDisagrees)
		return ns, true, nil
	}
	h.Recorder.ReadNamespace(ReadAgrees)
	return ns, false, nil
}

// respond turns the decision and the policy's verdict into the answer.
func (h *podHandler) respond(x *exchange, in routing.Input, d routing.Decision, v routing.Verdict) response {
	r := allowed()
	if !v.Allowed() {
		r = forbidden(routing.ExplainRefusal(x.review.subject(), in, d))
	} else {
		x.patch = x.review.appendPatch(x.patch, marksOf(d))
		r.patch = x.patch
	}
	if d.Action != routing.Skip || !r.allowed {
		// Skipped pods are left out: they are most of what a cluster creates, and nothing was done about them.
		r.decision = d
	}
	if v == routing.AdmittedUnresolved {
		r.warnings = append(r.warnings, routing.UnresolvedWarning(d))
	}
	for _, w := range d.Warnings.List() {
		r.warnings = append(r.warnings, routing.ExplainWarning(w, in))
	}
	return r
}

// refuseChanging answers for a namespace whose labels are not those that the API server saw.
func (h *podHandler) refuseChanging(w http.ResponseWriter, x *exchange, ns routing.Namespace) {
	p := &x.review
	r := conflict(p.subject() + " in namespace " + quote(string(p.namespace)) + " is refused for the moment: the " +
		"namespace's labels are changing just now (" + h.entry.Namespace.describe() + " when the API server chose the " +
		"webhook, " + stateOf(ns).describe() + " now). Next: create it again; controllers do so by themselves")
	h.Log.Info("denied", "code", r.code, "reason", "NamespaceChanging", "pod", p.podName(),
		"namespace", string(p.namespace), "dryRun", p.dryRun)
	h.reply(w, x, r)
}

// logDecision writes one line for each decision: what is denied is always worth it, the rest only where asked for.
func (h *podHandler) logDecision(p *podReview, namespace string, d routing.Decision, r response) {
	log := h.Log
	if r.allowed {
		if log = h.Log.V(1); !log.Enabled() {
			return
		}
	}
	if r.forwarded != "" {
		log = log.WithValues("forwarded", r.forwarded, "followed", d.Followed)
	}
	if r.allowed {
		log.Info("allowed", "action", d.Action, "reason", d.Reason, "revision", d.Revision, "tag", d.Tag,
			"pod", p.podName(), "namespace", namespace, "dryRun", p.dryRun)
		return
	}
	if r.forwarded != "" {
		// What went wrong is the injector's to say, and stands nowhere else.
		log = log.WithValues("revision", d.Revision, "tag", d.Tag, "message", r.message)
	}
	log.Info("denied", "code", r.code, "reason", d.Reason, "wanted", d.Wanted,
		"pod", p.podName(), "namespace", namespace, "dryRun", p.dryRun)
}

// reply sends an AdmissionReview. An error means that the API server is gone, which has given up on us by then.
func (h *podHandler) reply(w http.ResponseWriter, x *exchange, r response) {
	x.reply = appendReview(x.reply, x.review.uid, r)
	w.Header()["Content-Type"] = h.router.jsonHeader
	if _, err := w.Write(x.reply); err != nil {
		h.Log.V(1).Info("the response was not taken", "error", err.Error())
	}
}

func (h *podHandler) reject(w http.ResponseWriter, e *httpError) {
	h.Recorder.Rejected(e.cause)
	log := h.Log
	if !e.temporary() {
		// Anybody who reaches the port can send nonsense, and must not fill the log with it.
		log = log.V(1)
	}
	log.Info("rejected", "code", e.code, "cause", e.cause, "message", e.message, "webhook", h.entry.Name)
	if err := e.write(w); err != nil {
		h.Log.V(1).Info("the response was not taken", "error", err.Error())
	}
}

// panicked answers for a request whose handling panicked. Nothing was written by then: a reply is made as a whole
// and written at the very end.
func (h *podHandler) panicked(w http.ResponseWriter, p any) {
	h.Recorder.Panicked()
	h.Log.Error(fmt.Errorf("panic: %v", p), "a request was lost", "webhook", h.entry.Name, "stack", string(debug.Stack()))
	e := httpError{code: http.StatusInternalServerError, message: "a panic was caught; the router's log has its stack"}
	if err := e.write(w); err != nil {
		h.Log.V(1).Info("the response was not taken", "error", err.Error())
	}
}

// subject is the pod in a message.
func (p *podReview) subject() string {
	name := p.podName()
	const longest = 253
	return "pod " + strconv.QuoteToASCII(name[:min(len(name), longest)])
}
