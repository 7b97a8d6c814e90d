// Command posthorn-lab runs the attack lab: scenarios in which attackers record,
// seize devices and are given the classical private keys that a quantum
// computer would find, at every security level. It opens no connection and
// needs no server.
//
// Standard output carries results, standard error everything else: progress,
// where it is a terminal, and lines that begin with "posthorn-lab: error:" or
// "posthorn-lab: hint:". The exit codes are in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &app{stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}
