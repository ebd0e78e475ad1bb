package secretca

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/certs"
)

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func mustAuthority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority(start(), certs.DefaultCALifetime)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheSecretHoldsWhatWasPutIn(t *testing.T) {
	a, b, c, d := mustAuthority(t), mustAuthority(t), mustAuthority(t), mustAuthority(t)
	cases := map[string]certs.Authorities{
		"one CA":                {Current: a},
		"a first CA in waiting": {Next: a, Previous: certs.NewBundle(b.Certificate), PreviousUntil: start()},
		"everything": {
			Current: a, Next: b, NextPublished: start().Add(time.Millisecond),
			Previous: certs.NewBundle(c.Certificate), PreviousUntil: start().Add(time.Hour), Dropped: certs.NewBundle(d.Certificate),
		},
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(data)
			if err != nil {
				t.Fatal(err)
			}
			again, err := encode(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(data, again); diff != "" {
				t.Errorf("(-first +second):\n%s", diff)
			}
			if !got.NextPublished.Equal(want.NextPublished) || !got.PreviousUntil.Equal(want.PreviousUntil) {
				t.Error("times changed")
			}
			if !mustParse(t, data[keyBundle]).Equal(want.Bundle()) {
				t.Error("ca.crt is not what is to be published")
			}
			keys := []string{
				keyBundle, keyDropped, keyNextPublished, keyNextCertificate, keyNextKey, keyPreviousUntil, keyPrevious,
				keyCertificate, keyKey,
			}
			if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(data))); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func mustParse(t *testing.T, data []byte) certs.Bundle {
	t.Helper()
	bundle, err := certs.ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func TestASecretThatIsHalfRightIsRefused(t *testing.T) {
	a, b := mustAuthority(t), mustAuthority(t)
	good, err := encode(certs.Authorities{
		Current: a, Next: b, NextPublished: start(), Previous: certs.NewBundle(b.Certificate), PreviousUntil: start(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(map[string][]byte){
		"no certificate":                     func(d map[string][]byte) { d[keyCertificate] = nil },
		"no key":                             func(d map[string][]byte) { delete(d, keyKey) },
		"no next key":                        func(d map[string][]byte) { d[keyNextKey] = nil },
		"the keys are swapped":               func(d map[string][]byte) { d[keyKey], d[keyNextKey] = d[keyNextKey], d[keyKey] },
		"a time that is none":                func(d map[string][]byte) { d[keyNextPublished] = []byte("now") },
		"previous CAs without a time":        func(d map[string][]byte) { d[keyPreviousUntil] = nil },
		"garbage in previous CAs":            func(d map[string][]byte) { d[keyPrevious] = []byte("x") },
		"garbage in dropped CAs":             func(d map[string][]byte) { d[keyDropped] = []byte("x") },
		"published without being next":       func(d map[string][]byte) { d[keyNextCertificate], d[keyNextKey] = nil, nil },
		"nothing":                            func(d map[string][]byte) { clear(d) },
		"two certificates where one belongs": func(d map[string][]byte) { d[keyCertificate] = slices.Concat(d[keyCertificate], d[keyNextCertificate]) },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			damage(data)
			_, err := decode(data)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
	if _, err := decode(good); err != nil {
		t.Errorf("what is whole was refused: %v", err)
	}
}

func TestThePatchTouchesNothingButBundlesThatDiffer(t *testing.T) {
	a, b := mustAuthority(t), mustAuthority(t)
	want := certs.NewBundle(a.Certificate)
	inOrder := webhook{"ok", want.PEM()}
	cases := map[string]struct {
		webhooks []webhook
		paths    []string
	}{
		"all are in order":      {[]webhook{inOrder, inOrder}, nil},
		"there are none":        {nil, nil},
		"one has none":          {[]webhook{inOrder, {"x", nil}}, []string{"/webhooks/1/clientConfig/caBundle"}},
		"one has another":       {[]webhook{{"x", certs.EncodeCertificate(b.Certificate)}, inOrder}, []string{"/webhooks/0/clientConfig/caBundle"}},
		"one has more":          {[]webhook{{"x", want.Add(b.Certificate).PEM()}}, []string{"/webhooks/0/clientConfig/caBundle"}},
		"only blank lines vary": {[]webhook{{"x", append([]byte("\n"), want.PEM()...)}}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			patch, err := bundlePatch(configuration{exists: true, resourceVersion: "42", webhooks: tc.webhooks}, want)
			if err != nil {
				t.Fatal(err)
			}
			if tc.paths == nil {
				if patch != nil {
					t.Errorf("%s, want no patch", patch)
				}
				return
			}
			var operations []operation
			if err := json.Unmarshal(patch, &operations); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(operation{"replace", "/metadata/resourceVersion", "42"}, operations[0]); diff != "" {
				t.Errorf("first operation (-want +got):\n%s", diff)
			}
			var paths []string
			for _, o := range operations[1:] {
				paths = append(paths, o.Path)
			}
			if diff := cmp.Diff(tc.paths, paths); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLastWriterIsNamed(t *testing.T) {
	at := func(s int) *metav1.Time { return &metav1.Time{Time: start().Add(time.Duration(s) * time.Second)} }
	entries := []metav1.ManagedFieldsEntry{
		{Manager: "helm", Time: at(1)}, {Manager: "argocd", Time: at(3)}, {Manager: fieldManager, Time: at(9)}, {Manager: "x"},
	}
	if got := lastWriter(entries); got != "argocd" {
		t.Errorf("%q, want the last that is not the router itself", got)
	}
}

// An overwritten bundle is mended within five seconds: after the event, at the end of a pause between attempts, or
// when the fight over it allows.
func TestNothingTakesLongerThanFiveSeconds(t *testing.T) {
	const promised = 5 * time.Second
	var b backoff
	for range 20 {
		if pause := b.next() + gather; pause > promised {
			t.Fatalf("a pause of %s", pause)
		}
	}
	if longest := watchBackoff().Cap; longest+gather > promised {
		t.Errorf("a watch is opened again only after %s", longest)
	}
	var p pacer
	now := start()
	for range 100 {
		wait := p.wait(certs.PublishBundle, now)
		if wait+gather > promised {
			t.Fatalf("a pause of %s", wait)
		}
		now = now.Add(max(wait, 10*time.Millisecond))
	}
}

func TestThePacerSlowsAFightAndNothingElse(t *testing.T) {
	var p pacer
	now := start()
	for i := range healBurst {
		if wait := p.wait(certs.PublishBundle, now); wait != 0 {
			t.Fatalf("bundle %d has to wait %s", i, wait)
		}
	}
	if wait := p.wait(certs.PublishBundle, now); wait != healEvery {
		t.Errorf("after the burst a bundle waits %s, want %s", wait, healEvery)
	}
	if wait := p.wait(certs.Promote, now); wait != 0 {
		t.Errorf("%s waits %s", certs.Promote, wait)
	}
	if wait := p.wait(certs.PublishBundle, now.Add(healEvery)); wait != 0 {
		t.Errorf("after the pause a bundle waits %s", wait)
	}
	if wait := p.wait(certs.PublishBundle, now.Add(-day)); wait != 0 {
		t.Errorf("after the clock was set back a bundle waits %s", wait)
	}
	p.wait(certs.PublishBundle, now.Add(day))
	for i := range healBurst - 1 {
		if wait := p.wait(certs.PublishBundle, now.Add(day)); wait != 0 {
			t.Errorf("after a quiet day bundle %d waits %s", i, wait)
		}
	}
}

const day = 24 * time.Hour
