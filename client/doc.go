// Package client is the engine behind every Posthorn front end: one account on
// one device, its encrypted profile, and the conversation with its server.
//
// # Life of a message
//
//	Send                                     Receive
//	name -> account, roster verified         stream yields a delivery
//	content.Encode                           sender's device from its roster
//	one transaction for each device:         pq3.ParseMessage
//	  load sessions, or pq3.Initiate         one transaction:
//	  Session.Seal                             Session.Open or pq3.Accept
//	  next session + envelope + text           content.Decode, apply
//	commit                                     next session + message + envelope id
//	transmit until the server accepts        commit
//	                                         acknowledge to the server
//
// Nothing leaves the machine before the session that sealed it is on disk, and
// nothing is acknowledged before it is stored or refused for good. A retry
// sends the same bytes under the same envelope id. So a crash at any point
// loses no message, repeats no key, and shows no message twice.
//
// # What strangers learn
//
// Only contacts, people this account has written to or accepted, get delivery
// receipts, rekey answers, requests for lost objects and repair requests. To
// anybody else this device looks as if it had never come online.
//
// # Concurrency
//
// A Client is safe for concurrent use. The database admits one writer at a
// time and the profile lock one process, so sessions advance one step after
// the other. One goroutine at a time holds the line to the server (Run, Sync,
// or whoever waits for an answer).
package client
