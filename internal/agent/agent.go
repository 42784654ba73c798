// Package agent knows the agents that are about: by the names of their programs,
// scripts and packages, and by the variables that they give to their children.
//
// It is a table and nothing more. A name is a label; nothing may be allowed
// because of it, and an agent under another name is judged like any program.
package agent

import (
	"path"
	"slices"
	"strings"
)

// The tables below only lower trust and name things; a name that is missing
// costs a label, and a person's terminal is never given away by one that is
// there by mistake: it only asks more often.

// names maps the name of an executable, script or package, in lower case without
// extension, to a label.
var names = map[string]string{
	"aider": "aider", "aider-chat": "aider", "amp": "amp", "auggie": "auggie", "claude": "claude", "claude-code": "claude",
	"cline": "cline", "codex": "codex", "continue-cli": "continue", "copilot": "copilot", "crush": "crush",
	"cursor-agent": "cursor-agent", "droid": "droid", "gemini": "gemini", "gemini-cli": "gemini",
	"goose": "goose", "goosed": "goose", "kilocode": "kilocode", "kiro-cli": "kiro", "opencode": "opencode",
	"opencode-ai": "opencode", "openhands": "openhands", "pi": "pi", "pi-coding-agent": "pi", "plandex": "plandex", "qwen": "qwen", "qwen-code": "qwen",
}

// packages are folders in a script's path, with what they lie in where that
// matters, that tell an agent whose script has a name like cli.js.
var packages = map[string]string{
	"@anthropic-ai/claude-code": "claude", "@openai/codex": "codex", "@google/gemini-cli": "gemini",
	"@github/copilot": "copilot", "opencode-ai": "opencode", "@qwen-code/qwen-code": "qwen",
	"node_modules/cline": "cline", "@mariozechner/pi-coding-agent": "pi", "@sourcegraph/amp": "amp",
}

// marks maps names of environment variables that agents give to their
// children to a label. Variables that people set to configure an agent
// (CLAUDE_CODE_USE_BEDROCK, CODEX_HOME) and those that an editor gives to all
// its terminals (CLAUDE_CODE_SSE_PORT, CURSOR_TRACE_ID) must not stand here.
var marks = map[string]string{
	"AGENT": "agent", "AI_AGENT": "agent",
	"CLAUDECODE": "claude", "CLAUDE_CODE_CHILD_SESSION": "claude", "CLAUDE_CODE_ENTRYPOINT": "claude",
	"CLAUDE_CODE_EXECPATH": "claude", "CLAUDE_CODE_SESSION_ID": "claude", "CLAUDE_PROJECT_DIR": "claude",
	"CLAUDE_CODE_MESSAGING_SOCKET": "claude", "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS": "claude",
	"CODEX_CI": "codex", "CODEX_SESSION_ID": "codex", "CODEX_THREAD_ID": "codex", "CODEX_TOOL_CALL_ID": "codex",
	"CODEX_VERSION": "codex", "CODEX_SANDBOX": "codex", "CODEX_SANDBOX_NETWORK_DISABLED": "codex",
	"GEMINI_CLI": "gemini", "COPILOT_CLI": "copilot", "COPILOT_AGENT_SESSION_ID": "copilot",
	"OPENCODE": "opencode", "OPENCODE_PID": "opencode", "QWEN_CODE": "qwen",
	"CLINE_ACTIVE": "cline", "CLINE_CONNECTOR_CLI_LAUNCH": "cline", "PI_CODING_AGENT": "pi",
	"CURSOR_AGENT": "cursor-agent", "GOOSE_TERMINAL": "goose", "AMP_CURRENT_THREAD_ID": "amp",
}

// editors host agents beside a person's own terminals, so that being below one
// says nothing. They are known by the executable alone, since any program may
// choose its arguments.
var editors = []string{
	"code", "code-insiders", "code-oss", "codium", "vscodium", "cursor", "windsurf", "zed", "zed-editor",
	"idea", "idea64", "pycharm", "pycharm64", "goland", "goland64", "webstorm", "webstorm64", "clion", "clion64",
	"rider", "rider64", "phpstorm", "phpstorm64", "rubymine", "rubymine64", "rustrover", "rustrover64", "studio", "studio64",
}

// interpreters run a script whose name, not theirs, tells who is there.
var interpreters = []string{"node", "nodejs", "bun", "deno", "npx", "uv", "uvx", "pipx", "ruby", "perl", "sh", "bash", "dash", "zsh", "env"}

// wrappers run a program that their arguments name. Of a process they tell
// nothing, since what they run is one of its own: sudo -u pi is no agent.
var wrappers = []string{"bunx", "npm", "pnpm", "pnpx", "yarn", "ksh", "fish", "nice", "nohup", "setsid", "stdbuf", "time",
	"timeout", "sudo", "doas", "xargs", "script", "tsx"}

// scriptArgs is how many arguments are searched for a script. Searching all
// would call `node server.js --name claude` an agent.
const scriptArgs = 6

// Of names the known agent that a process is, or that started it with its mark,
// from its executable, its arguments and the names in its environment. The
// second result is false for an unknown one.
func Of(exe string, argv, marks []string) (string, bool) {
	if label, ok := names[base(exe)]; ok {
		return label, true
	}
	if label, ok := packageIn(exe); ok {
		return label, true
	}
	if label, ok := scriptOf(exe, argv); ok {
		return label, true
	}
	return markOf(marks)
}

// Mark reports whether a variable's name is one that agents give to children.
func Mark(name string) bool { _, ok := marks[name]; return ok }

// Editor reports whether an executable is an editor that hosts agents beside a
// person's own terminals.
func Editor(exe string) bool { return slices.Contains(editors, base(exe)) }

// scriptOf looks at the arguments: the first is a name a program may choose
// (Node.js agents set their title there); after an interpreter's options comes
// its script.
func scriptOf(exe string, argv []string) (string, bool) {
	if len(argv) == 0 {
		return "", false
	}
	called := strings.TrimPrefix(argv[0], "-") // of a login shell
	first, _, _ := strings.Cut(called, " ")    // a title such as "claude --resume"
	if label, ok := names[base(first)]; ok {
		return label, true
	}
	if !interpreter(base(exe)) && !interpreter(base(called)) {
		return "", false
	}
	for i, arg := range argv[1:] {
		if i == scriptArgs {
			break
		}
		if label, ok := packageIn(arg); ok {
			return label, true
		}
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if label, ok := names[base(arg)]; ok {
			return label, true
		}
		if strings.Contains(path.Base(arg), ".") {
			break // the script; what follows is its own
		}
	}
	return "", false
}

// packageIn finds an agent's package in a path such as
// .../node_modules/@openai/codex/bin/x.js, or in the name that npx is given.
func packageIn(s string) (string, bool) {
	above := ""
	for part := range strings.SplitSeq(slashed(s), "/") {
		name := withoutVersion(strings.ToLower(part))
		for _, key := range []string{name, above + "/" + name} {
			if label, ok := packages[key]; ok {
				return label, true
			}
		}
		above = part
	}
	return "", false
}

// markOf gives the label of the first known mark, the particular before the
// general ones that several agents set.
func markOf(have []string) (string, bool) {
	general := ""
	for _, n := range have {
		switch label := marks[n]; label {
		case "":
		case "agent":
			general = label
		default:
			return label, true
		}
	}
	return general, general != ""
}

func interpreter(name string) bool {
	return slices.Contains(interpreters, name) || strings.HasPrefix(name, "python")
}

// base is the last part of a path in lower case, without what tells nothing: the
// kernel's note of deletion, the version of a package, an extension.
func base(p string) string {
	p = strings.TrimSuffix(slashed(p), " (deleted)")
	name := withoutVersion(strings.ToLower(path.Base(p)))
	for _, ext := range []string{".exe", ".cmd", ".js", ".mjs", ".cjs", ".ts", ".py", ".sh"} {
		if cut, ok := strings.CutSuffix(name, ext); ok {
			return cut
		}
	}
	return name
}
