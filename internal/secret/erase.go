package secret

// Wipe overwrites buffers that held secrets and are used no more. It reaches
// these bytes alone: a copy that append or a conversion made elsewhere stays.
func Wipe(buffers ...[]byte) {
	for _, b := range buffers {
		clear(b)
	}
}
