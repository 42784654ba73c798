//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Names under which this test program does something else than test. They are
// environment variables, so that arguments stay those of the program played.
const (
	hostMark  = "THUMBTURN_E2E_HOST"  // plays a shell that leads a session
	forgeMark = "THUMBTURN_E2E_FORGE" // plays a forged client
	pryMark   = "THUMBTURN_E2E_PRY"   // plays a program that wants to see into another
	firstMark = "THUMBTURN_E2E_FIRST" // runs as the first process of namespaces of its own
)

// bin is the folder with both programs; TestMain alone writes it.
var bin string

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(hostMark) != "":
		host()
	case os.Getenv(forgeMark) != "":
		forge()
	case os.Getenv(pryMark) != "":
		pry()
	case os.Getenv(firstMark) != "":
		bin = os.Getenv(firstMark)
		os.Exit(m.Run())
	default:
		os.Exit(build(m))
	}
}

// build makes both programs once and runs the tests with them.
func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tte2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", dir+"/", "../../cmd/thumbturn", "../../cmd/thumbturnd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		return 1
	}
	// Another user must be able to execute them.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	return m.Run()
}

// command is one program run for a host.
type command struct {
	ID     int
	Argv   []string
	Stdin  []byte
	Env    []string // besides the host's
	Dir    string
	Setsid bool
	UID    int           // other than 0: run as this user
	Limit  time.Duration // kills it; zero means 30 s
}

// result is how it ended.
type result struct {
	ID   int
	Code int // 128+N after signal N
	Out  string
	Err  string
	Peak int64 // KiB; no less than the host's own
}

// String is all of a result, for error messages and for searching.
func (r result) String() string { return fmt.Sprintf("exit %d\n%s\n%s", r.Code, r.Out, r.Err) }

// host leads a session and starts what it is told to, as a shell would: its
// children are a person's once one of them has unlocked.
func host() {
	os.Unsetenv(hostMark)
	var mu sync.Mutex
	var wg sync.WaitGroup
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for dec := json.NewDecoder(in); ; {
		var c command
		if err := dec.Decode(&c); err != nil {
			break
		}
		wg.Go(func() {
			r := c.run()
			mu.Lock()
			defer mu.Unlock()
			_ = out.Encode(r)
		})
	}
	wg.Wait()
}

func (c command) run() result {
	if c.Limit == 0 {
		c.Limit = 90 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Limit)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = bytes.NewReader(c.Stdin), &out, &errs, c.Dir
	cmd.Env, cmd.WaitDelay = append(os.Environ(), c.Env...), time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: c.Setsid}
	if c.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.UID), Gid: uint32(c.UID)}
	}
	err := cmd.Run()
	r := result{ID: c.ID, Out: out.String(), Err: errs.String()}
	if cmd.ProcessState != nil {
		r.Peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.Code = exit.ExitCode()
		if st := exit.Sys().(syscall.WaitStatus); st.Signaled() {
			r.Code = 128 + int(st.Signal())
		}
	} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		r.Code, r.Err = -1, r.Err+err.Error()
	}
	return r
}

// shell is the test's end of a host.
type shell struct {
	cmd  *exec.Cmd
	enc  *json.Encoder
	end  func()
	mu   sync.Mutex
	next int
	wait map[int]chan result
}

// newShell starts a host with an environment that holds no mark of an agent.
func newShell(t *testing.T, env []string) *shell {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newShellOf(t, self, env, nil)
}

// newShellOf starts a host from a copy of this program, as another user.
func newShellOf(t *testing.T, self string, env []string, as *syscall.Credential) *shell {
	t.Helper()
	cmd := exec.Command(self)
	cmd.Args[0] = "shell"
	cmd.Env = append(append([]string{}, env...), hostMark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &shell{cmd: cmd, enc: json.NewEncoder(in), wait: map[int]chan result{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for dec := json.NewDecoder(out); ; {
			var r result
			if dec.Decode(&r) != nil {
				return
			}
			s.mu.Lock()
			s.wait[r.ID] <- r
			delete(s.wait, r.ID)
			s.mu.Unlock()
		}
	}()
	s.end = func() {
		_ = in.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		_ = cmd.Wait()
	}
	t.Cleanup(s.end)
	return s
}

// start begins a command; the channel gives its end.
func (s *shell) start(c command) <-chan result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	c.ID = s.next
	ch := make(chan result, 1)
	s.wait[c.ID] = ch
	if err := s.enc.Encode(c); err != nil {
		ch <- result{Code: -1, Err: err.Error()}
	}
	return ch
}

func (s *shell) run(c command) result { return <-s.start(c) }

func program(name string) string { return filepath.Join(bin, name) }
