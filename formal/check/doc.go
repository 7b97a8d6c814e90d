// Package check decides the queries of the models in formal/, without
// ProVerif. It reads the part of ProVerif's typed language that the models use
// and refuses everything else, checks the types, translates the process into
// Horn clauses, and saturates them by resolution with free selection.
//
// The method is Blanchet's, published in "An Efficient Cryptographic Protocol
// Verifier Based on Prolog Rules" (2001) and "Automatic Verification of
// Correspondences for Security Protocols" (2009). A clause says: who knows
// this, and after these events, can know that. Names are functions of the
// sessions and inputs that they were made after, phases and tables are
// predicates, and the one equation that is supported, the symmetry of
// Diffie-Hellman, becomes a second rewrite rule.
//
// A query is true if no derivation of its left side escapes its right side.
// The clauses know more runs than there are (a message can be received twice,
// for one), so true is true of the model, and "not true" means that a
// derivation exists, which need not be a run. This checker was not verified
// itself. It is a second reader of the models, no replacement for ProVerif.
//
// Tests alone import it.
package check
