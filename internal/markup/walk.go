package markup

import (
	"io"
	"reflect"
	"text/template/parse"
)

// execution writes one page.
type execution struct {
	*Template
	out io.Writer
}

func (e execution) write(text string) {
	if _, err := io.WriteString(e.out, text); err != nil {
		panic(failure{err})
	}
}

func (e execution) walk(node parse.Node, s scope) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			e.walk(child, s)
		}
	case *parse.TextNode:
		e.write(string(n.Text))
	case *parse.CommentNode:
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			fail("%s declares a variable outside of a range", trim(n))
		}
		e.write(escape(e.value(n.Pipe, s)))
	case *parse.IfNode:
		if truth(e.value(n.Pipe, s)) {
			e.walk(n.List, s)
		} else {
			e.walk(n.ElseList, s)
		}
	case *parse.WithNode:
		if v := e.value(n.Pipe, s); truth(v) {
			e.walk(n.List, s.at(v))
		} else {
			e.walk(n.ElseList, s)
		}
	case *parse.RangeNode:
		e.each(n, s)
	case *parse.TemplateNode:
		tree, ok := e.trees[n.Name]
		if !ok {
			fail("there is no template %s", n.Name)
		}
		var dot reflect.Value
		if n.Pipe != nil {
			dot = e.value(n.Pipe, s)
		}
		e.walk(tree.Root, scope{dot: dot})
	default:
		fail("%s is not understood", trim(n))
	}
}

func (e execution) each(n *parse.RangeNode, s scope) {
	list := indirect(e.value(n.Pipe, s))
	if !list.IsValid() || list.Kind() != reflect.Slice {
		fail("%s: range needs a list", trim(n.Pipe))
	}
	for i := range list.Len() {
		element := list.Index(i)
		e.walk(n.List, s.at(element).with(n.Pipe.Decl, reflect.ValueOf(i), element))
	}
	if list.Len() == 0 {
		e.walk(n.ElseList, s)
	}
}

// value is that of a pipeline, which is one command here.
func (e execution) value(pipe *parse.PipeNode, s scope) reflect.Value {
	if len(pipe.Cmds) != 1 {
		fail("%s has several commands", trim(pipe))
	}
	args := pipe.Cmds[0].Args
	name, ok := args[0].(*parse.IdentifierNode)
	if !ok {
		if len(args) != 1 {
			fail("%s is no function", trim(args[0]))
		}
		return e.operand(args[0], s)
	}
	values := make([]reflect.Value, 0, len(args)-1)
	for _, a := range args[1:] {
		values = append(values, indirect(e.operand(a, s)))
	}
	return e.call(name.Ident, values)
}

func (e execution) call(name string, args []reflect.Value) reflect.Value {
	switch {
	case name == "not" && len(args) == 1:
		return reflect.ValueOf(!truth(args[0]))
	case name == "eq" && len(args) == 2:
		return reflect.ValueOf(args[0].Equal(args[1]))
	}
	function, ok := e.funcs[name]
	if !ok {
		fail("%s cannot be called with %d arguments", name, len(args))
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Interface()
	}
	return reflect.ValueOf(function(values...))
}

func (e execution) operand(node parse.Node, s scope) reflect.Value {
	switch n := node.(type) {
	case *parse.DotNode:
		return s.dot
	case *parse.FieldNode:
		return fields(s.dot, n.Ident)
	case *parse.VariableNode:
		v, ok := s.variables[n.Ident[0]]
		if !ok {
			fail("%s is not declared here", n.Ident[0])
		}
		return fields(v, n.Ident[1:])
	case *parse.StringNode:
		return reflect.ValueOf(n.Text)
	case *parse.NumberNode:
		return reflect.ValueOf(int(n.Int64))
	case *parse.PipeNode:
		return e.value(n, s)
	}
	fail("%s is not understood", trim(node))
	return reflect.Value{}
}

// fields follows names of fields. Methods are not looked for: see the comment of the package.
func fields(v reflect.Value, names []string) reflect.Value {
	for _, name := range names {
		v = indirect(v)
		if !v.IsValid() || v.Kind() != reflect.Struct {
			fail("there is no field %s in nothing", name)
		}
		field := v.FieldByName(name)
		if !field.IsValid() {
			fail("type %s has no field %s", v.Type(), name)
		}
		v = field
	}
	return v
}
