package injector

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
)

const recordings = "../../webhook/testdata/injection/"

func startR128(t *testing.T) *Istiod {
	t.Helper()
	i, err := StartIstiod(IstiodOptions{Revision: "r128", Version: "v1.28.3", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func clientOf(t *testing.T, i *Istiod, serverName string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(i.CABundle())
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// target is where a body goes, and what it is said to be.
type target struct{ url, contentType string }

// reply is what a server said.
type reply struct {
	Status      int
	ContentType string
	Body        []byte
}

func send(t *testing.T, c *http.Client, to target, body []byte) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", to.contentType)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), data}
}

func responseTo(t *testing.T, body []byte) admissionv1.AdmissionReview {
	t.Helper()
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return review
}

// On the wire the stand-in is what was measured of a real istiod.
func TestIstiodOnTheWire(t *testing.T) {
	i := startR128(t)
	c, url := clientOf(t, i, i.ServerName()), "https://"+i.Address()
	request, err := os.ReadFile(recordings + "bookinfo-productpage.request.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		path, contentType string
		body              string
		want              int
		says              string
	}{
		"an admission review":               {"/inject", "application/json", string(request), 200, `"allowed":true`},
		"a content type with a parameter":   {"/inject", "application/json; charset=utf-8", string(request), 415, "Content-Type"},
		"another path":                      {"/mutate", "application/json", string(request), 404, ""},
		"readiness on the same port":        {"/ready", "", "", 200, ""},
		"an empty body":                     {"/inject", "application/json", "", 400, "no body"},
		"a body that is no review":          {"/inject", "application/json", "{}", 200, `"response":{"uid":"","allowed":false`},
		"a body that is no JSON":            {"/inject", "application/json", "x", 200, `"allowed":false`},
		"a body larger than istiod accepts": {"/inject", "application/json", strings.Repeat(" ", maxBody+1), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, c, target{url + tc.path, tc.contentType}, []byte(tc.body))
			if got.Status != tc.want || !bytes.Contains(got.Body, []byte(tc.says)) {
				t.Errorf("status %d: %.300s", got.Status, got.Body)
			}
			if got.Status == 200 && tc.path == "/inject" && got.ContentType != "text/plain; charset=utf-8" {
				t.Errorf("content type %q", got.ContentType)
			}
		})
	}
}

func TestIstiodHasTheNamesOfIstiod(t *testing.T) {
	i := startR128(t)
	want := []string{"istiod.istio-system.svc", "istiod-remote.istio-system.svc", "istio-pilot.istio-system.svc", "istiod-r128.istio-system.svc"}
	if diff := cmp.Diff(want, i.leaf.Load().Leaf.DNSNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if len(i.leaf.Load().Leaf.IPAddresses) != 0 {
		t.Error("the certificate has an address")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+i.Address()+"/ready", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := clientOf(t, i, "istiod-revision-tag-prod.istio-system.svc").Do(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Error("the name of a tag's Service is accepted")
	}
}

// The patches have the shapes of the recorded ones: each way in which a recorded patch touches labels, annotations or
// volumes is one in which the stand-in's patch for the same pod does.
func TestPatchesHaveTheShapesOfIstiods(t *testing.T) {
	i := startR128(t)
	c, url := clientOf(t, i, i.ServerName()), "https://"+i.Address()+"/inject"
	for _, name := range []string{"bookinfo-productpage", "gateway-image-auto", "hostnetwork", "annotation-opt-out", "unknown-template"} {
		t.Run(name, func(t *testing.T) {
			request, err := os.ReadFile(recordings + name + ".request.json")
			if err != nil {
				t.Fatal(err)
			}
			recorded, err := os.ReadFile(recordings + name + ".response.json")
			if err != nil {
				t.Fatal(err)
			}
			want, got := responseTo(t, recorded).Response, responseTo(t, send(t, c, target{url, "application/json"}, request).Body).Response
			if want.Allowed != got.Allowed || want.UID != got.UID || (want.PatchType == nil) != (got.PatchType == nil) {
				t.Errorf("recorded %+v, stand-in %+v", want, got)
			}
			if diff := cmp.Diff(shapes(t, want.Patch), shapes(t, got.Patch)); diff != "" {
				t.Errorf("shapes (-recorded +stand-in):\n%s", diff)
			}
		})
	}
}

// shapes lists how a patch touches metadata and volumes, keys and indices left out.
func shapes(t *testing.T, patch []byte) []string {
	t.Helper()
	if len(patch) == 0 {
		return nil
	}
	var operations []struct{ Op, Path string }
	if err := json.Unmarshal(patch, &operations); err != nil {
		t.Fatal(err)
	}
	last := regexp.MustCompile(`^(/metadata/[a-z]+|/spec/volumes)/[^/]+$`)
	var list []string
	for _, o := range operations {
		if o.Op == "add" && (strings.HasPrefix(o.Path, "/metadata") || strings.HasPrefix(o.Path, "/spec/volumes")) {
			list = append(list, o.Op+" "+last.ReplaceAllString(o.Path, "$1/*"))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestIstiodNoticesASecondRevision(t *testing.T) {
	i := startR128(t)
	c, url := clientOf(t, i, i.ServerName()), "https://"+i.Address()+"/inject"
	pod := func(annotations string) []byte {
		return []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","namespace":"a","object":` +
			`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","annotations":{` + annotations + `}},"spec":{"containers":[{"name":"web"}]}}}}`)
	}
	for _, revision := range []string{"r128", "r130"} {
		send(t, c, target{url, "application/json"}, pod(`"sidecar.istio.io/status":"{}","istio.io/rev":"`+revision+`"`))
	}
	if diff := cmp.Diff(Counts{Requests: 2, Injected: 1, Doubled: 1, Connections: 1}, i.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
