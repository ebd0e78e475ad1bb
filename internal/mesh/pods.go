package mesh

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"unique"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing/skew"
)

// pods counts the pods of workloads. It is no [collection], because a large cluster has 150,000 of them: all that is
// kept of a pod is a hash of its name, to find it again, and a pointer to the workload that it shares with the other
// pods of its owner.
type pods struct {
	known map[podKey]sharedWorkload
	// count tells how many pods each workload has. The workloads themselves are of one pod.
	count map[sharedWorkload]int
	// rare holds what else counts of a few pods.
	rare map[podKey]rarePod
}

// podKey is a cryptographic hash of namespace and name, so that nobody can make two pods meet.
type podKey [16]byte

// sharedWorkload is the zero handle for a pod that belongs to no workload of the mesh.
type sharedWorkload = unique.Handle[skew.Workload]

// podRecord is what counts of a pod.
type podRecord struct {
	workload sharedWorkload
	rare     rarePod
}

// rarePod is what counts of a pod of Istio's own components, and of one that names a waypoint.
type rarePod struct {
	running  inventory.Running
	consumer skew.Consumer
}

var _ objects = (*pods)(nil)

func newPods() *pods {
	return &pods{known: map[podKey]sharedWorkload{}, count: map[sharedWorkload]int{}, rare: map[podKey]rarePod{}}
}

func (p *pods) read(object any) (item, error) {
	if i, ok := alreadyRead(object); ok {
		return i, nil
	}
	o, ok := object.(*inventory.Pod)
	if !ok {
		return item{}, fmt.Errorf("read an object: got %T, want %T", object, o)
	}
	record := recordOf(o)
	sum := sha256.Sum256([]byte(o.Namespace + "/" + o.Name))
	i := item{key: string(sum[:len(podKey{})]), kept: record != podRecord{}}
	switch {
	case record.rare != rarePod{}:
		i.value = record
	case i.kept:
		i.value = record.workload
	}
	return i, nil
}

func recordOf(o *inventory.Pod) podRecord {
	var record podRecord
	if w, ok := o.Workload(); ok {
		record.workload = unique.Make(w)
	}
	if r, ok := o.Running(); ok {
		record.rare.running = r
	}
	if c, ok := o.Consumer(); ok {
		record.rare.consumer = c
	}
	return record
}

func (p *pods) set(i item) bool {
	var record podRecord
	switch value := i.value.(type) {
	case sharedWorkload:
		record.workload = value
	case podRecord:
		record = value
	default:
		return p.remove(i.key)
	}
	key := podKey([]byte(i.key))
	old, known := p.known[key]
	if known && old == record.workload && p.rare[key] == record.rare {
		return false
	}
	p.add(old, -1)
	p.add(record.workload, 1)
	p.known[key] = record.workload
	p.rare[key] = record.rare
	if record.rare == (rarePod{}) {
		delete(p.rare, key)
	}
	return true
}

func (p *pods) remove(key string) bool {
	k := podKey([]byte(key))
	old, known := p.known[k]
	if !known {
		return false
	}
	p.add(old, -1)
	delete(p.known, k)
	delete(p.rare, k)
	return true
}

// add changes the number of pods of a workload.
func (p *pods) add(w sharedWorkload, n int) {
	if w == (sharedWorkload{}) {
		return
	}
	if p.count[w] += n; p.count[w] == 0 {
		delete(p.count, w)
	}
}

func (p *pods) replace(items []item) bool {
	kept := 0
	for _, i := range items {
		if i.kept {
			kept++
		}
	}
	fresh := newPods()
	fresh.known = make(map[podKey]sharedWorkload, kept)
	for _, i := range items {
		fresh.set(i)
	}
	if maps.Equal(p.known, fresh.known) && maps.Equal(p.rare, fresh.rare) {
		return false
	}
	*p = *fresh
	return true
}

func (p *pods) size() int { return len(p.known) }

// workloads copies the workloads with the numbers of their pods.
func (p *pods) workloads() []skew.Workload {
	list := make([]skew.Workload, 0, len(p.count))
	for shared, pods := range p.count {
		w := shared.Value()
		w.Pods = pods
		list = append(list, w)
	}
	return list
}

// running copies what the pods of Istio's components run, each version once.
func (p *pods) running() []inventory.Running {
	seen := map[inventory.Running]struct{}{}
	for _, r := range p.rare {
		if r.running != (inventory.Running{}) {
			seen[r.running] = struct{}{}
		}
	}
	list := make([]inventory.Running, 0, len(seen))
	for r := range seen {
		list = append(list, r)
	}
	return list
}

// consumers copies the pods that name a waypoint.
func (p *pods) consumers() []skew.Consumer {
	var list []skew.Consumer
	for _, r := range p.rare {
		if r.consumer != (skew.Consumer{}) {
			list = append(list, r.consumer)
		}
	}
	return list
}
