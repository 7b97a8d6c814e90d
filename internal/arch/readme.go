package arch

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// firstMinute are the first commands of the README, and all that a fresh clone
// needs.
var firstMinute = []string{"go run ./cmd/posthorn-demo", "go test ./..."}

// brokenCommands reports commands in the README and in CONTRIBUTING that do not
// exist: Go packages, make targets, and subcommands of our programs.
func brokenCommands(r *repository) (broken []string) {
	first := commands(r.texts["README.md"])
	if len(first) < len(firstMinute) || !slices.Equal(first[:len(firstMinute)], firstMinute) {
		broken = append(broken, "README.md: its first commands are not "+strings.Join(firstMinute, " and "))
	}
	for _, doc := range []string{"README.md", "CONTRIBUTING.md"} {
		for _, line := range commands(r.texts[doc]) {
			if why := unknownCommand(r, strings.Fields(line)); why != "" {
				broken = append(broken, doc+": \""+line+"\": "+why)
			}
		}
	}
	return broken
}

var fence = regexp.MustCompile("(?ms)^```(?:sh|console)?\n(.*?)^```$")

// commands lists the lines of a document's shell blocks, without prompts,
// comments and settings of variables in front.
func commands(doc string) (lines []string) {
	for _, block := range fence.FindAllStringSubmatch(doc, -1) {
		for _, line := range strings.Split(block[1], "\n") {
			line, _, _ = strings.Cut(line, " #")
			line = strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(line, "$ ")), " &")
			if line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func unknownCommand(r *repository, words []string) string {
	switch {
	case words[0] == "make":
		return unknownTargets(r, words[1:])
	case words[0] == "go" && len(words) > 2 && words[1] == "run":
		return unknownProgram(r, words[2])
	case strings.HasPrefix(path.Base(words[0]), "posthorn"):
		return unknownSubcommand(r, path.Base(words[0]), words[1:])
	}
	return ""
}

func unknownTargets(r *repository, words []string) string {
	for _, w := range words {
		isTarget := !strings.Contains(w, "=")
		if isTarget && !strings.Contains("\n"+r.texts["Makefile"], "\n"+w+":") {
			return "the Makefile has no target " + w
		}
	}
	return ""
}

func unknownProgram(r *repository, arg string) string {
	folder, local := strings.CutPrefix(arg, "./")
	if local && !r.exists(folder) {
		return "no package " + arg
	}
	return ""
}

// unknownSubcommand looks for a cobra command of that name in the program.
func unknownSubcommand(r *repository, program string, words []string) string {
	for i, w := range words {
		if strings.HasPrefix(w, "-") || i > 0 && words[i-1] == "--home" {
			continue
		}
		for _, f := range r.code {
			if f.pkg() == "cmd/"+program && slices.ContainsFunc(literals(f), startsWith(w)) {
				return ""
			}
		}
		return program + " has no command " + w
	}
	return ""
}

func startsWith(word string) func(string) bool {
	return func(text string) bool { return text == word || strings.HasPrefix(text, word+" ") }
}
