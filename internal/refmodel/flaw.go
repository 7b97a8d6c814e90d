package refmodel

import "math/big"

// Flaw is one deliberate deviation from SPEC.
type Flaw string

// The deviations that can be planted. Each is wrong at one place only.
const (
	AnswerUnenforced    Flaw = "follows an epoch without the KEM answer it owes"  // §8.2
	AnswerUnsaid        Flaw = "opens an epoch without the KEM answer it owes"    // §8.1
	PreviousIgnored     Flaw = "does not pass the rest of the old chain"          // §7.2
	PreviousUnsaid      Flaw = "always says pn = 0"                               // §8.1
	SaltAndInputSwapped Flaw = "takes the KEM secret as input, not as salt"       // §6.1
	RatchetKeysSwapped  Flaw = "writes new before old"                            // §6.4
	TagOverOnes         Flaw = "computes the tag over another x than zeros"       // §9.2
	PacedByIndex        Flaw = "carries objects where n is a power of two"        // §9.3
	RekeyCounted        Flaw = "counts the message that completes a rekey"        // §8.3
	ReceivedUncounted   Flaw = "does not count received messages"                 // §8.3
	FirstChainSilent    Flaw = "does not advertise in epoch 1"                    // §8.3
	HardLimitLate       Flaw = "seals a millisecond too long"                     // §8.4
	HighSAccepted       Flaw = "accepts the greater s"                            // §3.6
	SkippedKeptAfterUse Flaw = "keeps a skipped key after use"                    // §7.2
	SkippedNeverExpire  Flaw = "keeps skipped keys for ever"                      // §7.2
	SkippedOneMore      Flaw = "keeps 1,025 skipped keys"                         // §7.2
	ChainUnchecked      Flaw = "does not hold a message against its chain"        // §9.3
	PaddingUnchecked    Flaw = "does not check the padding"                       // §9.4
	RefusalsMove        Flaw = "works on the state itself, not on a copy"         // §9.6
	StartTimedOnArrival Flaw = "takes the arrival of a start for its time"        // §5.3
	StartAgeUnchecked   Flaw = "accepts starts of any age"                        // §5.3
	ReplaysAccepted     Flaw = "accepts a start twice"                            // §5.4
	LeastSessionFirst   Flaw = "sends on the session with the least (start, sid)" // §10.4
)

// Flaws lists every deviation.
func Flaws() []Flaw {
	return []Flaw{
		AnswerUnenforced, AnswerUnsaid, PreviousIgnored, PreviousUnsaid, SaltAndInputSwapped, RatchetKeysSwapped,
		TagOverOnes, PacedByIndex, RekeyCounted, ReceivedUncounted, FirstChainSilent, HardLimitLate, HighSAccepted,
		SkippedKeptAfterUse, SkippedNeverExpire, SkippedOneMore, ChainUnchecked, PaddingUnchecked, RefusalsMove,
		StartTimedOnArrival, StartAgeUnchecked, ReplaysAccepted, LeastSessionFirst,
	}
}

// Deviation is how a device breaks the rules: a flaw, or a hand in what it
// seals before proof and signature are made.
type Deviation struct {
	Flaw
	Message func(*Message)            // changes the message
	Frame   func(frame []byte) []byte // changes the padded plaintext
}

func (d Deviation) message(m *Message) {
	if d.Message != nil {
		d.Message(m)
	}
}

func (d Deviation) frame(frame []byte) []byte {
	if d.Frame != nil {
		return d.Frame(frame)
	}
	return frame
}

// Deviating is the session in the hands of a device that breaks the rules.
func (s *Session) Deviating(d Deviation) *Session {
	next, me := s.copy(), *s.me
	me.Deviation = d
	next.me, next.ahead = &me, nil
	return next
}

// Refit says what a forger makes fit its changed message again.
type Refit struct{ SID, PQSig, Odig bool }

// Apply makes the chosen fields fit the others.
func (r Refit) Apply(m *Message, sender *Own, receiver *Device) {
	context := dst(m.Version, &sender.Device, receiver)
	if r.SID && m.PreKeyHash != nil {
		m.SID = sessionID(m.PreKeyHash, m.ECDHPK, m.KEMCT)
	}
	if r.PQSig && m.PQSig != nil {
		m.PQSig = sender.signMLDSA(startSigned(context, m.SID, m.ECDHPK, m.Objects), "posthorn/pq3a/start/v1")
	}
	if r.Odig && m.carries() {
		m.Odig = objectsHash(context, m.SID, m.Epoch, m.ECDHPK, m.Objects)[:8]
	}
}

// Forge changes a message as somebody with the sender's signing keys and none
// of its session secrets can. The proof stays.
func Forge(sender *Own, receiver *Device, m *Message, refit Refit, change func(*Message)) []byte {
	forged := *m
	change(&forged)
	refit.Apply(&forged, sender, receiver)
	context := dst(forged.Version, &sender.Device, receiver)
	forged.Signature = signECDSA(sender.Scalar, forged.covered(context, forged.Proof))
	return forged.Bytes()
}

// HighS replaces s of a signature by N − s, which verifies as well. SPEC §3.6.
func HighS(signature []byte) []byte {
	s := new(big.Int).SetBytes(signature[32:])
	return cat(signature[:32], new(big.Int).Sub(groupOrder(), s).FillBytes(make([]byte, 32)))
}
