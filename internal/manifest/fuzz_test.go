package manifest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzRead reads anything. Whatever it is, the outcome is the same twice, and every line that is named exists.
func FuzzRead(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add([]byte(text))
	}
	for _, text := range []string{
		"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"},1]}\n{}", "{}{}", "{\"a\":\"\\\"}\"}", "---\n...\n---", "\ufeff{",
		"%YAML 1.1\n---\na", "{a: b}\n---\n[", "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a, labels: {b: 1}}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func() (*Set, Errors) {
			c := NewCollector(CollectOptions{})
			if err := c.Add(t.Context(), "f", bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			set, err := c.Finish()
			var all Errors
			if err != nil && !errors.As(err, &all) {
				t.Fatalf("got error %v (%T), want Errors", err, err)
			}
			return set, all
		}
		set, mistakes := read()
		again, mistakesAgain := read()
		if diff := cmp.Diff(mistakes, mistakesAgain, cmp.AllowUnexported(Error{})); diff != "" {
			t.Fatalf("mistakes (-first +second):\n%s", diff)
		}
		// A CR alone ends a line for YAML.
		lines := bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'}) + 2
		for _, e := range mistakes {
			if e.Line < 1 || e.Line > lines || e.Text == "" {
				t.Errorf("there is no line %d: %v", e.Line, e)
			}
		}
		if set == nil {
			return
		}
		ignore := cmpopts.IgnoreFields(Object{}, "Value")
		if diff := cmp.Diff(set.Objects, again.Objects, ignore, cmp.AllowUnexported(Object{})); diff != "" {
			t.Fatalf("objects (-first +second):\n%s", diff)
		}
		for _, o := range set.Objects {
			if o.Line < 1 || o.Line > lines || o.Name == "" {
				t.Errorf("there is no line %d: %+v", o.Line, o)
			}
		}
	})
}
