package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// podNetwork takes the API server's connections to pods to the processes that stand for them: an HTTP CONNECT proxy on a
// Unix socket, which is what an API server's egress selector speaks.
type podNetwork struct {
	// selector is the path of the API server's --egress-selector-config-file.
	selector string
	listener net.Listener
	running  sync.WaitGroup
	// made is the number of connections that reached a process.
	made atomic.Int64

	mu     sync.Mutex
	routes map[string]string // from a pod's address to a process's
	open   map[net.Conn]struct{}
}

// What the API server reads. Connections to webhooks by URL are those of "controlplane", which stay direct.
const egressSelector = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport:
        uds:
          udsName: %s
`

func newPodNetwork(dir string) (*podNetwork, error) {
	socket := filepath.Join(dir, "pods.sock")
	n := &podNetwork{
		selector: filepath.Join(dir, "egress.yaml"), routes: map[string]string{}, open: map[net.Conn]struct{}{},
	}
	if err := os.WriteFile(n.selector, fmt.Appendf(nil, egressSelector, socket), 0o600); err != nil {
		return nil, fmt.Errorf("writing the egress selector: %w", err)
	}
	var err error
	if n.listener, err = net.Listen("unix", socket); err != nil { //nolint:noctx // returns at once
		return nil, fmt.Errorf("starting the network of pods: %w", err)
	}
	n.running.Go(n.accept)
	return n, nil
}

// route makes an address of a pod lead to a process.
func (n *podNetwork) route(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes[from] = to
}

// drop takes a route away; connections that lead to the process stay as long as it keeps them.
func (n *podNetwork) drop(from string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.routes, from)
}

func (n *podNetwork) accept() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return // closed
		}
		n.running.Go(func() { n.serve(conn) })
	}
}

func (n *podNetwork) serve(client net.Conn) {
	if !n.hold(client) {
		return
	}
	defer n.release(client)
	reader := bufio.NewReader(client)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	n.mu.Lock()
	to, known := n.routes[request.Host]
	n.mu.Unlock()
	if !known {
		n.refuse(client, "no pod has the address "+request.Host)
		return
	}
	process, err := net.Dial("tcp", to) //nolint:noctx // loopback answers at once
	if err != nil {
		n.refuse(client, err.Error())
		return
	}
	if !n.hold(process) {
		return
	}
	defer n.release(process)
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	n.made.Add(1)
	var both sync.WaitGroup
	both.Go(func() { pass(process, reader) })
	both.Go(func() { pass(client, process) })
	both.Wait()
}

// refuse answers as a proxy does that cannot reach the pod; the API server then fails as for a refused connection.
func (n *podNetwork) refuse(client net.Conn, why string) {
	_, _ = fmt.Fprintf(client, "HTTP/1.1 502 Bad Gateway\r\nX-Reason: %s\r\nContent-Length: 0\r\n\r\n", why)
}

// pass copies until one side ends, and tells the other side.
func pass(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (n *podNetwork) hold(conn net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		_ = conn.Close()
		return false
	}
	n.open[conn] = struct{}{}
	return true
}

func (n *podNetwork) release(conn net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, conn)
	_ = conn.Close()
}

func (n *podNetwork) close() error {
	err := n.listener.Close()
	n.mu.Lock()
	for conn := range n.open {
		_ = conn.Close()
	}
	n.open = nil
	n.mu.Unlock()
	n.running.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stopping the network of pods: %w", err)
	}
	return nil
}
