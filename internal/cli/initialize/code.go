package initialize

import (
	"crypto/sha256"
	"encoding/base32"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// codeLen is the size of a recovery code on the wire, in bytes: 160 bits.
const codeLen = 20

func alphabet() *base32.Encoding {
	return base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
}

// FormatCode writes a recovery code for a person: 32 characters of Crockford
// base32 and a check pair, in groups of four.
func FormatCode(code []byte) []byte {
	s := alphabet().AppendEncode(make([]byte, 0, 34), code)
	s = append(s, checkPair(code)...)
	out := make([]byte, 0, 48)
	for i, c := range s {
		if i > 0 && i%4 == 0 {
			out = append(out, '-')
		}
		out = append(out, c)
	}
	clear(s)
	return out
}

// ParseCode reads what a person typed: upper or lower case, any grouping, and O
// for 0, I or L for 1. A wrong check pair is told before anything is sent.
func ParseCode(text []byte) ([]byte, error) {
	s := make([]byte, 0, len(text))
	defer func() { clear(s[:cap(s)]) }()
	for _, c := range text {
		switch {
		case c == '-' || c == ' ' || c == '\t':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		switch c {
		case 'o':
			c = '0'
		case 'i', 'l':
			c = '1'
		}
		s = append(s, c)
	}
	bad := fault.New(fault.Passphrase, "", "", "this is not a recovery code").
		WithHint("check it character by character against your note")
	if len(s) != 34 {
		return nil, bad
	}
	code, err := alphabet().AppendDecode(make([]byte, 0, codeLen), s[:32])
	if err != nil || len(code) != codeLen || checkPair(code) != string(s[32:]) {
		clear(code)
		return nil, bad
	}
	return code, nil
}

// checkPair is ten bits of a hash: it catches a slip of the pen and is no
// secret.
func checkPair(code []byte) string {
	h := sha256.Sum256(append([]byte("thumbturn/recovery-check/v1\x00"), code...))
	return alphabet().EncodeToString(h[:2])[:2]
}

// deliver shows a new recovery code once, at the terminal alone, and asks
// whether it is written down; or writes it to a new file.
func deliver(c *console.Console, code []byte, file string) error {
	if len(code) != codeLen {
		return fault.New(fault.Protocol, "", "", "the daemon sent no recovery code")
	}
	text := FormatCode(code)
	defer clear(text)
	if file != "" {
		return c.WriteFile(file, append(text, '\n'), 0o600, true)
	}
	prompt := "\nrecovery code:\n\n    " + string(text) +
		"\n\nIt opens everything and is shown only now. Write it on paper and keep it away from this computer.\nIs it written down?"
	for range 3 {
		ok, err := c.Prompt.Confirm(prompt)
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
	}
	c.Say("the recovery code was not confirmed; without it a forgotten passphrase loses everything")
	return nil
}
