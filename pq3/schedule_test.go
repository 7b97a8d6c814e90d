package pq3

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/internal/codec"
)

// The known answers were computed outside this code base, by a script that
// knows HKDF and nothing of this package. Two series: a legacy suite label and
// the label of suite PQ3, over the same public values.

const (
	legacyLabel = "OPQ3-v1/P256/MLKEM1024/MLKEM768/HKDF-SHA384/AES256CTR/ECDSA-P256-SHA256"
	pq3Label    = "PQ3/P256/MLKEM1024/MLKEM768/SHA384/AES256CTR/ECDSA"
)

// classicDevice is the device form of suite PQ3 over made-up key bytes.
func classicDevice(uri string, id, key byte, sign byte) []byte {
	b := codec.AppendV16(nil, []byte(uri))
	b = codec.AppendV16(b, bytes.Repeat([]byte{id}, 32))
	return codec.AppendV16(b, append([]byte{sign}, bytes.Repeat([]byte{key}, 32)...))
}

func katContexts(label string) (aliceToBob, bobToAlice []byte) {
	alice := classicDevice("alice@example.org", 0xa1, 0xa2, 2)
	bob := classicDevice("bob@example.org", 0xb1, 0xb2, 3)
	prefix := codec.AppendV16(nil, []byte(label))
	aliceToBob = append(append(bytes.Clone(prefix), alice...), bob...)
	bobToAlice = append(append(bytes.Clone(prefix), bob...), alice...)
	return aliceToBob, bobToAlice
}

func katStart(label string) (info []byte, root rootKey, chain chainKey) {
	context, _ := katContexts(label)
	info = startInfo(context, fill(0x11, 32), fill(0x22, 32), fill(0x33, 1568), fill(0x44, 1568))
	root, chain = rootKey{}.step(count(0x00, 32), count(0x20, 32), info)
	return info, root, chain
}

func TestKnownAnswersStart(t *testing.T) {
	info, root, chain := katStart(legacyLabel)
	if sum := sha512.Sum384(info); len(info) != 3468 || hex.EncodeToString(sum[:16]) != "a387ffbf104132e2c0f38b98a5247413" {
		t.Fatalf("start info: %d bytes, hash %x", len(info), sum)
	}
	wantKey(t, "rk_0", root.Key, "e68e9d3fe919dbab1e0a2e409388a5bc00c7513a6610511e2927a60e07edc685")
	wantKey(t, "ck_0", chain.Key, "55af023585fac324fab2e679dba4f6913ba50d2b325de811ac14f4630eac20c0")
	mk, next := chain.step()
	wantKey(t, "mk_0", mk.Key, "8a255a87401d15a2c15e444e5592991b575b4237a2e43903b0943abe68255e3f")
	wantKey(t, "ck_1", next.Key, "b95b6192ba2dbb4b2f1ea3c3e8ffb464ca5b41ce4a08fa0bc41467a1212746d2")
	wantKey(t, "ind_0", mk.indicator(), "9fefaec34b18c6588a4f4ce6ed36a7911acf14bbdce548ee66381499fa423d7d")
	material := make([]byte, 48)
	expandLabel(material, mk.Key[:], labelCipher)
	if got := hex.EncodeToString(material[:16]); got != "d7b13f4845c125367c65e0db8efa2e25" {
		t.Errorf("iv = %s", got)
	}
	wantKey(t, "key", [32]byte(material[16:]), "acf2f64f50ec1f78924b2845601aa17eae51bba58aeeed5d2da22abde63f2ea0")
}

func TestKnownAnswersSuitePQ3(t *testing.T) {
	info, root, chain := katStart(pq3Label)
	if len(info) != 3447 {
		t.Fatalf("start info has %d bytes", len(info))
	}
	mk, _ := chain.step()
	wantKey(t, "rk_0", root.Key, "ee3bf547a93dcfc8b3543729ff419fd2c7f54447573f98e0115763469703897f")
	wantKey(t, "ck_0", chain.Key, "8f7c5018add41ecb6ef47ad0a4b72e76e279c68e330cc2b98cab1782baf57dbe")
	wantKey(t, "mk_0", mk.Key, "d0cb793b37ff0dd4d3941388b0ea3de37a4793e0d0072c79e945b5e5d0a823a6")
}

func TestKnownAnswersEpoch1(t *testing.T) {
	_, root, _ := katStart(legacyLabel)
	_, context := katContexts(legacyLabel)
	oldKey, newKey, ecdhSecret := fill(0x22, 32), fill(0x55, 32), count(0x40, 32)

	rk, ck := root.step(ecdhSecret, nil, ratchetInfo(context, oldKey, newKey, nil, nil))
	wantKey(t, "rk without KEM", rk.Key, "dd5672d4e55cfdd979528a8e0b2b639a18c8fc779a53397d1d7f1fb0798fa9b9")
	wantKey(t, "ck without KEM", ck.Key, "9d75a83232fde8b468527a26d395f1d723013fe99261e5f8a2faebae63c5ec60")

	info := ratchetInfo(context, oldKey, newKey, fill(0x66, 1088), fill(0x77, 1184))
	rk, ck = root.step(ecdhSecret, count(0x60, 32), info)
	wantKey(t, "rk with KEM", rk.Key, "9a7131ab1d94e69bc88e418265ea800d4361dbe3c5669f6896b296633fdd6857")
	wantKey(t, "ck with KEM", ck.Key, "ef3f5b6d4cc51cdb8b853078933dc333faab942d54ea14c417276ceecdf3371c")
}

func TestV66AllZeroKEMSecretRefused(t *testing.T) {
	if err := checkKEMSecret(make([]byte, 32)); !errors.Is(err, ErrHeader) {
		t.Fatalf("all-zero KEM secret: %v", err)
	}
	if err := checkKEMSecret(fill(1, 32)); err != nil {
		t.Fatalf("ordinary KEM secret: %v", err)
	}
}

func wantKey[K ~[32]byte](t *testing.T, name string, got K, want string) {
	t.Helper()
	raw := [32]byte(got)
	if hex.EncodeToString(raw[:]) != want {
		t.Errorf("%s = %x, want %s", name, raw, want)
	}
}

func fill(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}
