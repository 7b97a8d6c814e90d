// Command posthorn-demo is the first minute with Posthorn: a server and two
// people, Alice and Bob, in one process on loopback. In a terminal, typed lines
// go from one to the other and back, each with its size on the wire and the
// security state of the conversation. Without a terminal it plays a scripted
// conversation and prints a summary. Everything lies in one temporary folder,
// which is removed at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	play := script
	if term.IsTerminal(int(os.Stdin.Fd())) {
		play = talk
	}
	err := onStage(ctx, os.Stdout, play)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "posthorn-demo: error: %v\n", err)
		os.Exit(1)
	}
}
