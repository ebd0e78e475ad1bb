package injector

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
)

// Hang takes a review and never answers.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// Drop closes the connection before the first byte of an answer.
func Drop(w http.ResponseWriter, _ *http.Request, _ http.Handler) { cut(w, "") }

// BreakOff closes the connection in the middle of an answer.
func BreakOff(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	cut(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n{\"kind\":\"AdmissionReview\",")
}

// cut writes a text, and resets the connection.
func cut(w http.ResponseWriter, text string) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler) // HTTP/2
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(text))
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := tls.NetConn().(*net.TCPConn); ok && text == "" {
			_ = tcp.SetLinger(0) // RST in place of FIN
		}
	}
	_ = conn.Close()
}

// Stall sends half of an answer, and then nothing.
func Stall(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.Header().Set("Content-Length", "4000")
	_, _ = w.Write([]byte(`{"kind":"AdmissionReview",`))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// Say answers every review with a status and a body.
func Say(status int, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// Flood answers with more than any review can be.
func Flood(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 9 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// Claim answers with a header that announces more than any review can be.
func Claim(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Length", strconv.Itoa(1<<30))
	_, _ = w.Write([]byte(" "))
}
