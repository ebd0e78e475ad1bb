// Package bounded reads bodies of HTTP messages into memory that is used again, and never more of it than a limit.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrTooLarge means that there is more to read than the limit.
var ErrTooLarge = errors.New("the body is too large")

// firstRead bounds the memory that a declared length alone can claim: whoever declares it need not have proved who
// they are, so the buffer grows with what really arrives.
const firstRead = 256 << 10

// Source is a body with the length that its sender declared, less than one where none was.
type Source struct {
	io.Reader
	Declared int64
}

// Read reads all of from into buf, which grows as needed, up to most bytes. The buffer is returned in any case, with
// what was read.
func Read(buf []byte, from Source, most int) ([]byte, error) {
	if from.Declared > int64(most) {
		return buf[:0], ErrTooLarge
	}
	// One byte more than announced, so that the end of the body is seen without growing.
	buf = slices.Grow(buf[:0], int(min(max(from.Declared, 0)+1, firstRead)))
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)) // doubles
		}
		n, err := from.Read(buf[len(buf):min(cap(buf), most+1)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > most:
			return buf, ErrTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, fmt.Errorf("read the body: %w", err)
		}
	}
}
