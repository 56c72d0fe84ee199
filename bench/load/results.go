package main

import (
	"math"
	"slices"
	"syscall"
	"time"
)

// results are kept exactly, one latency a request, and sorted at the end.
type results struct {
	latencies []time.Duration
	acked     int
	failed    map[string]int
	perSecond []int
	last      time.Duration
}

type summary struct {
	Requests     int                `json:"requests"`
	AckedEvents  int                `json:"acked_events"`
	Failed       map[string]int     `json:"failed"`
	Seconds      float64            `json:"seconds"`
	LatencyMs    map[string]float64 `json:"latency_ms"`
	CPUSeconds   float64            `json:"cpu_s"`
	PerSecond    []int              `json:"acked_per_second"`
	Connections  int                `json:"connections"`
	EventsPerReq int                `json:"events_per_request"`
}

func (r *results) add(fault string, events int, latency, since time.Duration) {
	r.last = since
	if fault != "" {
		r.failed[fault]++
		return
	}
	r.acked += events
	r.latencies = append(r.latencies, latency)
	for second := int(since / time.Second); len(r.perSecond) <= second; {
		r.perSecond = append(r.perSecond, 0)
	}
	r.perSecond[int(since/time.Second)] += events
}

func (l *loop) report(started time.Time, cpu float64) summary {
	slices.Sort(l.latencies)
	seconds := l.last.Seconds()
	return summary{
		Requests: len(l.latencies), AckedEvents: l.acked, Failed: l.failed, Seconds: seconds,
		LatencyMs: map[string]float64{
			"p50": l.latencyMs(0.5), "p99": l.latencyMs(0.99), "p99.9": l.latencyMs(0.999), "max": l.latencyMs(1),
		},
		CPUSeconds: cpu, PerSecond: l.perSecond, Connections: len(l.connections), EventsPerReq: l.events,
	}
}

func (r *results) latencyMs(share float64) float64 {
	if len(r.latencies) == 0 {
		return 0
	}
	at := int(math.Ceil(share*float64(len(r.latencies)))) - 1
	return float64(r.latencies[max(0, at)].Microseconds()) / 1000
}

// cpuSeconds is what this process has used so far.
func cpuSeconds() float64 {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
