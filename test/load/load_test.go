package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

const marked = `{"metadata":{"labels":{"revision-router.io/revision":"canary"},` +
	`"managedFields":[{"fieldsV1":{"f:revision-router.io/revision":{}}}]}}`

func TestAnswersAreJudged(t *testing.T) {
	cases := map[string]struct {
		status int
		body   string
		want   Answer
	}{
		"the expected revision":            {201, marked, Admitted},
		"a revision that begins like it":   {201, `{"labels":{"revision-router.io/revision":"canary-2"}}`, Misrouted},
		"another revision":                 {201, `{"labels":{"revision-router.io/revision":"stable"}}`, Misrouted},
		"no mark":                          {201, `{"labels":{}}`, Unmarked},
		"a mark named by a field manager":  {201, `{"managedFields":[{"f:revision-router.io/revision":{}}]}`, Unmarked},
		"a refusal of the router":          {403, `admission webhook denied the request`, Denied},
		"too many requests":                {429, `too many requests`, Denied},
		"a webhook that cannot be reached": {500, `Internal error occurred: failed calling webhook "x": EOF`, NotCalled},
		"another error":                    {500, `etcdserver: request timed out`, ServerError},
		"an answer to something else":      {200, marked, ServerError},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := judge(tc.status, []byte(tc.body), []string{"old", "canary"}); got != tc.want {
				t.Errorf("%d %s is %q, want %q", tc.status, tc.body, got, tc.want)
			}
		})
	}
}

// The server stops answering after ten requests. A closed loop would send no more; this one goes on until the bound.
func TestLoadGoesOnWhileAnswersAreLate(t *testing.T) {
	const bound = 25
	var seen atomic.Int32
	late := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) > 10 {
			<-late
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, marked)
	}))
	t.Cleanup(server.Close)
	g, err := Start(t.Context(), Options{
		Config: &rest.Config{Host: server.URL}, Namespaces: []string{"a"}, Revisions: []string{"canary"}, Rate: 1000, MaxWaiting: bound,
	})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for g.Report().Skipped == 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nothing was ever skipped")
		}
	}
	if n := len(g.waiting); n != bound {
		t.Errorf("%d requests wait, want %d", n, bound)
	}
	close(late)
	r := g.Stop()
	if r.Failed() != 0 || r.Requests() < 10+bound || r.Requests() != int(seen.Load()) {
		t.Errorf("%d failed of %d, and the server saw %d\n%s", r.Failed(), r.Requests(), seen.Load(), r.Failures())
	}
}

func TestWhatFailedIsTold(t *testing.T) {
	r := Report{
		Took:   2 * time.Second,
		Counts: map[Answer]int{Admitted: 7, NotCalled: 2, Unmarked: 1},
		Wrong:  []Failure{{At: time.Second, Answer: NotCalled, Text: "500 EOF"}, {At: 3 * time.Second, Answer: Unmarked}},
	}
	got := []any{r.Requests(), r.Failed(), r.Rate(), r.SentBefore(2 * time.Second), r.Failures()}
	want := []any{10, 3, 5.0, 1, "1 unmarked\n2 webhook not called\nat 1s: webhook not called: 500 EOF\nat 3s: unmarked: "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadThatCannotBeIsRefused(t *testing.T) {
	whole := Typical(&rest.Config{}, []string{"canary"}, []string{"a"})
	cases := map[string]func(*Options){
		"no namespace":            func(o *Options) { o.Namespaces = nil },
		"no rate":                 func(o *Options) { o.Rate = 0 },
		"nothing may wait":        func(o *Options) { o.MaxWaiting = 0 },
		"bursts without a period": func(o *Options) { o.BurstEvery = 0 },
	}
	if err := whole.validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			o := whole
			change(&o)
			if _, err := Start(t.Context(), o); err == nil {
				t.Error("it was started")
			}
		})
	}
}

func TestHowLongAnswersTook(t *testing.T) {
	var took []time.Duration
	for i := range 201 {
		took = append(took, time.Duration(200-i)*time.Millisecond)
	}
	var r Report
	r.percentiles(took)
	got := []time.Duration{r.Took50, r.Took99, r.Slowest}
	if diff := cmp.Diff([]time.Duration{100 * time.Millisecond, 198 * time.Millisecond, 200 * time.Millisecond}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r = Report{}
	if r.percentiles(nil); r.Slowest != 0 {
		t.Errorf("nothing was answered, and the slowest took %s", r.Slowest)
	}
}
