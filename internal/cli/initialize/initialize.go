// Package initialize is the commands that choose passphrases: init, recover and
// passphrase change. They run at a terminal; files replace it in test homes
// only, which the daemon enforces.
package initialize

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what init and recover take.
type Options struct {
	Console  *console.Console
	Rand     io.Reader
	TestHome bool
	Code     string // file with the recovery code; recover only
	Unlock   string // file with the new unlock passphrase
	Presence string // file with the new presence passphrase
	Recovery string // file for the new recovery code
	From     string // a backup to recover on a new computer; recover only
	// Open checks a backup and opens it to be sent.
	Open func(path string) (f io.ReadCloser, size int64, m archive.Manifest, err error)
}

// New returns the init command. rand is for suggested passphrases.
func New(c *console.Console, rand io.Reader) *cobra.Command {
	o := Options{Console: c, Rand: rand}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make an account on this computer",
		Long: `Make an account on this computer.

You choose two passphrases: one unlocks the vaults, the other (presence) says
"I am here and I approve" and signs changes. Then a recovery code is shown, once.`,
		Example: "  thumbturn init",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Init(cmd.Context(), o) },
	}
	o.flags(cmd)
	return cmd
}

// NewRecover returns the recover command.
func NewRecover(c *console.Console, rand io.Reader, open func(string) (io.ReadCloser, int64, archive.Manifest, error)) *cobra.Command {
	o := Options{Console: c, Rand: rand, Open: open}
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Set both passphrases anew with the recovery code, also on a new computer",
		Long: `Set both passphrases anew with the recovery code. The code is used up; a new one
is shown, once.

With --from it works on a new computer, in a home without an account: it puts that
backup there. The computer that is lost need not be at hand. If it turns up, its
vault goes on by itself and knows nothing of this one: remove it.`,
		Example: "  thumbturn recover\n  thumbturn recover --from /mnt/usb/thumbturn.tar",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Recover(cmd.Context(), o) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.From, "from", "", "put the backup in `FILE` here, in the place of a lost computer")
	cmd.Flags().StringVar(&o.Code, "code-file", "", "read the recovery code from `FILE` (test homes only)")
	return cmd
}

func (o *Options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.TestHome, "test-home", false, "a home for tests: passphrases may come from files; not for real secrets")
	f.StringVar(&o.Unlock, "passphrase-file", "", "read the new unlock passphrase from `FILE` (test homes only)")
	f.StringVar(&o.Presence, "presence-passphrase-file", "", "read the new presence passphrase from `FILE` (test homes only)")
	f.StringVar(&o.Recovery, "recovery-file", "", "write the new recovery code to `FILE` (test homes only)")
}

// check refuses files outside test homes, and a run that could end with a
// recovery code that nobody saw.
func (o Options) check() error {
	files := o.Code != "" || o.Unlock != "" || o.Presence != "" || o.Recovery != ""
	if files && !o.TestHome {
		return console.Usage("passphrase and code files need --test-home")
	}
	if o.Recovery == "" && !o.Console.Prompt.IsTerminal() {
		return fault.New(fault.Unavailable, "", "", "the recovery code is shown at a terminal, and there is none")
	}
	return nil
}

func (o Options) source() api.Auth {
	if o.Code != "" || o.Unlock != "" || o.Presence != "" {
		return api.Auth{Source: console.FromFile}
	}
	return api.Auth{Source: console.FromTerminal}
}

// both chooses the two passphrases. The caller wipes them.
func (o Options) both() (unlock, presence []byte, err error) {
	e := effects{o.Console, o.Rand}
	if unlock, err = choose(e, "unlock", o.Unlock); err != nil {
		return nil, nil, err
	}
	if presence, err = choose(e, "presence", o.Presence, unlock); err != nil {
		clear(unlock)
		return nil, nil, err
	}
	return unlock, presence, nil
}

// Init makes an account.
func Init(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if st := s.Hello().State; st != api.StateEmpty {
			return fault.New(fault.Exists, "init", "", "this home has an account already")
		}
		unlock, presence, err := o.both()
		if err != nil {
			return err
		}
		defer sdk.Wipe(unlock, presence)
		code, err := s.Init(ctx, api.Init{Auth: o.source(), TestHome: o.TestHome}, unlock, presence)
		if err != nil {
			return err
		}
		kept := bytes.Clone(code)
		defer clear(kept)
		if err := o.finish(code, nil, "account made; it is open, in this terminal as yours. In others: thumbturn unlock"); err != nil {
			return err
		}
		return o.offer(ctx, s, presence, kept)
	})
}

// Recover sets new passphrases.
func Recover(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	o.Console.WarnHome()
	var backup io.ReadCloser
	var size int64
	if o.From != "" {
		var m archive.Manifest
		var err error
		if backup, size, m, err = o.Open(o.From); err != nil {
			return err
		}
		defer backup.Close()
		o.Console.Say("the backup is of account %s, of %s", canon.Escape(m.Account), time.UnixMilli(m.Time).UTC().Format(time.RFC3339))
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if st := s.Hello().State; o.From != "" && st != api.StateEmpty {
			return fault.New(fault.Exists, "recover", "", "this home has an account already").
				WithHint("a backup of another computer needs a home of its own; its own backups come back by: thumbturn restore --from FILE")
		}
		typed, _, err := o.Console.Passphrase("recovery code: ", o.Code)
		if err != nil {
			return err
		}
		code, err := ParseCode(typed)
		clear(typed)
		if err != nil {
			return err
		}
		defer clear(code)
		unlock, presence, err := o.both()
		if err != nil {
			return err
		}
		defer sdk.Wipe(unlock, presence)
		if o.From != "" {
			progress := o.Console.Progress("recovering", size)
			_, next, err := s.RecoverFrom(ctx, o.source(), code, unlock, presence, size, progress.Reader(backup))
			progress.Done()
			return o.finish(next, err, "the vault is here; unlock it with: thumbturn unlock")
		}
		next, err := s.Recover(ctx, o.source(), code, unlock, presence)
		return o.finish(next, err, "the passphrases are those just given; the old recovery code is used up. Passkeys must be added anew")
	})
}

func (o Options) finish(code []byte, err error, done string) error {
	if err != nil {
		return err
	}
	defer clear(code)
	if err := deliver(o.Console, code, o.Recovery); err != nil {
		return err
	}
	return o.Console.Print(map[string]bool{"done": true}, func(w io.Writer) { io.WriteString(w, done+"\n") })
}
