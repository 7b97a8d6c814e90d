package content

import (
	"errors"
	"unicode/utf8"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// MaxText is the greatest length of a text: 64 KiB of UTF-8.
const MaxText = 64 << 10

var (
	// ErrTextTooLong: the text does not fit; longer ones go as attachments.
	ErrTextTooLong = errors.New("content: text is longer than 65,536 bytes")
	// ErrText: the text is empty or not UTF-8.
	ErrText = errors.New("content: text is empty or not valid UTF-8")
)

// Text is what a person wrote, byte for byte.
type Text struct{ Text string }

func (Text) kind() kind { return kindText }

func (t Text) appendTo(dst []byte) ([]byte, error) {
	if err := CheckText(t.Text); err != nil {
		return nil, err
	}
	return append(dst, t.Text...), nil
}

// CheckText reports whether a text can be sent.
func CheckText(s string) error {
	if len(s) > MaxText {
		return reject.New("V-72", ErrTextTooLong, "")
	}
	if s == "" || !utf8.ValidString(s) {
		return reject.New("V-73", ErrText, "")
	}
	return nil
}

// readText takes the rest of the message: the padding below already keeps the
// exact length.
func readText(r *codec.Reader) (Body, error) {
	text := string(r.Bytes(r.Len()))
	if err := CheckText(text); err != nil {
		return nil, err
	}
	return Text{Text: text}, nil
}
