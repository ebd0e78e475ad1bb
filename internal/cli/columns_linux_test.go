package cli

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens one of a width.
func terminal(t *testing.T, columns uint16) *os.File {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = controller.Close() })
	fd := int(controller.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheWidthOfATerminal(t *testing.T) {
	for _, tc := range []struct {
		columns        uint16
		environment    string
		width, isLimit int
	}{
		{100, "", 100, 100},
		{200, "", maxWidth, 200},
		{100, "72", 72, 72},
		{100, "wide", 100, 100},
		{0, "", defaultWidth, 0}, // a serial console does not know
		{0, "90", 90, 90},
	} {
		t.Setenv("COLUMNS", tc.environment)
		got := screenOf(terminal(t, tc.columns))
		if !got.terminal || got.width != tc.width || got.columns != tc.isLimit {
			t.Errorf("with %d columns and COLUMNS=%s: got %+v", tc.columns, tc.environment, got)
		}
	}
}
