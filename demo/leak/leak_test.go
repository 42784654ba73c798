package leak

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

// A demonstration that overlooks the key would show nothing.
func TestSeen(t *testing.T) {
	for range 50 {
		key := NewKey()
		for name, text := range map[string]string{
			"plain": "Bearer " + key + "\n", "reversed": reversed(key), "query": url.QueryEscape("k=" + key),
			"hex": hex.EncodeToString([]byte("k=" + key + "\n")), "HEX": strings.ToUpper(hex.EncodeToString([]byte(key))),
			"base64": base64.StdEncoding.EncodeToString([]byte(key)), "base64 after one": base64.StdEncoding.EncodeToString([]byte("a" + key + "\n")),
			"base64 after two": base64.URLEncoding.EncodeToString([]byte("ab" + key + " tail")),
		} {
			if Seen(text, key) == 0 {
				t.Errorf("%s: %q is not seen in %q", name, key, text)
			}
			if left := Seen(Hidden(text, key), key); left != 0 {
				t.Errorf("%s: %d left in %q", name, left, Hidden(text, key))
			}
		}
		for _, text := range []string{"", "<concealed by Thumbturn>", "op://dev/Billing/credential", NewKey(), "demo+"} {
			if Seen(text, key) != 0 {
				t.Errorf("%q is seen in %q", key, text)
			}
		}
	}
}
