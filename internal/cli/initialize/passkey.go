package initialize

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// PasskeyOptions is what the passkey commands take.
type PasskeyOptions struct {
	Console  *console.Console
	Name     string
	Presence string // file with the presence passphrase
	Code     string // file with the recovery code
	Keep     bool   // the presence passphrase, whatever the passkey gives
}

// NewPasskey returns the passkey command.
func NewPasskey(c *console.Console) *cobra.Command {
	o := PasskeyOptions{Console: c}
	cmd := &cobra.Command{Use: "passkey", Short: "Approve with Touch ID, Windows Hello, a phone or a security key", Args: cobra.NoArgs,
		Example: "  thumbturn passkey add --name laptop\n  thumbturn passkey list"}
	add := &cobra.Command{
		Use:   "add",
		Short: "Enrol a passkey, on a page in the browser",
		Long: `Enrol a passkey. This takes the presence passphrase, or a passkey that is enrolled
already, and then a page in the browser.

What a passkey gives depends on it, on the browser and on the system; the page says
which it is:

  decrypts    its answer is half of the key to what it approves
  signs only  its answer is proof, and the presence passphrase still decrypts

A passkey that decrypts ends the presence passphrase: once there are two of them, or
at once if you show that you have the recovery code.`,
		Example: "  thumbturn passkey add --name laptop\n  thumbturn passkey add --name key --keep-passphrase",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return AddPasskey(cmd.Context(), o) },
	}
	f := add.Flags()
	f.StringVar(&o.Name, "name", "", "how the passkey is called, such as `laptop`")
	f.BoolVar(&o.Keep, "keep-passphrase", false, "do not ask for the recovery code: the presence passphrase stays until there is a second passkey")
	f.StringVar(&o.Presence, "presence-passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	f.StringVar(&o.Code, "code-file", "", "read the recovery code from `FILE` (test homes only)")
	list := &cobra.Command{Use: "list", Short: "List the passkeys, and what each opens", Args: cobra.NoArgs, Example: "  thumbturn passkey list --format json",
		RunE: func(cmd *cobra.Command, _ []string) error { return ListPasskeys(cmd.Context(), o) }}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Take a passkey away", Args: cobra.ExactArgs(1), Example: "  thumbturn passkey remove laptop",
		Long: `Take a passkey away, by name or id: one that is lost, sold or not trusted any more.
It approves nothing from then on, and presence vaults get new keys: whoever has it, the
database and this computer's share reads nothing there that is written later. The
last way to approve anything, or to open a vault, cannot be removed.`,
		RunE: func(cmd *cobra.Command, args []string) error { return RemovePasskey(cmd.Context(), o, args[0]) }}
	remove.Flags().StringVar(&o.Presence, "presence-passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	cmd.AddCommand(add, list, remove)
	return cmd
}

// AddPasskey enrols a passkey.
func AddPasskey(ctx context.Context, o PasskeyOptions) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if strings.TrimSpace(o.Name) == "" {
			name, err := o.Console.Prompt.Line("name of the passkey [passkey]: ")
			if err != nil {
				return err
			}
			if o.Name = strings.TrimSpace(name); o.Name == "" {
				o.Name = "passkey"
			}
		}
		presence, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(presence)
		var code []byte
		if len(presence) > 0 && auth.Kind == "" && !o.Keep { // a PIN is asked for where the passphrase has ended
			if code, err = o.code(); err != nil {
				return err
			}
			defer clear(code)
		}
		return o.enrol(ctx, s, auth, presence, code)
	})
}

// code asks for the recovery code, which may be left out.
func (o PasskeyOptions) code() ([]byte, error) {
	var typed []byte
	var err error
	switch {
	case o.Code != "":
		typed, err = console.SecretFile(o.Code)
	case o.Presence != "":
		return nil, nil
	default:
		o.Console.Say("With the recovery code, a passkey that decrypts ends the presence passphrase now;")
		o.Console.Say("with Enter alone, the passphrase stays until there is a second such passkey.")
		typed, err = o.Console.Prompt.Hidden("recovery code, or Enter: ")
	}
	if err != nil || len(typed) == 0 {
		return nil, err
	}
	defer clear(typed)
	return ParseCode(typed)
}

// enrol opens the page and waits for its end.
func (o PasskeyOptions) enrol(ctx context.Context, s *sdk.Client, auth api.Auth, presence, code []byte) error {
	begun, err := s.PasskeyAdd(ctx, api.PasskeyAdd{Auth: auth, Name: o.Name}, presence, code)
	if err != nil {
		return err
	}
	if err := o.Console.Browse(ctx, begun.URL, "to enrol the passkey"); err != nil {
		return err
	}
	p, err := s.PasskeyWait(ctx, begun.ID)
	if err != nil {
		return err
	}
	return o.Console.Print(p, func(w io.Writer) {
		fmt.Fprintf(w, "passkey %s: %s\n", canon.Escape(p.Name), gives(p))
		if p.PassphraseEnded {
			fmt.Fprintln(w, "the presence passphrase has ended: passkeys approve now")
		}
	})
}

func gives(p api.Passkey) string {
	s := "signs only; the presence passphrase decrypts"
	if p.Decrypts {
		s = "decrypts"
	}
	if p.Synced {
		s += "; its provider may copy it to your other devices"
	}
	return s
}

// ListPasskeys prints the passkeys.
func ListPasskeys(ctx context.Context, o PasskeyOptions) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		ps, err := s.Passkeys(ctx)
		if err != nil {
			return err
		}
		if ps == nil {
			ps = []api.Passkey{}
		}
		return o.Console.Print(ps, func(w io.Writer) {
			if len(ps) == 0 {
				fmt.Fprintln(w, "no passkeys; add one with: thumbturn passkey add")
			}
			for _, p := range ps {
				opens := "nothing"
				if len(p.Opens) > 0 {
					opens = strings.Join(p.Opens, ", ")
				}
				fmt.Fprintf(w, "%s  %s  since %s  %s  opens: %s\n", p.ID, canon.Escape(p.Name), time.UnixMilli(p.Created).UTC().Format(time.DateOnly), gives(p), canon.Escape(opens))
			}
		})
	})
}

// RemovePasskey takes a passkey away.
func RemovePasskey(ctx context.Context, o PasskeyOptions, name string) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := o.Console.Confirm("take the passkey " + canon.Escape(name) + " away for good?"); err != nil {
			return err
		}
		presence, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(presence)
		if err := s.PasskeyRemove(ctx, api.PasskeyRemove{Auth: auth, Name: name}, presence); err != nil {
			return err
		}
		return o.Console.Print(map[string]string{"removed": name}, func(w io.Writer) {
			fmt.Fprintf(w, "the passkey %s is removed\n", canon.Escape(name))
		})
	})
}

// offer proposes the first passkey, where a browser can be opened here.
func (o Options) offer(ctx context.Context, s *sdk.Client, presence, code []byte) error {
	if o.Presence != "" || !o.Console.Prompt.IsTerminal() || !o.Console.Display() {
		return nil
	}
	o.Console.Say("A passkey approves with Touch ID, Windows Hello, a phone or a security key, in place of the presence passphrase.")
	yes, err := o.Console.Prompt.Confirm("add one now, in the browser?")
	if err != nil || !yes {
		o.Console.Say("hint: any time later: thumbturn passkey add")
		return nil
	}
	p := PasskeyOptions{Console: o.Console, Name: "first"}
	err = p.enrol(ctx, s, o.source(), presence, code)
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.Pending) || fault.Is(err, fault.Unavailable) {
		o.Console.Say("no passkey was added: %v", err) // the account is made all the same
		return nil
	}
	return err
}
