package forward

// Injector says where the sidecar injector of one revision is and how to know that it is the right one. Values are
// immutable once handed to a Client: a changed CA bundle or address is a new Injector.
type Injector struct {
	Revision   string
	Address    string // host:port, such as istiod-x.istio-system.svc:443
	ServerName string // the TLS name to verify, which need not be the host of Address
	Path       string // starts with a slash; /inject in Istio
	CABundle   []byte // PEM
}
