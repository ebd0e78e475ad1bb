package server

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// quietTime is how often one thing is logged that anybody who reaches the port can cause as often as they like.
const quietTime = 10 * time.Second

// quiet logs each thing at most once in a while, with how often it happened meanwhile.
type quiet struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[string]*silence
}

type silence struct {
	until   time.Time
	missing int
}

func newQuiet(now func() time.Time) *quiet { return &quiet{now: now, seen: map[string]*silence{}} }

// log takes what from a closed set, so that it remembers little.
func (q *quiet) log(log logr.Logger, what, message string, values ...any) {
	q.mu.Lock()
	s := q.seen[what]
	if s == nil {
		s = &silence{}
		q.seen[what] = s
	}
	now := q.now()
	if now.Before(s.until) {
		s.missing++
		q.mu.Unlock()
		return
	}
	more := s.missing
	*s = silence{until: now.Add(quietTime)}
	q.mu.Unlock()
	log.Info(message, append(values, "notLogged", more)...)
}
