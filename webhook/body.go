package webhook

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/revision-router/revision-router/internal/bounded"
)

const (
	// maxBody bounds a request. The API server takes objects of up to 3 MiB, and a review may hold the old and the
	// new one and a megabyte about the request (the arithmetic of controller-runtime's admission.Webhook).
	maxBody = 7 << 20
	// keepBody bounds the buffers that wait for the next request. It holds any pod with its review around it.
	keepBody = 4 << 20
)

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
	x.body, err = bounded.Read(x.body, bounded.Source{Reader: req.Body, Declared: req.ContentLength}, maxBody)
	switch {
	case errors.Is(err, bounded.ErrTooLarge):
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
