package explorer

// mayBeKnown is what the published analysis concedes about one sent message:
// it stays secret unless one of the cases below happened. It looks at what
// leaked and at nothing that the closure computes. The wording is that of the
// secrecy lemma (SPEC §16.1); where the lemma says "identity key compromised
// before the message was sent", this demands more, see letter.compromised.
func (l *lab) mayBeKnown(w *world, m *letter) bool {
	leaked := func(t *term) bool { return hasTerm(w.leaks.duties, t) }
	e := m.epoch

	// The attacker wrote it.
	if m.forgedWith != 0 {
		return true
	}
	// Its message key leaked, at either end.
	if l.fault != noMessageKeyClause && leaked(m.messageKey()) {
		return true
	}
	// The chain key of its position or of an earlier one of the chain leaked.
	for n := uint32(0); l.fault != noChainKeyClause && n <= m.fields.n; n++ {
		if leaked(e.chain[n]) {
			return true
		}
	}
	// The recipient's name could be borne by somebody else.
	if l.fault != noIdentityClause && m.compromised {
		return true
	}
	return l.classicalPartOpen(w, e, leaked) && l.quantumPartOpen(e, leaked)
}

// classicalPartOpen: a private key of the epoch's ECDH leaked, prekey
// included, or the attacker is quantum.
func (l *lab) classicalPartOpen(w *world, e *epoch, leaked func(*term) bool) bool {
	if l.fault != noECDHKeyClause && (leaked(e.ratchet) || leaked(e.agreedWith)) {
		return true
	}
	return l.fault != noQuantumClause && w.leaks.quantum
}

// quantumPartOpen: the private key behind the latest KEM secret leaked, prekey
// included, or the root key of an earlier epoch under the same KEM secret.
func (l *lab) quantumPartOpen(e *epoch, leaked func(*term) bool) bool {
	latest := e
	for latest.answered == nil {
		latest = latest.parent
		if l.fault != noRootKeyClause && leaked(latest.root) {
			return true
		}
	}
	return l.fault != noKEMKeyClause && leaked(latest.answered)
}
