package book

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

type noon struct{}

func (noon) Now() time.Time           { return time.UnixMilli(1700000000000) }
func (noon) SinceBoot() time.Duration { return time.Hour }

// What the offline verifier says of a vault's epochs, replay says too: the vectors are
// the same. Their policy is no policy of ours and is left out.
func TestReplayEpochs(t *testing.T) {
	files, err := filepath.Glob("../../../../spec/vectors/ledger/*-epoch*.jsonl")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	seen := map[bool]int{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		good := strings.HasPrefix(name, "ok-")
		seen[good]++
		err = replay(t, raw)
		if good && err != nil || !good && !fault.Is(err, fault.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen[true] < 4 || seen[false] < 15 {
		t.Errorf("%v", seen)
	}
}

func replay(t *testing.T, export []byte) error {
	t.Helper()
	b := &Book{Clock: noon{}, grants: map[string]leave{}}
	b.Reset()
	in := bufio.NewScanner(bytes.NewReader(export))
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var l struct {
			N    *int64      `json:"statement"`
			Body canon.Bytes `json:"body"`
			Sig  canon.Bytes `json:"sig"`
		}
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.N == nil {
			continue
		}
		s, err := canon.ParseStatement(l.Body)
		if err != nil {
			return bad("", err.Error())
		}
		if s.Type == canon.TypePolicy {
			continue
		}
		if err := b.take(*l.N, ledger.Signed{Statement: s, Sig: l.Sig}, l.Body); err != nil {
			return err
		}
	}
	return in.Err()
}
