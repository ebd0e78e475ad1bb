package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are all that golden files keep.
func pages(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for name, args := range statusRuns() {
		if short, ok := strings.CutSuffix(name, ".html"); ok {
			list[short] = ranCommand(t, "status", "", args...).stdout
		}
	}
	return list
}

// element is a tag of a page: its name, its attributes as they stand there, and what it is inside of.
type element struct {
	name, attributes string
	within           []string
}

// elements reads the tags of a page, and fails where they do not nest. No value can look like a tag: they are escaped.
func elements(t *testing.T, page string) []element {
	t.Helper()
	void := []string{"meta", "link", "br"}
	var list []element
	var open []string
	for _, tag := range regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)([^>]*)>`).FindAllStringSubmatch(page, -1) {
		switch name := tag[2]; {
		case tag[1] == "" && slices.Contains(void, name):
			list = append(list, element{name, tag[3], slices.Clone(open)})
		case tag[1] == "":
			list = append(list, element{name, tag[3], slices.Clone(open)})
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			t.Fatalf("</%s> ends none of %v", name, open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v do not end", open)
	}
	return list
}

// Whoever cannot see the page finds the way by what is asked for here. make a11y asks a browser for far more; this needs
// none.
func TestThePageCanBeFollowedWithoutSeeingIt(t *testing.T) {
	t.Parallel()
	for name, page := range pages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := elements(t, page)
			count := map[string]int{}
			for _, e := range all {
				count[e.name]++
			}
			for _, one := range []string{"html", "head", "title", "body", "header", "main", "footer", "h1"} {
				if count[one] != 1 {
					t.Errorf("%d <%s>, want one", count[one], one)
				}
			}
			if count["caption"] != count["table"] || count["summary"] != count["details"] {
				t.Errorf("%d of %d tables have a caption, %d of %d details a summary", count["caption"], count["table"], count["summary"], count["details"])
			}
			level := 0
			for _, e := range all {
				judgeElement(t, e)
				if next := strings.TrimPrefix(e.name, "h"); len(next) == 1 && next >= "1" && next <= "6" {
					if now := int(next[0] - '0'); now > level+1 {
						t.Errorf("a heading of level %d follows one of level %d", now, level)
					} else {
						level = now
					}
				}
			}
		})
	}
}

func judgeElement(t *testing.T, e element) {
	t.Helper()
	has := func(text string) bool { return strings.Contains(e.attributes, text) }
	landmark := slices.ContainsFunc(e.within, func(w string) bool { return w == "header" || w == "main" || w == "footer" })
	switch e.name {
	case "th":
		if !has(`scope="col"`) && !has(`scope="row"`) {
			t.Errorf("a <th%s> does not say what it is the heading of", e.attributes)
		}
	case "table", "tr", "td":
		if !has("role=") {
			t.Errorf("a <%s%s> is nothing to a screen reader once a phone draws tables as cards", e.name, e.attributes)
		}
	case "html":
		if !has(`lang="en"`) {
			t.Error("the page does not say its language")
		}
	case "img", "script", "iframe", "a", "form", "button":
		t.Errorf("the page has a <%s>: it stands alone, and only shows", e.name)
	case "p", "h1", "h2", "h3", "pre":
		if !landmark {
			t.Errorf("a <%s> stands outside of every landmark", e.name)
		}
	}
	if has("on") && regexp.MustCompile(`\son[a-z]+=`).MatchString(e.attributes) {
		t.Errorf("<%s%s> runs a script", e.name, e.attributes)
	}
}
