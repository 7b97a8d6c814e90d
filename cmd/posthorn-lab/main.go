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
	"os"
)

func main() {
	os.Exit(run(&app{stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:]))
}
