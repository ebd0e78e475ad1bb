package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamedAssetsAreUsedOrRefused(t *testing.T) {
	cases := map[string]struct {
		files   map[string]os.FileMode
		missing string
		cause   error
	}{
		"a folder with both binaries":              {files: map[string]os.FileMode{"etcd": 0o700, "kube-apiserver": 0o700}},
		"a folder without kube-apiserver":          {files: map[string]os.FileMode{"etcd": 0o700}, missing: "kube-apiserver", cause: fs.ErrNotExist},
		"a folder without etcd":                    {files: map[string]os.FileMode{"kube-apiserver": 0o700}, missing: "etcd", cause: fs.ErrNotExist},
		"a kube-apiserver that is not executable":  {files: map[string]os.FileMode{"etcd": 0o700, "kube-apiserver": 0o600}, missing: "kube-apiserver", cause: fs.ErrPermission},
		"an empty folder, although others are had": {missing: "etcd", cause: fs.ErrNotExist},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, mode := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), nil, mode); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv(assetsVariable, dir)
			got, err := findBinaries(t.Context(), new(safeBuffer))
			if tc.missing == "" {
				want := binaries{etcd: filepath.Join(dir, "etcd"), apiserver: filepath.Join(dir, "kube-apiserver")}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(binaries{})); err != nil || diff != "" {
					t.Errorf("got %v and (-want +got):\n%s", err, diff)
				}
				return
			}
			if !errors.Is(err, tc.cause) {
				t.Fatalf("got %v, want %v", err, tc.cause)
			}
			for _, say := range []string{assetsVariable, filepath.Join(dir, tc.missing) + ",", "unset"} {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("the error does not say %q: %v", say, err)
				}
			}
		})
	}
}

func TestTheProjectIsFoundFromItsFoldersOnly(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(here))
	cases := map[string]struct{ dir, want string }{
		"from a package's folder":        {dir: here, want: root},
		"from a nested module's folder":  {dir: filepath.Join(root, "tools", "controlplane"), want: root},
		"from the project's own folder":  {dir: root, want: root},
		"from a folder somewhere else":   {dir: t.TempDir()},
		"from the root of the file tree": {dir: string(filepath.Separator)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(tc.dir)
			got, err := moduleRoot()
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestCommandsAreNamedAsGoInstallNamesThem(t *testing.T) {
	cases := map[string]string{
		"helm.sh/helm/v4/cmd/helm":    "helm",
		"go.etcd.io/etcd/server/v3":   "server",
		"sigs.k8s.io/kind":            "kind",
		"example.com/vault/v":         "v",
		"example.com/tools/v2beta1":   "v2beta1",
		"example.com/cmd/go/v12/v3go": "v3go",
	}
	for pkg, want := range cases {
		t.Run(pkg, func(t *testing.T) {
			if got := commandName(pkg); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestVersionsAreReadFromEveryFormOfRequirement(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), `module example.com/tools

go 1.26.0

tool example.com/a/cmd/a

require example.com/a v1.2.3

require (
	example.com/a/cmd v0.1.0 // indirect
	example.com/b v0.0.0-20260101000000-abcdefabcdef // indirect
)

replace example.com/b => example.com/fork v9.9.9
`)
	versions, err := readVersions(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"example.com/a":     "v1.2.3",
		"example.com/a/cmd": "v0.1.0",
		"example.com/b":     "v0.0.0-20260101000000-abcdefabcdef",
	}, versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	for pkg, want := range map[string]string{
		"example.com/a":       "v1.2.3",
		"example.com/a/x":     "v1.2.3",
		"example.com/a/cmd/a": "v0.1.0",
		"example.com/ab":      "",
	} {
		if got := versionOf(pkg, versions); got != want {
			t.Errorf("version of %s is %q, want %q", pkg, got, want)
		}
	}
}

func TestOnlyCommandsOfKubernetesGetAVersion(t *testing.T) {
	versions := map[string]string{"k8s.io/kubernetes": "v1.37.2"}
	cases := map[string]struct{ pkg, want string }{
		"kube-apiserver": {
			pkg: "k8s.io/kubernetes/cmd/kube-apiserver",
			want: "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2" +
				" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37",
		},
		"etcd": {pkg: "go.etcd.io/etcd/server/v3", want: "-s -w"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, linkFlags(tc.pkg, versions)); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
}
