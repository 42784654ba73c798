package tpm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func example(private int) *sealed {
	return &sealed{salt: [saltSize]byte{1}, parent: [nameSize]byte{0, 11, 2}, unique: [uniqueSize]byte{3}, private: bytes.Repeat([]byte{4}, private)}
}

// The format is written out, since it is on disks.
func TestFormat(t *testing.T) {
	want := "5454504d01" + "01" + zeros(31) + "000b02" + zeros(31) + "03" + zeros(31) + "0002" + "0404" +
		"e931ee766ced9e77240c913d3c37071447be7294d1669bcff183169d06610d39"
	if got := hex.EncodeToString(example(2).marshal()); got != want {
		t.Errorf("blob\n%s, want\n%s", got, want)
	}
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }

// What a PIN becomes has no zero byte: see derive. It is frozen.
func TestDerive(t *testing.T) {
	seen := map[string]bool{}
	for i := range 2000 {
		v := derive([saltSize]byte{byte(i), byte(i >> 8)}, []byte("1234"))
		if len(v) != 32 || bytes.IndexByte(v, 0) >= 0 || seen[string(v)] {
			t.Fatalf("salt %d gives %q", i, v)
		}
		seen[string(v)] = true
	}
	if got := string(derive([saltSize]byte{}, []byte("1234"))); got != "efl7xYAKyz21re3UVf1im/xrl61h3bK4" {
		t.Errorf("the PIN became %q", got)
	}
}

func TestParseBounds(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, maxPrivate: true, maxPrivate + 1: false} {
		if b, err := parse(example(size).marshal()); (err == nil) != ok || ok && len(b.private) != size {
			t.Errorf("a private part of %d bytes: %v", size, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	good := example(140).marshal()
	f.Add(good)
	f.Add(good[:fixedSize])
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(example(1).marshal())
	f.Add(example(maxPrivate + 1).marshal())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if b, err := parse(blob); err == nil && !bytes.Equal(b.marshal(), blob) {
			t.Errorf("%x is read as %x", blob, b.marshal())
		}
		// The rest again with a hash that fits.
		if len(blob) > 32 {
			sum := checksum(blob[:len(blob)-32])
			blob = append(bytes.Clone(blob[:len(blob)-32]), sum[:]...)
			if b, err := parse(blob); err == nil && !bytes.Equal(b.marshal(), blob) {
				t.Errorf("%x is read as %x", blob, b.marshal())
			}
		}
	})
}

// liar answers with what the fuzzer says: each answer has its length in front, and
// its header is made right, so that the fuzzer gets behind it.
type liar struct{ script []byte }

func (l *liar) Send([]byte) ([]byte, error) {
	if len(l.script) < 3 {
		return nil, errors.New("no more")
	}
	n := min(int(binary.BigEndian.Uint16(l.script)), len(l.script)-3)
	tag := l.script[2]
	answer := binary.BigEndian.AppendUint32([]byte{0x80, tag}, uint32(header+n))
	answer = append(answer, 0, 0, 0, 0)
	answer = append(answer, l.script[3:3+n]...)
	l.script = l.script[3+n:]
	return answer, nil
}

func (l *liar) Close() error { return nil }

// Whatever a thing that is no TPM answers, nothing panics, and it gets no secret
// taken for good.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 4, 1, 0x80, 0, 0, 0}) // what a TPM answered lies in testdata
	blob := example(140).marshal()
	f.Fuzz(func(t *testing.T, script []byte) {
		to := &TPM{Dial: func() (transport.TPMCloser, error) { return &liar{script}, nil }, Rand: bytes.NewReader(make([]byte, saltSize))}
		if _, err := to.State(); err != nil && !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		if _, err := to.Seal(make([]byte, SecretSize), []byte("1234")); err == nil || !fault.Is(err, fault.Unavailable) {
			t.Errorf("sealed by a liar: %v", err)
		}
		err := to.Unseal(blob, []byte("1234"), func([]byte) error { t.Error("a liar gave a secret"); return nil })
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Tampered) {
			t.Error(err)
		}
	})
}
