//go:build plans

package plans

import "testing"

// TestPlansFrom124To128 climbs four minors. Nothing is taken back on the way: each kind of step is in the rows of the update
// guide.
func TestPlansFrom124To128(t *testing.T) {
	t.Parallel()
	rows := map[string]row{
		"in place": {
			strategy: "InPlace", cni: true, labels: injection, steps: 12, revision: "default",
		},
		"in place, ambient": {
			strategy: "InPlace", ambient: true, labels: injection, gateways: []string{waypoint("shop", "")}, steps: 16, revision: "default",
		},
		"revisions and labels": {
			strategy: "RevisionBased", cni: true, labels: byRevision, steps: 16, revision: "default-v1-28-5",
		},
		"revisions and labels, ambient": {
			strategy: "RevisionBased", ambient: true, labels: byRevision, gateways: []string{waypoint("shop", "REV")}, steps: 24,
			revision: "default-v1-28-5",
		},
	}
	for name, r := range rows {
		r.from, r.to = "v1.24.3", "v1.28.5"
		rows[name] = r
	}
	runRows(t, rows)
}
