package console

import (
	"errors"
	"time"
)

// millis is a flag that takes a duration and stores milliseconds.
type millis int64

func (m *millis) String() string {
	if *m == 0 {
		return ""
	}
	return (time.Duration(*m) * time.Millisecond).String()
}

func (m *millis) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return errors.New("want a duration of at least a second, such as 90s")
	}
	*m = millis(d.Milliseconds())
	return nil
}
