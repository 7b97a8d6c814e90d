package formal

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the mutants of the models")

// edit replaces a text that occurs in the base exactly once.
type edit struct{ old, new string }

// mutant is a model with one mistake, which the named queries must show.
type mutant struct {
	name, base string
	what       string
	breaks     []int
	edits      []edit
}

// without is an edit that drops a text.
func without(text string) edit { return edit{old: text} }

var mutants = []mutant{
	{
		"start_bundle_unsigned.pv", "pq3_start.pv", "the signatures of a bundle are not checked", []int{1, 2, 3},
		[]edit{
			without("  if check(be, body, sigE) = okay then                          (* formal: sig-bundle *)\n"),
			without("  if pqcheck(bq, (bundleContext, body), sigQ) = okay then\n"),
		},
	},
	{
		"start_kem_left_out.pv", "pq3_start.pv", "the KEM secret does not enter the root step", []int{1, 2, 3},
		[]edit{
			{"const zero: key.\n", "const zero: key.\nconst noKEM: kemkey.\n"},
			{"chainKey(zero, dh(a, bpre), s, info)", "chainKey(zero, dh(a, bpre), noKEM, info)"},
			{"chainKey(zero, dh(b, pa), s, info)", "chainKey(zero, dh(b, pa), noKEM, info)"},
		},
	},
	{
		"start_no_replay_cache.pv", "pq3_start.pv", "a start is accepted however often it arrives", []int{5},
		[]edit{without(`restriction b: verkey, k: bitstring, r1: bitstring, r2: bitstring;
  event(Accepted(b, k, r1)) && event(Accepted(b, k, r2)) ==> r1 = r2.
`)},
	},
	{
		"start_ends_unbound.pv", "pq3_start.pv", "the session context (dst) is missing from the info string of the root step", []int{6},
		[]edit{
			{"  let info = (d, startLabel, bpre, pa, ct, kpre) in\n  let ck0 = chainKey(zero, dh(a", "  let info = (startLabel, bpre, pa, ct, kpre) in\n  let ck0 = chainKey(zero, dh(a"},
			{"  let info = (d, startLabel, bpre, pa, ct, kpre) in\n  let ck0 = chainKey(zero, dh(b", "  let info = (startLabel, bpre, pa, ct, kpre) in\n  let ck0 = chainKey(zero, dh(b"},
		},
	},
	{
		"start_message_unsigned.pv", "pq3_start.pv", "the signature of a first message is not checked", []int{4, 5},
		[]edit{without("  if check(ae, (messageLabel, x0, i0, pa, n0, d, ct, ph, sid, oh), s0) = okay then\n")},
	},
	{
		"start_classical_only.pv", "pq3a_start.pv", "the ML-DSA signature of a start is not checked, and the attacker is quantum", []int{3, 4, 5, 6},
		[]edit{without("  if pqcheck(aq, (startContext, d, sid, ph, pa, ct), sigS) = okay then\n")},
	},
	{
		"start_no_tag.pv", "pq3a_start.pv", "the tag is not checked, and the attacker is quantum", []int{4, 5},
		[]edit{
			without("  if t0 = mac(macKey(mk0), (messageLabel, x0, pa, n0, d, ct, ph, sid, sigS, oh)) then\n"),
			without("  if t1 = mac(macKey(mk1), (messageLabel, x1, pa, n1, d, sid, oh)) then\n"),
		},
	},
	{
		"ratchet_kem_left_out.pv", "pq3_ratchet.pv", "the KEM secret does not enter the root step of epoch 2", []int{3, 4},
		[]edit{
			{"  let rk2 = rootKey(rk1, z2, s2, info2) in\n  let ck2 = chainKey(rk1, z2, s2, info2) in\n", "  let rk2 = rootKey(rk1, z2, noKEM, info2) in\n  let ck2 = chainKey(rk1, z2, noKEM, info2) in\n"},
			{"  let rk2 = rootKey(rk1, z2, s2, info2) in\n  let mk2 = messageKey(chainKey(rk1, z2, s2, info2)) in\n", "  let rk2 = rootKey(rk1, z2, noKEM, info2) in\n  let mk2 = messageKey(chainKey(rk1, z2, noKEM, info2)) in\n"},
		},
	},
	{
		"ratchet_answer_optional.pv", "pq3_ratchet.pv", "a device that has advertised a KEM key follows an epoch without the answer", []int{8},
		[]edit{
			{"(* B opens epoch 1, which always", `let FollowTwoUnanswered(va: verkey, vb: verkey, id: bitstring, rk1: key, b1: scalar, pb1: point, pkb: kempk) =
  in(c, (x2: bitstring, i2: bitstring, pa2: point, g2: bitstring));
  let d = (suite, va, vb) in
  if check(va, (messageLabel, x2, i2, pa2, d, id, e2), g2) = okay then
  let info2 = (d, ratchetLabel, pb1, pa2) in
  let mk2 = messageKey(chainKey(rk1, dh(b1, pa2), noKEM, info2)) in
  if i2 = indicator(mk2) then
  event Followed(id, pkb).

(* B opens epoch 1, which always`},
			{"  | (FollowTwo(skB, va, vb, id, rk1, b1, pb1, kb, pkb)) ).", `  | (FollowTwo(skB, va, vb, id, rk1, b1, pb1, kb, pkb))
  | (FollowTwoUnanswered(va, vb, id, rk1, b1, pb1, pkb)) ).`},
		},
	},
	{
		"ratchet_kem_unbound.pv", "pq3_ratchet.pv", "ciphertext and KEM key are missing from the info string of an answering epoch", []int{8},
		[]edit{
			{"let info2 = (d, ratchetLabel, pb1, pa2, ct2, kb) in", "let info2 = (d, ratchetLabel, pb1, pa2) in"},
			{"let info2 = (d, ratchetLabel, pb1, pa2, ct2, pkb) in", "let info2 = (d, ratchetLabel, pb1, pa2) in"},
		},
	},
	{
		"ratchet_ecdh_reused.pv", "pq3_ratchet.pv", "a device opens epoch 2 with the ratchet key that it had in epoch 0", []int{3, 5},
		[]edit{
			{"id: bitstring, rk1: key, pb1: point, kb: kempk) =\n  new a2: scalar;\n", "id: bitstring, rk1: key, pb1: point, kb: kempk, a0: scalar) =\n  let a2 = a0 in\n"},
			{"Answering(skA, va, vb, id, rk1, pb1, kb))", "Answering(skA, va, vb, id, rk1, pb1, kb, a0))"},
		},
	},
}

// make applies the edits and turns the expectations of the broken queries.
func (m mutant) make(t *testing.T, base string) string {
	t.Helper()
	for _, e := range m.edits {
		if n := strings.Count(base, e.old); n != 1 {
			t.Fatalf("%s: %q stands %d times in %s", m.name, e.old, n, m.base)
		}
		base = strings.Replace(base, e.old, e.new, 1)
	}
	var breaks []string
	for _, q := range m.breaks {
		breaks = append(breaks, strconv.Itoa(q))
	}
	base = regexp.MustCompile(`EXPECT: query (\d+): true`).ReplaceAllStringFunc(base, func(mark string) string {
		q, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(mark, "EXPECT: query "), ": true"))
		if slices.Contains(m.breaks, q) {
			return fmt.Sprintf("EXPECT: query %d: false", q)
		}
		return mark
	})
	return fmt.Sprintf("(* MUTANT of %s, made from it by mutants_test.go:\n   %s.\n   Must become false: query %s. *)\n\n%s",
		m.base, m.what, strings.Join(breaks, ", "), base)
}

// TestMutantsGolden wants every mutant file to be its base with the edits of
// its row. With -update it writes them.
func TestMutantsGolden(t *testing.T) {
	for _, m := range mutants {
		made := m.make(t, model(t, m.base))
		if *update {
			if err := os.WriteFile(m.name, []byte(made), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if model(t, m.name) != made {
			t.Errorf("%s is not %s with the edits of its row; run the test with -update and read the difference", m.name, m.base)
		}
	}
}
