package skew_test

import (
	"slices"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text, want, minor string
		known, alias      bool
	}{
		"a version of the Sail Operator":      {text: "v1.30.3", want: "v1.30.3", minor: "v1.30", known: true},
		"a Deployment's label":                {text: "1.30.3", want: "v1.30.3", minor: "v1.30", known: true},
		"an alias":                            {text: "v1.30-latest", want: "v1.30-latest", minor: "v1.30", known: true, alias: true},
		"a beta":                              {text: "v1.31.0-beta.1", want: "v1.31.0-beta.1", minor: "v1.31", known: true},
		"an alpha with a commit":              {text: "v1.32.0-alpha.527f8d6c", want: "v1.32.0-alpha.527f8d6c", minor: "v1.32", known: true},
		"a development build without a patch": {text: "1.32-alpha.abc", want: "v1.32-alpha.abc", minor: "v1.32", known: true},
		"a distroless image":                  {text: "1.29.6-distroless", want: "v1.29.6-distroless", minor: "v1.29", known: true},
		"a vendor's build":                    {text: "1.28.5_ossm+4", want: "v1.28.5_ossm+4", minor: "v1.28", known: true},
		"a vendor's fourth number":            {text: "1.28.5.2", want: "v1.28.5.2", minor: "v1.28", known: true},
		"a minor":                             {text: "v1.30", want: "v1.30", minor: "v1.30", known: true},
		"another major":                       {text: "v2.0.0", want: "v2.0.0", minor: "v2.0", known: true},
		"master":                              {text: "master", want: "master", minor: "master", alias: true},
		"nothing":                             {},
		"a word":                              {text: "latest", want: "latest", minor: "latest"},
		"a major alone":                       {text: "v1", want: "v1", minor: "v1"},
		"two v":                               {text: "vv1.30.3", want: "vv1.30.3", minor: "vv1.30.3"},
		"a leading zero":                      {text: "v1.030.3", want: "v1.030.3", minor: "v1.030.3"},
		"a date":                              {text: "2026.11.22", want: "2026.11.22", minor: "2026.11.22"},
		"a patch that is none":                {text: "v1.30.x", want: "v1.30.x", minor: "v1.30.x"},
		"a suffix that is none":               {text: "v1.30.3-", want: "v1.30.3-", minor: "v1.30.3-"},
		"a suffix without a separator":        {text: "v1.30.3rc1", want: "v1.30.3rc1", minor: "v1.30.3rc1"},
		"white space":                         {text: "v1.30.3 ", want: "v1.30.3 ", minor: "v1.30.3 "},
		"a minor that no computer would count to": {text: "v1.99999999999999999999", want: "v1.99999999999999999999", minor: "v1.99999999999999999999"},
	} {
		t.Run(name, func(t *testing.T) {
			v := skew.Parse(tc.text)
			if v.String() != tc.want || v.Minor() != tc.minor || v.Known() != tc.known || v.Alias() != tc.alias {
				t.Errorf("Parse(%q) = %q, minor %q, known %v, alias %v", tc.text, v, v.Minor(), v.Known(), v.Alias())
			}
		})
	}
}

func TestImageVersion(t *testing.T) {
	for image, want := range map[string]string{
		"registry.istio.io/release/proxyv2:1.29.6-distroless": "v1.29.6-distroless",
		"localhost:5000/proxyv2":                              "",
		"localhost:5000/proxyv2:1.30.3":                       "v1.30.3",
		"proxyv2@sha256:0123":                                 "sha256:0123",
		"proxyv2:1.30.3@sha256:0123":                          "sha256:0123",
		"":                                                    "",
	} {
		if got := skew.ImageVersion(image); got.String() != want {
			t.Errorf("ImageVersion(%q) = %q, want %q", image, got, want)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	ordered := []string{
		"", "latest", "master",
		"v1.28.5_ossm", "v1.29", "v1.29.6-alpha.1", "v1.29.6-beta.2", "v1.29.6-rc.2", "v1.29.6-rc.10", "v1.29.6",
		"v1.29.6-distroless", "v1.29.7", "v1.29.10", "v1.29-latest", "v1.30.0", "v1.100.0", "v2.0.0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			got := skew.Parse(a).Compare(skew.Parse(b))
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func TestMinorsAhead(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b string
		want int
	}{
		"the same minor":       {a: "v1.30.3", b: "1.30.0-distroless", want: 0},
		"a pre-release counts": {a: "v1.31.0-beta.1", b: "v1.30.3", want: 1},
		"behind":               {a: "v1.28-latest", b: "v1.30.3", want: -2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := skew.Parse(tc.a).MinorsAhead(skew.Parse(tc.b)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
	if d := skew.Parse("v2.0.0").MinorsAhead(skew.Parse("v1.999.0")); d < 1 {
		t.Errorf("another major is %d minors ahead of the last of this one", d)
	}
}

func FuzzVersion(f *testing.F) {
	seeds := []string{
		"v1.30.3", "1.30.3", "v1.30-latest", "v1.31.0-beta.1", "v1.32.0-alpha.527f8d6c", "1.29.6-distroless", "master", "",
		"sha256:0123", "v1.30", "v1.30.3.4", "1.28.5_ossm+4", "v01.2.3", "v1.30.3-rc.01", "v1.30.3-rc.1", "v1.30.3-rc-1",
		"v9.999.999999", "v10.0.0", "v1.2-", "v1.2.-", "v1.2..3", "v-1.2", "v1.2.3-α",
	}
	for i, a := range seeds {
		f.Add(a, seeds[(i+1)%len(seeds)], seeds[(i+7)%len(seeds)])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		vs := []skew.Version{skew.Parse(a), skew.Parse(b), skew.Parse(c)}
		for _, v := range vs {
			if again := skew.Parse(v.String()); again != v {
				t.Errorf("Parse(%q) is %#v, not %#v", v.String(), again, v)
			}
			if v.Known() && skew.Parse(v.String()[1:]) != v {
				t.Errorf("%q without its v is another version", v)
			}
		}
		for _, x := range vs {
			for _, y := range vs {
				order := x.Compare(y)
				if order != -y.Compare(x) || (order == 0) != (x == y) {
					t.Errorf("Compare(%q, %q) = %d, the other way round %d", x, y, order, y.Compare(x))
				}
				if x.Known() && y.Known() && x.MinorsAhead(y) > 0 && order <= 0 {
					t.Errorf("%q is ahead of %q and sorts before it", x, y)
				}
			}
		}
		slices.SortFunc(vs, skew.Version.Compare)
		if vs[0].Compare(vs[1]) > 0 || vs[1].Compare(vs[2]) > 0 || vs[0].Compare(vs[2]) > 0 {
			t.Errorf("no order: %q, %q, %q", vs[0], vs[1], vs[2])
		}
	})
}
