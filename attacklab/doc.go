// Package attacklab lets real attack code loose on real ciphertext, at every
// security level of package suite, and measures what it reads.
//
//	scenario ──▶ simulation ──▶ harvest, compromise ──▶ attack ──▶ plaintexts
//	 text files    devices,       what was on the wire,   derives    compared with
//	 and a seed    network,       what the server keeps,  keys,      what was sent:
//	               clock          what was seized         decrypts   Reading
//	                   └────────▶ oracle ──────────────────▲
//	                              key pairs by their public half
//
// A text counts as read only if the attacker's bytes equal those that were
// sent. The lab hands the attacker the classical private keys; no quantum
// computer is used (docs/adr/0023-attack-lab.md says what the oracle may do).
//
// Everything follows from the scenario and its seed, so a result can be made
// again byte for byte. Nothing here opens a connection, reads a clock or keeps
// state; the files are written by cmd/posthorn-lab.
package attacklab
