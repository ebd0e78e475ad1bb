package skew_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// line carries out one line of a refusal.
func (u *user) line(line string) error {
	line = strings.ReplaceAll(line, "<patch>", "3")
	if before, ok := strings.CutSuffix(line, " -o yaml | kubectl apply -f -"); ok {
		next, err := rewritten(u.file, command(strings.Replace(before, "--local -f <file>", "kind name", 1)))
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		return u.do(create(next))
	}
	for part := range strings.SplitSeq(line, " && ") {
		u.reconcile()
		if err := u.run(command(part)); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// command is a line of a shell.
type command string

// words are its words, what is in quotes as one of them and without the quotes.
func (c command) words() []string {
	var words []string
	for i, part := range strings.Split(string(c), "'") {
		if i%2 == 1 {
			words[len(words)-1] += part
			continue
		}
		fields := strings.Split(strings.TrimLeft(part, " "), " ")
		words = append(words, fields...)
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

func (c command) flag(name string) string {
	words := c.words()
	if i := slices.Index(words, name); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// kinds are those that kubectl is asked to change.
func kinds() map[string]skew.Kind {
	return map[string]skew.Kind{
		"istio": skew.KindIstio, "istiorevision": skew.KindRevision, "istiorevisiontag": skew.KindTag, "istiocni": skew.KindCNI,
		"ztunnel": skew.KindZTunnel, "gateway": skew.KindGateway, "namespace": skew.KindNamespace,
	}
}

var errUnknown = errors.New("nobody knows this command")

func (u *user) run(c command) error {
	words := c.words()
	switch strings.Join(words[:2], " ") {
	case "kubectl drain", "kubectl uncordon":
		return nil
	case "kubectl rollout":
		if words[2] == "restart" {
			return u.restart(c.flag("-n"))
		}
		return u.rolledOut(words[3])
	case "kubectl wait":
		return u.wait(words)
	case "kubectl apply":
		return u.do(create(skew.Istio{Name: "default", Namespace: "istio-system", Version: "v1.30.3", Strategy: skew.RevisionBased}))
	case "istioctl tag":
		return nil // a webhook of Istio's own, of which no rule is
	case "istioctl waypoint":
		return u.do(create(waypointGateway(c.flag("-n"), c.flag("--name"))))
	case "kubectl delete", "kubectl patch", "kubectl label", "kubectl annotate":
	default:
		return errUnknown
	}
	if words[1] == "delete" && words[2] == "pod" {
		return u.rolledOut("daemonset/" + strings.TrimPrefix(c.flag("-l"), "app="))
	}
	old := u.find(skew.Ref{Kind: kinds()[words[2]], Namespace: c.flag("-n"), Name: words[3]})
	if old == nil {
		return errors.New("not found")
	}
	if words[1] == "delete" {
		return u.do(remove(old))
	}
	next, err := rewritten(old, c)
	if err != nil {
		return err
	}
	return u.do(update(old, next))
}

// wait is for an object to come, which the operator has made by now, or to go.
func (u *user) wait(words []string) error {
	if words[2] == "--for=create" {
		return nil
	}
	kind, name, _ := strings.Cut(words[3], "/")
	ref := skew.Ref{Kind: kinds()[kind], Name: name, Namespace: command(strings.Join(words, " ")).flag("-n")}
	switch o := u.find(ref).(type) {
	case skew.Istio:
		if !o.Deleting {
			return errors.New("nobody deleted it")
		}
		u.gone(o)
	case skew.Revision:
		// The operator deletes what nothing uses.
		if !o.Deleting && skew.Denied(skew.Check(&u.mesh, remove(o), u.policy)) {
			return errors.New("it is still used")
		}
		u.gone(o)
	case skew.Gateway:
		if !o.Deleting {
			return errors.New("nobody deleted it")
		}
		u.gone(o)
	}
	return nil
}

// rewritten is the object after kubectl patch, label or annotate.
func rewritten(old skew.Object, c command) (skew.Object, error) {
	words := c.words()
	switch words[1] {
	case "patch":
		return patched(old, c.flag("-p"))
	case "label", "annotate":
		next := old
		for _, word := range words[4:] {
			if strings.HasPrefix(word, "-") || !strings.ContainsAny(word, "=-") || word == c.flag("-n") {
				continue
			}
			key, value, set := strings.Cut(word, "=")
			if !set {
				key = strings.TrimSuffix(key, "-")
			}
			if key == skew.AnnotationOverride {
				return nil, errAccepted
			}
			var err error
			if next, err = noted(next, key, value, set); err != nil {
				return nil, err
			}
		}
		return next, nil
	}
	return nil, errUnknown
}

// noted is the object with a label or annotation, or without it.
func noted(old skew.Object, key, value string, set bool) (skew.Object, error) {
	switch n := old.(type) {
	case skew.Namespace:
		labels := maps.Clone(n.Labels)
		if labels[key] = value; !set {
			delete(labels, key)
		}
		return skew.Namespace{Name: n.Name, Labels: labels}, nil
	case skew.Gateway:
		switch key {
		case routing.LabelRevision:
			n.Revision = routing.Label{Value: value, Present: set}
		case skew.LabelWaypointFor:
			n.WaypointFor = value
		case skew.AnnotationProxyImage:
			n.ProxyImage = value
		default:
			return nil, fmt.Errorf("what is %s on a Gateway?", key)
		}
		return n, nil
	case skew.Tag:
		if key != routing.AnnotationRollout {
			return nil, fmt.Errorf("what is %s on a tag?", key)
		}
		if n.Share, n.Rollout = (routing.Label{Value: value, Present: set}), (routing.Rollout{}); set {
			to, percent, _ := strings.Cut(value, "=")
			share, err := strconv.Atoi(percent)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", value, err)
			}
			n.Rollout = routing.Rollout{Revision: to, Percent: share}
		}
		return n, nil
	}
	return nil, errUnknown
}

// patched is the object after a merge patch of Sail's kinds, or what opens a listener of a Gateway.
func patched(old skew.Object, body string) (skew.Object, error) {
	if g, ok := old.(skew.Gateway); ok && strings.Contains(body, `"namespaces":{"from":"All"}`) {
		g.Listeners = slices.Clone(g.Listeners)
		g.Listeners[0].From = "All"
		return g, nil
	}
	var patch struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version        string
			UpdateStrategy struct{ Type skew.Strategy }
			TargetRef      struct{ Kind, Name string }
		}
	}
	if err := json.Unmarshal([]byte(body), &patch); err != nil {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	version, to := patch.Spec.Version, patch.Spec.TargetRef
	if version != "" {
		old = toVersion(old, version).New
	}
	switch n := old.(type) {
	case skew.Istio:
		if s := patch.Spec.UpdateStrategy.Type; s != "" {
			n.Strategy = s
		}
		if patch.Metadata.Name != "" {
			n.Name = patch.Metadata.Name
		}
		return n, nil
	case skew.ZTunnel:
		if to.Name != "" {
			n.TargetKind, n.TargetName = to.Kind, to.Name
		}
		return n, nil
	case skew.Tag:
		if to.Name != "" {
			n.TargetKind, n.TargetName = to.Kind, to.Name
		}
		if patch.Metadata.Name != "" {
			n.Name = patch.Metadata.Name
		}
		return n, nil
	}
	return old, nil
}
