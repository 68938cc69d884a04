// frame.go -- the frame of the Go program; bench/peers/peer.h says the same
// for C: a workload prepares what outlives a unit, and then does a unit each
// time that next returns.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"syscall"
	"time"
)

type kind int

const (
	warm  kind = iota // repeats the unit, warmed up before
	once              // one unit to a round
	fresh             // one unit to a process, not warmed up
)

const (
	warmUps    = 3
	roundTimed = 20 * time.Millisecond
	roundLong  = 200 * time.Millisecond
	warmLong   = 500 * time.Millisecond
)

type metric struct {
	name, unit      string
	sum, operations float64
	checksum        int64
}

type frame struct {
	param   int
	threads int
	kind    kind
	input   *bufio.Scanner
	ready   bool
	rounds  int
	started time.Time
	begin   time.Time
	timed   time.Duration
	metrics []*metric
}

func cannot(why string) {
	fmt.Println("cannot " + why)
	os.Exit(3)
}

func (f *frame) metric(name, unit string, checksum int64) *metric {
	for _, m := range f.metrics {
		if m.name == name {
			if m.checksum != checksum {
				fmt.Fprintln(os.Stderr, name, "checksum", checksum,
					"before", m.checksum)
				os.Exit(1)
			}
			return m
		}
	}
	m := &metric{name: name, unit: unit, checksum: checksum}
	f.metrics = append(f.metrics, m)
	return m
}

// add: the unit took so long for so many operations.
func (f *frame) add(name, unit string, took time.Duration, operations int,
	checksum int64) {
	m := f.metric(name, unit, checksum)
	one := map[string]float64{"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]
	m.sum += float64(took.Nanoseconds()) / one
	m.operations += float64(operations)
	f.timed += took
}

// show: the unit showed this value; a round shows their mean.
func (f *frame) show(name, unit string, value float64, checksum int64) {
	m := f.metric(name, unit, checksum)
	m.sum += value
	m.operations++
}

func (f *frame) print() {
	for _, m := range f.metrics {
		fmt.Printf("%s %s %.6g %d\n", m.name, m.unit, m.sum/m.operations,
			m.checksum)
	}
	fmt.Println()
}

func (f *frame) wantsMore() bool {
	return f.kind == warm && !f.begin.IsZero() && f.timed < roundTimed &&
		time.Since(f.begin) < roundLong
}

func (f *frame) isCold() bool {
	if f.started.IsZero() {
		f.started = time.Now()
	}
	f.rounds++
	return f.kind != fresh && !f.ready && f.rounds <= warmUps &&
		time.Since(f.started) < warmLong
}

// next waits until a unit is wanted; at the end of the input it exits.
func (f *frame) next() {
	if f.wantsMore() {
		return
	}
	if !f.isCold() {
		if f.ready {
			f.print()
		} else {
			fmt.Println("ready")
		}
		if f.kind == fresh && f.ready || !f.input.Scan() {
			os.Exit(0)
		}
		f.ready = true
	}
	f.begin, f.timed = time.Now(), 0
	for _, m := range f.metrics {
		m.sum, m.operations = 0, 0
	}
}

func cpu() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func resident() int64 {
	var total, pages int64
	file, err := os.Open("/proc/self/statm")
	if err == nil {
		_, err = fmt.Fscan(file, &total, &pages)
		file.Close()
	}
	if err != nil {
		panic(err)
	}
	return pages * int64(os.Getpagesize())
}

func median(of []time.Duration) time.Duration {
	sort.Slice(of, func(i, j int) bool { return of[i] < of[j] })
	return of[len(of)/2]
}

// sleepMs goes through the lengths of sleep, the same for all programs.
func sleepMs(x *uint32) int {
	*x ^= *x << 13
	*x ^= *x >> 17
	*x ^= *x << 5
	return 1 + int(*x%1000)
}

func compute(span time.Duration) {
	for begin := time.Now(); time.Since(begin) < span; {
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("Go", runtime.Version())
		return
	}
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: go WORKLOAD PARAM THREADS")
		os.Exit(2)
	}
	f := &frame{input: bufio.NewScanner(os.Stdin)}
	f.param, _ = strconv.Atoi(os.Args[2])
	f.threads, _ = strconv.Atoi(os.Args[3])
	work, known := workloads[os.Args[1]]
	if !known {
		cannot("goroutines are all on one pool, and have no hops")
	}
	f.kind = work.kind
	runtime.GOMAXPROCS(f.threads)
	work.run(f)
}
