// Package log keeps the log of key transparency for a server: what changed of
// which name, epoch by epoch, and proofs of it. SPEC §13.3.
//
// The truth is in records of the server's store, one for each epoch, which is
// written with compare-and-swap and never changed: it says which updates come
// next in U and what the next entry of R is. Everything else follows from them
// and may be lost: the map, and the tiles of both logs, which Tessera keeps in a
// folder, signs, shows to the witnesses and publishes. So a crash at any step is
// repaired by replay, several nodes over one store never write two epochs with
// one number, and a backup of the store is a backup of the log. What signs is
// not in the store of a single server but in the folder: see [Keys].
//
// A record is served only when a checkpoint over it meets the policy and is in
// the store: publish before serve.
//
// The folder must lie on a real POSIX file system, which has atomic renames;
// NFS and bucket mounts have not.
package log
