package term

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pair opens a new pseudo-terminal: what is written to the slave appears at the
// master, and the closing of the master hangs the terminal up. The slave comes
// from the master itself, whatever is mounted at /dev/pts.
func Pair() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	err = onFD(master, func(fd uintptr) error {
		if err := unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err := unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		if err != nil {
			return err
		}
		peer, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			return errno
		}
		slave = os.NewFile(peer, "/dev/pts/"+strconv.FormatUint(uint64(n), 10))
		return nil
	})
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// Modes are those of a terminal (termios(3)). The zero value is none.
type Modes struct{ m unix.Termios }

// ModesOf returns the modes of the terminal f.
func ModesOf(f *os.File) (Modes, error) {
	var m *unix.Termios
	err := onFD(f, func(fd uintptr) (err error) {
		m, err = unix.IoctlGetTermios(int(fd), getTermios)
		return err
	})
	if err != nil {
		return Modes{}, err
	}
	return Modes{*m}, nil
}

// Raw returns the modes in which the terminal passes every byte on as it is, as
// cfmakeraw(3) does.
func (m Modes) Raw() Modes {
	m.m.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	m.m.Oflag &^= unix.OPOST
	m.m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	m.m.Cflag &^= unix.CSIZE | unix.PARENB
	m.m.Cflag |= unix.CS8
	m.m.Cc[unix.VMIN], m.m.Cc[unix.VTIME] = 1, 0
	return m
}

// IsRaw tells that the terminal neither edits nor echoes, signals nor changes
// what is printed: no program but one that passes bytes on leaves it like that.
func (m Modes) IsRaw() bool {
	return m.m.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) == 0 && m.m.Oflag&unix.OPOST == 0 && m.m.Cc[unix.VMIN] == 1
}

// Set gives f the modes. What was typed and not read yet stays.
func (m Modes) Set(f *os.File) error {
	return onFD(f, func(fd uintptr) error {
		return retry(func() error { return unix.IoctlSetTermios(int(fd), setTermios, &m.m) })
	})
}

// CopySize gives the terminal to the size of the terminal from. The foreground
// group of to learns of it where that is a change.
func CopySize(to, from *os.File) error {
	var size *unix.Winsize
	err := onFD(from, func(fd uintptr) (err error) {
		size, err = unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		return err
	})
	if err != nil {
		return err
	}
	return onFD(to, func(fd uintptr) error { return unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
}

// Foreground returns the process group to which f sends what is typed. f must
// be the controlling terminal of this process, or the master of a pair.
func Foreground(f *os.File) (group int, err error) {
	err = onFD(f, func(fd uintptr) (err error) {
		group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
		return err
	})
	return group, err
}

// SetForeground gives the controlling terminal f to a process group of this
// session. A caller in the background must ignore SIGTTOU or is stopped.
func SetForeground(f *os.File, group int) error {
	return onFD(f, func(fd uintptr) error { return unix.IoctlSetPointerInt(int(fd), unix.TIOCSPGRP, group) })
}
