package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/revision-router/revision-router/test/cluster"
)

// The programs of Prometheus, and the nested module that pins them.
const (
	prometheusModule  = "tools/promtool"
	prometheusPackage = "github.com/prometheus/prometheus/cmd/prometheus"
	promtoolPackage   = "github.com/prometheus/prometheus/cmd/promtool"
)

// scrapeInterval is short, since a test is.
const scrapeInterval = time.Second

// Prometheus is one that scrapes routers.
type Prometheus struct {
	// URL is the base of its HTTP API.
	URL string

	dir     string
	process *process
}

// Promtool runs promtool with this standard input, and returns what it prints. It is that of $PROMTOOL, else the one that
// tools/promtool pins, which is built where it is missing.
func Promtool(ctx context.Context, input string, args ...string) (string, error) {
	command := os.Getenv("PROMTOOL")
	if command == "" {
		var err error
		if command, err = cluster.Tool(ctx, prometheusModule, promtoolPackage); err != nil {
			return "", fmt.Errorf("building promtool: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, command, args...) //nolint:gosec // the arguments are ours
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("promtool %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// BuildPrometheus builds Prometheus and promtool where they are missing.
func BuildPrometheus(ctx context.Context) (prometheus string, err error) {
	if _, err = cluster.Tool(ctx, prometheusModule, promtoolPackage); err != nil {
		return "", fmt.Errorf("building promtool: %w", err)
	}
	if prometheus, err = cluster.Tool(ctx, prometheusModule, prometheusPackage); err != nil {
		return "", fmt.Errorf("building Prometheus: %w", err)
	}
	return prometheus, nil
}

// StartPrometheus starts one that scrapes these URLs of metrics, all on this machine. Close ends it.
func StartPrometheus(ctx context.Context, targets ...string) (_ *Prometheus, err error) {
	binary, err := BuildPrometheus(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	p := &Prometheus{URL: fmt.Sprintf("http://%s:%d", loopback, ports[0])}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.dir, err = os.MkdirTemp("", "prometheus-"); err != nil {
		return nil, fmt.Errorf("making a work folder: %w", err)
	}
	configuration := filepath.Join(p.dir, "prometheus.yml")
	if err := os.WriteFile(configuration, []byte(scrapeConfiguration(targets)), 0o600); err != nil {
		return nil, fmt.Errorf("configuring Prometheus: %w", err)
	}
	p.process, err = startProcess(command{binary: binary, log: filepath.Join(p.dir, "prometheus.log"), args: []string{
		"--config.file=" + configuration, "--storage.tsdb.path=" + filepath.Join(p.dir, "data"),
		"--web.listen-address=" + strings.TrimPrefix(p.URL, "http://"), "--log.level=warn",
	}})
	if err != nil {
		return nil, err
	}
	if err := p.process.waitReady(ctx, p.URL+"/-/ready"); err != nil {
		return nil, err
	}
	err = p.scraped(ctx, len(targets))
	return p, err
}

// scraped waits until every target was scraped once: it is seconds before Prometheus begins, and what happens until then
// is in no rate.
func (p *Prometheus) scraped(ctx context.Context, targets int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		up, err := p.Query(ctx, "up == 1")
		if err == nil && len(up) == targets {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of %d targets were scraped: %w", len(up), targets, ctx.Err()), err)
		}
	}
}

func scrapeConfiguration(targets []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: %s}\nscrape_configs:\n- job_name: revision-router\n  static_configs:\n", scrapeInterval)
	for _, target := range targets {
		fmt.Fprintf(&b, "  - targets: [%q]\n", strings.TrimSuffix(strings.TrimPrefix(target, "http://"), "/metrics"))
	}
	return b.String()
}

// Close ends Prometheus and removes its files.
func (p *Prometheus) Close() error {
	var err error
	if p.process != nil {
		err = p.process.stop()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// Series is one line of a graph, or one value.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// Query evaluates a query now.
func (p *Prometheus) Query(ctx context.Context, query string) ([]Series, error) {
	return p.ask(ctx, "query", url.Values{"query": {query}})
}

// QueryAt evaluates a query as of a time.
func (p *Prometheus) QueryAt(ctx context.Context, query string, at time.Time) ([]Series, error) {
	return p.ask(ctx, "query", url.Values{"query": {query}, "time": {unix(at)}})
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// Range is a time, and how often to look in it.
type Range struct {
	From, To time.Time
	Step     time.Duration
}

// QueryRange evaluates a query at every step of a range.
func (p *Prometheus) QueryRange(ctx context.Context, query string, r Range) ([]Series, error) {
	return p.ask(ctx, "query_range", url.Values{
		"query": {query}, "start": {unix(r.From)}, "end": {unix(r.To)}, "step": {strconv.FormatFloat(r.Step.Seconds(), 'f', 3, 64)},
	})
}

func (p *Prometheus) ask(ctx context.Context, what string, values url.Values) ([]Series, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/api/v1/"+what+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	var answer struct {
		Error    string   `json:"error"`
		Warnings []string `json:"warnings"`
		Infos    []string `json:"infos"`
		Data     struct {
			Result []struct {
				Metric map[string]string    `json:"metric"`
				Value  *[2]json.RawMessage  `json:"value"`
				Values [][2]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("the answer of Prometheus to %s: %w: %s", values.Get("query"), err, raw)
	}
	// Infos are what Prometheus finds odd, such as a rate of what is no counter by its name.
	if complaints := append(append(answer.Warnings, answer.Infos...), answer.Error); strings.Join(complaints, "") != "" {
		return nil, fmt.Errorf("query %s: %s", values.Get("query"), strings.Join(complaints, "; "))
	}
	var list []Series
	for _, r := range answer.Data.Result {
		s := Series{Labels: r.Metric}
		if r.Value != nil {
			r.Values = append(r.Values, *r.Value)
		}
		for _, pair := range r.Values {
			point, err := pointOf(pair)
			if err != nil {
				return nil, err
			}
			s.Points = append(s.Points, point)
		}
		list = append(list, s)
	}
	return list, nil
}

func pointOf(pair [2]json.RawMessage) (Point, error) {
	var at float64
	var value string
	if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &value)); err != nil {
		return Point{}, fmt.Errorf("a value of Prometheus: %w", err)
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return Point{}, fmt.Errorf("a value of Prometheus: %w", err)
	}
	return Point{At: time.UnixMilli(int64(at * 1000)), Value: number}, nil
}
