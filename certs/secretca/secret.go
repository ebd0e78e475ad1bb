package secretca

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/revision-router/revision-router/certs"
)

// The keys of the Secret. The package comment explains them.
const (
	keyCertificate     = "tls.crt"
	keyKey             = "tls.key"
	keyNextCertificate = "next-tls.crt"
	keyNextKey         = "next-tls.key"
	keyNextPublished   = "next-published-at"
	keyPrevious        = "previous.crt"
	keyPreviousUntil   = "previous-until"
	keyDropped         = "dropped.crt"
	keyBundle          = "ca.crt"
)

// RotateAnnotation on the Secret asks for a new CA. Any value will do; Manager.Rotate writes the time.
const RotateAnnotation = "revision-router.io/rotate"

// fieldManager is the name under which the API server notes what was written here.
const fieldManager = "revision-router"

// secretStore reads and writes the CA Secret.
type secretStore struct {
	client typedcorev1.SecretInterface
	name   string
}

// +kubebuilder:rbac:groups="",resources=secrets,namespace=revision-router,resourceNames=revision-router-ca,verbs=get

// get returns nil if there is no Secret. It asks etcd and not a cache (no resourceVersion in the request): decisions
// about CAs are made on what is, not on what was.
func (s secretStore) get(ctx context.Context) (*corev1.Secret, error) {
	secret, err := s.client.Get(ctx, s.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", s.name, err)
	}
	return secret, nil
}

// +kubebuilder:rbac:groups="",resources=secrets,namespace=revision-router,verbs=create
// +kubebuilder:rbac:groups="",resources=secrets,namespace=revision-router,resourceNames=revision-router-ca,verbs=update

// swap replaces old, which may be nil, and fails with a conflict if old is not what the API server has any more: the
// resourceVersion of old goes along with the update, and a create fails if there is something.
func (s secretStore) swap(ctx context.Context, old *corev1.Secret, a certs.Authorities, clearRequest requestMark) error {
	data, err := encode(a)
	if err != nil {
		return fmt.Errorf("encode Secret %s: %w", s.name, err)
	}
	if old == nil {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name:   s.name,
				Labels: map[string]string{"app.kubernetes.io/managed-by": fieldManager},
			},
			Type: corev1.SecretTypeOpaque, // kubernetes.io/tls would promise other programs a pair they should not use
			Data: data,
		}
		if _, err := s.client.Create(ctx, secret, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
			return fmt.Errorf("create Secret %s: %w", s.name, err)
		}
		return nil
	}
	secret := old.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data) // keys of others stay
	if clearRequest == requestDone {
		delete(secret.Annotations, RotateAnnotation)
	}
	if _, err := s.client.Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("update Secret %s: %w", s.name, err)
	}
	return nil
}

// requestMark tells what becomes of RotateAnnotation.
type requestMark string

const (
	requestStays requestMark = "stays"
	requestDone  requestMark = "done"
)

// markAfter removes a request when the rotation that it asked for begins. One that arrives during a rotation is met by
// that rotation, and removed at its end.
func markAfter(k certs.Kind) requestMark {
	if k == certs.StageNext || k == certs.Promote || k == certs.CreateCA {
		return requestDone
	}
	return requestStays
}

func encode(a certs.Authorities) (map[string][]byte, error) {
	data := map[string][]byte{
		keyCertificate: nil, keyKey: nil, keyNextCertificate: nil, keyNextKey: nil,
		keyNextPublished: encodeTime(a.NextPublished),
		keyPrevious:      a.Previous.PEM(),
		keyPreviousUntil: encodeTime(a.PreviousUntil),
		keyDropped:       a.Dropped.PEM(),
		keyBundle:        a.Bundle().PEM(),
	}
	for keys, authority := range map[[2]string]*certs.Authority{
		{keyCertificate, keyKey}:         a.Current,
		{keyNextCertificate, keyNextKey}: a.Next,
	} {
		if authority == nil {
			continue
		}
		key, err := certs.EncodeKey(authority.Key)
		if err != nil {
			return nil, err
		}
		data[keys[0]], data[keys[1]] = certs.EncodeCertificate(authority.Certificate), key
	}
	return data, nil
}

// decode is strict: a Secret that is half right would be noticed only when the other half is needed.
func decode(data map[string][]byte) (certs.Authorities, error) {
	var a certs.Authorities
	var errs [6]error
	a.Current, errs[0] = decodeAuthority(data, keyCertificate, keyKey)
	a.Next, errs[1] = decodeAuthority(data, keyNextCertificate, keyNextKey)
	a.NextPublished, errs[2] = decodeTime(data, keyNextPublished)
	a.Previous, errs[3] = decodeBundle(data, keyPrevious)
	a.PreviousUntil, errs[4] = decodeTime(data, keyPreviousUntil)
	a.Dropped, errs[5] = decodeBundle(data, keyDropped)
	if err := errors.Join(errs[:]...); err != nil {
		return certs.Authorities{}, err
	}
	if err := a.Validate(); err != nil {
		return certs.Authorities{}, err
	}
	return a, nil
}

func decodeAuthority(data map[string][]byte, certificateKey, keyKey string) (*certs.Authority, error) {
	if len(data[certificateKey]) == 0 && len(data[keyKey]) == 0 {
		return nil, nil
	}
	authority, err := certs.ParseAuthority(data[certificateKey], data[keyKey])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certificateKey, keyKey, err)
	}
	return authority, nil
}

func decodeBundle(data map[string][]byte, key string) (certs.Bundle, error) {
	bundle, err := certs.ParseBundle(data[key])
	if err != nil {
		return certs.Bundle{}, fmt.Errorf("%s: %w", key, err)
	}
	return bundle, nil
}

func encodeTime(t time.Time) []byte {
	if t.IsZero() {
		return nil
	}
	return []byte(t.UTC().Format(time.RFC3339Nano))
}

func decodeTime(data map[string][]byte, key string) (time.Time, error) {
	if len(data[key]) == 0 {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, string(data[key]))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", key, err)
	}
	return t, nil
}
