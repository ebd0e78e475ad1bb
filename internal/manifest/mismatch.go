package manifest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// mismatch says that a field has the wrong type. For labels and annotations, where an unquoted true or 1 is the
// mistake everybody makes, it also says what to do.
func mismatch(path []string, e *json.UnmarshalTypeError) string {
	got := jsonType(e.Value)
	if len(path) >= 2 && e.Type.Kind() == reflect.String {
		switch parent := path[len(path)-2]; parent {
		case "labels", "annotations", "matchLabels":
			return parent + " must be strings: " + join(path[:len(path)-1]) + "[" + path[len(path)-1] + "] is " + got +
				"; put the value in quotes"
		}
	}
	return join(path) + " must be " + goType(e.Type) + ", not " + got
}

func join(path []string) string {
	if len(path) == 0 {
		return "the object"
	}
	return strings.ReplaceAll(strings.Join(path, "."), ".[", "[")
}

// jsonType names a JSON type as [json.UnmarshalTypeError] has it, such as "number 1".
func jsonType(value string) string {
	word, _, _ := strings.Cut(value, " ")
	switch word {
	case "bool":
		return "a boolean"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "a " + word
}

func goType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	default:
		return "a number"
	}
}

// pathTo returns the fields that lead to the value at offset in an object, as in spec, containers, [0], image.
func pathTo(data []byte, offset int) []string {
	var path []string
	s := scanner{data: data}
	at := span{0, len(data)}
	for {
		s.at = at.start
		step, inner := "", span{}
		switch s.next() {
		case '{':
			s.members(func(key []byte, value span) {
				if value.start <= offset && offset < value.end {
					inner = value
					if json.Unmarshal(key, &step) != nil {
						step = string(key)
					}
				}
			})
		case '[':
			i := 0
			s.elements(func(value span) bool {
				if value.start <= offset && offset < value.end {
					inner, step = value, "["+strconv.Itoa(i)+"]"
				}
				i++
				return !inner.present()
			})
		}
		if !inner.present() {
			return path
		}
		path, at = append(path, step), inner
	}
}

// describe names the JSON value for a message.
func describe(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	const longest = 20
	return strconv.Quote(string(raw[:min(len(raw), longest)]))
}
