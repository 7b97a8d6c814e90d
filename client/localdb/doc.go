// Package localdb is one profile's encrypted storage: everything a device must
// remember between two runs, in one SQLite file (ARCHITECTURE.md, "the
// profile").
//
//	HOME/           0700
//	  lock          held while a process uses the profile
//	  key.json      the wrapped master key, never the key itself
//	  posthorn.db   SQLite, every page under Adiantum
//
// # Keys
//
// A random master key of 32 bytes is wrapped with AES-256-GCM, either under a
// key that the operating system's key store holds or under Argon2id of a
// passphrase. HKDF-SHA-384 turns the master key into a page key, under which
// Adiantum encrypts the whole file, and a row key. Session states, skipped
// message keys, prekeys, the device's own seeds and texts that wait for a
// recipient are sealed a second time, with AES-256-GCM under the row key, bound
// to table, column and primary key: Adiantum hides but does not authenticate.
// An older copy of the whole file is not detected by either; Restored tells
// about the copies that can be noticed.
//
// # Durability
//
// Every Update is one transaction with synchronous=FULL and returns after the
// data is on the disk, so that a caller persists before it transmits. The
// journal mode is TRUNCATE and not WAL on purpose: a write-ahead log would keep
// earlier session states readable (to whoever later learns the key) until it is
// overwritten, whereas a rollback journal is emptied at each commit and
// secure_delete overwrites what is deleted in the file itself.
//
// # Concurrency
//
// A DB may be used by several goroutines; its transactions run one at a time. A
// Tx is for the goroutine and the duration of its callback. A callback must not
// call View or Update of the same DB: it would wait for itself.
//
// All times are milliseconds since the Unix epoch and below 2^63.
package localdb
