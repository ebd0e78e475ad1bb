package webhook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

const (
	// maxBody bounds a request. The API server takes objects of up to 3 MiB, and a review may hold the old and the
	// new one and a megabyte about the request (the arithmetic of controller-runtime's admission.Webhook).
	maxBody = 7 << 20
	// firstRead bounds the memory that a declared Content-Length alone can claim: nobody has to prove who they
	// are to reach this port, so the buffer grows with what really arrives.
	firstRead = 256 << 10
	// keepBody bounds the buffers that wait for the next request. It holds any pod with its review around it.
	keepBody = 4 << 20
)

var errTooLarge = errors.New("the body is too large")

// readBody reads all of r into buf, which grows as needed and is returned in any case. declared is the length that
// the client announced, or less than one.
func readBody(buf []byte, r io.Reader, declared int64) ([]byte, error) {
	if declared > maxBody {
		return buf[:0], errTooLarge
	}
	// One byte more than announced, so that the end of the body is seen without growing.
	buf = slices.Grow(buf[:0], int(min(max(declared, 0)+1, firstRead)))
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)) // doubles
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), maxBody+1)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > maxBody:
			return buf, errTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, fmt.Errorf("read the body: %w", err)
		}
	}
}

// receive checks what is around the body and reads it.
func (x *exchange) receive(req *http.Request) *httpError {
	if req.Method != http.MethodPost {
		return &httpError{MethodNotAllowed, http.StatusMethodNotAllowed, "the method is " + quote(req.Method) + ", want POST"}
	}
	// Exactly, as in controller-runtime and istiod: the API server never adds a parameter.
	if got := req.Header.Get("Content-Type"); got != contentType {
		return &httpError{
			WrongContentType, http.StatusUnsupportedMediaType,
			"the Content-Type is " + quote(got) + ", want " + contentType,
		}
	}
	if req.Body == nil || req.Body == http.NoBody {
		return &httpError{BodyEmpty, http.StatusBadRequest, "the body is empty, want an AdmissionReview"}
	}
	var err error
	x.body, err = readBody(x.body, req.Body, req.ContentLength)
	switch {
	case errors.Is(err, errTooLarge):
		return &httpError{
			BodyTooLarge, http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes", maxBody),
		}
	case err != nil:
		return &httpError{BodyUnreadable, http.StatusBadRequest, err.Error()}
	case len(x.body) == 0:
		return &httpError{BodyEmpty, http.StatusBadRequest, "the body is empty, want an AdmissionReview"}
	}
	return nil
}
