// Command posthornd is the server: a directory of accounts and one mailbox for
// each device, in one data folder. It holds no code that could read a message.
//
// Standard output carries the line that says it is ready, and nothing else but
// what a command was asked for. Standard error carries the log, one JSON object
// a line without names, addresses, sizes or contents, and lines that begin with
// "posthornd: error:" or "posthornd: hint:". The exit codes are in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	privateFiles()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &app{stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}
