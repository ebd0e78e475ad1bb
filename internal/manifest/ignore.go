package manifest

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Ignore are patterns of files and directories that are passed over where a directory is read; with a directory all
// that is in it. A pattern without a slash is held against names, any other against paths as messages show them. Its
// parts are those of [path.Match], and ** stands for any number of directories.
type Ignore []string

// Validate names the first pattern that is none.
func (i Ignore) Validate() error {
	for _, pattern := range i {
		for part := range strings.SplitSeq(pattern, "/") {
			if _, err := path.Match(part, ""); err != nil {
				return fmt.Errorf("%q is no pattern: %w", pattern, err)
			}
		}
	}
	return nil
}

// match reports whether the path, as messages show it, is passed over.
func (i Ignore) match(name string) bool {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(name)), "/")
	return slices.ContainsFunc(i, func(pattern string) bool {
		if !strings.Contains(pattern, "/") {
			return matchParts([]string{pattern}, parts[len(parts)-1:])
		}
		// Cleaned as the path is, so that ./apps/*, apps/* and apps/*/ are the same.
		return matchParts(strings.Split(path.Clean(pattern), "/"), parts)
	})
}

func matchParts(pattern, parts []string) bool {
	switch {
	case len(pattern) == 0:
		return len(parts) == 0
	case pattern[0] == "**":
		return matchParts(pattern[1:], parts) || len(parts) > 0 && matchParts(pattern, parts[1:])
	case len(parts) == 0:
		return false
	}
	same, err := path.Match(pattern[0], parts[0])
	return err == nil && same && matchParts(pattern[1:], parts[1:])
}
