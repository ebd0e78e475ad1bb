package sail

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata from the recordings of whole objects, where they are at hand")

// TestRecordingsAreTheRealOnes compares the short form with the recordings that it was made from.
func TestRecordingsAreTheRealOnes(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "recordings")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the recordings of whole objects are not at hand in %s: nothing to compare with", dir)
	}
	for name := range recordings() {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			want := compact(reduce(t, raw))
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", name+".txt"), want, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("testdata/%s.txt (-recording +testdata); run go test -update:\n%s", name, diff)
			}
		})
	}
}
