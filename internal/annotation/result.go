package annotation

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Level is how bad a result is.
type Level string

// The levels, as SARIF has them.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Place is a line of a file. File is empty where there is none, such as for standard input; Line is 0 where only the
// file is known.
type Place struct {
	File string
	Line int
}

// Subject is an object that a result is about, and where it stands.
type Subject struct {
	// Name is kind, namespace and name, as in Deployment/shop/cart.
	Name string
	Place
}

// Result is one thing to mend.
type Result struct {
	Rule    string
	Level   Level
	Message string
	Place   Place
	// Field is what stands at the place; the object's own line where it is empty.
	Field string
	// Subject is the object that holds the place.
	Subject string
	// Concerns are the other objects that it is about.
	Concerns []Subject
	// Justification is why somebody has decided to live with it; empty where nobody has.
	Justification string
}

// Rule describes what results have in common.
type Rule struct {
	ID      string
	Summary string
	Level   Level
	// Help is the address of a page that says more.
	Help string
}

// Report is what a run of a command has found.
type Report struct {
	// Command tells reports apart that are uploaded side by side.
	Command string
	Results []Result
	// Rules are at least those of the results.
	Rules []Rule
	// Directory is where relative paths begin: absolute ones below it are made relative.
	Directory string
}

// noFile stands for the file where none is known, in formats that want one.
const noFile = "-"

// path is how a code host knows the file: relative, with slashes, without ./ in front. Empty where there is no file.
func (r *Report) path(file string) string {
	if file == "" {
		return ""
	}
	if filepath.IsAbs(file) && r.Directory != "" {
		if inside, err := filepath.Rel(r.Directory, file); err == nil && filepath.IsLocal(inside) {
			file = inside
		}
	}
	return filepath.ToSlash(filepath.Clean(file))
}

// uri is the path as SARIF wants it.
func uri(path string) string {
	u := url.URL{Path: path}
	if strings.HasPrefix(path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}

// fingerprints tell the results apart, one for each, and stay the same while lines above them come and go. Results that
// say the same of the same field are numbered.
func (r *Report) fingerprints() []string {
	out := make([]string, len(r.Results))
	seen := map[string]int{}
	for i := range r.Results {
		x := &r.Results[i]
		key := strings.Join([]string{x.Rule, r.path(x.Place.File), x.Subject, x.Field}, "\x00")
		seen[key]++
		sum := sha256.Sum256([]byte(key + "\x00" + strconv.Itoa(seen[key])))
		out[i] = hex.EncodeToString(sum[:16])
	}
	return out
}

// Count returns how many results are of the level.
func (r *Report) Count(level Level) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Level == level {
			n++
		}
	}
	return n
}
