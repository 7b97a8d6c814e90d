// Command posthorn is the client: it registers an account, sends and reads
// end-to-end encrypted messages, and shows the security state of every
// conversation.
//
// Results go to standard output, everything else to standard error, in lines
// that begin with "posthorn: error:", "posthorn: hint:" or "posthorn: note:".
// No output is coloured, so NO_COLOR needs no setting, and text from other
// people never carries control characters to the terminal. The exit codes are
// in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}
