package skew

import "strconv"

// kubernetesGraceSeconds is the terminationGracePeriodSeconds of a pod that sets none.
const kubernetesGraceSeconds = 30

// zTunnelDrain warns of a ZTunnel update that resets long-lived connections.
//
// Source: update guide 3.7 ("Ztunnel cannot transfer connection states to another process ... Once the
// terminationGracePeriodSeconds expires, the old Ztunnel forcefully terminates any remaining connections"), which
// knows the two ways out. Every change of the version replaces the pods, a patch as much as a minor.
func zTunnelDrain(k *check) []violation {
	from, existed := k.change.Old.(ZTunnel)
	to, ok := k.change.New.(ZTunnel)
	if k.change.Operation != Update || !existed || !ok {
		return nil
	}
	grace := to.GraceSeconds
	if grace == 0 {
		grace = kubernetesGraceSeconds
	}
	if Parse(from.Version) == Parse(to.Version) || to.OnDelete || grace >= k.policy.drainSeconds() {
		return nil
	}
	return []violation{{
		rule: ZTunnelDrain,
		what: k.subject() + " replaces ZTunnel on every node, and cuts connections that last longer than " +
			strconv.FormatInt(grace, 10) + "s.",
		todo: "Give them time, or drain the nodes one by one with updateStrategy OnDelete",
		steps: []string{
			`kubectl patch ztunnel default --type=merge -p '{"spec":{"values":{"ztunnel":{"terminationGracePeriodSeconds":` +
				strconv.FormatInt(k.policy.drainSeconds(), 10) + `}}}}'`,
			`kubectl patch ztunnel default --type=merge -p '{"spec":{"values":{"ztunnel":{"updateStrategy":{"type":"OnDelete"}}}}}'`,
		},
		objects: []Ref{to.Ref()},
	}}
}
