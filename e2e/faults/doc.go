// Package faults breaks what a real posthornd stands on, and counts what
// became of everything it had promised: the process is killed at each write,
// sync, rename and removal that it makes, the power is cut under its file
// system, its disk fills up, fails or turns read-only.
//
// Real devices drive the server over the network in a scripted run. A ledger
// has every envelope that was accepted, every ack that was confirmed and every
// bundle that was published. After a fault, a server without faults starts on
// what is left, the devices do what clients do (send again what nobody
// answered for, fetch, drop repeats by id, acknowledge), and the ledger must
// come out even.
//
// The package is for tests alone. The tests need Linux; some need root. What
// a machine lacks is said in one line.
package faults
