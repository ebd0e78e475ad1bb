package migrate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/migrate"
	"github.com/revision-router/revision-router/internal/status"
)

const (
	oldRevision, newRevision = "default-v1-29-6", "default-v1-30-3"
	oldVersion, newVersion   = "v1.29.6", "v1.30.3"
)

func older() status.Proxy { return status.Proxy{Revision: oldRevision, Version: oldVersion} }

func newer() status.Proxy { return status.Proxy{Revision: newRevision, Version: newVersion} }

// oldest is two minors back.
func oldest() status.Proxy { return status.Proxy{Revision: "default-v1-28-5", Version: "v1.28.5"} }

func waiting(namespace, kind, name string, from status.Proxy) status.Restart {
	return status.Restart{
		Namespace: namespace, Kind: kind, Name: name, Pods: 1, From: from, To: newer(), Tag: "prod", Reason: status.TagMoved,
	}
}

func TestDueIn(t *testing.T) {
	t.Parallel()
	nobody := waiting("shop", "Deployment", "free", older())
	nobody.Reason, nobody.To = status.NoLongerSelected, status.Proxy{}
	canary := waiting("pay", "Deployment", "fraud", older())
	canary.Tag, canary.To = "canary", oldest()
	r := &status.Report{Restarts: []status.Restart{
		canary, waiting("pay", "Job", "batch", older()), waiting("shop", "Deployment", "cart", oldest()),
		waiting("shop", "Deployment", "cart", older()), nobody, waiting("shop", "StatefulSet", "db", older()),
	}}
	for name, tc := range map[string]struct {
		s    migrate.Selection
		want []string
	}{
		"everything, each workload once": {migrate.Selection{}, []string{
			"Deployment pay/fraud", "Job pay/batch", "Deployment shop/cart", "StatefulSet shop/db",
		}},
		"a namespace":                   {migrate.Selection{Namespace: "pay"}, []string{"Deployment pay/fraud", "Job pay/batch"}},
		"a tag":                         {migrate.Selection{Tag: "canary"}, []string{"Deployment pay/fraud"}},
		"from a revision":               {migrate.Selection{From: oldest().Revision}, []string{"Deployment shop/cart"}},
		"from a version without its v":  {migrate.Selection{From: "1.28.5"}, []string{"Deployment shop/cart"}},
		"to a version":                  {migrate.Selection{To: "v1.28.5"}, []string{"Deployment pay/fraud"}},
		"to another patch of it":        {migrate.Selection{To: "v1.28.6"}, nil},
		"to an alias":                   {migrate.Selection{To: "v1.28-latest"}, []string{"Deployment pay/fraud"}},
		"a tag and a namespace without": {migrate.Selection{Tag: "canary", Namespace: "shop"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range migrate.DueIn(r, tc.s) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if cart := migrate.DueIn(r, migrate.Selection{})[2]; cart.Pods != 2 || len(cart.From) != 2 {
		t.Errorf("a workload that is half restarted is %+v", cart)
	}
}
