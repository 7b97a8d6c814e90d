package content

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// Bounds of a message with files.
const (
	// MaxFiles is how many files one message carries.
	MaxFiles = 16
	// MaxFileName is the longest file name, in bytes of UTF-8.
	MaxFileName = 255
	// MaxMediaType is the longest media type, in bytes.
	MaxMediaType = 127
	// MaxFileSize is the greatest file, in bytes: 1 TiB.
	MaxFileSize = 1 << 40
)

// ErrFiles: a message with no files, with too many, with one twice, or with
// one whose name, media type or size is not acceptable.
var ErrFiles = errors.New("content: files of the message are not acceptable")

// FileID names a sealed file on the server that keeps it.
type FileID [16]byte

// String is lower-case hex.
func (id FileID) String() string { return hex.EncodeToString(id[:]) }

// ParseFileID reads the form that String gives, and no other.
func ParseFileID(s string) (FileID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(FileID{}) || hex.EncodeToString(b) != s {
		return FileID{}, errors.New("content: an attachment id is 32 lower-case hexadecimal digits")
	}
	return FileID(b), nil
}

// File is where an attachment lies and what opens it. Name and Type are the
// sender's word: a name may hold anything, such as a path or control
// characters, so never use it as one without making it safe.
type File struct {
	ID     FileID
	Key    secret.Key
	Digest [48]byte // SHA-384 of the sealed file
	Size   uint64   // bytes of the file itself; what is stored follows from it
	Name   string   // as the sender had it, without its folder
	Type   string   // media type; empty: not known
}

// Format shows nothing of a file, whose key is in it.
func (f File) Format(s fmt.State, _ rune) { secret.Redact(s) }

// Files is one or more attachments with an optional text.
type Files struct {
	Files []File
	Text  string // may be empty
}

// Format shows nothing of the files.
func (f Files) Format(s fmt.State, _ rune) { secret.Redact(s) }

func (Files) kind() kind { return kindFiles }

func (f Files) appendTo(dst []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	dst = append(dst, byte(len(f.Files)))
	for _, file := range f.Files {
		dst = append(dst, file.ID[:]...)
		dst = append(dst, file.Key[:]...)
		dst = append(dst, file.Digest[:]...)
		dst = binary.BigEndian.AppendUint64(dst, file.Size)
		dst = codec.AppendV16(dst, []byte(file.Name))
		dst = codec.AppendV16(dst, []byte(file.Type))
	}
	return append(dst, f.Text...), nil
}

func (f Files) check() error {
	if len(f.Files) == 0 || len(f.Files) > MaxFiles {
		return reject.New("V-134", ErrFiles, "not 1 to 16 files")
	}
	seen := make(map[FileID]bool, len(f.Files))
	for _, file := range f.Files {
		if seen[file.ID] {
			return reject.New("V-134", ErrFiles, "one file twice")
		}
		seen[file.ID] = true
		if err := CheckFile(file.Name, file.Type, file.Size); err != nil {
			return err
		}
	}
	if f.Text == "" {
		return nil
	}
	return CheckText(f.Text)
}

// CheckFile reports whether a file of that name, type and size can be sent.
func CheckFile(name, mediaType string, size uint64) error {
	if name == "" || len(name) > MaxFileName || !utf8.ValidString(name) {
		return reject.New("V-135", ErrFiles, "a name has 1 to 255 bytes of UTF-8")
	}
	if !isMediaType(mediaType) {
		return reject.New("V-135", ErrFiles, "not a media type")
	}
	if size > MaxFileSize {
		return reject.New("V-135", ErrFiles, "over 1 TiB")
	}
	return nil
}

// isMediaType accepts type/subtype in lower case without parameters, or
// nothing.
func isMediaType(s string) bool {
	if s == "" {
		return true
	}
	slashes := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/' && i > 0 && i < len(s)-1:
			slashes++
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '+', c == '-', c == '_':
		default:
			return false
		}
	}
	return slashes == 1 && len(s) <= MaxMediaType
}

func readFiles(r *codec.Reader) (Body, error) {
	n := int(r.U8())
	if n > MaxFiles {
		return nil, reject.New("V-134", ErrFiles, "not 1 to 16 files")
	}
	f := Files{Files: make([]File, n)}
	for i := range f.Files {
		f.Files[i] = readFile(r)
	}
	if r.Failed() {
		return nil, reject.New("V-70", ErrMalformed, "truncated files")
	}
	f.Text = string(r.Bytes(r.Len()))
	if err := f.check(); err != nil {
		return nil, err
	}
	return f, nil
}

// readFile takes one file; a name or type that is too long fails the reader.
func readFile(r *codec.Reader) (f File) {
	r.Copy(f.ID[:])
	r.Copy(f.Key[:])
	r.Copy(f.Digest[:])
	f.Size = r.U64()
	f.Name = string(r.V16(MaxFileName))
	f.Type = string(r.V16(MaxMediaType))
	return f
}
