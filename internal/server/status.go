package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryAfter is in whole seconds, the least that HTTP can say besides none.
const retryAfter = "1"

// statusBody is a metav1.Status, whose message the API server repeats to the user.
func statusBody(code int32, message string) []byte {
	reasons := map[int32]metav1.StatusReason{
		http.StatusBadRequest:            metav1.StatusReasonBadRequest,
		http.StatusNotFound:              metav1.StatusReasonNotFound,
		http.StatusRequestTimeout:        metav1.StatusReasonTimeout,
		http.StatusRequestEntityTooLarge: metav1.StatusReasonRequestEntityTooLarge,
		http.StatusTooManyRequests:       metav1.StatusReasonTooManyRequests,
		http.StatusServiceUnavailable:    metav1.StatusReasonServiceUnavailable,
		http.StatusInternalServerError:   metav1.StatusReasonInternalError,
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Message: "revision-router: " + message, Reason: reasons[code], Code: code,
	})
	if err != nil {
		return []byte(message) // strings and a number cannot fail
	}
	return append(body, '\n')
}

func writeStatus(w http.ResponseWriter, code int32, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if code == http.StatusTooManyRequests {
		h.Set("Retry-After", retryAfter)
	}
	body := statusBody(code, message)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(int(code))
	_, _ = w.Write(body) // a client that is gone gets no answer
}

// goodbye is what conn.farewell sends.
func goodbye() []byte {
	body := statusBody(http.StatusServiceUnavailable, "this connection was closed while the request was on its way; it is to be sent again")
	head := fmt.Sprintf("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Retry-After: %s\r\nConnection: close\r\n\r\n", len(body), retryAfter)
	return append([]byte(head), body...)
}
