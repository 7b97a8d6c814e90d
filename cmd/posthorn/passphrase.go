package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/posthorn/posthorn/client"
)

// passphraseFile is the environment variable that names a file with the
// passphrase. A passphrase is never an argument: other users could list it.
const passphraseFile = "POSTHORN_PASSPHRASE_FILE"

// maxPassphrase bounds what is read from that file, in bytes.
const maxPassphrase = 1024

// passphrase finds the passphrase of the profile: the file, else a question on
// the terminal. create asks for a new one, twice. Without both it gives
// client.ErrNoPassphrase.
func (a *app) passphrase(create bool) ([]byte, error) {
	if path := os.Getenv(passphraseFile); path != "" {
		return readPassphrase(path)
	}
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return nil, client.ErrNoPassphrase
	}
	if !create {
		return a.ask("passphrase: ")
	}
	first, err := a.ask("new passphrase for this profile: ")
	if err != nil {
		return nil, err
	}
	again, err := a.ask("the same again: ")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(first, again) {
		clear(first)
		return nil, fmt.Errorf("%w: the two were not the same, nothing was made", client.ErrNoPassphrase)
	}
	return first, nil
}

// ask reads one line from the terminal without showing it.
func (a *app) ask(question string) ([]byte, error) {
	fmt.Fprint(a.stderr, "posthorn: "+question)
	answer, err := term.ReadPassword(int(a.stdin.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil || len(answer) == 0 {
		return nil, client.ErrNoPassphrase
	}
	return answer, nil
}

// readPassphrase reads the file and drops one line ending.
func readPassphrase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", client.ErrNoPassphrase, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", client.ErrNoPassphrase, err)
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) == 0 || len(text) > maxPassphrase {
		clear(text)
		return nil, fmt.Errorf("%w: the file is empty or longer than %d bytes", client.ErrNoPassphrase, maxPassphrase)
	}
	return text, nil
}
