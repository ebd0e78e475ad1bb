package skew

// Rule names a violation. The same word is used in messages, metrics, the audit annotation, the policy file and
// the documentation.
type Rule string

// Rules about versions.
const (
	InPlaceStep      Rule = "InPlaceStep"
	DataPlaneBehind  Rule = "DataPlaneBehind"
	DataPlaneAhead   Rule = "DataPlaneAhead"
	ZTunnelSkew      Rule = "ZTunnelSkew"
	CNISkew          Rule = "CNISkew"
	SingletonSqueeze Rule = "SingletonSqueeze"
	CNIZTunnelPair   Rule = "CNIZTunnelPair"
	UnknownVersion   Rule = "UnknownVersion"
)

// Rules about references and labels.
const (
	TagTarget              Rule = "TagTarget"
	TagRollout             Rule = "TagRollout"
	NameConflict           Rule = "NameConflict"
	InUseDelete            Rule = "InUseDelete"
	UnknownRevisionLabel   Rule = "UnknownRevisionLabel"
	InjectionLabels        Rule = "InjectionLabels"
	AmbientAndRevision     Rule = "AmbientAndRevision"
	WaypointMissing        Rule = "WaypointMissing"
	WaypointInUseDelete    Rule = "WaypointInUseDelete"
	AliasWithRevisionBased Rule = "AliasWithRevisionBased"
	GatewayOwner           Rule = "GatewayOwner"
	ZTunnelDrain           Rule = "ZTunnelDrain"
	WaypointPolicy         Rule = "WaypointPolicy"
)

// Level is what a finding does to the write.
type Level string

// The levels.
const (
	// Deny refuses the write.
	Deny Level = "Deny"
	// Warn admits it and tells the user.
	Warn Level = "Warn"
	// Off makes the rule silent. It is a level of policies; no finding has it.
	Off Level = "Off"
)

// RuleInfo describes one rule.
type RuleInfo struct {
	Rule Rule
	// Default is the level where the policy names none.
	Default Level
	// Summary is one line for documentation and the policy file.
	Summary string
}

// Rules lists every rule in the order in which findings are sorted. The list is closed. A rule whose default is
// Warn describes a risk and not a broken state; a policy may raise it, with the exception of UnknownVersion: a
// version that cannot be read must never deny anything.
func Rules() []RuleInfo {
	list := rules()
	return list[:]
}

// rules is an array, so that looking up a rule allocates nothing.
func rules() [21]RuleInfo {
	return [...]RuleInfo{
		{InPlaceStep, Deny, "a control plane that is updated in place is raised by more than one minor version"},
		{DataPlaneBehind, Deny, "a sidecar, gateway or waypoint is more than one minor version behind its control plane"},
		{DataPlaneAhead, Deny, "a proxy is ahead of its control plane, or a control plane is lowered below IstioCNI or ZTunnel"},
		{SingletonSqueeze, Deny, "live revisions are so far apart that no version of IstioCNI or ZTunnel fits all of them"},
		{CNISkew, Deny, "IstioCNI is ahead of a live revision, or more than one minor version behind it"},
		{ZTunnelSkew, Deny, "ZTunnel is ahead of a live revision, or more than one minor version behind it"},
		{CNIZTunnelPair, Deny, "ZTunnel is ahead of IstioCNI, or more than one minor version behind it"},
		{UnknownVersion, Warn, "a version cannot be read, so that the skew cannot be judged"},
		{TagTarget, Deny, "a revision tag points at something that is missing, remote or being deleted"},
		{TagRollout, Deny, "the rollout of a revision tag cannot be read, or goes to a revision that is missing, remote, being deleted or of another mesh"},
		{NameConflict, Deny, "a revision and a revision tag, or the revisions of two Istios, have the same name"},
		{InUseDelete, Deny, "an Istio, IstioRevision, IstioRevisionTag, IstioCNI or ZTunnel is deleted while it is used"},
		{UnknownRevisionLabel, Deny, "istio.io/rev of a Namespace or Gateway names no revision and no revision tag"},
		{GatewayOwner, Deny, "no revision would adopt a Gateway"},
		{WaypointMissing, Deny, "istio.io/use-waypoint names a Gateway that is missing, is no waypoint or admits no such user"},
		{WaypointInUseDelete, Deny, "a waypoint is deleted while others use it"},
		{WaypointPolicy, Warn, "no waypoint carries out an AuthorizationPolicy or HTTPRoute, so that traffic bypasses it"},
		{InjectionLabels, Warn, "the injection labels of a Namespace do not do what they seem to say"},
		{AmbientAndRevision, Warn, "an ambient Namespace also selects sidecar injection"},
		{AliasWithRevisionBased, Warn, "a version alias with RevisionBased updates a revision in place"},
		{ZTunnelDrain, Warn, "a ZTunnel update resets long-lived connections on every node"},
	}
}

func (r Rule) info() (info RuleInfo, order int) {
	for i, known := range rules() {
		if known.Rule == r {
			return known, i
		}
	}
	return RuleInfo{Rule: r, Default: Deny}, -1 // fail closed: a rule that is not listed denies
}
