package forward

import (
	"io"
	"sync"
)

// body hands a review to the transport. net/http may still read a request's body when RoundTrip has returned, in a
// goroutine of its own, while the memory of the review is used again for another pod. So the transport never holds that
// memory, only this reader, which lets go of it when it is told to.
type body struct {
	mu   sync.Mutex
	rest []byte
	gone bool
}

// Read copies the next part.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.gone:
		return 0, io.ErrClosedPipe // fails the request that is still being written; nobody waits for it
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close is the transport's, which is done with the body.
func (b *body) Close() error {
	b.release()
	return nil
}

// release lets go of the memory: once it has returned, nothing reads the review any more.
func (b *body) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest, b.gone = nil, true
}
