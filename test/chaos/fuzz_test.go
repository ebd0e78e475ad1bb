//go:build chaos

package chaos

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/webhook"
)

const (
	// fuzzers send what they make, one after the other, each at most so often.
	fuzzers    = 2
	fuzzPeriod = 10 * time.Millisecond
	// fuzzSeed makes a run like the one before.
	fuzzSeed = 20251122
)

// fuzz sends reviews that somebody has tampered with, for this long, and returns how many. Each must be answered: by
// a review that can be read, or by a status that blames the sender or asks to come again.
func (w *world) fuzz(t *testing.T, asker *asker, r *local.Replica, d time.Duration) int64 {
	t.Helper()
	seeds := [][]byte{review(t, shop), review(t, desk), review(t, "kube-system"), asker.padded(64 << 10)}
	var sent, failed atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for worker := range fuzzers {
		random := rand.New(rand.NewPCG(fuzzSeed, uint64(worker)))
		all.Go(func() {
			tick := time.NewTicker(fuzzPeriod)
			defer tick.Stop()
			for time.Since(began) < d && w.ctx.Err() == nil && r.Running() {
				<-tick.C
				body := tampered(random, seeds)
				path := paths()[random.IntN(len(paths()))]
				sent.Add(1)
				if problem := w.fuzzOnce(asker, "https://"+r.Webhook+path, body); problem != "" && failed.Add(1) < 4 {
					t.Errorf("%s: %q: %s", path, body[:min(len(body), 2000)], problem)
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d fuzzed reviews were not answered as they should", n, sent.Load())
	}
	say("%d fuzzed reviews", sent.Load())
	return sent.Load()
}

func paths() []string {
	all := []string{"/validate-mesh-change"}
	for _, e := range webhook.Entries() {
		all = append(all, e.Path)
	}
	return all
}

// fuzzOnce returns what is wrong with the answer, if anything is.
func (w *world) fuzzOnce(a *asker, url string, body []byte) string {
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if w.ctx.Err() != nil {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err.Error()
	case response.StatusCode >= 400 && response.StatusCode < 500, response.StatusCode == http.StatusServiceUnavailable:
		return ""
	case response.StatusCode != http.StatusOK:
		return response.Status + " " + string(answer)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil || review.Response == nil {
		return "the answer is no review: " + string(answer)
	}
	return ""
}

// tampered changes a review in one to four places.
func tampered(random *rand.Rand, seeds [][]byte) []byte {
	body := slices.Clone(seeds[random.IntN(len(seeds))])
	for range 1 + random.IntN(4) {
		if len(body) == 0 {
			return body
		}
		at := random.IntN(len(body))
		to := min(len(body), at+1+random.IntN(64))
		switch random.IntN(6) {
		case 0:
			body[at] ^= 1 << random.IntN(8)
		case 1:
			body = slices.Delete(body, at, to)
		case 2:
			body = slices.Insert(body, at, bytes.Clone(body[at:to])...)
		case 3:
			body = slices.Insert(body, at, []byte(tokens()[random.IntN(len(tokens()))])...)
		case 4:
			body = body[:at]
		case 5:
			other := seeds[random.IntN(len(seeds))]
			body = append(body[:at], other[random.IntN(len(other)):]...)
		}
	}
	return body
}

// tokens mean something to whoever reads JSON, pods or labels.
func tokens() []string {
	return []string{
		"{", "}", "[", "]", `"`, ",", ":", `\`, `\ud800`, `\u0000`, "\xff\xfe", "null", "true", "-0", "1e999", "0x1",
		`"request":{`, `"object":null,`, `"uid":"",`, `"labels":{"istio.io/rev":"default"},`, `"sidecar.istio.io/inject":"false",`,
		`"labels":[],`, `"annotations":{"a":{}},`, `"operation":"DELETE",`, `"dryRun":1,`, `"namespace":"../x",`,
		strings.Repeat("[", 200), strings.Repeat("a", 5000), strings.Repeat(`{"a":`, 99),
	}
}
