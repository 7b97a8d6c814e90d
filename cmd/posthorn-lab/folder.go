package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/posthorn/posthorn/attacklab"
	"github.com/posthorn/posthorn/attacklab/report"
)

func inFolder(folder, name string) string { return filepath.Join(folder, name) }

// prepareFolder makes the folder for results, and refuses one that holds
// something else.
func prepareFolder(folder string) error {
	if folder == "" {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		return err
	}
	ours := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == report.RunFile })
	if len(entries) > 0 && !ours {
		return &failure{exitUser, folder + " holds something else; nothing was run or written", "name an empty folder, or one with earlier results"}
	}
	return nil
}

func writeFiles(folder string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(inFolder(folder, name), content, 0o644); err != nil {
			return fmt.Errorf("the results are not complete: %w", err)
		}
	}
	return nil
}

// readOptions is what a folder's results were made from.
func readOptions(folder string) (attacklab.Options, error) {
	b, err := os.ReadFile(inFolder(folder, report.RunFile))
	if err != nil {
		return attacklab.Options{}, &failure{exitUser, "there are no results to verify: " + err.Error(), "name the folder that 'posthorn-lab run --out' wrote"}
	}
	var r attacklab.Results
	if err := json.Unmarshal(b, &r); err != nil || r.Schema != attacklab.Schema {
		return attacklab.Options{}, &failure{exitUser, inFolder(folder, report.RunFile) + " is not a result of this version; nothing was verified", "run the scenarios again"}
	}
	return r.Options, nil
}

// compare lists what differs between files and those of a folder, by name.
func compare(folder string, files map[string][]byte) (differs []string, err error) {
	for name, want := range files {
		got, err := os.ReadFile(inFolder(folder, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			differs = append(differs, name+": missing")
		case err != nil:
			return nil, err
		case !bytes.Equal(got, want):
			differs = append(differs, fmt.Sprintf("%s: differs from byte %d on (%d bytes here, %d when run again)", name, firstDifference(got, want), len(got), len(want)))
		}
	}
	slices.Sort(differs)
	return differs, nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
