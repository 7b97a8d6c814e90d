package content_test

import (
	"fmt"

	"github.com/posthorn/posthorn/content"
)

func ExampleDecode() {
	sealedLater, err := content.Encode(content.Message{SentAt: 1763812800000, Body: content.Text{Text: "See you at eight"}})
	if err != nil {
		panic(err)
	}
	m, err := content.Decode(sealedLater)
	if err != nil {
		panic(err)
	}
	switch body := m.Body.(type) {
	case content.Text:
		fmt.Println(body.Text)
	case content.Receipt:
		fmt.Println(len(body.Delivered), "delivered")
	}
	// Output: See you at eight
}
