package check

import (
	"fmt"
	"strings"
	"unicode"
)

// token is one word or sign of a model, with its line.
type token struct {
	text string
	line int
}

// signs are the tokens that are no words, the longer ones first.
var signs = []string{"==>", "&&", "||", "(", ")", ",", ";", ":", ".", "=", "!", "|", "[", "]"}

// lex splits a model into tokens and drops its comments, which do not nest.
func lex(text string) (tokens []token, err error) {
	line := 1
	for text != "" {
		switch {
		case text[0] == '\n':
			line++
			text = text[1:]
		case unicode.IsSpace(rune(text[0])):
			text = text[1:]
		case strings.HasPrefix(text, "(*"):
			inside, after, closed := strings.Cut(text[2:], "*)")
			if !closed || strings.Contains(inside, "(*") {
				return nil, fmt.Errorf("line %d: a comment that is not closed, or one in another", line)
			}
			line += strings.Count(inside, "\n")
			text = after
		default:
			n := wordLength(text)
			if n == 0 {
				n = signLength(text)
			}
			if n == 0 {
				return nil, fmt.Errorf("line %d: unexpected %q", line, text[0])
			}
			tokens = append(tokens, token{text[:n], line})
			text = text[n:]
		}
	}
	return tokens, nil
}

func wordLength(text string) int {
	for i, r := range text {
		if !(r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return i
		}
	}
	return len(text)
}

func signLength(text string) int {
	for _, s := range signs {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	return 0
}

// reserved are words of ProVerif that name nothing else.
var reserved = strings.Fields(`among axiom channel choice clauses const def diff do elimtrue else equation
	equivalence event expand fail for forall foreach free fun get if implementation in insert lemma let letfun
	letproba new noninterf noselect not nounif or otherwise out param phase pred proba process proof public_vars
	putbegin query reduc restriction secret select set suchthat sync table then type weaksecret yield`)
