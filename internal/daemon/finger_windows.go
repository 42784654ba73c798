package daemon

import (
	"crypto/rand"

	"github.com/thumbturn/thumbturn/internal/approve/hello"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/winhello"
)

// newReader is Windows Hello, by the passkeys of the account.
func (p *process) newReader() verifier {
	return &hello.Gate{Ask: winhello.Ask, Rand: rand.Reader, Passkeys: func() []canon.Authenticator {
		var all []canon.Authenticator
		for _, k := range p.account.Passkeys() {
			all = append(all, k.Authenticator)
		}
		return all
	}}
}
