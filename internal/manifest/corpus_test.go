package manifest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// podYAML is a pod as kubectl prints it, of about two kilobytes. The verbs are namespace, number and revision.
const podYAML = `apiVersion: v1
kind: Pod
metadata:
  annotations:
    prometheus.io/port: "9090"
    prometheus.io/scrape: "true"
    sidecar.istio.io/proxyCPU: 100m
  creationTimestamp: "2026-11-22T17:23:54Z"
  generateName: reviews-v1-6f8d5c7b9d-
  labels:
    app: reviews
    istio.io/rev: %[3]s
    pod-template-hash: 6f8d5c7b9d
    version: v1
  name: reviews-v1-6f8d5c7b9d-%[2]d
  namespace: %[1]s
  ownerReferences:
  - apiVersion: apps/v1
    blockOwnerDeletion: true
    controller: true
    kind: ReplicaSet
    name: reviews-v1-6f8d5c7b9d
    uid: 2ea52f35-3b1c-4573-b483-97e2b5bb60c6
  resourceVersion: "6863"
  uid: 2ea52f35-3b1c-4573-b483-%012[2]d
spec:
  containers:
  - args:
    - --port=9080
    - --log-level=info
    command:
    - /bin/sh
    - -c
    - |
      exec /opt/reviews \
        --backend "$RATINGS"
    env:
    - name: LOG_DIR
      value: /tmp/logs
    - name: POD_NAME
      valueFrom:
        fieldRef:
          apiVersion: v1
          fieldPath: metadata.name
    image: istio/examples-bookinfo-reviews-v1:1.20.2
    imagePullPolicy: IfNotPresent
    name: reviews
    ports:
    - containerPort: 9080
      protocol: TCP
    resources: {}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
    volumeMounts:
    - mountPath: /tmp
      name: tmp
    - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      name: kube-api-access-p2x7b
      readOnly: true
  dnsPolicy: ClusterFirst
  enableServiceLinks: true
  nodeName: worker-2
  preemptionPolicy: PreemptLowerPriority
  priority: 0
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
  serviceAccount: bookinfo-reviews
  serviceAccountName: bookinfo-reviews
  terminationGracePeriodSeconds: 30
  volumes:
  - emptyDir: {}
    name: tmp
status:
  conditions:
  - lastProbeTime: null
    lastTransitionTime: "2026-11-22T17:23:54Z"
    status: "True"
    type: Ready
  phase: Running
  podIP: 10.244.2.17
  qosClass: BestEffort
`

// form is a way to write many objects into files.
type form struct {
	name string
	// file writes pod number i, first and last telling where it stands.
	write func(out *bytes.Buffer, pod string, i int)
	// around is put around all pods.
	before, behind string
	ext            string
}

func forms() []form {
	toJSON := func(pod string) []byte {
		out, err := yaml.YAMLToJSON([]byte(pod))
		if err != nil {
			panic(err)
		}
		return out
	}
	return []form{
		{name: "YAML documents", ext: ".yaml", write: func(out *bytes.Buffer, pod string, _ int) {
			out.WriteString("---\n" + pod)
		}},
		{
			name: "one YAML list", ext: ".yaml", before: "apiVersion: v1\nitems:\n", behind: "kind: List\nmetadata:\n  resourceVersion: \"\"\n",
			write: func(out *bytes.Buffer, pod string, _ int) {
				out.WriteString("- " + strings.TrimSuffix(strings.ReplaceAll(pod, "\n", "\n  "), "  "))
			},
		},
		{name: "JSON lines", ext: ".jsonl", write: func(out *bytes.Buffer, pod string, _ int) {
			out.Write(toJSON(pod))
			out.WriteByte('\n')
		}},
		{
			name: "one JSON list", ext: ".json", before: "{\"apiVersion\":\"v1\",\"items\":[\n", behind: "],\"kind\":\"List\"}\n",
			write: func(out *bytes.Buffer, pod string, i int) {
				if i > 0 {
					out.WriteString(",\n")
				}
				out.Write(toJSON(pod))
			},
		},
	}
}

// writeCorpus writes pods in the form into a file of the directory and returns its size.
func writeCorpus(t testing.TB, dir string, f form, pods int) int {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(f.before)
	for i := range pods {
		f.write(&out, fmt.Sprintf(podYAML, fmt.Sprintf("ns-%d", i%50), i, "prod"), i)
	}
	out.WriteString(f.behind)
	if err := os.WriteFile(filepath.Join(dir, "pods"+f.ext), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}
