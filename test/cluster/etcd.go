package cluster

import (
	"context"
	"os"
)

// etcd listens on a socket in the cluster's directory, which is the working directory of both components: no port to
// lose to another process, no etcd without authentication on the network, and no limit of 104 bytes (macOS) for the
// directory's path.
const (
	etcdSocket = "etcd.sock"
	etcdURL    = "unix://" + etcdSocket
	etcdPeer   = "http://127.0.0.1:0"
)

func (c *Cluster) startEtcd(ctx context.Context) error {
	p, err := startProcess("etcd", c.binaries.etcd, c.dir, []string{
		"--name=local",
		"--data-dir=data",
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		// One member has no peers, but has to name an address for them.
		"--listen-peer-urls=unix://peer.sock",
		"--initial-advertise-peer-urls=" + etcdPeer,
		"--initial-cluster=local=" + etcdPeer,
		// The data does not outlive the process, so it need not survive a crash of the machine.
		"--unsafe-no-fsync",
		"--log-level=warn",
	})
	if err != nil {
		return err
	}
	c.etcd = p
	return p.await(ctx, func(context.Context) error {
		_, err := os.Stat(c.dir.file(etcdSocket))
		return err
	})
}
