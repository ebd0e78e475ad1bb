package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// ChangePath is where changes of the mesh are validated. One path for every kind: the review says what it is about.
const ChangePath = "/validate-mesh-change"

// Changes stands for all webhooks on [ChangePath] where their requests are timed.
const Changes = "changes.revision-router.io"

// ChangeRecorder counts what the [ChangeValidator] does.
type ChangeRecorder interface {
	// Judged: a change was judged, with these findings; none means that it was admitted without a word.
	Judged(kind skew.Kind, findings []skew.Finding)
	// Unjudged: a change could not be judged, and was refused or, for an operator, admitted.
	Unjudged(kind skew.Kind)
}

// ChangeValidatorOptions are what a [ChangeValidator] needs. All but Log, Served and Notify are required.
type ChangeValidatorOptions struct {
	Mesh LiveMeshGetter
	// Policy is asked once a request, so that it can change while the router runs.
	Policy   func() skew.Policy
	Recorder ChangeRecorder
	Log      logr.Logger
	// Served is told of each request: how long it took by the clock Now, and the size of its body.
	Served func(took time.Duration, bytes int)
	Now    func() time.Time
	// Notify is told what people should notice. It must not block.
	Notify func(ChangeNotice)
}

// ChangeValidator refuses writes that take the versions of a mesh further apart than the policy allows, or break a
// reference within it. It runs under controller-runtime's handler: a few calls a day need no other.
type ChangeValidator struct{ options ChangeValidatorOptions }

var _ admission.Handler = (*ChangeValidator)(nil)

// NewChangeValidator returns a handler of changes.
func NewChangeValidator(o ChangeValidatorOptions) *ChangeValidator {
	return &ChangeValidator{options: o}
}

// judgeTimeout bounds reading and judging; it is well within the timeout of the webhooks, so that the answer is ours
// and not the API server's "context deadline exceeded".
const judgeTimeout = 3500 * time.Millisecond

// Register serves the validator at [ChangePath].
func (v *ChangeValidator) Register(server Registrar) {
	server.Register(ChangePath, v.timed(&admission.Webhook{
		Handler: v, RecoverPanic: new(false), // internal/server recovers panics, and counts them
		LogConstructor: func(logr.Logger, *admission.Request) logr.Logger { return v.options.Log },
	}))
}

// timed tells how long each request takes. The size of a body is known by then: internal/server has read it.
func (v *ChangeValidator) timed(next http.Handler) http.Handler {
	if v.options.Served == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, size := v.options.Now(), int(max(r.ContentLength, 0))
		defer func() { v.options.Served(v.options.Now().Sub(began), size) }()
		next.ServeHTTP(w, r)
	})
}

// Handle judges one change. A denial is a result; an error means that the change could not be judged.
func (v *ChangeValidator) Handle(ctx context.Context, request admission.Request) admission.Response {
	change, err := decodeChange(&request.AdmissionRequest)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if change == nil {
		return admission.Allowed("")
	}
	policy := v.options.Policy()
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	findings, err := judge(ctx, v.options.Mesh, *change, policy)
	if err != nil {
		return v.unjudged(*change, policy, err)
	}
	v.record(*change, findings)
	v.notify(&request.AdmissionRequest, *change, findings)
	return respondFindings(findings)
}

// decodeChange reads the request. No change means that no rule can have a say in it.
func decodeChange(request *admissionv1.AdmissionRequest) (*skew.Change, error) {
	kind := schema.GroupKind{Group: request.Kind.Group, Kind: request.Kind.Kind}
	if !inventory.Knows(kind) || request.SubResource != "" {
		return nil, nil //nolint:nilnil // documented
	}
	change := &skew.Change{
		Operation: skew.Operation(request.Operation),
		User:      request.UserInfo.Username,
		DryRun:    request.DryRun != nil && *request.DryRun,
	}
	latest := request.Object.Raw
	switch change.Operation {
	case skew.Create, skew.Update:
	case skew.Delete:
		latest = request.OldObject.Raw
	default:
		return nil, nil //nolint:nilnil // documented
	}
	var err error
	if len(request.Object.Raw) > 0 {
		if change.New, err = inventory.Decode(kind, request.Object.Raw); err != nil {
			return nil, err
		}
	}
	if len(request.OldObject.Raw) > 0 {
		if change.Old, err = inventory.Decode(kind, request.OldObject.Raw); err != nil {
			return nil, err
		}
	}
	if change.New == nil && change.Old == nil {
		return nil, errors.New("the request holds no object")
	}
	if change.Override, err = inventory.Override(latest); err != nil {
		return nil, err
	}
	if a, ok := change.New.(skew.Attachment); ok && len(a.Targets) == 0 {
		return nil, nil //nolint:nilnil // documented
	}
	if change.Operation != skew.Delete && plain(change.Old) && plain(change.New) {
		return nil, nil //nolint:nilnil // documented
	}
	return change, nil
}

// plain reports whether the object is a namespace without any label that a rule reads. Those are most of what a
// cluster creates, and must not cost it a look at the mesh. When one is deleted, its labels tell nothing: others may use
// a waypoint in it.
func plain(o skew.Object) bool {
	if o == nil {
		return true
	}
	ns, ok := o.(skew.Namespace)
	if !ok {
		return false
	}
	for _, key := range []string{
		routing.LabelInjection, routing.LabelRevision,
		skew.LabelDataplaneMode, skew.LabelUseWaypoint, skew.LabelUseWaypointNamespace,
	} {
		if _, labelled := ns.Labels[key]; labelled {
			return false
		}
	}
	return true
}

// unjudged answers where the mesh could not be read. Fail closed: what cannot be judged is refused with a message
// that says so, since a skewed mesh is worse than a write that has to be repeated. An operator is admitted: refusing
// it would wedge its reconcile loop over an outage that has nothing to do with it. So is a change with the override
// annotation: whoever wrote it has taken the decision over. And so is one that could only be warned about.
func (v *ChangeValidator) unjudged(c skew.Change, policy skew.Policy, err error) admission.Response {
	kind := refOf(c).Kind
	v.options.Recorder.Unjudged(kind)
	v.options.Log.Error(err, "a change could not be judged", "object", refOf(c).String(), "user", c.User)
	if policy.Excuses(c.User) || strings.TrimSpace(c.Override.Value) != "" || advised(c, policy) {
		return admission.Allowed("").WithWarnings("the router could not judge this change: the mesh could not be read")
	}
	return admission.Errored(http.StatusServiceUnavailable, fmt.Errorf(
		"the change of %s cannot be judged, because the mesh could not be read: %w; retry in a moment", refOf(c), err))
}

// advised reports whether no rule refuses a write of such an object: those about who uses a waypoint, and about what it
// carries out, warn unless the policy says otherwise.
func advised(c skew.Change, policy skew.Policy) bool {
	switch c.New.(type) {
	case skew.Consumer, skew.Attachment:
		return policy.Level(skew.WaypointPolicy) != skew.Deny
	}
	return false
}

// record counts the findings and writes one line for each change that anything is found about: those that are refused are
// always worth it, the others only where asked for.
func (v *ChangeValidator) record(c skew.Change, findings []skew.Finding) {
	v.options.Recorder.Judged(refOf(c).Kind, findings)
	if len(findings) == 0 {
		return
	}
	log, text := v.options.Log.V(1), "change admitted with warnings"
	refused := skew.Denied(findings)
	if refused {
		log, text = v.options.Log, "change refused"
	}
	var rules, messages []string
	override := ""
	for _, f := range findings {
		if refused && f.Level != skew.Deny {
			continue
		}
		rules, messages = append(rules, string(f.Rule)), append(messages, f.Message)
		override = cmp.Or(override, f.Overridden)
	}
	log.Info(text, "rules", strings.Join(rules, ","), "object", refOf(c).String(), "operation", c.Operation,
		"user", c.User, "dryRun", c.DryRun, "override", override, "message", strings.Join(messages, "\n"))
}

func refOf(c skew.Change) skew.Ref {
	if c.New != nil {
		return c.New.Ref()
	}
	return c.Old.Ref()
}

// respondFindings denies with every finding that denies, and warns of the others.
func respondFindings(findings []skew.Finding) admission.Response {
	var denials, rules, overridden []string
	var warnings []string
	for _, f := range findings {
		rules = append(rules, string(f.Rule))
		if f.Level == skew.Deny {
			denials = append(denials, f.Message)
			continue
		}
		warnings = append(warnings, f.Warning())
		if f.Overridden != "" {
			overridden = append(overridden, string(f.Rule)+": "+f.Overridden)
		}
	}
	response := admission.Allowed("")
	if len(denials) > 0 {
		response = admission.Denied(strings.Join(denials, "\n"))
	}
	response.Warnings = warnings
	if len(rules) > 0 {
		// The API server prefixes the keys with the webhook's name.
		response.AuditAnnotations = map[string]string{"rules": strings.Join(rules, ",")}
	}
	if len(overridden) > 0 {
		response.AuditAnnotations["override"] = strings.Join(overridden, "; ")
	}
	return response
}
