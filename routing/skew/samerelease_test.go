package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

func TestSameRelease(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"v1.30.3", "1.30.3", true},
		{"v1.30.3", "1.30.3-distroless", true},
		{"v1.30.3", "1.30.3_ossm", true},
		{"v1.30.3", "v1.30.4", false},
		{"v1.31.0", "v1.31.0-rc.0", false},
		{"v1.31.0-rc.0", "v1.31.0-rc.0", true},
		{"master", "master", false},
		{"v1.30.3", "", false},
	} {
		if got := skew.Parse(tc.a).SameRelease(skew.Parse(tc.b)); got != tc.want {
			t.Errorf("%s and %s: got %t", tc.a, tc.b, got)
		}
		if got := skew.Parse(tc.b).SameRelease(skew.Parse(tc.a)); got != tc.want {
			t.Errorf("%s and %s: got %t", tc.b, tc.a, got)
		}
	}
}
