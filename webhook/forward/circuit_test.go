package forward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

func TestAnInjectorThatFailsIsLeftAlone(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	result := func() (forward.Result, string) {
		_, err := r.client.Forward(t.Context(), r.to, review(t), nil)
		if err == nil {
			return "", ""
		}
		return forward.ResultOf(err), err.Error()
	}
	want := func(what string, wanted forward.Result, requests int64) {
		t.Helper()
		before := r.istiod.Counts().Requests
		got, message := result()
		if got != wanted {
			t.Fatalf("%s: %q (%s), want %q", what, got, message, wanted)
		}
		if sent := r.istiod.Counts().Requests - before; sent != requests {
			t.Errorf("%s: %d requests, want %d", what, sent, requests)
		}
	}
	r.istiod.Break(injector.Drop)
	for range 4 {
		want("before the circuit opens", forward.Broken, 2)
	}
	r.istiod.Break(nil)
	want("an answer in between starts the count again", "", 1)
	r.istiod.Break(injector.Drop)
	for range 5 {
		want("before the circuit opens", forward.Broken, 2)
	}
	opened := r.clock.Now()
	if diff := cmp.Diff([]forward.Circuit{{Revision: "r128", Open: true, Since: opened}}, r.client.Circuits()); diff != "" {
		t.Errorf("circuits (-want +got):\n%s", diff)
	}
	want("while it is open", forward.Suspended, 0)
	since := "since " + opened.UTC().Format(time.RFC3339)
	if _, message := result(); !strings.Contains(message, since) || !strings.Contains(message, "last: POST istiod-r128.istio-system.svc:443/inject: ") {
		t.Errorf("message %q, want it to say since when and why", message)
	}
	r.clock.advance(time.Second)
	want("a second later one request tries", forward.Broken, 2)
	want("and no other", forward.Suspended, 0)
	r.istiod.Break(nil)
	want("although it has recovered", forward.Suspended, 0)
	r.clock.advance(time.Second)
	want("until the next probe", "", 1)
	want("after which all is well", "", 1)
	if got := r.client.Circuits(); got[0].Open {
		t.Errorf("circuits %+v", got)
	}
}

// A circuit is about one injector: another CA bundle, address or path is another chance.
func TestAChangedInjectorIsTriedAtOnce(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	bundle := r.to.CABundle
	r.to.CABundle = startIstiod(t, injector.IstiodOptions{}).CABundle()
	for range 6 {
		if _, err := r.client.Forward(t.Context(), r.to, review(t), nil); err == nil {
			t.Fatal("the wrong CA is trusted")
		}
	}
	r.to.CABundle = bundle
	if _, err := r.client.Forward(t.Context(), r.to, review(t), nil); err != nil {
		t.Error(err)
	}
}

// An injector that answers nonsense is reachable; only its answers fail.
func TestAnswersDoNotOpenTheCircuit(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	r.istiod.Break(injector.Say(500, ""))
	for range 20 {
		if _, err := r.client.Forward(t.Context(), r.to, review(t), nil); forward.ResultOf(err) != forward.BadStatus {
			t.Fatal(err)
		}
	}
}
