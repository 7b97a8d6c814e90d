// Package witness watches logs: it cosigns a checkpoint only if it continues the
// one that it cosigned last, so a log that shows two histories needs as many
// dishonest witnesses as its policy asks for. It speaks C2SP tlog-witness and signs
// with Ed25519 and ML-DSA-44 (C2SP tlog-cosignature).
//
// Everything it knows is in one file: its keys, and for each log the size and
// root of the last checkpoint. The file is replaced and synced before an answer
// is given, so no crash makes it forget what it has signed. The file must not be
// restored from a copy: a witness that went back in time can be shown a fork.
package witness
