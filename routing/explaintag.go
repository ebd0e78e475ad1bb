package routing

import "strings"

// ExplainTag says in one sentence, without a full stop, where the tag of this name leads and why, leaving its rollout out.
// It is empty where no tag has the name, or a revision comes before it.
func ExplainTag(m *Mesh, name string) string {
	found := m.Resolve(name)
	if found.Tag == nil {
		return ""
	}
	subject := "the tag " + quoteIn(63, name)
	switch {
	case found.Revision != nil && found.Followed == FollowedLastGood:
		return subject + " leads to " + revisionText(found.Revision.Name, found.Revision.Version) +
			", as the last good one: " + explainLastGood(Input{Mesh: m}, Decision{Wanted: name})
	case found.Revision != nil:
		return subject + " leads to " + revisionText(found.Revision.Name, found.Revision.Version)
	case found.Reason == NotRoutable && found.Meant != nil:
		return subject + " leads to no revision that takes pods: " + notTaking(found.Meant) + ", and no earlier revision of it does"
	}
	return subject + " leads to no revision: it " + strings.TrimPrefix(dangling(found.Tag), "which ")
}
