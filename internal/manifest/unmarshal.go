package manifest

import kjson "sigs.k8s.io/json"

// unmarshal decodes as the API server does: the case of field names counts.
func unmarshal(raw []byte, into any) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(raw, into)
}
