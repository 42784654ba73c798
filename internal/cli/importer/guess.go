package importer

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/thumbturn/thumbturn/ref"
)

var (
	number = regexp.MustCompile(`^[+-]?[0-9][0-9.,:_]*(ms|s|m|h|d|k|kb|mb|gb|%)?$`)
	word   = regexp.MustCompile(`^([a-z]{1,12}|[A-Z]{1,12}|[A-Z][a-z]{1,11})$`)
	// secretive finds keys whose values are secrets even where they look like a
	// word or a number.
	secretive = regexp.MustCompile(`(?i)(pass|pwd|secret|token|key|cred|auth|private|salt|pin|otp|seed|signature|cookie|session|license)`)
)

// reason tells why a value of an env file stays where it is; empty, it is taken
// for a secret. What is not clearly none is one: a setting moved into a vault
// does no harm, a secret left in a file does.
func reason(key, value string, all bool) string {
	switch lower := strings.ToLower(value); {
	case strings.TrimSpace(value) == "":
		return "is empty"
	case holdsRef(value):
		return "holds a reference"
	case all:
		return ""
	case lower == "true" || lower == "false" || lower == "yes" || lower == "no" || lower == "on" || lower == "off" ||
		lower == "null" || lower == "none":
		return "is a switch"
	case secretive.MatchString(key):
		return ""
	case number.MatchString(lower):
		return "is a number"
	case word.MatchString(value):
		return "is a plain word"
	case localURL(value):
		return "is a local address without a password"
	}
	return ""
}

// holdsRef reports whether a value is a reference, or a template with one. A
// malformed one is left for its owner to mend.
func holdsRef(value string) bool {
	t, err := ref.ParseValue(value)
	return err != nil || len(t.Refs()) > 0
}

// localURL reports whether a value is an address on this machine that carries
// nothing: no user, no password and no query.
func localURL(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1", "0.0.0.0":
		return true
	}
	return false
}
