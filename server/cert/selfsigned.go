package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// What lies in the folder of a self-signed certificate.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
)

// selfSignedLife is long: clients know the certificate by its hash, which an
// invite carries, so a new one would lock all of them out.
const selfSignedLife = 30 * 365 * 24 * time.Hour

// SelfSigned returns the certificate in a folder, and makes it when there is
// none, for the hosts given: names or addresses. One that is there is kept
// whatever the hosts are now, since clients know it by its hash. The folder is
// made for its owner alone, and so is the key. ErrPair, ErrIncomplete.
func SelfSigned(folder string, hosts []string, now time.Time) (Getter, error) {
	if err := makeSelfSigned(folder, hosts, now); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, certFile), filepath.Join(folder, keyFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPair, err)
	}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }, nil
}

// SelfSignedLeaf is the DER of the certificate in a folder, whose SHA-256 an
// invite carries. fs.ErrNotExist when there is none.
func SelfSignedLeaf(folder string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(folder, certFile))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%w: %s holds no certificate", ErrPair, certFile)
	}
	return block.Bytes, nil
}

// makeSelfSigned writes what is missing. The key comes first, so that a crash
// in between leaves no certificate that nobody can use.
func makeSelfSigned(folder string, hosts []string, now time.Time) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("cert: the folder cannot be made: %w", err)
	}
	_, err := os.Stat(filepath.Join(folder, certFile))
	_, keyErr := os.Stat(filepath.Join(folder, keyFile))
	switch {
	case err == nil && errors.Is(keyErr, fs.ErrNotExist):
		return ErrIncomplete
	case err == nil:
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	leaf, err := selfSign(key, hosts, now)
	if err != nil {
		return err
	}
	if err := writePEM(folder, keyFile, "PRIVATE KEY", secret); err != nil {
		return err
	}
	return writePEM(folder, certFile, "CERTIFICATE", leaf)
}

// selfSign makes the certificate. It names hosts so that other programs than
// ours can check it too; it is no authority for any other certificate.
func selfSign(key *ecdsa.PrivateKey, hosts []string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "posthornd"},
		NotBefore: now.Add(-24 * time.Hour).UTC(), NotAfter: now.Add(selfSignedLife).UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// writePEM puts a file in place in one step, on disk and for its owner alone.
func writePEM(folder, name, kind string, content []byte) (err error) {
	f, err := os.CreateTemp(folder, "."+name+"-") // mode 0600
	if err != nil {
		return fmt.Errorf("cert: %s cannot be written: %w", name, err)
	}
	defer os.Remove(f.Name()) // fails once it has its place
	err = errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: content}), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, name))
	}
	if err != nil {
		return fmt.Errorf("cert: %s cannot be written: %w", name, err)
	}
	return syncFolder(folder)
}
