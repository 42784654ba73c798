package agent

import "testing"

type process struct {
	exe         string
	argv, marks []string
}

func TestAgentOf(t *testing.T) {
	proc := func(exe string, argv ...string) process { return process{exe: exe, argv: argv} }
	for _, tt := range []struct {
		p    process
		want string
	}{
		{proc("/home/u/.local/share/claude/versions/2.1.330", "claude", "-p"), "claude"},
		{proc("/usr/bin/node", "claude --resume"), "claude"},
		{proc("/usr/bin/node", "node", "/usr/bin/gemini"), "gemini"},
		{proc("/usr/bin/node", "/usr/bin/node", "--no-warnings", "/x/node_modules/@github/copilot/index.js"), "copilot"},
		{proc("/usr/bin/python3.12", "python3", "/home/u/.local/bin/aider"), "aider"},
		{proc("/opt/Claude.exe"), "claude"},
		{proc("/opt/codex (deleted)"), "codex"},
		{proc("/usr/bin/bash", "bash", "/usr/bin/qwen"), "qwen"},
		{proc("/usr/bin/bash", "-bash"), ""},
		{proc("/usr/bin/node", "node", "server.js", "claude"), ""},
		{proc("/usr/bin/vim", "vim", "claude"), ""},
		{proc("/usr/bin/git", "git", "commit", "-m", "claude"), ""},
		{process{marks: []string{"AI_AGENT", "CLAUDECODE"}}, "claude"},
		{process{marks: []string{"AI_AGENT"}}, "agent"},
		{process{marks: []string{"CLAUDE_CODE_SSE_PORT"}}, ""},
		{process{}, ""},
	} {
		if got, ok := Of(tt.p.exe, tt.p.argv, tt.p.marks); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%+v: %q; want %q", tt.p, got, tt.want)
		}
	}
}

func TestTables(t *testing.T) {
	if label, ok := Named("claude-code"); !ok || label != "claude" {
		t.Errorf("claude-code: %q, %v", label, ok)
	}
	if _, ok := Named("vim"); ok || Mark("EDITOR") || !Mark("CLAUDECODE") {
		t.Error("what is no agent passes for one, or the other way round")
	}
	if !Editor("/usr/share/code/code") || !Editor("/opt/Cursor.exe") || Editor("/usr/bin/claude") {
		t.Error("editors are told wrongly")
	}
	for _, name := range editors {
		if _, ok := names[name]; ok {
			t.Errorf("%s is both an editor and an agent", name)
		}
	}
}
