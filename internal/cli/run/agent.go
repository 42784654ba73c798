package run

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/internal/agent"
)

// The names below only make the daemon ask more often; an agent under another
// name is judged by the policy like any program.

// agentName maps the name of an executable, script or package to an agent's
// label, or returns nothing.
func agentName(name string) string {
	switch name {
	case "opencode-ai":
		return "opencode"
	case "pi-coding-agent":
		return "pi"
	case "aider-chat":
		return "aider"
	}
	label, _ := agent.Named(name)
	return label
}

// agentPackage finds an agent's package in a path such as
// .../node_modules/@openai/codex/bin/x.js, or in the name that npx is given.
func agentPackage(s string) string {
	parts := strings.Split(s, "/")
	for i, part := range parts {
		part = strings.ToLower(part)
		above := ""
		if i > 0 {
			above, part = parts[i-1], withoutVersion(part)
		}
		switch {
		case above == "@anthropic-ai" && part == "claude-code",
			above == "@openai" && part == "codex",
			above == "@google" && part == "gemini-cli",
			above == "@github" && part == "copilot",
			above == "@qwen-code" && part == "qwen-code",
			above == "@mariozechner" && part == "pi-coding-agent",
			above == "@sourcegraph" && part == "amp",
			above == "node_modules" && (part == "cline" || part == "opencode-ai"):
			return agentName(part)
		}
	}
	return ""
}

// isRunner tells that a program runs another one, or a script, that its
// arguments name.
func isRunner(name string) bool {
	switch name {
	case "node", "nodejs", "bun", "bunx", "deno", "npx", "npm", "pnpm", "pnpx", "yarn", "uv", "uvx", "pipx", "ruby", "perl",
		"sh", "bash", "dash", "zsh", "ksh", "fish", "env", "nice", "nohup", "setsid", "stdbuf", "time", "timeout", "sudo",
		"doas", "xargs", "script", "tsx":
		return true
	}
	return strings.HasPrefix(name, "python")
}

// runnerArgs is how many arguments of a runner are searched. Searching all
// would call `node server.js --name claude` an agent.
const runnerArgs = 6

// agentOf names the known agent that a program is.
func agentOf(p *program) (label string, ok bool) {
	names := []string{p.args[0], p.file.path}
	if target, err := filepath.EvalSymlinks(p.file.path); err == nil {
		names = append(names, target)
	}
	runner := false
	for _, n := range names {
		if label := agentLike(n); label != "" {
			return label, true
		}
		runner = runner || isRunner(baseName(n))
	}
	if !runner {
		return "", false
	}
	for i, arg := range p.args[1:] {
		if i == runnerArgs {
			break
		}
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if label := agentLine(arg); label != "" {
			return label, true
		}
		if base := path.Base(arg); strings.Contains(base, ".") && !strings.Contains(base, " ") && !strings.Contains(base, "@") {
			break // a script; what follows is its own
		}
	}
	return "", false
}

func agentLike(name string) string {
	if label := agentName(baseName(name)); label != "" {
		return label
	}
	return agentPackage(filepath.ToSlash(name))
}

// agentLine looks at an argument: a script, a package, or a shell's command
// line, in which each command's first word counts.
func agentLine(arg string) string {
	for _, command := range strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune(";&|()\n`", r) }) {
		for _, word := range strings.Fields(command) {
			if label := agentLike(word); label != "" {
				return label
			}
			if word != "exec" && word != "command" && !isRunner(baseName(word)) &&
				!strings.Contains(word, "=") && !strings.HasPrefix(word, "-") {
				break
			}
		}
	}
	return ""
}

// baseName is the last part of a path in lower case, without what tells
// nothing: an extension, or the version of a package.
func baseName(p string) string {
	name := withoutVersion(strings.ToLower(path.Base(filepath.ToSlash(p))))
	for _, ext := range []string{".exe", ".cmd", ".js", ".mjs", ".cjs", ".ts", ".py", ".sh"} {
		if cut, ok := strings.CutSuffix(name, ext); ok {
			return cut
		}
	}
	return name
}

// withoutVersion cuts what follows a package's name: @1.2, @latest; but pi@host
// is a user on a machine.
func withoutVersion(name string) string {
	cut, version, ok := strings.Cut(name, "@")
	if ok && (version == "latest" || version == "next" || version != "" && strings.ContainsRune("0123456789^~", rune(version[0]))) {
		return cut
	}
	return name
}
