package tpm

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// wire is one dialogue with the TPM. It notes each handle that the TPM gives out,
// whatever the library makes of the answer, so that end can flush them all: there
// is room for three or so, and those of others must not be used up.
type wire struct {
	way  transport.TPMCloser
	held []tpm2.TPMHandle
}

// header is the size of what each command and each answer begins with: tag, length,
// code.
const header = 10

// Send implements transport.TPM.
func (w *wire) Send(in []byte) ([]byte, error) {
	if len(in) < header {
		return nil, errors.New("a command without a header")
	}
	out, err := w.way.Send(in)
	if err != nil {
		return nil, err
	}
	if len(out) < header || binary.BigEndian.Uint32(out[2:]) != uint32(len(out)) {
		return nil, errors.New("an answer without a whole header")
	}
	code, ok := tpm2.TPMCC(binary.BigEndian.Uint32(in[6:])), binary.BigEndian.Uint32(out[6:]) == 0
	switch code {
	case tpm2.TPMCCCreatePrimary, tpm2.TPMCCLoad, tpm2.TPMCCStartAuthSession:
		if ok && len(out) >= header+4 {
			w.held = append(w.held, tpm2.TPMHandle(binary.BigEndian.Uint32(out[header:])))
		}
	}
	return out, nil
}

// end flushes what the dialogue left in the TPM, and closes the way.
func (w *wire) end() error {
	var failed error
	for _, h := range slices.Backward(w.held) {
		if _, err := (tpm2.FlushContext{FlushHandle: h}).Execute(w); err != nil {
			failed = err
		}
	}
	w.held = nil
	if err := w.way.Close(); err != nil {
		failed = err
	}
	return failed
}
