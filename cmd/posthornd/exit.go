package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/kt/witness"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/archive"
	"github.com/posthorn/posthorn/server/blob/s3"
	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/cert"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
)

// The exit codes say who can mend a failure. Scripts may rely on them.
const (
	exitOK       = 0
	exitUser     = 1  // the operator can mend it, or has interrupted it
	exitUsage    = 2  // the command line cannot be understood
	exitServer   = 3  // the server that was asked does not run, or is not ready
	exitInternal = 70 // a fault of the program
)

// failure is an error that a command explains by itself.
type failure struct {
	code int
	text string // what happened, and what did not
	hint string // the next step
}

func (f *failure) Error() string { return f.text }

// usage is the failure of a command line that cannot be understood.
func usage(cmd *cobra.Command, text string) *failure {
	return &failure{exitUsage, text, "see '" + cmd.CommandPath() + " --help'"}
}

// verdicts are the failures that commands do not explain by themselves.
var verdicts = []struct {
	is   error
	hint string
}{
	{server.ErrAddress, "listen on 127.0.0.1 and put a proxy with TLS in front, or give it a certificate: --tls-self-signed, --tls-cert or --acme-domain; --behind-proxy if the network up to the proxy is yours"},
	{cert.ErrPair, "check the two PEM files, and that the key belongs to the certificate"},
	{cert.ErrIncomplete, "restore key.pem from a backup; if it is lost, remove cert.pem: clients that know the server by an invite must then be invited anew"},
	{s3.ErrBucket, "check the address behind --blobs, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
	{server.ErrNode, "give each posthornd over one store a --node-name of its own, or none"},
	{bus.ErrAddress, "write --bus as nats://HOST:PORT or tls://HOST:PORT"},
	{bus.ErrFiles, "check the files behind --bus-credentials, --bus-ca, --bus-cert and --bus-key"},
	{ktlog.ErrAhead, "see 'Restoring the log' in docs/operator.md: with the newer store it goes on; otherwise move the folder kt in the data folder away, and expect clients and witnesses to refuse what they have seen more of"},
	{ktlog.ErrTiles, "see whether the disk is full, failing or read-only, and start again; the folder kt in the data folder is made anew from the store if it is not there"},
	{ktlog.ErrNoKeys, "restore the folder kt-keys in the data folder from a backup"},
	{ktlog.ErrPolicy, "check the lines witness, group and quorum in the file of --log-witnesses"},
	{ktlog.ErrRecord, "keep a copy of the folder, then restore a backup"},
	{ktlog.ErrFolder, "name the folder that 'posthornd serve' was started with"},
	{witness.ErrState, "restore nothing older: make a new witness with another file, and change the policies that name it"},
	{witness.ErrLogs, "see 'posthornd log checkpoint --json' on the log's server, and give --log one of root_log_keys"},
	{witness.ErrInUse, "stop the other one, or name another file with --state"},
	{errInUse, "stop the other posthornd, or name another folder with --data"},
	{archive.ErrArchive, "use another backup; this one was cut short or altered"},
	{fs.ErrExist, "choose another name"},
	{admin.ErrName, "move it out of the data folder"},
	{postgres.ErrURL, "write it as postgres://USER@HOST/DATABASE, and characters of a password such as @ and / as %40 and %2F"},
	{postgres.ErrMoving, "finish it with 'posthornd migrate' on the server that is moved, which begins anew; or make a new database"},
	{postgres.ErrElsewhere, "name the database that it was moved into with --store"},
	{postgres.ErrStale, "the error says which database would be taken"},
	{postgres.ErrUnsafe, "ask whoever runs the database for it"},
	{store.ErrFormat, "install the version that wrote it"},
	{store.ErrCorrupt, "keep a copy of the folder, then restore a backup"},
	{store.ErrStopped, "look at the disk, or at the database if --store names one: is it full, failing or not running? then start again"},
	{fs.ErrNotExist, "name the folder that 'posthornd serve' was started with"},
	{syscall.EADDRINUSE, "another program has the port; choose one with --listen, or 0 for a free one"},
	{syscall.EACCES, "check who owns the folder and the port"},
	{syscall.ENOSPC, "make room on the disk"},
	{syscall.EIO, "the disk does not do what it is asked to; replace it, and restore a backup if 'posthornd check' finds damage"},
	{syscall.EROFS, "name a folder with --data that can be written"},
}

// report prints what went wrong and returns the exit code for it.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	if f, ok := errors.AsType[*failure](err); ok {
		a.complain(f.text, f.hint)
		return f.code
	}
	if refused, ok := errors.AsType[*admin.Error](err); ok {
		a.complain(refused.Text, refused.Hint)
		if refused.Kind == admin.KindFailed {
			return exitServer
		}
		return exitUser
	}
	if errors.Is(err, admin.ErrNoServer) {
		a.complain(err.Error(), "start it with 'posthornd serve --data DIR', or name the folder of one that runs with --data")
		return exitServer
	}
	if errors.Is(err, admin.ErrUnanswered) {
		return a.unanswered(err)
	}
	if errors.Is(err, context.Canceled) {
		a.complain("interrupted before the command came to its end: "+err.Error(), "run the command again")
		return exitUser
	}
	for _, v := range verdicts {
		if errors.Is(err, v.is) {
			a.complain(err.Error(), v.hint)
			return exitUser
		}
	}
	a.complain(err.Error(), "this should not happen; start again with --log-level debug and report what it prints")
	return exitInternal
}

// unanswered explains a command whose answer was not waited for, or was lost.
func (a *app) unanswered(err error) int {
	text, code := err.Error(), exitServer
	if errors.Is(err, context.Canceled) {
		text, code = "interrupted: "+text, exitUser
	}
	a.complain(text, "see what was done with 'posthornd status', 'posthornd user list' or 'posthornd invite list', then run the command again if it is needed")
	return code
}

func (a *app) complain(text, hint string) {
	fmt.Fprintf(a.stderr, "posthornd: error: %s\nposthornd: hint: %s\n", text, hint)
}
