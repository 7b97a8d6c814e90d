//go:build testhooks

package secret

import (
	"encoding/hex"
	"os"
	"sync"
	"time"
)

// secretsFile names the environment variable that names the file that Created
// appends to.
const secretsFile = "POSTHORN_TEST_SECRETS_FILE"

// maxCreated is the greatest secret that Created records, in bytes.
const maxCreated = 1024

// record is the one line being written. It is reused and wiped, so that the
// process keeps no copy of what a scan of its memory will look for.
var record struct {
	sync.Mutex
	opened bool
	file   *os.File
	line   [2*maxCreated + 256]byte
}

// Created appends one line of JSON with kind, hex and at to the file named by
// POSTHORN_TEST_SECRETS_FILE; without the variable it does nothing. A kind is a
// term of SPEC §2 or a word for one of the client's own keys. It panics when
// the file cannot be written, because a test would else miss secrets silently.
func Created(kind string, b []byte) {
	if len(b) > maxCreated {
		panic("secret: Created: more bytes than a secret has")
	}
	record.Lock()
	defer record.Unlock()
	if !record.opened {
		record.file, record.opened = openRecord(), true
	}
	if record.file == nil {
		return
	}
	line := append(record.line[:0], `{"kind":"`+kind+`","hex":"`...)
	line = hex.AppendEncode(line, b)
	line = append(line, `","at":"`...)
	line = time.Now().UTC().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `"}`+"\n"...)
	_, err := record.file.Write(line)
	clear(line)
	if err != nil {
		panic("secret: " + secretsFile + ": " + err.Error())
	}
}

// openRecord opens the file once; every line is one write at its end, so that
// several processes may share it.
func openRecord() *os.File {
	name := os.Getenv(secretsFile)
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic("secret: " + secretsFile + ": " + err.Error())
	}
	collectOnSignal()
	return file
}
