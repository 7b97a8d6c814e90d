package server

import (
	"crypto/rand"

	"google.golang.org/protobuf/proto"
)

// Whoever sees how long an encrypted answer is should not see whether a name,
// or a device, exists: answers to look-ups are padded to multiples of
// answerClass, and refusals to one. Accounts with many devices take more than
// one.
const answerClass = 8 << 10

// answerPadding fills up an answer.
func answerPadding(m proto.Message) []byte {
	const field = 3 // tag and length of the padding itself
	return noise(answerClass - (proto.Size(m)+field)%answerClass)
}

// refusalPadding is for a detail that the Connect protocol writes twice: its
// bytes in base64, and again as JSON, where the padding is in base64 once more.
func refusalPadding(text, detail int) []byte {
	const around = 170 // of the JSON, but text and detail
	return noise((answerClass - around - text - detail*7/3) * 3 / 8)
}

// noise cannot be compressed by anything on the way.
func noise(n int) []byte {
	b := make([]byte, max(n, 0))
	_, _ = rand.Read(b)
	return b
}
