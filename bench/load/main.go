// The load of `make bench`: one thread that keeps many connections busy over epoll, so that what it costs
// is small beside what it measures. Linux only. It prints one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

type options struct {
	port        int
	path        string
	connections int
	events      int
	devices     int
	spreadS     int
	bodies      int
	clientID    int
	rate        float64
	seconds     float64
	requests    int
	tokens      []string
	expect      string
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(1000)
	o, err := parse()
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	var o options
	var tokens string
	flag.IntVar(&o.port, "port", 8080, "loopback port of the server")
	flag.StringVar(&o.path, "path", "/ingest/batch", "path of the requests")
	flag.IntVar(&o.connections, "connections", 64, "connections; each has one request under way")
	flag.IntVar(&o.events, "events", 1, "events in a request")
	flag.IntVar(&o.devices, "devices", 100_000, "devices that the events come from")
	flag.IntVar(&o.spreadS, "spread", 0, "seconds before now over which the events' times are spread")
	flag.IntVar(&o.bodies, "bodies", 8, "bodies of a connection, which take turns")
	flag.IntVar(&o.clientID, "client-id", 3, "cid of the events")
	flag.Float64Var(&o.rate, "rate", 0, "requests a second that fall due; 0: the next one when the last is answered")
	flag.Float64Var(&o.seconds, "seconds", 3, "how long requests are sent")
	flag.IntVar(&o.requests, "requests", 0, "end after so many requests; 0: by time alone")
	flag.StringVar(&tokens, "tokens", "", "file with bearer tokens of one length, one a line")
	flag.StringVar(&o.expect, "expect", "", "what the body of a success must hold")
	flag.Parse()
	if tokens != "" {
		text, err := os.ReadFile(tokens)
		if err != nil {
			return o, err
		}
		o.tokens = strings.Fields(string(text))
	}
	return o, nil
}

func run(o options) error {
	l, err := newLoop(o)
	if err != nil {
		return err
	}
	started, cpu := time.Now(), cpuSeconds()
	if err := l.drive(started); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(l.report(started, cpuSeconds()-cpu))
}
