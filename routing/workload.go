package routing

import "strings"

// Workload is what owns a pod for as long as there are pods of it: what a person deploys, and not the object that a
// controller makes anew for each version or run. A [Rollout] moves workloads and not pods.
type Workload struct{ Kind, Name string }

// PodOrigin holds the parts of a pod that tell which [Workload] it is of.
type PodOrigin struct {
	// OwnerKind and OwnerName are those of the owner reference with controller: true; empty where there is none.
	OwnerKind, OwnerName string
	// TemplateHash and RolloutHash are the labels [LabelTemplateHash] and [LabelRolloutHash].
	TemplateHash, RolloutHash string
	// DeploymentConfig is the annotation [AnnotationDeploymentConfig].
	DeploymentConfig string
	// GenerateName and Name are those of the pod itself.
	GenerateName, Name string
}

// What controllers write on the pods of one version of a workload, and end the name of its ReplicaSet with.
const (
	// LabelTemplateHash is a Deployment's (kubernetes/kubernetes, pkg/controller/deployment/sync.go).
	LabelTemplateHash = "pod-template-hash"
	// LabelRolloutHash is that of a Rollout of Argo Rollouts.
	LabelRolloutHash = "rollouts-pod-template-hash"
	// AnnotationDeploymentConfig names the DeploymentConfig of OpenShift that made a ReplicationController.
	AnnotationDeploymentConfig = "openshift.io/deployment-config.name"
)

// Workload is computed from the pod alone, so that every replica finds the same one without reading another object.
func (o PodOrigin) Workload() Workload {
	switch o.OwnerKind {
	case "":
		// What a user makes from one file, again and again, has generateName in common.
		if base := strings.TrimSuffix(o.GenerateName, "-"); base != "" {
			return Workload{Kind: "Pod", Name: base}
		}
		return Workload{Kind: "Pod", Name: o.Name}
	case "ReplicaSet":
		if name, ok := cutEnd(o.OwnerName, o.TemplateHash); ok {
			return Workload{Kind: "Deployment", Name: name}
		}
		if name, ok := cutEnd(o.OwnerName, o.RolloutHash); ok {
			return Workload{Kind: "Rollout", Name: name}
		}
	case "ReplicationController":
		if o.DeploymentConfig != "" {
			return Workload{Kind: "DeploymentConfig", Name: o.DeploymentConfig}
		}
	case "Job":
		if name, ok := cronJobOf(o.OwnerName); ok {
			return Workload{Kind: "CronJob", Name: name}
		}
	}
	return Workload{Kind: o.OwnerKind, Name: o.OwnerName}
}

// cutEnd takes "-" and hash off name, where both are there and something is left.
func cutEnd(name, hash string) (string, bool) {
	base, ok := strings.CutSuffix(name, hash)
	if !ok || hash == "" {
		return "", false
	}
	base, ok = strings.CutSuffix(base, "-")
	return base, ok && base != ""
}

// cronJobOf takes the time off a Job's name: a CronJob names its Jobs by the minute that they were due, in Unix time
// divided by 60 (kubernetes/kubernetes, pkg/controller/cronjob/utils.go), which has eight digits until 2160. A Job
// that merely has such a name is taken for a CronJob's as well. All its pods still agree.
func cronJobOf(job string) (string, bool) {
	const digits = 8
	at := len(job) - digits
	if at < 2 || job[at-1] != '-' || job[at] == '0' {
		return "", false
	}
	for i := at; i < len(job); i++ {
		if job[i] < '0' || job[i] > '9' {
			return "", false
		}
	}
	return job[:at-1], true
}
