package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/thumbturn/thumbturn/internal/mask"
)

const (
	maskRounds = 5
	maskBytes  = 64 << 20 // per round
	maskValues = 50
	pumpBytes  = 32 << 10 // what one read of a pipe brings
)

// buffer keeps the last write, as the floor of every pump.
type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b[:0], p...)
	return len(p), nil
}

// maskRows compares a masked stream of log lines, in which no value stands, with
// the plain copy of it.
func maskRows() ([]row, error) {
	values := make([]mask.Value, maskValues)
	for i := range values {
		raw := make([]byte, 30)
		_, _ = rand.Read(raw) // never fails
		values[i] = mask.Bytes(fmt.Sprint(i), base64.RawURLEncoding.AppendEncode(nil, raw))
	}
	m := mask.New(values, mask.Options{})
	defer m.Wipe()
	var text bytes.Buffer
	for i := 0; text.Len() < pumpBytes; i++ {
		fmt.Fprintf(&text, "2026-11-24T16:46:52.%03dZ INFO http: GET /v1/things/%d?page=%d 200 %d bytes in %d us\n", i%1000, i*7919, i, i*131, i%977)
	}
	chunk := text.Bytes()[:pumpBytes]
	var plain, masked []float64
	for range maskRounds {
		var dst buffer
		began := time.Now()
		for n := 0; n < maskBytes; n += len(chunk) {
			_, _ = dst.Write(chunk)
		}
		plain = append(plain, maskBytes/time.Since(began).Seconds()/1e6)
		w := m.Writer(&dst)
		began = time.Now()
		for n := 0; n < maskBytes; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return nil, err
			}
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		masked = append(masked, maskBytes/time.Since(began).Seconds()/1e6)
	}
	got, base := median(masked), median(plain)
	return []row{{fmt.Sprintf("masking, %d values", maskValues), fmt.Sprintf("%.0f MB/s", got), fmt.Sprintf("memory copy %.0f MB/s", base),
		fmt.Sprintf("%.3fx", got/base), "1000 MB/s (next release)", met(got >= 1000)}}, nil
}
