package console

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Duration reads a length of time: what Go calls one, or a number of days or
// weeks, 90d or 2w. It is not negative, and a hundred years at most.
func Duration(s string) (time.Duration, error) {
	const most = 36500 * 24 * time.Hour
	d, err := time.ParseDuration(s)
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			var v uint64
			v, err = strconv.ParseUint(n, 10, 16)
			d = time.Duration(v) * length
		}
	}
	if err != nil || d < 0 || d > most {
		return 0, Usage("%q is no length of time; write 90d, 2w or 12h", s)
	}
	return d, nil
}

// Span prints a length of time as Duration reads it, without what is zero.
func Span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// millis is a flag that takes a duration and stores milliseconds.
type millis int64

func (m *millis) String() string {
	if *m == 0 {
		return ""
	}
	return (time.Duration(*m) * time.Millisecond).String()
}

func (m *millis) Set(s string) error {
	d, err := Duration(s)
	if err != nil || d < time.Second {
		return errors.New("want a duration of at least a second, such as 90s")
	}
	*m = millis(d.Milliseconds())
	return nil
}
