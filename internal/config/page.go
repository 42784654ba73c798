package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// PageName is the file that says where the approval page is, so that its port can be
// taken before anything is unlocked. The account says it too, signed: where the two
// differ, there is no page.
const PageName = "page"

var origin = regexp.MustCompile(`^http://vault-[0-9a-z]{26}\.localhost:([1-9][0-9]{3,4})$`)

// PagePort is the port of a page's origin; empty where that is none of ours.
func PagePort(text string) string {
	m := origin.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// ReadPage reads the page's origin; empty where none was chosen yet.
func ReadPage(dir string) (string, error) {
	path := filepath.Join(dir, PageName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	text := strings.TrimSpace(string(b))
	if err != nil || PagePort(text) == "" {
		return "", fault.New(fault.Usage, "page", path, "it does not say where the approval page is").WithHint("`thumbturn unlock`, then `thumbturn approve`: it is written again")
	}
	return text, nil
}

// WritePage replaces the file.
func WritePage(dir, text string) error {
	path := filepath.Join(dir, PageName)
	if PagePort(text) == "" {
		return fault.New(fault.Internal, "page", text, "no origin of a page")
	}
	if err := atomicfile.Write(path, []byte(text+"\n"), 0o600); err != nil {
		return fault.Wrap(fault.Unavailable, "page", path, err)
	}
	return nil
}
