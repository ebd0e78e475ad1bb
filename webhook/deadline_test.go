package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

// refusing is an injector that cannot be reached, on a clock that each try moves on.
type refusing struct {
	clock time.Time
	takes time.Duration
	tries int
	left  []time.Duration
}

func (f *refusing) Injector(string) (forward.Injector, bool) {
	return forward.Injector{Address: "a.b.svc:443"}, true
}

func (f *refusing) Forwarded(string, forward.Result, time.Duration) {}

func (f *refusing) Forward(ctx context.Context, _ forward.Injector, _, reply []byte) ([]byte, error) {
	f.tries++
	at, _ := ctx.Deadline()
	f.left = append(f.left, time.Until(at).Round(250*time.Millisecond))
	f.clock = f.clock.Add(f.takes)
	return reply, errors.New("connection refused")
}

// The API server is asked to try again for as long as that can help, and then told what is wrong: its own words would be
// that a deadline has passed.
func TestTheAPIServerTriesAgainWhileItCan(t *testing.T) {
	for timeout, want := range map[string]int{"1s": 1, "2s": 2, "3s": 3, "10s": 10, "30s": 30} {
		t.Run(timeout, func(t *testing.T) {
			f := &refusing{clock: time.Unix(1_800_000_000, 0), takes: 20 * time.Millisecond}
			o := quiet(forwardMesh(routing.Rollout{}))
			o.Now = func() time.Time { return f.clock }
			o.Forwarding = Forwarding{Client: f, Injectors: f, Recorder: f}
			r := &forwardRig{rig: &rig{router: NewPodRouter(o)}}
			body := recordedReview(t, "bookinfo-productpage")
			patience, err := time.ParseDuration(timeout)
			if err != nil {
				t.Fatal(err)
			}
			began := f.clock
			var w *httptest.ResponseRecorder
			for {
				w = r.ask(t, body, timeout)
				if w.Header().Get("Retry-After") == "" {
					break
				}
				if w.Code != http.StatusServiceUnavailable {
					t.Fatalf("status %d", w.Code)
				}
				f.clock = f.clock.Add(time.Second)
			}
			if took := f.clock.Sub(began); took >= patience {
				t.Errorf("the last answer comes after %v, when the API server has gone", took)
			}
			if response := answered200(t, w); response.Allowed || response.Result.Code != 503 ||
				!strings.Contains(response.Result.Message, "connection refused") {
				t.Errorf("the last answer: %+v", response)
			}
			if f.tries < want-1 || f.tries > want {
				t.Errorf("%d tries, want about %d", f.tries, want)
			}
			for i := 1; i < len(f.left); i++ {
				if f.left[i] >= f.left[i-1] {
					t.Errorf("what was left of the deadline: %v", f.left)
				}
			}
			if n := r.router.waiting.count.Load(); n != 0 {
				t.Errorf("%d requests are remembered after their last answer", n)
			}
		})
	}
}

func TestDeadlineOf(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	for query, want := range map[string]time.Duration{
		"timeout=10s": 9500 * time.Millisecond, "timeout=2s": 1500 * time.Millisecond, "timeout=1s": 750 * time.Millisecond,
		"timeout=30s": 29500 * time.Millisecond, "timeout=5m": 29500 * time.Millisecond,
		"": 9500 * time.Millisecond, "timeout=": 9500 * time.Millisecond, "timeout=-1s": 9500 * time.Millisecond, "timeout=x": 9500 * time.Millisecond,
	} {
		u := httptest.NewRequest(http.MethodPost, "/?"+query, http.NoBody).URL
		if got := deadlineOf(began, u).at.Sub(began); got != want {
			t.Errorf("%q leaves %v, want %v", query, got, want)
		}
	}
}

func TestFewRequestsAreRemembered(t *testing.T) {
	w, now := newWaiting(), time.Unix(1_800_000_000, 0)
	for i := range maxWaiting {
		if !w.remember(fmt.Append(nil, i), deadline{now}) {
			t.Fatalf("the request %d is one too many", i)
		}
	}
	if w.remember([]byte("x"), deadline{now}) {
		t.Error("there is no end")
	}
	if !w.remember([]byte("1"), deadline{now}) {
		t.Error("one that is known is not remembered")
	}
	if !w.remember([]byte("x"), deadline{now.Add(maxPatience + time.Second)}) {
		t.Error("those that were given up are kept")
	}
	if n := w.count.Load(); n != 1 {
		t.Errorf("%d are kept", n)
	}
}

func TestADeadlineThatHasPassedIsForgotten(t *testing.T) {
	w, now := newWaiting(), time.Unix(1_800_000_000, 0)
	uid, first, second := []byte("u"), deadline{now.Add(time.Second)}, deadline{now.Add(time.Minute)}
	w.remember(uid, first)
	for after, want := range map[time.Duration]deadline{0: first, time.Second: first, time.Second + margin: second} {
		if got := w.earlier(uid, second, now.Add(after)); got != want {
			t.Errorf("after %v the deadline is %v, want %v", after, got, want)
		}
	}
}
