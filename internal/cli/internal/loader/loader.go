// Package loader knows the environment variables by which a program can be made
// to load or start code that nobody named on its command line.
package loader

import (
	"runtime"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Is reports whether a variable makes common programs load or start code.
func Is(name string) bool {
	if runtime.GOOS == "windows" { // where case makes no difference
		name = strings.ToUpper(name)
	}
	for _, prefix := range []string{"LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG", "COR_PROFILER", "CORECLR_PROFILER"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "SHELL", "PROMPT_COMMAND", "PS4", "ZDOTDIR", "FPATH",
		"COMSPEC", "PATHEXT",
		"GCONV_PATH", "GLIBC_TUNABLES", "NLSPATH", "LOCPATH", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
		"NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "ELECTRON_RUN_AS_NODE", "BUN_OPTIONS",
		"PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT", "PYTHONPLATLIBDIR",
		"PYTHONEXECUTABLE", "PYTHONPYCACHEPREFIX", "PYTHONINSPECT",
		"PERL5OPT", "PERL5LIB", "PERLLIB", "PERL5DB", "RUBYOPT", "RUBYLIB", "GEM_PATH", "GEM_HOME", "BUNDLE_GEMFILE",
		"LUA_INIT", "LUA_PATH", "LUA_CPATH", "PHPRC", "PHP_INI_SCAN_DIR", "R_PROFILE", "R_PROFILE_USER",
		"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "MAVEN_OPTS", "GRADLE_OPTS",
		"DOTNET_STARTUP_HOOKS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "MAKEFLAGS",
		"GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "SSH_ASKPASS", "SUDO_ASKPASS", "GIT_EXTERNAL_DIFF",
		"GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER",
		"EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESSOPEN", "LESSCLOSE":
		return true
	}
	return false
}

// Refuse names every variable of a file that makes programs load code and that nobody
// allowed. A file travels with a project, so whoever can write to the project chooses
// it, agents included; such a variable would put code into the process that holds the
// values. The inherited environment is not judged: who sets it can start anything
// anyway.
func Refuse[V any](vars []V, named func(V) (name, place string), allowed func(name string) bool) error {
	var places, hint []string
	for _, v := range vars {
		if name, place := named(v); Is(name) && !allowed(name) {
			places = append(places, place+": "+name+" makes programs load or start other code")
			hint = append(hint, "--allow-env "+name)
		}
	}
	if len(places) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "", "", strings.Join(places, "; ")).
		WithHint("if you trust what it names, add " + canon.Escape(strings.Join(hint, " ")))
}
