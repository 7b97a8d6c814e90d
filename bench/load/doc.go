// Command load drives a posthornd through its real interface, the way real devices
// do: every device has real keys and proves them, every payload is a real PQ3
// message sealed in a running session, every delivery is acknowledged. It
// keeps an account of each envelope that the server accepted, and fails when
// one is lost, altered, out of order or delivered again after its ack.
//
//	go run ./bench/load --server http://127.0.0.1:7480 --scenario stored
//
// The scenarios are listed by --help. The messages of a run are sealed before
// it begins, so that the machine's time goes to the server under test and not
// to the cryptography of its callers.
package main
