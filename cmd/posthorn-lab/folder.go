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
// something else or that nothing can be written to, before a run and not after
// it. undo takes back what it made, for a run that comes to nothing.
func prepareFolder(folder string) (undo func(), err error) {
	if folder == "" {
		return func() {}, nil
	}
	_, err = os.Stat(folder)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, unusable(folder, err)
	}
	undo = func() {
		if made {
			_ = os.Remove(folder) // not if something is in it
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, unusable(folder, err)
	}
	entries, err = withoutLeftovers(folder, entries)
	if err != nil {
		return nil, unusable(folder, err)
	}
	ours := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == report.RunFile })
	if len(entries) > 0 && !ours {
		return nil, &failure{exitUser, folder + " holds something else; nothing was run or written", "name an empty folder, or one with earlier results"}
	}
	staging, err := os.MkdirTemp(folder, stagingPattern)
	if err != nil {
		return nil, unusable(folder, err)
	}
	return undo, os.Remove(staging)
}

// unusable says that a folder cannot take results.
func unusable(folder string, err error) *failure {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return &failure{exitUser, "no results can be written to " + folder + ": " + err.Error() + "; nothing was run", "name a folder that you can write to"}
}

// withoutLeftovers removes what a killed run left waiting.
func withoutLeftovers(folder string, entries []fs.DirEntry) (rest []fs.DirEntry, err error) {
	for _, e := range entries {
		left, _ := filepath.Match(stagingPattern, e.Name())
		if !left {
			rest = append(rest, e)
		} else if err := os.RemoveAll(inFolder(folder, e.Name())); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// stagingPattern names the folder in which files wait until all are written.
const stagingPattern = ".posthorn-lab-*"

// writeFiles puts files in place of what an earlier run left. All are written
// before the first gets its name, and run.json comes last: a folder that has it
// has everything.
func writeFiles(folder string, files map[string][]byte) (err error) {
	staging, err := os.MkdirTemp(folder, stagingPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	for name, content := range files {
		if err := os.WriteFile(inFolder(staging, name), content, 0o644); err != nil {
			return fmt.Errorf("no result was written: %w", err)
		}
	}
	if err := forget(folder); err != nil {
		return err
	}
	for name := range files {
		if name == report.RunFile {
			continue
		}
		if err := os.Rename(inFolder(staging, name), inFolder(folder, name)); err != nil {
			return fmt.Errorf("the results are not complete: %w", err)
		}
	}
	return os.Rename(inFolder(staging, report.RunFile), inFolder(folder, report.RunFile))
}

// forget removes what an earlier run wrote, run.json first.
func forget(folder string) error {
	for _, name := range append([]string{report.RunFile}, report.Names()...) {
		if err := os.Remove(inFolder(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
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

// compare lists what differs between files and those of a folder, by name, and
// what the folder has besides them.
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
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, known := files[e.Name()]; !known && e.Name() != report.TimesFile {
			differs = append(differs, e.Name()+": no file of these results")
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
