package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pack writes files into an archive, without their folders, times and owners, so that the same files give the same
// bytes. It returns the archive's checksum.
func pack(path string, files []string) (checksum string, err error) {
	out, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	hash := sha256.New()
	zip := gzip.NewWriter(io.MultiWriter(out, hash))
	entries := tar.NewWriter(zip)
	for _, file := range files {
		if err := add(entries, file); err != nil {
			return "", errors.Join(fmt.Errorf("packing %s: %w", file, err), out.Close())
		}
	}
	if err := errors.Join(entries.Close(), zip.Close(), out.Close()); err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func add(entries *tar.Writer, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name := filepath.Base(file)
	mode := int64(0o644)
	if strings.TrimSuffix(name, ".exe") == "router" {
		mode = 0o755
	}
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := entries.WriteHeader(header); err != nil {
		return err
	}
	_, err = entries.Write(content)
	return err
}

const checksums = "checksums.txt"

// writeChecksums lists every file of the release, as sha256sum does and reads.
func writeChecksums(dir string) error {
	files, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return fmt.Errorf("listing the files of the release: %w", err)
	}
	var lines strings.Builder
	for _, file := range files {
		if file.Name() == checksums || file.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return fmt.Errorf("reading a file of the release: %w", err)
		}
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(content), file.Name())
	}
	if err := os.WriteFile(filepath.Join(dir, checksums), []byte(lines.String()), 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the checksums: %w", err)
	}
	return nil
}
