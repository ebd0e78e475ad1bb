package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/migrate"
	"github.com/revision-router/revision-router/internal/status"
)

func migrateNow(streams Streams) *cobra.Command { return NewMigrateCommand(streams, clock.RealClock{}) }

func TestMigrateUsage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an argument":          {[]string{"shop"}, `takes no argument "shop"`},
		"an unknown format":    {[]string{"-o", "yaml"}, "use -o table or json"},
		"an unknown mode":      {[]string{"--mode", "bold"}, "use --mode=guard or --mode=forward"},
		"one and all":          {[]string{"-n", "shop", "-A"}, "leave one of the two out"},
		"nothing in parallel":  {[]string{"--max-parallel", "0"}, "use 1 or more"},
		"no time":              {[]string{"--timeout", "0s"}, "use one such as 10m"},
		"no selector":          {[]string{"-l", "app in"}, "--selector: "},
		"kubectl's dry runs":   {[]string{"--dry-run=server"}, "--help"},
		"no kubeconfig":        {[]string{"--kubeconfig", "testdata/absent"}, "testdata/absent"},
		"a policy that is not": {[]string{"--policy", "testdata/absent"}, "reading the policy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, "migrate", "", tc.args...)
			if got.code != ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, tc.want) {
				t.Errorf("got exit code %d, stdout %q, stderr %q; want %q", got.code, got.stdout, got.stderr, tc.want)
			}
		})
	}
}

// migration is a run that is made up: what is printed of events does not depend on where they come from.
type migration struct {
	now    time.Time
	events []migrate.Event
	counts migrate.Counts
}

func newMigration(total int) *migration {
	m := &migration{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), counts: migrate.Counts{Total: total, Pods: 2 * total}}
	m.tell(migrate.Event{Type: migrate.Found})
	return m
}

func (m *migration) tell(e migrate.Event) {
	m.now = m.now.Add(5 * time.Second)
	e.Time, e.Counts = m.now, m.counts
	m.events = append(m.events, e)
}

func dueDeployment(name string) *migrate.Due {
	return &migrate.Due{
		Ref: migrate.Ref{Namespace: "shop", Kind: "Deployment", Name: name}, Pods: 2, Tag: "prod", Reason: status.TagMoved,
		From: []status.Proxy{{Revision: "default-v1-29-6", Version: "v1.29.6"}},
		To:   status.Proxy{Revision: "default-v1-30-3", Version: "v1.30.3"},
	}
}

// failed is a run in which the second wave has a workload that does not become available.
func failed() *migration {
	m := newMigration(7)
	cart, pay, batch := dueDeployment("cart"), dueDeployment("pay"), dueDeployment("batch")
	batch.Kind = "Job"
	m.tell(migrate.Event{Type: migrate.Noted, Message: "Gateway shop/ingress runs another version than default-v1-30-3, whose istiod replaces its proxies"})
	m.counts.UnderWay = 1
	m.tell(migrate.Event{Type: migrate.Adopted, Due: cart, Message: "1 of 2 pods is updated"})
	m.counts.UnderWay, m.counts.Done, m.counts.Remaining = 0, 1, 90*time.Second
	m.tell(migrate.Event{Type: migrate.RolledOut, Due: cart, Took: 12300 * time.Millisecond})
	m.counts.Left++
	m.tell(migrate.Event{Type: migrate.LeftOver, Wave: 1, Due: batch, Message: "a Job is nothing that can be rolled out", Next: "wait until Job shop/batch has ended"})
	m.tell(migrate.Event{
		Type: migrate.Held, Wave: 1, Due: dueDeployment("db"),
		Message: "PodDisruptionBudget shop/db wants 2 of its 3 pods healthy; 2 are, and a rollout may take away 1",
	})
	m.counts.UnderWay = 1
	m.tell(migrate.Event{Type: migrate.Restarted, Wave: 1, Due: pay})
	m.tell(migrate.Event{Type: migrate.Progressing, Wave: 1, Due: pay, Message: "1 of 2 pods is available"})
	m.counts.UnderWay, m.counts.Failed = 0, 1
	m.tell(migrate.Event{
		Type: migrate.Failed, Wave: 1, Due: pay, Message: `ReplicaSet "pay-5d" has timed out progressing.`, Next: "kubectl describe deployment/pay -n shop",
	})
	m.tell(migrate.Event{Type: migrate.Finished, Wave: 1})
	return m
}

// interrupted is one in which Ctrl-C is pressed during the first wave.
func interrupted() *migration {
	m := newMigration(200)
	m.counts.UnderWay, m.counts.Remaining = 1, 100*time.Minute
	m.tell(migrate.Event{Type: migrate.Restarted, Wave: 1, Due: dueDeployment("cart")})
	m.tell(migrate.Event{Type: migrate.Interrupted, Wave: 1, Due: dueDeployment("cart")})
	m.tell(migrate.Event{Type: migrate.Finished, Wave: 1})
	return m
}

// complete is one that has nothing left, or that plans.
func complete(event migrate.EventType) *migration {
	m := newMigration(1)
	if event == migrate.RolledOut {
		m.counts.UnderWay = 1
		m.tell(migrate.Event{Type: migrate.Restarted, Wave: 1, Due: dueDeployment("cart")})
	}
	m.counts.UnderWay, m.counts.Done = 0, 1
	m.tell(migrate.Event{Type: event, Wave: 1, Due: dueDeployment("cart"), Took: 61 * time.Second})
	m.tell(migrate.Event{Type: migrate.Finished, Wave: 1})
	return m
}

// nothing is one with nothing to do.
func nothing(elsewhere int) *migration {
	m := &migration{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), counts: migrate.Counts{Elsewhere: elsewhere}}
	m.tell(migrate.Event{Type: migrate.Found})
	m.tell(migrate.Event{Type: migrate.Finished})
	return m
}

func TestGoldenMigrations(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "golden-migrate")
	terminal := screen{terminal: true, colour: true, width: 80}
	plain := screen{width: defaultWidth}
	runs := map[string]struct {
		run     *migration
		options migrateOptions
		screen  screen
	}{
		"failed.table":      {failed(), migrateOptions{all: true, maxParallel: 4}, plain},
		"failed.terminal":   {failed(), migrateOptions{all: true, maxParallel: 4}, terminal},
		"failed.json":       {failed(), migrateOptions{output: outputJSON}, plain},
		"interrupted.table": {interrupted(), migrateOptions{all: true, maxParallel: 10}, plain},
		"complete.table":    {complete(migrate.RolledOut), migrateOptions{namespace: "shop", maxParallel: 4}, plain},
		"dry-run.table":     {complete(migrate.Planned), migrateOptions{all: true, dryRun: true}, plain},
		"dry-run.json":      {complete(migrate.Planned), migrateOptions{all: true, dryRun: true, output: outputJSON}, plain},
		"nothing.table":     {nothing(0), migrateOptions{all: true}, plain},
		"elsewhere.table":   {nothing(12), migrateOptions{namespace: "default", tag: "prod"}, plain},
		"nothing.json":      {nothing(12), migrateOptions{output: outputJSON}, plain},
	}
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p := newMigratePrinter(Streams{Out: &out}, &run.options)
			p.screen = run.screen
			for _, e := range run.run.events {
				p.event(e)
			}
			path := filepath.Join(dir, name)
			// What steers a terminal is spelt out, so that the file can be read and compared.
			got := strings.NewReplacer("\x1b", "<ESC>", "\r", "<CR>").Replace(out.String())
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; to write it: go test ./internal/cli -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s\nto accept it: go test ./internal/cli -update", diff)
			}
		})
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := runs[filepath.Base(file)]; !ok {
			t.Errorf("%s belongs to no run", file)
		}
	}
}

// The specification names exactly the keys that an event has, and all events.
func TestTheSpecificationNamesEveryKeyOfAnEvent(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "### 6.3 router migrate")
	section, _, closed := strings.Cut(section, "\n## ")
	_, section, fenced := strings.Cut(section, "```")
	if !found || !closed || !fenced {
		t.Fatal("spec.md has no section 6.3 with an event")
	}
	documented, printed := map[string]bool{}, map[string]bool{}
	for _, key := range regexp.MustCompile(`"([a-zA-Z]+)"`).FindAllStringSubmatch(section, -1) {
		documented[key[1]] = true
	}
	p := newMigratePrinter(Streams{}, &migrateOptions{})
	for _, e := range failed().events {
		var d any
		if err := json.Unmarshal([]byte(p.eventLine(e)), &d); err != nil {
			t.Fatal(err)
		}
		addKeys(printed, d)
	}
	if diff := cmp.Diff(documented, printed); diff != "" {
		t.Errorf("keys (-documented +printed):\n%s", diff)
	}
	for _, e := range migrate.EventTypes() {
		if !strings.Contains(section, string(e)) {
			t.Errorf("the event %s is not documented", e)
		}
	}
}

// A pipe that is closed is no success.
func TestMigrateTellsThatItCannotWrite(t *testing.T) {
	t.Parallel()
	p := newMigratePrinter(Streams{Out: broken{}}, &migrateOptions{output: outputJSON})
	p.event(migrate.Event{Type: migrate.Found})
	if p.err == nil {
		t.Error("nothing was noticed")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }
