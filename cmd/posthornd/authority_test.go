package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// acmeServer is a running ACME server, pinned in tools/go.mod.
type acmeServer struct {
	directory string // its ACME address
	admin     string
	roots     string // PEM file: how to know it
	target    string // the address at which it looks for the challenge
	logFile   string
}

// startAuthority builds and runs it. Names resolve to this machine.
func startAuthority(t *testing.T) *acmeServer {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "acme-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/go.mod", "-o", program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		machine.Lacks(t, "the ACME server of tools/go.mod cannot be built here (%v: %.200s)", err, out)
	}
	listen, admin, target := machine.Address(t), machine.Address(t), machine.Address(t)
	host, port, _ := net.SplitHostPort(target)
	number, _ := strconv.Atoi(port)
	listenHost, _, _ := net.SplitHostPort(listen)
	certFile, keyFile := ownPair(t, listenHost)
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": admin, "certificate": certFile, "privateKey": keyFile,
		"httpPort": 1, "tlsPort": number, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(folder, "acme.json")
	if err := os.WriteFile(config, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &acmeServer{"https://" + listen + "/dir", admin, certFile, target, filepath.Join(folder, "log")}
	a.run(t, program, "-config", config, "-dnsserver", startNames(t, net.ParseIP(host).To4()))
	return a
}

// run starts the program and ends it with the test.
func (a *acmeServer) run(t *testing.T, program string, args ...string) {
	t.Helper()
	log, err := os.Create(a.logFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, program, args...)
	process.Stdout, process.Stderr = log, log
	process.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = process.Wait(); _ = log.Close() })
	for end := time.Now().Add(testPatience); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", a.admin); err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the ACME server does not start\n%s", a.log(t))
		}
	}
}

// root is the certificate, PEM, that those it gives lead up to.
func (a *acmeServer) root(t *testing.T) []byte {
	t.Helper()
	network := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	answer, err := (&http.Client{Transport: network}).Get("https://" + a.admin + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (a *acmeServer) log(t *testing.T) []byte {
	text, err := os.ReadFile(a.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// startNames is a name server to which every name is one address of this machine. The ACME
// server asks it over TCP.
func startNames(t *testing.T, ip net.IP) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerNames(c, ip)
		}
	}()
	return l.Addr().String()
}

// answerNames answers the questions of one connection.
func answerNames(c net.Conn, ip net.IP) {
	defer c.Close()
	var size [2]byte
	for {
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := nameAnswer(query, ip)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// nameAnswer answers a question of one name: an address for type A, and nothing
// of any other type (RFC 1035).
func nameAnswer(query []byte, ip net.IP) []byte {
	const header = 12
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	if len(query) < end {
		return nil
	}
	out := append([]byte(nil), query[:end]...)
	out[2], out[3] = 0x84, 0x00
	copy(out[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if query[end-4] == 0 && query[end-3] == 1 {
		out[7] = 1
		out = append(append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4), ip...)
	}
	return out
}
