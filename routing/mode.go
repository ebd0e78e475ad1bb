package routing

// Mode is who injects. It decides what a tag means, and nothing else about names.
type Mode string

// The modes.
const (
	// Guard leaves injection to Istio's own webhooks: a tag means where its webhook points today.
	Guard Mode = "Guard"
	// Forward passes pods of the Sail Operator's revisions to the injector of the revision: a tag means its target,
	// once that takes pods.
	Forward Mode = "Forward"
)

// Modes lists the modes, the default first.
func Modes() []Mode { return []Mode{Guard, Forward} }

// Unroutable is why no pod can be sent to the injector of a revision. Empty means that pods can. It is known only in
// [Forward], and the set is closed.
type Unroutable string

// Why a revision takes no pods. Where several apply, the first counts.
const (
	// BeingDeleted: a deletion timestamp is set. istiod is about to go.
	BeingDeleted Unroutable = "BeingDeleted"
	// TooOld: before 1.28, the chart renders injector webhooks for tags even with global.operatorManageWebhooks, so
	// that two injectors would call on one pod.
	TooOld Unroutable = "TooOld"
	// NoInjector: the revision's values hold no address that can be called.
	NoInjector Unroutable = "NoInjector"
	// NoCA: there is nothing to check the injector's certificate with.
	NoCA Unroutable = "NoCA"
	// NoEndpoints: the injector's Service has no ready endpoint.
	NoEndpoints Unroutable = "NoEndpoints"
)

// UnroutableReasons lists the reasons in the order in which they count.
func UnroutableReasons() []Unroutable {
	return []Unroutable{BeingDeleted, TooOld, NoInjector, NoCA, NoEndpoints}
}

// Followed is what led through a tag to another revision than its target. The set is closed; empty means that the
// target itself was followed, or that there was no tag.
type Followed string

// What can lead elsewhere.
const (
	// FollowedRollout: the workload is in the share that the tag's [Rollout] moves.
	FollowedRollout Followed = "Rollout"
	// FollowedLastGood: the revision that was to be followed takes no pods, so that an earlier one still does.
	FollowedLastGood Followed = "LastGood"
)

// AllFollowed lists the values that are not empty.
func AllFollowed() []Followed { return []Followed{FollowedRollout, FollowedLastGood} }

// Precedence tells in which namespaces the label istio.io/rev of a pod beats that of its namespace. The first rule
// whose selector matches the namespace's labels decides; without one the namespace beats the pod, as in Istio.
type Precedence []PrecedenceRule

// PrecedenceRule is one rule of a [Precedence].
type PrecedenceRule struct {
	// Selector of namespaces. One without requirements selects all, as everywhere in Kubernetes but in istiod's
	// never- and alwaysInjectSelector.
	Selector Selector
	// PodFirst: the pod's label counts first.
	PodFirst bool
}

// PodFirst evaluates the rules for a namespace with these labels.
func (p Precedence) PodFirst(labels map[string]string) bool {
	if len(p) == 0 {
		return false
	}
	pairs := make([]Pair, 0, len(labels))
	for key, value := range labels {
		pairs = append(pairs, Pair{Key: key, Value: value})
	}
	for _, rule := range p {
		if len(rule.Selector) == 0 || rule.Selector.Matches(pairs) {
			return rule.PodFirst
		}
	}
	return false
}
