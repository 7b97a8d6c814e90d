package attachment_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/internal/secret"
)

func ExampleSeal() {
	key := &secret.Key{} // draw 32 random bytes for each file
	file := "A letter"
	c, err := attachment.NewCipher(key, uint64(len(file)))
	if err != nil {
		panic(err)
	}
	var stored, saved bytes.Buffer
	digest, err := attachment.Seal(&stored, strings.NewReader(file), c)
	if err != nil {
		panic(err)
	}
	fmt.Println(stored.Len(), "bytes for the server")
	if err := attachment.Open(&saved, &stored, c, digest); err != nil {
		panic(err)
	}
	fmt.Println(saved.String())
	// Output:
	// 1040 bytes for the server
	// A letter
}
