package events

import (
	"os"
	"testing"

	"github.com/revision-router/revision-router/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
