package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/thumbturn/thumbturn/bench/table"
)

const runRounds = 40

// runner is one command of the comparison; env is added to the environment.
type runner struct {
	name string
	argv []string
	env  []string
	took []time.Duration
}

func (r *runner) once(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, r.argv[0], r.argv[1:]...)
	cmd.Env = append(os.Environ(), r.env...)
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.took = append(r.took, time.Since(began))
	return nil
}

// runRows times whole processes, turn by turn.
func (d desk) runRows(ctx context.Context) ([]table.Row, error) {
	ours := &runner{name: "thumbturn run -- true", argv: []string{d.bin("thumbturn"), "run", "--", "true"}, env: []string{"TOKEN=" + tokenRef}}
	version := &runner{name: "thumbturn version", argv: []string{d.bin("thumbturn"), "version"}}
	floor := &runner{name: "static Go, pipes", argv: []string{d.bin("floor"), "true"}}
	env := &runner{name: "env true", argv: []string{"env", "true"}}
	all := []*runner{floor, ours, env, version}
	sops, err := d.sops(ctx)
	if err != nil {
		progress("*** SKIP the peer sops exec-env: %v", err)
	} else {
		all = append(all, sops)
	}
	for i := range runRounds + 2 {
		for _, r := range all {
			if err := r.once(ctx); err != nil {
				return nil, err
			}
		}
		if i < 2 { // warm caches do not count
			for _, r := range all {
				r.took = nil
			}
		}
	}
	m := table.Median(ours.took)
	ratio := func(r *runner) float64 { return float64(m) / float64(table.Median(r.took)) }
	show := func(r *runner) string { return r.name + " " + table.Millis(table.Median(r.took)) }
	rows := []table.Row{
		{ours.name, table.Millis(m), show(floor), table.Times(ratio(floor)), "<= 2.5x", table.Met(ratio(floor) <= 2.5)},
		{ours.name, table.Millis(m), show(env), table.Times(ratio(env)), "", ""},
		{ours.name, table.Millis(m), show(version), table.Times(ratio(version)), "", ""},
	}
	if err == nil {
		return append(rows, table.Row{ours.name, table.Millis(m), show(sops), table.Times(ratio(sops)), "< 1x", table.Met(ratio(sops) < 1)}), nil
	}
	return append(rows, table.Row{"sops exec-env, age: not measured here", "", "published 16.5 ms", "10x env true", "", ""}), nil
}

// sops prepares the peer: one variable, encrypted with age.
func (d desk) sops(ctx context.Context) (*runner, error) {
	path := os.Getenv("PATH")
	if peers := os.Getenv("BENCH_PEERS"); peers != "" {
		path = peers + string(filepath.ListSeparator) + path
	}
	find := func(name string) (string, error) {
		for _, dir := range filepath.SplitList(path) {
			if p := filepath.Join(dir, name); exists(p) {
				return p, nil
			}
		}
		return "", fmt.Errorf("no %s on PATH or in $BENCH_PEERS; GOBIN=$BENCH_PEERS go install github.com/getsops/sops/v3/cmd/sops@latest filippo.io/age/cmd/age-keygen@latest, one by one", name)
	}
	tool, err := find("sops")
	if err != nil {
		return nil, err
	}
	keygen, err := find("age-keygen")
	if err != nil {
		return nil, err
	}
	key, plain, sealed := filepath.Join(d.dir, "age.key"), filepath.Join(d.dir, "plain.env"), filepath.Join(d.dir, "sealed.env")
	if err := exec.CommandContext(ctx, keygen, "-o", key).Run(); err != nil {
		return nil, err
	}
	to, err := exec.CommandContext(ctx, keygen, "-y", key).Output()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(plain, []byte("TOKEN=0123456789abcdef\n"), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, tool, "encrypt", "--age", string(to[:len(to)-1]), plain).Output()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(sealed, out, 0o600); err != nil {
		return nil, err
	}
	return &runner{name: "sops exec-env, age", argv: []string{tool, "--disable-version-check", "exec-env", sealed, "true"},
		env: []string{"SOPS_AGE_KEY_FILE=" + key}}, nil
}

func exists(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}
