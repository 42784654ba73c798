package store

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const opCheck = "commit"

// Check reports whether b agrees with itself: every blob has the digest and a
// kind it claims, rows follow Prev without gaps, the new head counts them, tree
// hashes ascend. Every Store calls it first in Commit. A failure is a defect of
// the writer, hence of kind Internal.
func (b *Batch) Check() error {
	if b.Prev.Statements < 0 || b.Prev.Events < 0 {
		return bad("", "negative count in the previous head")
	}
	for i := range b.Blobs {
		if err := checkBlob(&b.Blobs[i]); err != nil {
			return err
		}
	}
	for i := range b.Statements {
		if b.Statements[i].N != b.Prev.Statements+int64(i) {
			return bad("statement "+strconv.FormatInt(b.Statements[i].N, 10), "statements are not consecutive")
		}
	}
	for i := range b.Events {
		if b.Events[i].N != b.Prev.Events+int64(i) {
			return bad("event "+strconv.FormatInt(b.Events[i].N, 10), "events are not consecutive")
		}
	}
	last := int64(-1)
	for _, h := range b.Hashes {
		if h.Index <= last {
			return bad("hash "+strconv.FormatInt(h.Index, 10), "tree hashes do not ascend")
		}
		last = h.Index
	}
	for _, id := range b.Consume {
		if id == "" || !plain(id) {
			return bad("", "a request id to consume is empty or not plain text")
		}
	}
	if b.Head.Statements != b.Prev.Statements+int64(len(b.Statements)) ||
		b.Head.Events != b.Prev.Events+int64(len(b.Events)) {
		return bad("", "the new head does not count the rows of the batch")
	}
	return nil
}

func checkBlob(b *Blob) error {
	if b.Kind < Meta || b.Kind > Mark {
		return bad(b.Hash.String(), "unknown kind of blob")
	}
	if !plain(b.Vault) || !plain(b.Item) {
		return bad(b.Hash.String(), "a vault or item id is not plain text")
	}
	if Sum(b.Bytes) != b.Hash {
		return bad(b.Hash.String(), "the blob does not have this hash")
	}
	return nil
}

// plain refuses what a text column may not give back as it was.
func plain(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func bad(ref, msg string) error { return fault.New(fault.Internal, opCheck, ref, msg) }
