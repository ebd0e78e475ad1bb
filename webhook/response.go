package webhook

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

// response is the part of an AdmissionResponse that the router uses. One of the constructors below makes it.
type response struct {
	allowed bool
	// code, reason and message tell the user why the request is denied.
	code            int
	reason, message string
	warnings        []string
	// patch is a JSON Patch, empty where nothing changes: the API server then neither applies a patch nor
	// decodes the pod again.
	patch []byte
	// decision is written to the audit log, where it is set.
	decision routing.Decision
	// forwarded is what came of asking the injector, and audit what it has for the audit log; both in forward mode.
	forwarded forward.Result
	audit     map[string]string
}

// allowed lets a request pass as it is.
func allowed() response { return response{allowed: true} }

// forbidden denies what the policy refuses.
func forbidden(message string) response {
	return response{code: http.StatusForbidden, reason: "Forbidden", message: message}
}

// failed denies what could not be decided upon, or carried out, for the moment.
func failed(code int, message string) response {
	reason := map[int]string{
		http.StatusServiceUnavailable: "ServiceUnavailable", http.StatusGatewayTimeout: "Timeout",
	}[code]
	if reason == "" {
		reason = "InternalError"
	}
	return response{code: code, reason: reason, message: message}
}

// conflict denies what another try may well allow.
func conflict(message string) response {
	return response{code: http.StatusConflict, reason: "Conflict", message: message}
}

// appendReview appends the AdmissionReview that answers the request uid. It is written by hand, because
// json.Marshal of the API type costs more than the decision.
func appendReview(dst, uid []byte, r response) []byte {
	dst = append(dst, `{"kind":"`+reviewKind+`","apiVersion":"`+reviewAPIVersion+`","response":{"uid":`...)
	dst = appendString(dst, uid)
	dst = append(dst, `,"allowed":`...)
	dst = strconv.AppendBool(dst, r.allowed)
	if !r.allowed {
		dst = append(dst, `,"status":{"metadata":{},"status":"Failure","message":`...)
		dst = appendString(dst, r.message)
		dst = append(dst, `,"reason":`...)
		dst = appendString(dst, r.reason)
		dst = append(dst, `,"code":`...)
		dst = strconv.AppendInt(dst, int64(r.code), 10)
		dst = append(dst, '}')
	}
	if len(r.patch) > 0 {
		dst = append(dst, `,"patch":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.patch)
		dst = append(dst, `","patchType":"JSONPatch"`...)
	}
	if r.decision.Action != "" {
		dst = appendAudit(dst, r)
	}
	for i, w := range r.warnings {
		if i == 0 {
			dst = append(dst, `,"warnings":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, w)
	}
	if len(r.warnings) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, "}}\n"...)
}

// The keys of the audit annotations. The API server puts the webhook's name and a slash before them, and takes
// only qualified names, so that they cannot have a prefix of their own (apiserver, mutating/dispatcher.go).
const (
	auditDecision = "decision"
	auditReason   = "reason"
	auditRevision = "revision"
	auditTag      = "tag"
	auditFollowed = "followed"
	// auditForwarded is what came of asking the injector, a [forward.Result].
	auditForwarded = "forwarded"
)

func appendAudit(dst []byte, r response) []byte {
	d := r.decision
	dst = append(dst, `,"auditAnnotations":{"`+auditDecision+`":`...)
	dst = appendString(dst, string(d.Action))
	dst = append(dst, `,"`+auditReason+`":`...)
	dst = appendString(dst, string(d.Reason))
	if d.Revision != "" {
		dst = append(dst, `,"`+auditRevision+`":`...)
		dst = appendString(dst, d.Revision)
	}
	if d.Tag != "" {
		dst = append(dst, `,"`+auditTag+`":`...)
		dst = appendString(dst, d.Tag)
	}
	if d.Followed != "" {
		dst = append(dst, `,"`+auditFollowed+`":`...)
		dst = appendString(dst, string(d.Followed))
	}
	if r.forwarded != "" {
		dst = append(dst, `,"`+auditForwarded+`":`...)
		dst = appendString(dst, string(r.forwarded))
	}
	if len(r.audit) > 0 {
		dst = appendForeignAudit(dst, r.audit)
	}
	return append(dst, '}')
}

// appendForeignAudit appends what an injector wants in the audit log, which no istiod does.
func appendForeignAudit(dst []byte, audit map[string]string) []byte {
	for _, key := range slices.Sorted(maps.Keys(audit)) {
		switch key {
		case auditDecision, auditReason, auditRevision, auditTag, auditFollowed, auditForwarded:
			continue // the router's own: a key counts once
		}
		dst = append(dst, ',')
		dst = appendString(dst, key)
		dst = append(dst, ':')
		dst = appendString(dst, audit[key])
	}
	return dst
}

// appendString appends s as a JSON string. Invalid UTF-8 becomes the replacement character, as in encoding/json.
func appendString[T []byte | string](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := decodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

func decodeRune[T []byte | string](s T) (rune, int) {
	// At most four bytes are converted, and the conversion stays on the stack.
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}
