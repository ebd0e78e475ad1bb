package charts_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/charts"
)

func container(t testing.TB, r release) corev1.Container {
	t.Helper()
	containers := one[*appsv1.Deployment](t, r).Spec.Template.Spec.Containers
	if containers[0].Name != "router" {
		t.Fatalf("the first container is %s, want the router", containers[0].Name)
	}
	return containers[0]
}

// flagOf returns the value of a flag of router serve.
func flagOf(t testing.TB, r release, name string) string {
	t.Helper()
	for _, arg := range container(t, r).Args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	t.Fatalf("no --%s in %v", name, container(t, r).Args)
	return ""
}

func containerPort(t testing.TB, r release, name string) string {
	t.Helper()
	ports := container(t, r).Ports
	at := slices.IndexFunc(ports, func(p corev1.ContainerPort) bool { return p.Name == name })
	if at < 0 {
		t.Fatalf("no port %q in %v", name, ports)
	}
	return strconv.Itoa(int(ports[at].ContainerPort))
}

func serviceNamed(t testing.TB, r release, name string) *corev1.Service {
	t.Helper()
	services := all[*corev1.Service](r)
	at := slices.IndexFunc(services, func(s *corev1.Service) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no Service %s", name)
	}
	return services[at]
}

func envOf(r corev1.Container, name string) string {
	for _, variable := range r.Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

// The binary itself judges the arguments: an unknown flag or a value of the wrong type ends it before --help does.
func TestServeKnowsEveryArgument(t *testing.T) {
	router := filepath.Join(t.TempDir(), "router")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", router, "../cmd/router")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			serve := slices.Concat(container(t, render(t, args...)).Args, []string{"--help"})
			if out, err := exec.CommandContext(t.Context(), router, serve...).CombinedOutput(); err != nil {
				t.Errorf("router %s: %v\n%s", strings.Join(serve, " "), err, out)
			}
		})
	}
}

func TestGoMemLimitIsNineTenthsOfTheMemoryLimit(t *testing.T) {
	cases := map[string]string{
		"256Mi":     "241591910",
		"1Gi":       "966367641",
		"1.5Gi":     "1449551462",
		"100Ki":     "92160",
		"200M":      "180000000",
		"1G":        "900000000",
		"500k":      "450000",
		"268435456": "241591910",
	}
	for limit, want := range cases {
		t.Run(limit, func(t *testing.T) {
			c := container(t, render(t, "--set-string", "resources.limits.memory="+limit))
			if got := envOf(c, "GOMEMLIMIT"); got != want {
				t.Errorf("GOMEMLIMIT %s, want %s", got, want)
			}
			memory := c.Resources.Limits.Memory().Value()
			if got, err := strconv.ParseInt(want, 10, 64); err != nil || got != memory*9/10 {
				t.Errorf("nine tenths of what Kubernetes reads are %d, want %s", memory*9/10, want)
			}
		})
	}
	t.Run("none without a limit", func(t *testing.T) {
		if got := envOf(container(t, render(t, set("resources.limits=null")...)), "GOMEMLIMIT"); got != "" {
			t.Errorf("GOMEMLIMIT %s, want none", got)
		}
	})
}

func TestImage(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	cases := map[string]struct {
		args []string
		want string
	}{
		"the tag is the chart's appVersion": {want: "revision-router:0.1.0"},
		"a tag that looks like a number stays as it is written": {
			args: []string{"--set-string", "image.tag=1.10"}, want: "revision-router:1.10",
		},
		"a digest wins over the tag": {
			args: set("image.repository=images.example.com:5000/mesh/router", "image.tag=v1", "image.digest="+digest),
			want: "images.example.com:5000/mesh/router@" + digest,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := container(t, render(t, tc.args...)).Image; got != tc.want {
				t.Errorf("image %s, want %s", got, tc.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 53)
	cases := map[string]struct {
		options charts.Options
		want    string
	}{
		"the default release":              {want: "revision-router"},
		"a release of another name":        {options: charts.Options{Release: "mesh"}, want: "mesh-revision-router"},
		"a release that contains the name": {options: charts.Options{Release: "my-revision-router"}, want: "my-revision-router"},
		"nameOverride": {
			options: charts.Options{Release: "mesh", Args: set("nameOverride=guard")}, want: "mesh-guard",
		},
		"fullnameOverride": {options: charts.Options{Args: set("fullnameOverride=guard")}, want: "guard"},
		"the longest release name leaves room for the suffix of the metrics": {
			options: charts.Options{Release: long}, want: long,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := renderAs(t, tc.options)
			if got := one[*appsv1.Deployment](t, r).Name; got != tc.want {
				t.Errorf("Deployment %s, want %s", got, tc.want)
			}
			serviceNamed(t, r, tc.want)
			if got := serviceNamed(t, r, tc.want+"-metrics").Name; len(got) > 63 {
				t.Errorf("Service %s has %d characters", got, len(got))
			}
		})
	}
}

// What changes in an upgrade of the chart alone must not restart pods.
func TestPodsAndSelectorsDoNotNameTheVersionOfTheChart(t *testing.T) {
	deployment := one[*appsv1.Deployment](t, render(t))
	for _, keys := range []map[string]string{deployment.Spec.Template.Labels, deployment.Spec.Selector.MatchLabels} {
		for _, key := range []string{"helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"} {
			if value, found := keys[key]; found {
				t.Errorf("%s=%s", key, value)
			}
		}
	}
}
