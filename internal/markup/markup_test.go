package markup_test

import (
	"fmt"
	"html/template"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/markup"
)

type item struct {
	Name  string
	Count int
	More  []string
}

type data struct {
	Title string
	Items []item
	Inner *struct{ Word string }
	None  []string
}

func example() data {
	return data{
		Title: `<b>"Tom" & 'Jerry'</b>`, Items: []item{{"a", 1, []string{"x", "y"}}, {"b", 0, nil}},
		Inner: &struct{ Word string }{"deep"},
	}
}

// The library is the judge of what a template means. It escapes the same for text, and for quoted attributes.
func TestTemplatesMeanWhatTheyMeanInTheLibrary(t *testing.T) {
	for name, text := range map[string]string{
		"values are escaped in text and attributes": `<p title="{{.Title}}">{{.Title}}</p>`,
		"a list with index":                         `{{range $i, $it := .Items}}{{if $i}}, {{end}}{{$it.Name}}={{.Count}}{{end}}`,
		"an empty list":                             `{{range .None}}x{{else}}none{{end}}`,
		"conditions":                                `{{range .Items}}{{if .Count}}yes{{else if .Name}}named{{else}}no{{end}}{{if not .More}}!{{end}}{{end}}`,
		"comparing":                                 `{{range $i, $x := .Items}}{{if eq $i 0}}first{{end}}{{if eq .Name "b"}}B{{end}}{{end}}`,
		"with":                                      `{{with .Inner}}{{.Word}}{{end}}{{with .None}}x{{else}}nothing{{end}}`,
		"deeper fields":                             `{{.Inner.Word}}`,
		"other templates":                           `{{define "row"}}<li>{{.Name}}{{range .More}} {{.}}{{end}}</li>{{end}}{{range .Items}}{{template "row" .}}{{end}}`,
		"functions":                                 `{{range words .Title}}[{{.}}]{{end}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var want, got strings.Builder
			reference := template.Must(template.New("page").Funcs(template.FuncMap{"words": strings.Fields}).Parse(text))
			if err := reference.Execute(&want, example()); err != nil {
				t.Fatal(err)
			}
			page, err := markup.Parse(text, markup.Funcs{"words": func(args ...any) any { return strings.Fields(fmt.Sprint(args[0])) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := page.Execute(&got, example()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("(-library +markup):\n%s", diff)
			}
		})
	}
}

func TestPlacesThatEscapingDoesNotCoverAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a script": `<script>let x = "{{.Title}}"</script>`, "a handler": `<p onclick="{{.Title}}">`, "a link": `<a href="{{.Title}}">`,
		"an attribute without quotes": `<p class={{.Title}}>`, "a style sheet": `<style>p { color: {{.Title}} }</style>`,
		"no template": `{{if}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := markup.Parse(text, nil); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestMistakesInATemplateAreErrors(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a field that is not there":    {`{{.Nothing}}`, "type markup_test.data has no field Nothing"},
		"a list as text":               {`{{.Items}}`, "cannot be shown"},
		"a range over what is no list": {`{{range .Title}}{{end}}`, "range needs a list"},
		"a template that is not there": {`{{template "x" .}}`, "there is no template x"},
		"several commands":             {`{{.Title | not}}`, "has several commands"},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := markup.Parse(tc.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := page.Execute(&strings.Builder{}, example()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
