package charts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestWrongValuesAreRefused(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"a key that does not exist":               {set("replicas=3"), "additional properties 'replicas' not allowed"},
		"a mode that does not exist":              {set("mode=Forward"), "at '/mode': value must be one of 'guard', 'forward'"},
		"a precedence that does not exist":        {set("policy.precedence=Revision"), "at '/policy/precedence': value must be one of 'Namespace', 'Pod'"},
		"a rule of precedence without one":        {[]string{"--set-json", `policy.precedence=[{"namespaceSelector":{}}]`}, "missing property 'precedence'"},
		"a control plane in no namespace":         {set("forward.controlPlaneNamespaces={Istio}"), "at '/forward/controlPlaneNamespaces/0': 'Istio' does not match"},
		"bodies without room for one":             {set("server.maxBodyMemory=27Mi"), "at '/server/maxBodyMemory': '27Mi' does not match pattern"},
		"a drain in minutes":                      {set("server.drainDelay=1m"), "at '/server/drainDelay': '1m' does not match pattern"},
		"clients without a name":                  {[]string{"--set-json", "server.clientCA.names=[]"}, "at '/server/clientCA/names': minItems"},
		"no injector's port":                      {[]string{"--set-json", "networkPolicy.injectorPorts=[]"}, "at '/networkPolicy/injectorPorts': minItems"},
		"a key that does not exist, further down": {set("webhook.timeout=3"), "at '/webhook': additional properties 'timeout' not allowed"},
		"no replica at all":                       {set("replicaCount=0"), "at '/replicaCount': minimum: got 0, want 1"},
		"a negative number of replicas":           {set("replicaCount=-1"), "at '/replicaCount': minimum: got -1, want 1"},
		"a timeout of nothing":                    {set("webhook.timeoutSeconds=0"), "at '/webhook/timeoutSeconds': minimum: got 0, want 1"},
		"a timeout that uses up the request":      {set("webhook.timeoutSeconds=31"), "at '/webhook/timeoutSeconds': maximum: got 31, want 10"},
		"a failure policy in lower case":          {set("webhook.failurePolicy=ignore"), "at '/webhook/failurePolicy': value must be one of 'Fail', 'Ignore', <nil>"},
		"a reinvocation policy that does not exist": {
			set("webhook.reinvocationPolicy=Always"), "at '/webhook/reinvocationPolicy': value must be one of 'IfNeeded', 'Never'",
		},
		"a level that does not exist":        {set("policy.unresolved=Off"), "at '/policy/unresolved': value must be one of 'Deny', 'Warn'"},
		"a rule that does not exist":         {set("policy.rules.CniSkew=Warn"), "at '/policy/rules': additional properties 'CniSkew' not allowed"},
		"a level of a rule in lower case":    {set("policy.rules.CNISkew=deny"), "at '/policy/rules/CNISkew': value must be one of 'Deny', 'Warn', 'Off'"},
		"a rule that is on":                  {set("policy.rules.CNISkew=true"), "at '/policy/rules/CNISkew': value must be one of 'Deny', 'Warn', 'Off'"},
		"refusing what cannot be read":       {set("policy.rules.UnknownVersion=Deny"), "at '/policy/rules/UnknownVersion': value must be one of 'Warn', 'Off'"},
		"a source of versions in lower case": {set("policy.controlPlaneVersion=declared"), "at '/policy/controlPlaneVersion': value must be one of 'Running', 'Declared'"},
		"IstioCNI two versions ahead":        {set("policy.cni.maxAhead=2"), "at '/policy/cni/maxAhead': value must be one of 0, 1"},
		"no time to drain ztunnel":           {set("policy.ztunnel.drainSeconds=0"), "at '/policy/ztunnel/drainSeconds': minimum: got 0, want 1"},
		"an operator without a name":         {set("policy.operatorServiceAccounts={}"), "at '/policy/operatorServiceAccounts/0': minLength: got 0, want 1"},
		"changes that are a bit judged":      {set("changes.enabled=some"), "at '/changes/enabled': got string, want boolean"},
		"a failure policy of changes in lower case": {
			set("changes.failurePolicy=fail"), "at '/changes/failurePolicy': value must be one of 'Fail', 'Ignore'",
		},
		"no time to judge a change":          {set("changes.timeoutSeconds=0"), "at '/changes/timeoutSeconds': minimum: got 0, want 1"},
		"too much time to judge a change":    {set("changes.timeoutSeconds=11"), "at '/changes/timeoutSeconds': maximum: got 11, want 10"},
		"a provider that does not exist":     {set("certs.provider=vault"), "at '/certs/provider': value must be one of 'self-managed', 'cert-manager', 'secret'"},
		"a certificate for minutes":          {set("certs.certManager.duration=90m"), "at '/certs/certManager/duration': '90m' does not match pattern"},
		"a Secret in upper case":             {set("certs.secret.name=TLS"), "at '/certs/secret/name': 'TLS' does not match pattern"},
		"a level of the log in upper case":   {set("log.level=INFO"), "at '/log/level': value must be one of"},
		"a privileged port":                  {set("webhook.port=443"), "at '/webhook/port': minimum: got 443, want 1,024"},
		"a digest that is a tag":             {set("image.digest=latest"), "at '/image/digest': 'latest' does not match pattern"},
		"no image":                           {set("image.repository="), "at '/image/repository': minLength"},
		"a namespace that is none":           {set("exemptNamespaces={istio_system}"), "at '/exemptNamespaces/0': 'istio_system' does not match pattern"},
		"a memory limit in thousandths":      {set("resources.limits.memory=128m"), "at '/resources/limits/memory': '128m' does not match pattern"},
		"too little time to drain":           {set("terminationGracePeriodSeconds=10"), "at '/terminationGracePeriodSeconds': minimum: got 10, want 30"},
		"an argument that is no flag":        {set("extraArgs={debug}"), "at '/extraArgs/0': 'debug' does not match pattern"},
		"a label that is no text":            {set("podLabels.tier=1"), "at '/podLabels/tier': got number, want string"},
		"a name that is too long":            {set("fullnameOverride=" + strings.Repeat("a", 55)), "at '/fullnameOverride': maxLength: got 55, want 54"},
		"a budget of nothing":                {set("podDisruptionBudget.maxUnavailable=0"), "at '/podDisruptionBudget/maxUnavailable': minimum: got 0, want 1"},
		"a platform that does not exist":     {set("platform=OpenShift"), "at '/platform': value must be one of '', 'kubernetes', 'openshift'"},
		"a namespace in upper case":          {set("namespaceOverride=Mesh"), "at '/namespaceOverride': 'Mesh' does not match pattern"},
		"a registry with a scheme":           {set("image.registry=https://mirror"), "at '/image/registry': 'https://mirror' does not match pattern"},
		"an autoscaler of nothing":           {set("autoscaling.minReplicas=0"), "at '/autoscaling/minReplicas': minimum: got 0, want 1"},
		"a hook that does not exist":         {set("changes.perHook.pods.failurePolicy=Fail"), "at '/changes/perHook': additional properties 'pods' not allowed"},
		"a failure policy of one hook":       {set("changes.perHook.mesh.failurePolicy=fail"), "at '/changes/perHook/mesh/failurePolicy': value must be one of 'Fail', 'Ignore', <nil>"},
		"too much time for one hook":         {set("changes.perHook.mesh.timeoutSeconds=11"), "at '/changes/perHook/mesh/timeoutSeconds': maximum: got 11, want 10"},
		"a probe that asks for another path": {set("probes.readiness.httpGet.path=/"), "at '/probes/readiness': additional properties 'httpGet' not allowed"},
		"a probe without a pause":            {set("probes.liveness.periodSeconds=0"), "at '/probes/liveness/periodSeconds': minimum: got 0, want 1"},
		"a way to resolve names":             {set("dnsPolicy=none"), "at '/dnsPolicy': value must be one of"},
		"a container without a name":         {[]string{"--set-json", `extraContainers=[{"image":"a"}]`}, "at '/extraContainers/0': missing property 'name'"},
		"an object that is a number":         {[]string{"--set-json", "extraObjects=[1]"}, "at '/extraObjects/0': got number, want string or object"},
		"an annotation that is no text":      {set("commonAnnotations.a=1"), "at '/commonAnnotations/a': got number, want string"},
		"a time before now":                  {set("minReadySeconds=-1"), "at '/minReadySeconds': minimum: got -1, want 0"},
		"switching the chart off by a value": {set("enabled=false"), "at '/enabled': value must be true"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, tc.args...); !strings.Contains(got, tc.want) {
				t.Errorf("%s\nwant in it: %s", got, tc.want)
			}
		})
	}
}

func TestContradictoryValuesAreRefused(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"nobody who injects": {
			set("mode=forward", "webhook.failurePolicy=Ignore"), "webhook.failurePolicy: Ignore would start pods without their sidecar",
		},
		"no time for a second call": {
			set("mode=forward", "webhook.timeoutSeconds=2"), "webhook.timeoutSeconds: 2 leaves no time to call the injector a second time",
		},
		"a precedence that nobody has": {
			set("policy.precedence=Pod"), "policy.precedence: Pod has no effect in mode guard",
		},
		"a precedence that nobody has, in a rule": {
			[]string{"--set-json", `policy.precedence=[{"precedence":"Namespace"},{"precedence":"Pod"}]`}, "policy.precedence: Pod has no effect in mode guard",
		},
		"no time to stop": {
			set("server.drainDelay=30s"), "terminationGracePeriodSeconds: 40 must be above server.drainDelay and server.shutdownTimeout, 40 seconds together",
		},
		"more requests than connections": {
			set("server.maxConcurrent=2000"), "server.maxConcurrent: 2000 must be below server.maxConnections, 2000",
		},
		"CAs of clients in two places": {
			set("server.clientCA.configMap=a", "server.clientCA.secret=b"), "server.clientCA: configMap and secret exclude each other.",
		},
		"the mode in a flag": {
			set("extraArgs={--mode=forward}"), "extraArgs: --mode is set by the chart. Use mode instead.",
		},
		"the drain in a flag": {
			set("extraArgs={--drain-delay=1s}"), "extraArgs: --drain-delay is set by the chart. Use server.drainDelay instead.",
		},
		"a label of Istio's on the webhook configuration": {
			set(`commonLabels.istio\.io/rev=canary`), "commonLabels: istio.io/rev must not be set: istiod takes labelled objects for its own",
		},
		"a label that the chart sets": {
			set(`commonLabels.app\.kubernetes\.io/name=mine`), "commonLabels: app.kubernetes.io/name is set by the chart. Remove it.",
		},
		"a sidecar for the router": {
			[]string{"--set-string", `podLabels.sidecar\.istio\.io/inject=true`},
			`podLabels: sidecar.istio.io/inject is set to "false" by the chart. Remove it.`,
		},
		"permissions for an account that has no name": {
			set("serviceAccount.create=false"), "serviceAccount.name: required where serviceAccount.create is false.",
		},
		"two servers on one port": {
			set("webhook.port=8081"), "webhook.port, health.port and metrics.port: must be three different ports.",
		},
		"a budget in two ways": {
			set("podDisruptionBudget.minAvailable=1", "podDisruptionBudget.maxUnavailable=1"),
			"podDisruptionBudget: minAvailable and maxUnavailable exclude each other.",
		},
		"a budget that keeps nodes from being drained": {
			set("podDisruptionBudget.minAvailable=2"), "podDisruptionBudget.minAvailable: 2 of 2 replicas leaves no pod",
		},
		"a share that is rounded up to everything": {
			set("podDisruptionBudget.minAvailable=51%"), "podDisruptionBudget.minAvailable: 51% of 2 replicas leaves no pod",
		},
		"a roll-out that cannot begin": {
			set("rollingUpdate.maxSurge=0%"), "rollingUpdate: maxUnavailable and maxSurge are both 0",
		},
		"a ServiceMonitor without a Service": {
			set("metrics.serviceMonitor.enabled=true", "metrics.service.enabled=false"),
			"metrics.serviceMonitor.enabled: needs metrics.service.enabled",
		},
		"a ServiceMonitor behind a NetworkPolicy that admits nobody": {
			set("metrics.serviceMonitor.enabled=true", "networkPolicy.enabled=true"),
			"networkPolicy.metricsFrom: empty, so Prometheus could not reach the metrics",
		},
		"a flag that the chart sets": {
			set("extraArgs={--webhook-port=1}"), "extraArgs: --webhook-port is set by the chart. Use webhook.port instead.",
		},
		"the name of the configuration in a flag": {
			set("extraArgs={--mutating-webhook=other}"), "extraArgs: --mutating-webhook is set by the chart.",
		},
		"the name of the configuration for changes in a flag": {
			set("extraArgs={--validating-webhook=other}"), "extraArgs: --validating-webhook is set by the chart.",
		},
		"the switch of changes in a flag": {
			set("extraArgs={--changes=false}"), "extraArgs: --changes is set by the chart. Use changes.enabled instead.",
		},
		"the switch of Events in a flag": {
			set("extraArgs={--events=false}"), "extraArgs: --events is set by the chart. Use events.enabled instead.",
		},
		"a Secret of one's own that is not named": {
			set("certs.provider=secret"), "certs.secret.name: required where certs.provider is secret.",
		},
		"a Secret of one's own that nobody would trust": {
			set("certs.provider=secret", "certs.secret.name=tls"), "certs.secret.caBundle: must hold CA certificates in PEM",
		},
		"a private key that would be published": {
			set("certs.provider=secret", "certs.secret.name=tls",
				"certs.secret.caBundle=-----BEGIN CERTIFICATE----- -----BEGIN EC PRIVATE KEY-----"),
			"certs.secret.caBundle: holds a private key.",
		},
		"a Secret of one's own beside the router's CA": {
			set("certs.secret.name=tls"), "certs.secret: has no effect where certs.provider is self-managed.",
		},
		"a Secret of one's own beside cert-manager": {
			set("certs.provider=cert-manager", "certs.secret.caBundle=x"), "certs.secret: has no effect where certs.provider is cert-manager.",
		},
		"an issuer without cert-manager": {
			set("certs.certManager.issuerRef.name=platform"), "certs.certManager.issuerRef.name: has no effect where certs.provider is self-managed.",
		},
		"a CA that the serving certificate would outlive": {
			set("certs.provider=cert-manager", "certs.certManager.caDuration=1000h"), "certs.certManager.caDuration: 1000h must be at least three times",
		},
		"the provider of certificates in a flag": {
			set("extraArgs={--cert-provider=secret}"), "extraArgs: --cert-provider is set by the chart. Use certs.provider instead.",
		},
		"an autoscaler between nothing": {
			set("autoscaling.enabled=true", "autoscaling.minReplicas=6"), "autoscaling.maxReplicas: 5 must not be below autoscaling.minReplicas, 6.",
		},
		"an autoscaler that has nothing to measure": {
			set("autoscaling.enabled=true", "resources.requests.cpu=null"), "autoscaling.enabled: needs resources.requests.cpu",
		},
		"two who write the CA bundle": {
			set(`webhook.annotations.cert-manager\.io/inject-ca-from=a/b`), "webhook.annotations: cert-manager.io/inject-ca-from must not be set",
		},
		"a container with the router's name": {
			set("extraInitContainers[0].name=router"), "extraInitContainers: router is the name of the router's own container.",
		},
		"a resolver without a server": {set("dnsPolicy=None"), "dnsConfig.nameservers: required where dnsPolicy is None."},
		"a variable that the chart sets": {
			set("extraEnv[0].name=GOMEMLIMIT", "extraEnv[0].value=1GiB"), "extraEnv: GOMEMLIMIT is set by the chart. Remove it.",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, tc.args...); !strings.Contains(got, tc.want) {
				t.Errorf("%s\nwant in it: %s", got, tc.want)
			}
		})
	}
}

// README.md is written by helm-docs from README.md.gotmpl and the comments of values.yaml.
func TestREADME(t *testing.T) {
	generator, err := cluster.Tool(t.Context(), "tools/helm-docs", "github.com/norwoodj/helm-docs/cmd/helm-docs")
	if err != nil {
		t.Fatal(err)
	}
	chart := unpack(t)
	cmd := exec.CommandContext(t.Context(), generator, "--chart-search-root", chart, "--sort-values-order", "file")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("helm-docs: %v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(want)) {
		if strings.HasSuffix(line, "|  |\n") {
			t.Errorf("no comment in values.yaml: %s", line)
		}
	}
	if *update {
		write(t, charts.Name, "README.md", string(want))
		return
	}
	if diff := cmp.Diff(string(want), string(chartFile(t, "README.md"))); diff != "" {
		t.Errorf("README.md (-want +got); go test ./charts -run TestREADME -update rewrites it:\n%s", diff)
	}
}

func chartFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := charts.FS().ReadFile(charts.Name + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
