package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are all Markdown files of the project that people read, by path from here.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What is fetched and built here, and what is there to be wrong.
		passed := []string{"bin", "node_modules", "testdata"}
		if entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains(passed, entry.Name())) {
			return fs.SkipDir
		}
		if strings.HasSuffix(entry.Name(), ".md") {
			found = append(found, path)
		}
		return nil
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("found %d pages: %v", len(found), err)
	}
	return found
}

// blocks are what is in a page and no prose: fenced code and code within a line.
func blocks() *regexp.Regexp { return regexp.MustCompile("(?s)```.*?\n```|`[^`\n]*`") }

// A link within the project leads to a file that is there, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	checked := 0
	for _, page := range pages(t) {
		text := blocks().ReplaceAllString(read(t, page), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
				continue
			}
			if anchor != "" && !anchors(read(t, path))[anchor] {
				t.Errorf("%s links to %s, and there is no such heading", page, match[1])
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d links were looked at only", checked)
	}
}

// anchors are those that GitHub gives to the headings of a page.
func anchors(page string) map[string]bool {
	fenced := regexp.MustCompile("(?s)```.*?\n```")
	found := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`).FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading[1], "$1")
		text = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(text), "")
		found[strings.ReplaceAll(text, " ", "-")] = true
	}
	return found
}

func TestAnchors(t *testing.T) {
	got := anchors("# `/readyz` fails\n## Private GKE, EKS and others\n### Is it [right](x.md)?\n```\n# no heading\n```\n")
	for _, want := range []string{"readyz-fails", "private-gke-eks-and-others", "is-it-right"} {
		if !got[want] {
			t.Errorf("no anchor %s in %v", want, got)
		}
	}
	if got["no-heading"] {
		t.Error("a comment in a block of code is no heading")
	}
}
