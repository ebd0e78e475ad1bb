package webhook

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// injectorReply is what the router reads from an injector's answer. The patch is decoded; the rest, which few answers
// have, is what the reference decoder makes of it.
type injectorReply struct {
	apiVersion, kind, uid []byte
	hasResponse, allowed  bool
	encodedPatch          []byte
	patchType             []byte
	patch                 []byte
	status                *metav1.Status
	warnings              []string
	audit                 map[string]string
}

// decodeReply reads an injector's answer. The patch is decoded into buf, which is returned in any case. As with the
// requests, the scanner reads what is plain, and leaves what is not to Kubernetes' own decoder.
func decodeReply(body, buf []byte, r *injectorReply) ([]byte, error) {
	s := scanner{data: body}
	s.injectorReview(r)
	if s.err == nil {
		var err error
		if buf, err = base64.StdEncoding.AppendDecode(buf[:0], r.encodedPatch); err != nil {
			return buf[:0], fmt.Errorf("decode its patch: %w", err)
		}
		r.patch = buf
		return buf, nil
	}
	s = scanner{data: body}
	s.skip()
	s.end()
	if s.err != nil {
		return buf, s.err
	}
	return decodeReplySlowly(body, buf, r)
}

func decodeReplySlowly(body, buf []byte, r *injectorReply) ([]byte, error) {
	var review admissionv1.AdmissionReview
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &review); err != nil {
		return buf, fmt.Errorf("decode the AdmissionReview: %w", err)
	}
	*r = injectorReply{apiVersion: []byte(review.APIVersion), kind: []byte(review.Kind)}
	a := review.Response
	if a == nil {
		return buf, nil
	}
	r.hasResponse, r.allowed, r.uid = true, a.Allowed, []byte(a.UID)
	if a.PatchType != nil {
		r.patchType = []byte(*a.PatchType)
	}
	r.status, r.warnings, r.audit = a.Result, a.Warnings, a.AuditAnnotations
	buf = append(buf[:0], a.Patch...)
	r.patch = buf
	return buf, nil
}

func (s *scanner) injectorReview(r *injectorReply) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "apiVersion":
			s.first(&keys, 0)
			s.text(&r.apiVersion)
		case "kind":
			s.first(&keys, 1)
			s.text(&r.kind)
		case "response":
			s.first(&keys, 2)
			if s.null() {
				continue
			}
			r.hasResponse = true
			s.injectorResponse(r)
		default:
			s.skip()
		}
	}
	s.end()
}

func (s *scanner) injectorResponse(r *injectorReply) {
	var keys seen
	for key := range s.fields {
		switch string(key) {
		case "uid":
			s.first(&keys, 0)
			s.text(&r.uid)
		case "allowed":
			s.first(&keys, 1)
			s.boolean(&r.allowed)
		case "patch":
			s.first(&keys, 2)
			s.text(&r.encodedPatch)
		case "patchType":
			s.first(&keys, 3)
			s.text(&r.patchType)
		case "status":
			s.first(&keys, 4)
			s.value(&r.status)
		case "warnings":
			s.first(&keys, 5)
			s.value(&r.warnings)
		case "auditAnnotations":
			s.first(&keys, 6)
			s.value(&r.audit)
		default:
			s.skip()
		}
	}
}

// value leaves one value to the reference decoder.
func (s *scanner) value(into any) {
	raw := s.raw()
	if s.err != nil {
		return
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, into); err != nil {
		s.fail(errDoubt) // the same decoder has the last word, and says it about the whole
	}
}

// raw passes over one value and returns its text.
func (s *scanner) raw() []byte {
	s.peek()
	start := s.pos
	s.skip()
	if s.err != nil {
		return nil
	}
	return s.data[start:s.pos]
}

var (
	errNoReview   = errors.New("it is no AdmissionReview of " + reviewAPIVersion)
	errNoResponse = errors.New("it has no response")
	errOtherUID   = errors.New("it answers another request (its uid is not that of the request)")
	errPatchType  = errors.New("its patch is not marked as a JSON Patch")
)

// check tells what keeps an answer from being passed on; the API server's own rules (apiserver,
// admission/plugin/webhook/request). A denial is let off lightly, because it is what istiod answers to a body that it
// cannot read, with neither kind nor uid, and no pod comes of it. The uid of any other answer may be missing, as the
// router's answer has its own; one that is another's speaks of another pod, whose sidecar must not end up in this one.
func (r *injectorReply) check(uid []byte) error {
	switch {
	case !r.hasResponse:
		return errNoResponse
	case !r.allowed:
		return nil
	case string(r.kind) != reviewKind || string(r.apiVersion) != reviewAPIVersion:
		return errNoReview
	case len(r.uid) > 0 && !bytes.Equal(r.uid, uid):
		return errOtherUID
	case len(r.patch) > 0 && string(r.patchType) != string(admissionv1.PatchTypeJSONPatch):
		return errPatchType
	}
	return nil
}
