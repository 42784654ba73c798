package proof

import "crypto/sha256"

// saltSize is the length of an event's salt in bytes.
const saltSize = 32

// leafOf is the 32-byte leaf of an event, which is the data of its record in
// the Merkle tree.
func leafOf(salt, body []byte) [32]byte { return digest(domainLeaf, salt, body) }

// recordHash and nodeHash are the hashes of RFC 6962, section 2.1.
func recordHash(leaf [32]byte) [32]byte {
	return sha256.Sum256(append([]byte{0}, leaf[:]...))
}

func nodeHash(left, right [32]byte) [32]byte {
	b := make([]byte, 0, 65)
	b = append(b, 1)
	b = append(b, left[:]...)
	return sha256.Sum256(append(b, right[:]...))
}

// tree is a Merkle tree that grows by one record at a time. It keeps the roots
// of the complete subtrees only, the largest first: one for each bit set in n.
type tree struct {
	n     int64
	roots [][32]byte
}

func (t *tree) add(record [32]byte) {
	for n := t.n; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		record = nodeHash(t.roots[last], record)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, record)
	t.n++
}

func (t *tree) root() [32]byte {
	if t.n == 0 {
		return sha256.Sum256(nil)
	}
	last := len(t.roots) - 1
	out := t.roots[last]
	for i := last - 1; i >= 0; i-- {
		out = nodeHash(t.roots[i], out)
	}
	return out
}

// climb follows an inclusion proof (RFC 9162, section 2.1.3.2) from record n of
// a tree of size records to the root. ok is false when the path has the wrong
// length. Caller has checked 0 <= n < size.
func climb(n, size int64, record [32]byte, path [][32]byte) (root [32]byte, ok bool) {
	last := size - 1
	for _, p := range path {
		if last == 0 {
			return root, false
		}
		if n&1 == 1 || n == last {
			record = nodeHash(p, record)
			for n&1 == 0 && n != 0 {
				n, last = n>>1, last>>1
			}
		} else {
			record = nodeHash(record, p)
		}
		n, last = n>>1, last>>1
	}
	return record, last == 0
}
