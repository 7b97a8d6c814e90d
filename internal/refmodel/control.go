package refmodel

// Control is a note outside every session. SPEC §10.5.
type Control struct {
	Type     byte
	SID      []byte
	Epoch, N uint32
	Hash     []byte
	Time     uint64
	Nonce    []byte
}

// head is the first 90 bytes. SPEC §10.5.
func (c *Control) head() []byte {
	return cat(u8(0x81), u8(c.Type), c.SID, u32(c.Epoch), u32(c.N), c.Hash, u64(c.Time), c.Nonce)
}

func controlSigned(dst, head []byte) []byte { return cat([]byte("posthorn/ctl/v1"), dst, head) }

// SealControl signs a note about a message for the peer. SPEC §10.5.
func SealControl(me *Own, peer *Device, kind byte, about *Message, now uint64, read Read) (wire []byte, err error) {
	defer caught(&err)
	c := &Control{
		Type: kind, SID: about.SID, Epoch: about.Epoch, N: about.N,
		Hash: sha384(about.Bytes()), Time: now, Nonce: draw(read, 16),
	}
	suite := chosenSuite(&me.Device, peer)
	require(suite != 0, "V-36")
	context := dst(suite, &me.Device, peer)
	return cat(c.head(), me.signHybrid(controlSigned(context, c.head()), "posthorn/ctl/v1")), nil
}

// OpenControl reads and verifies a note: V-62, V-63, V-64. SPEC §10.5.
func OpenControl(me *Own, peer *Device, wire []byte, now uint64) (c *Control, err error) {
	defer caught(&err)
	require(len(wire) == 3463, "V-62")
	r := &reader{wire, "V-62"}
	require(r.u8() == 0x81, "V-62")
	c = &Control{Type: r.u8(), SID: r.take(8), Epoch: r.u32(), N: r.u32(), Hash: r.take(48), Time: r.u64(), Nonce: r.take(16)}
	require(c.Type == 1 || c.Type == 2, "V-62")
	suite := chosenSuite(&me.Device, peer)
	require(suite != 0, "V-36")
	context := dst(suite, peer, &me.Device)
	require(peer.verifiesHybrid(controlSigned(context, c.head()), r.take(3373), "posthorn/ctl/v1"), "V-63")
	require(c.Time <= now+5*minute && now <= c.Time+24*hour, "V-64")
	return c, nil
}
