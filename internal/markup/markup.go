// Package markup writes pages from templates in a part of the language of html/template: fields, variables, if, with,
// range, template, define, and functions that are given. Every value is escaped for text and for quoted attributes, and
// nothing else may hold one: [Parse] refuses scripts, unquoted attributes and values in the middle of tags.
//
// It is there for its size. html/template calls methods of values by names that it reads at run time, so that the linker
// has to keep every exported method of everything that is linked. For the router, with its clients of the Kubernetes
// API, that is a third of the program. This package looks at fields alone.
package markup

import (
	"fmt"
	"html"
	"io"
	"maps"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"
)

// Funcs are functions that templates may call, each with one argument or two.
type Funcs map[string]func(args ...any) any

// Template is a page that was parsed. It may be executed any number of times.
type Template struct {
	trees map[string]*parse.Tree
	funcs Funcs
}

const main = "page"

// Parse reads a template.
func Parse(text string, funcs Funcs) (*Template, error) {
	known := map[string]any{"eq": true, "not": true} // all that counts is that they are there
	for name := range funcs {
		known[name] = true
	}
	trees, err := parse.Parse(main, text, "", "", known)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return &Template{trees, funcs}, safePlaces(text)
}

var (
	action    = regexp.MustCompile(`\{\{.*?\}\}`)
	forbidden = regexp.MustCompile(`(?is)<script|\son\w+\s*=|(?:href|src)\s*=\s*["']?\{\{`)
	// tag is one tag, with values in it only between quotes or as whole attributes that begin with a space.
	tag = regexp.MustCompile(`(?s)<[a-zA-Z/][^<>]*>`)
	// unquoted is a value right after an equals sign.
	unquoted = regexp.MustCompile(`=\s*\{\{`)
	style    = regexp.MustCompile(`(?s)<style.*?</style>`)
)

// safePlaces refuses templates with values where escaping for text would not be enough.
func safePlaces(text string) error {
	if found := forbidden.FindString(text); found != "" {
		return fmt.Errorf("parse: %q could run or load something; values may stand in text and in quoted attributes alone", found)
	}
	for _, block := range style.FindAllString(text, -1) {
		if found := action.FindString(block); found != "" {
			return fmt.Errorf("parse: %s stands in a style sheet", found)
		}
	}
	for _, found := range tag.FindAllString(text, -1) {
		if unquoted.MatchString(found) {
			return fmt.Errorf("parse: the attribute in %s has no quotes", found)
		}
	}
	return nil
}

// Execute writes the page for the data.
func (t *Template) Execute(out io.Writer, data any) (err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			failed, ok := recovered.(failure)
			if !ok {
				panic(recovered)
			}
			err = failed
		}
	}()
	run := execution{t, out}
	run.walk(t.trees[main].Root, scope{dot: reflect.ValueOf(data)})
	return nil
}

// failure ends an execution, as in the library's own templates: a page that cannot be written is a mistake in it.
type failure struct{ error }

func fail(format string, values ...any) { panic(failure{fmt.Errorf("execute: "+format, values...)}) }

// scope is what names mean at one place.
type scope struct {
	dot       reflect.Value
	variables map[string]reflect.Value
}

func (s scope) at(dot reflect.Value) scope { return scope{dot, s.variables} }

func (s scope) with(declared []*parse.VariableNode, values ...reflect.Value) scope {
	inner := scope{s.dot, map[string]reflect.Value{}}
	maps.Copy(inner.variables, s.variables)
	// One variable of a range is the element, two are index and element.
	values = values[len(values)-len(declared):]
	for i, v := range declared {
		inner.variables[v.Ident[0]] = values[i]
	}
	return inner
}

// escape makes text of a value.
func escape(v reflect.Value) string {
	v = indirect(v)
	switch {
	case !v.IsValid():
		return ""
	case v.Kind() == reflect.String:
		return html.EscapeString(v.String())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanFloat():
		return html.EscapeString(fmt.Sprint(v.Float()))
	}
	fail("a value of type %s cannot be shown", v.Type())
	return ""
}

// indirect follows pointers and interfaces.
func indirect(v reflect.Value) reflect.Value {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	return v
}

// truth is whether a value counts as there: what is not empty.
func truth(v reflect.Value) bool {
	v = indirect(v)
	switch {
	case !v.IsValid():
		return false
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map || v.Kind() == reflect.String:
		return v.Len() > 0
	case v.Kind() == reflect.Struct:
		return true
	}
	return !v.IsZero()
}

// trim keeps what is said about a node on one line.
func trim(node parse.Node) string { return strings.Join(strings.Fields(node.String()), " ") }
