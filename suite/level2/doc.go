// Package level2 is Level 2: post-quantum at the start, classical from then on.
// It follows Signal's public specification "The PQXDH Key Agreement Protocol",
// revision 3 (2024-01-23), with ML-KEM-1024 (FIPS 203) as its KEM, and the
// Double Ratchet of package level1 unchanged.
//
// A prekey record has one more key, and a start one more ciphertext, whose
// secret goes behind the agreements into the key derivation. That is the whole
// difference, so this package holds nothing else: the files that are missing
// here are level1's. Afterwards the ratchet is classical, which is the point of
// the level: a quantum computer that has one session state reads everything
// after it.
//
// Where this differs from Signal: of the two kinds of KEM prekeys there is only
// the reusable one, which Signal keeps as a last resort; one Ed25519 signature
// covers both signed prekeys; and, as at Level 1, the whole header is
// authenticated and byte formats are ours. There are no published test vectors
// of PQXDH; ML-KEM is held to those of NIST, as pq3's is.
package level2
