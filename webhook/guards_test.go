package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

const plainMesh = "default-v1-29-6@v1.29.6 default-v1-30-3@v1.30.3 prod->default-v1-30-3"

// reviewBytes is a review about a pod in bookinfo that ends up with total bytes, padded by an annotation.
func reviewBytes(t testing.TB, total int) string {
	t.Helper()
	const head = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u1","operation":"CREATE",` +
		`"namespace":"bookinfo","resource":{"group":"","version":"v1","resource":"pods"},` +
		`"kind":{"group":"","version":"v1","kind":"Pod"},"object":{"metadata":{"name":"web","annotations":{"padding":"`
	const tail = `"}}}}}`
	if total < len(head)+len(tail) {
		t.Fatalf("a review has at least %d bytes", len(head)+len(tail))
	}
	return head + strings.Repeat("x", total-len(head)-len(tail)) + tail
}

func guardRig() *rig {
	return newRig(meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prod")), routing.DefaultPolicy())
}

func TestGuards(t *testing.T) {
	valid := reviewBytes(t, 400)
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	deep := func(levels int) string {
		// The object is inside three levels: the review, the request and itself.
		return strings.Replace(valid, `"object":{`, `"object":{"deep":`+nested(levels-3)+`,`, 1)
	}
	replaced := func(old, with string) string {
		out := strings.Replace(valid, old, with, 1)
		if out == valid {
			t.Fatalf("%q is not in the review", old)
		}
		return out
	}
	cases := map[string]struct {
		method, contentType, body string
		want                      int
		cause                     Cause
	}{
		"a review is answered":                  {body: valid, want: 200},
		"white space around it does not matter": {body: " \r\n\t" + valid + "\n\n", want: 200},
		"GET":                                   {method: "GET", body: valid, want: 405, cause: MethodNotAllowed},
		"PUT":                                   {method: "PUT", body: valid, want: 405, cause: MethodNotAllowed},
		"no content type":                       {contentType: "none", body: valid, want: 415, cause: WrongContentType},
		"another content type":                  {contentType: "text/json", body: valid, want: 415, cause: WrongContentType},
		"a content type with a parameter":       {contentType: "application/json; charset=utf-8", body: valid, want: 415, cause: WrongContentType},
		"an empty body":                         {body: "", want: 400, cause: BodyEmpty},
		"a body of exactly the cap":             {body: reviewBytes(t, maxBody), want: 200},
		"a body of one byte more":               {body: reviewBytes(t, maxBody+1), want: 413, cause: BodyTooLarge},
		"white space alone":                     {body: "  \n", want: 400, cause: MalformedJSON},
		"no JSON":                               {body: "{]", want: 400, cause: MalformedJSON},
		"a truncated review":                    {body: valid[:len(valid)-1], want: 400, cause: MalformedJSON},
		"something after the review":            {body: valid + "{}", want: 400, cause: MalformedJSON},
		"a label that is a number":              {body: replaced(`"padding":`, `"n":1,"padding":`), want: 400, cause: MalformedJSON},
		"a hundred levels":                      {body: deep(100), want: 200},
		"a hundred and one levels":              {body: deep(101), want: 400, cause: NestedTooDeep},
		"a hundred thousand levels":             {body: deep(100_000), want: 400, cause: NestedTooDeep},
		"a hundred thousand levels, left open":  {body: strings.Repeat("[", 100_000), want: 400, cause: NestedTooDeep},
		"too many levels behind a doubtful key": {body: replaced(`"kind":"A`, `"\u0078":`+nested(101)+`,"kind":"A`), want: 400, cause: NestedTooDeep},
		"a review of v1beta1":                   {body: replaced("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), want: 400, cause: WrongReviewKind},
		"another kind":                          {body: replaced("AdmissionReview", "ConversionReview"), want: 400, cause: WrongReviewKind},
		"null":                                  {body: "null", want: 400, cause: WrongReviewKind},
		"an array":                              {body: "[]", want: 400, cause: MalformedJSON},
		"no request":                            {body: replaced(`"request"`, `"requests"`), want: 400, cause: RequestMissing},
		"a request that is null":                {body: `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`, want: 400, cause: RequestMissing},
		"no object":                             {body: replaced(`"object"`, `"oldObject"`), want: 400, cause: ObjectMissing},
		"no namespace":                          {body: replaced(`"namespace"`, `"nameplace"`), want: 400, cause: NamespaceMissing},
		"invalid UTF-8 where nobody looks":      {body: replaced("xxx", "\xff\xfe\x80"), want: 200},
		"a zero byte in a string":               {body: replaced("xxx", "a\x00b"), want: 400, cause: MalformedJSON},
		"a gigabyte by its own account":         {contentType: "gigabyte", body: valid, want: 413, cause: BodyTooLarge},
		"a body that is shorter than it says":   {contentType: "shorter", body: valid, want: 400, cause: BodyUnreadable},
		"a chunked body without a length":       {contentType: "chunked", body: valid, want: 200},
		"a chunked body above the cap":          {contentType: "chunked", body: reviewBytes(t, maxBody+1), want: 413, cause: BodyTooLarge},
		"a chunked body that is empty":          {contentType: "chunked", body: "", want: 400, cause: BodyEmpty},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := guardRig()
			req := guardRequest(tc.method, tc.contentType, tc.body)
			w := httptest.NewRecorder()
			r.router.Handler(entryNamed(t, "namespace-revision")).ServeHTTP(w, req)
			if w.Code != tc.want {
				t.Fatalf("status %d, want %d: %s", w.Code, tc.want, w.Body)
			}
			if tc.want == http.StatusOK {
				if review := strictReview(t, w.Body.Bytes()); !review.Response.Allowed || review.Response.UID != "u1" {
					t.Errorf("answer %s", w.Body)
				}
				return
			}
			if diff := cmp.Diff([]Cause{tc.cause}, r.recorder.causes); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
			checkStatus(t, w, tc.want)
		})
	}
}

// guardRequest makes a request; the word in contentType may ask for more than a type.
func guardRequest(method, contentType, body string) *http.Request {
	if method == "" {
		method = http.MethodPost
	}
	var reader io.Reader = strings.NewReader(body)
	switch contentType {
	case "chunked":
		reader = struct{ io.Reader }{reader} // hides its length
	case "shorter":
		reader = io.MultiReader(reader, failingReader{})
	}
	req := httptest.NewRequest(method, "/", reader)
	switch contentType {
	case "none":
	case "", "chunked", "shorter":
		req.Header.Set("Content-Type", "application/json")
	case "gigabyte":
		req.Header.Set("Content-Type", "application/json")
		req.ContentLength = 1 << 30
	default:
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// checkStatus checks that an error is one that the API server can read, and tells whether to try again.
func checkStatus(t *testing.T, w *httptest.ResponseRecorder, code int) {
	t.Helper()
	var status metav1.Status
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&status); err != nil {
		t.Fatalf("body %s: %v", w.Body, err)
	}
	if status.Kind != "Status" || status.APIVersion != "v1" || status.Status != metav1.StatusFailure ||
		int(status.Code) != code || !strings.HasPrefix(status.Message, "revision-router: ") || status.Reason == "" {
		t.Errorf("status %s", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if retry := w.Header().Get("Retry-After"); (retry == "1") != (code == http.StatusServiceUnavailable) {
		t.Errorf("Retry-After %q with status %d", retry, code)
	}
	if allow := w.Header().Get("Allow"); (allow == "POST") != (code == http.StatusMethodNotAllowed) {
		t.Errorf("Allow %q with status %d", allow, code)
	}
}

// A nil body only exists on requests that no server made; it must not panic all the same.
func TestRequestWithoutBody(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody} {
		t.Run(name, func(t *testing.T) {
			r := guardRig()
			req := guardRequest("", "", "x")
			req.Body = body
			w := httptest.NewRecorder()
			r.router.Handler(Entries()[0]).ServeHTTP(w, req)
			if diff := cmp.Diff([]Cause{BodyEmpty}, r.recorder.causes); diff != "" || w.Code != http.StatusBadRequest {
				t.Errorf("status %d, causes (-want +got):\n%s", w.Code, diff)
			}
		})
	}
}

func TestLargeBuffersAreNotKept(t *testing.T) {
	r := guardRig()
	x := r.router.exchange()
	x.body = make([]byte, keepBody+1)
	x.reset()
	if x.body != nil {
		t.Errorf("a buffer of %d bytes is kept", cap(x.body))
	}
	x.body = make([]byte, keepBody)
	x.reset()
	if x.body == nil {
		t.Error("a buffer of the usual size is thrown away")
	}
}

// Over a real connection: the guards hold with net/http's own bodies, and one request's end is not another's.
func TestGuardsOverHTTP(t *testing.T) {
	r := newRig(meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prod")), routing.DefaultPolicy())
	server := httptest.NewServer(r.router.Handler(entryNamed(t, "namespace-revision")))
	defer server.Close()
	for _, tc := range []struct {
		body string
		want int
	}{
		{reviewBytes(t, 400), 200},
		{reviewBytes(t, maxBody+1), 413},
		{"", 400},
		{reviewBytes(t, maxBody), 200},
		{"{", 400},
		{reviewBytes(t, 400), 200},
	} {
		// Without a length, net/http sends chunks.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, struct{ io.Reader }{strings.NewReader(tc.body)})
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tc.want || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d bytes: status %d, want %d: %s", len(tc.body), resp.StatusCode, tc.want, answer)
		}
	}
}
