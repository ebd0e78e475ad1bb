package cli

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func laidOut(t *testing.T, header []string, rows [][]string, limit int) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeColumns(&b, header, rows, limit); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLongCellsAreBroken(t *testing.T) {
	t.Parallel()
	header := []string{"STEP", "OBJECT", "FROM", "TO"}
	rows := [][]string{
		{"1", "Istio default", "v1.29.6", "v1.30.3"},
		{"2", "3 namespaces (bookinfo, more and plain)", "istio.io/rev=default-v1-29-6", "istio.io/rev=default-v1-30-3"},
		{"3", "Deployment more/averyveryverylongnamewithoutanymark", "<none>", "<none>"},
	}
	wide := `STEP   OBJECT                                                FROM                           TO
1      Istio default                                         v1.29.6                        v1.30.3
2      3 namespaces (bookinfo, more and plain)               istio.io/rev=default-v1-29-6   istio.io/rev=default-v1-30-3
3      Deployment more/averyveryverylongnamewithoutanymark   <none>                         <none>
`
	for _, tc := range []struct {
		limit int
		want  string
	}{
		{0, wide},
		{120, wide},
		{80, `STEP   OBJECT                   FROM                     TO
1      Istio default            v1.29.6                  v1.30.3
2      3 namespaces             istio.io/rev=default-    istio.io/rev=default-
       (bookinfo, more and      v1-29-6                  v1-30-3
       plain)
3      Deployment more/         <none>                   <none>
       averyveryverylongnamew
       ithoutanymark
`},
		{40, `STEP OBJECT          FROM      TO
1    Istio default   v1.29.6   v1.30.3
2    3 namespaces    istio.io/ istio.io/
     (bookinfo, more rev=      rev=
     and plain)      default-  default-
                     v1-29-6   v1-30-3
3    Deployment      <none>    <none>
     more/
     averyveryverylo
     ngnamewithoutan
     ymark
`},
	} {
		if diff := cmp.Diff(tc.want, laidOut(t, header, rows, tc.limit)); diff != "" {
			t.Errorf("in %d columns (-want +got):\n%s", tc.limit, diff)
		}
	}
}

// On a screen no line of a table is broken, and nothing is left out; with -o wide, and where a program may
// read it, each row is a line.
func TestStatusFitsTheScreen(t *testing.T) {
	t.Parallel()
	r, _ := reportOf(t, statusMeshes()["upgrade"]...)
	shown := func(output string, s screen) string {
		var b bytes.Buffer
		out := bufio.NewWriter(&b)
		p := statusPrinter{options: &statusOptions{output: output}, screen: s}
		if err := errors.Join(p.write(out, &r), out.Flush()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	tables := func(text string) string { return strings.Join(strings.Split(text, "\n\n")[1:], "\n\n") }
	letters := func(text string) int { return len(strings.Join(strings.Fields(text), "")) }
	whole := shown(outputTable, screen{width: defaultWidth})
	for _, columns := range []int{80, 100, 120} {
		narrow := shown(outputTable, screen{width: defaultWidth, columns: columns})
		for line := range strings.Lines(tables(narrow)) {
			isTable := !strings.HasPrefix(line, "  ") && strings.Contains(line, "  ")
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); isTable && n > columns {
				t.Errorf("in %d columns there is a line of %d: %s", columns, n, line)
			}
		}
		if got, want := letters(narrow), letters(whole); got != want {
			t.Errorf("in %d columns there are %d letters, want %d:\n%s", columns, got, want, narrow)
		}
	}
	if a, b := shown(outputWide, screen{width: defaultWidth}), shown(outputWide, screen{width: defaultWidth, columns: 80}); a != b {
		t.Errorf("-o wide depends on the screen (-without +with):\n%s", cmp.Diff(a, b))
	}
}

// What is piped or redirected is never broken, whatever the environment says.
func TestColumnsAreForTerminals(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	for _, out := range []*os.File{write, file} {
		if got, want := screenOf(out), (screen{width: defaultWidth}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
