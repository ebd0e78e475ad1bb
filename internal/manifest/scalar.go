package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// scalarType is the JSON type of a YAML scalar.
type scalarType byte

const (
	typeString scalarType = iota
	typeNumber
	typeBool
	typeNull
)

// quotedStyles are the styles in which a scalar is text whatever it looks like.
const quotedStyles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// appendScalar appends the scalar as JSON. The types are those that kubectl gives to plain scalars: it reads
// YAML 1.1 through go.yaml.in/yaml/v2, where yes, on and 0777 are no strings. The YAML library here follows 1.2
// for them, so that its own idea of the type is not asked.
func appendScalar(out []byte, n *yaml.Node) ([]byte, error) {
	text, kind, err := scalar(n)
	if err != nil {
		return out, err
	}
	if kind == typeString {
		return appendText(out, text), nil
	}
	return append(out, text...), nil
}

// scalar returns the text of a string, or the JSON of any other type.
func scalar(n *yaml.Node) (string, scalarType, error) {
	tag := ""
	if n.Style&yaml.TaggedStyle != 0 {
		tag = n.ShortTag()
	}
	switch tag {
	case "":
		if n.Style&quotedStyles != 0 {
			return n.Value, typeString, nil
		}
		return plain(n.Value)
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return "", typeString, fmt.Errorf("!!binary holds what is not base64: %w", err)
		}
		return string(data), typeString, nil
	case "!!bool", "!!int", "!!float", "!!null":
		return tagged(tag, n.Value)
	}
	return n.Value, typeString, nil
}

func tagged(tag, value string) (string, scalarType, error) {
	text, kind, err := plain(value)
	if err != nil {
		return "", kind, err
	}
	fits := false
	switch tag {
	case "!!bool":
		fits = kind == typeBool
	case "!!null":
		fits = kind == typeNull
	case "!!float":
		fits = kind == typeNumber
	case "!!int":
		fits = kind == typeNumber && !strings.ContainsAny(text, ".eE")
	}
	if !fits {
		return "", kind, fmt.Errorf("%q is no %s", value, tag)
	}
	return text, kind, nil
}

// plain resolves a scalar without quotes or tag.
func plain(v string) (string, scalarType, error) {
	switch v {
	case "", "~", "null", "Null", "NULL":
		return "null", typeNull, nil
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return "true", typeBool, nil
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return "false", typeBool, nil
	case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
		return "", typeNumber, fmt.Errorf("%s is no number that JSON can hold", v)
	}
	if c := v[0]; (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
		return v, typeString, nil
	}
	if number := numberOf(v); number != "" {
		return number, typeNumber, nil
	}
	return v, typeString, nil
}

// numberOf returns the JSON of a number, or "" for what only begins like one: a version, an address, a date.
func numberOf(v string) string {
	if v[0] == '.' {
		return floatOf(v)
	}
	digits := strings.ReplaceAll(v, "_", "")
	if digits == "" {
		return ""
	}
	if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(digits, 0, 64); err == nil {
		return strconv.FormatUint(u, 10)
	}
	if decimal(digits) {
		return floatOf(digits)
	}
	// Past what Go takes for binary, kubectl's parser also reads a sign behind the 0b.
	if sign, bits, ok := strings.Cut(digits, "0b"); ok && (sign == "" || sign == "-") {
		if i, err := strconv.ParseInt(sign+bits, 2, 64); err == nil {
			return strconv.FormatInt(i, 10)
		}
	}
	return ""
}

func floatOf(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return ""
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// decimal reports whether v has the form of a YAML float: digits with at most one dot, then an exponent or none.
func decimal(v string) bool {
	v = strings.TrimLeft(v[:1], "+-") + v[1:]
	mantissa, exponent, scientific := v, "", false
	if i := strings.IndexAny(v, "eE"); i >= 0 {
		mantissa, exponent, scientific = v[:i], v[i+1:], true
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || !digitsOnly(whole+fraction) {
		return false
	}
	if !scientific {
		return true
	}
	if exponent != "" {
		exponent = strings.TrimLeft(exponent[:1], "+-") + exponent[1:]
	}
	return exponent != "" && digitsOnly(exponent)
}

func digitsOnly(v string) bool {
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return true
}

// appendText appends s as a JSON string.
func appendText(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(out, `""`...) // cannot be: a string always has a JSON form
			}
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}
