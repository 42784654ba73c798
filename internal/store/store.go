// Package store says what a home for Thumbturn's data must do. It holds the
// types and the one interface; the packages below it (sqlite) do the work, and
// storetest checks that each of them does it the same way.
//
// A store keeps ciphertext, hashes and signed bytes, and nothing else. It has
// no key, reads no ciphertext and decides nothing. Whoever holds the file can
// replace, cut or roll back what is in it; finding that out is the task of the
// ledger, which recomputes what it reads under a head pinned elsewhere, and of
// the code that opens records. So a store never verifies what it reads. It only
// promises that what was committed is there, all of it or none of it.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Hash is a SHA-256 digest.
type Hash [sha256.Size]byte

// Sum returns the SHA-256 digest of b.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// String returns the digest as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String printed. Upper-case digits are refused, so that
// one digest has one spelling. The error is of kind Usage.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) == hex.EncodedLen(len(h)) {
		if n, err := hex.Decode(h[:], []byte(s)); err == nil && n == len(h) && h.String() == s {
			return h, nil
		}
	}
	return Hash{}, fault.New(fault.Usage, "parse hash", "", "not 64 lower-case hexadecimal digits")
}

// BlobKind says what a blob is, so that one kind can be listed without
// loading the others. The numbers are stored: add, never renumber. Zero is no
// kind and is refused.
type BlobKind uint8

// The kinds of blob.
const (
	Meta     BlobKind = 1 // an item's sealed metadata
	Record   BlobKind = 2 // one sealed value
	EventKey BlobKind = 3 // the sealed key of a run of events
	Piece    BlobKind = 4 // one chunk of a long value, which a record lists
	Mark     BlobKind = 5 // says that pieces of an item are being written
)

// Blob is a piece of ciphertext under the name of its digest.
type Blob struct {
	Hash  Hash // SHA-256 of Bytes; checked by Commit, never on reading
	Kind  BlobKind
	Vault string // id; empty for what belongs to no vault; of a Piece the item's, whose pieces are so listed apart
	Item  string // id; may be empty
	Bytes []byte
}

// Statement is one signed decision of the ledger.
type Statement struct {
	N    int64 // its place, counted from 0 without gaps
	Link Hash  // the hash chain up to and with this statement
	Body []byte
	Sig  []byte // empty where the head's signature covers it
}

// Event is one sealed record of what happened.
type Event struct {
	N      int64 // its leaf index in the log, counted from 0 without gaps
	Leaf   Hash
	Key    Hash // the EventKey blob that opens Sealed
	Sealed []byte
}

// NodeHash is one stored hash of the event log's tree, under the index that
// golang.org/x/mod/sumdb/tlog gives it.
type NodeHash struct {
	Index int64
	Hash  Hash
}

// Head counts what is stored and carries the signed note about it. The zero
// Head is that of an empty store.
type Head struct {
	Statements int64
	Events     int64
	Note       []byte // the signed head; opaque here
}

// Batch is everything that one Commit writes.
type Batch struct {
	Prev       Head // what the writer took for the present head; only its counts are compared
	Blobs      []Blob
	Statements []Statement // the first has N = Prev.Statements, and so on
	Events     []Event     // the first has N = Prev.Events, and so on
	Hashes     []NodeHash  // ascending; none may be stored already
	Consume    []string    // request ids, each good once in the life of the store
	Erase      []Hash      // blobs to forget for good; one that is not there is no error
	Head       Head        // the head afterwards: Prev's counts plus the rows above
}

// Store is a home for ciphertext, statements and events. All methods may be
// called from several goroutines at once, and from within a callback.
//
// Errors are of package fault: Tampered where rows that must be there are not
// or the file is damaged, Unavailable where disk, permission, a lock or the
// context stands in the way. A callback's error ends the iteration and is
// returned as it is. The bytes given to a callback are its own to keep.
type Store interface {
	// Commit writes b in one transaction, on stable storage when it returns
	// nil. Conflict: the stored counts are not those of b.Prev, or a request id
	// was consumed before. Internal: b contradicts itself (see Batch.Check).
	// A blob that is there already is left as it is. What is erased is
	// overwritten in the files of the store as far as the disk lets it.
	//
	// ctx counts only until the transaction begins. An error other than one
	// from the sync of the disk means that nothing was written; after a failed
	// sync the whole batch may or may not show up at the next start, never a
	// part of it, and the store takes no more commits until then.
	Commit(ctx context.Context, b Batch) error

	// Head returns the present head.
	Head(ctx context.Context) (Head, error)

	// Statements calls each for the statements from N = from to the last one
	// present when it was called, in order.
	Statements(ctx context.Context, from int64, each func(Statement) error) error

	// Events calls each for the events from <= N < to, in order. A bound
	// outside the log means the log's own end.
	Events(ctx context.Context, from, to int64, each func(Event) error) error

	// Hashes returns the tree hashes at the indexes, in their order.
	// A missing one is Tampered.
	Hashes(ctx context.Context, index []int64) ([]Hash, error)

	// Blobs calls each for every hash, in the order asked, repeats included.
	// A missing one is Tampered, with the hash as the error's reference.
	Blobs(ctx context.Context, hashes []Hash, each func(Blob) error) error

	// List calls each for the blobs of one vault and kind present when it was
	// called, in the order in which they were committed.
	List(ctx context.Context, vault string, kind BlobKind, each func(Blob) error) error
}
