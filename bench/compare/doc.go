//go:build unix

// Command compare measures posthornd beside the servers that people run today,
// in one run on one machine: ejabberd and Prosody for stored messages, ejabberd
// and Mosquitto for messages to receivers that are connected. Each is the real
// program of its Debian package with its usual store, on loopback, driven over
// as many connections with bodies of the same size; the rounds alternate and
// the table has their medians.
//
//	go run ./bench/compare            (or: make compare)
//
// Senders wait for each answer before their next message, as a person's device
// does; in further rows they have 16 under way, whatever the server. posthornd is
// driven over send streams, and in a row of its own with a call for each request.
//
// Every message is counted where it arrives, so a server that drops some is
// not faster for it. posthornd syncs to the disk before it answers; the others
// do not, and the table says so.
package main
