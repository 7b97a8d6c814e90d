package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// movedFile in the data folder says that the embedded store was moved into a
// database. From the moment that it is there, the database counts.
const movedFile = "moved.json"

// moved is the content of movedFile.
type moved struct {
	ID string    `json:"id"` // of the move; the database knows it too
	At time.Time `json:"at"`
}

// movedFrom says whether the embedded store of a data folder was moved; nil:
// it was not.
func movedFrom(data string) (*moved, error) {
	m, err := readMark[moved](data, movedFile)
	if m != nil && m.ID == "" {
		return nil, &failure{exitUser, movedFile + " in the data folder is damaged; nothing was started", "restore it, or the data folder, from a backup"}
	}
	return m, err
}

// readMark reads a small file of a data folder; nil: there is none. What stands
// in a damaged one is the zero value.
func readMark[T any](data, name string) (*T, error) {
	b, err := os.ReadFile(filepath.Join(data, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was moved cannot be read: %w", err)
	}
	m := new(T)
	if json.Unmarshal(b, m) != nil {
		return new(T), nil
	}
	return m, nil
}

// write puts the mark into a data folder, whole and on disk, or not at all.
func (m *moved) write(data string) error { return writeMark(data, movedFile, m) }

// writeMark puts a small file into a data folder, whole and on disk. When it
// fails the file is as it was before, or not there.
func writeMark(data, name string, content any) error {
	b, err := json.Marshal(content)
	if err != nil {
		return err
	}
	final := filepath.Join(data, name)
	half := final + ".half"
	defer os.Remove(half) //nolint:errcheck // it is gone when all went well
	if err := writeSynced(half, append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(half, final); err != nil {
		return err
	}
	dir, err := os.Open(data)
	if err != nil {
		return errors.Join(err, os.Remove(final))
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return errors.Join(err, os.Remove(final))
	}
	return nil
}

func writeSynced(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}
