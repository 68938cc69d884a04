// workloads.go -- bench/workloads in Go: goroutines, channels, wait groups,
// contexts, with GOMAXPROCS as many as the workload has threads.
package main

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

type workload struct {
	kind kind
	run  func(f *frame)
}

var workloads = map[string]workload{
	"W2":         {warm, w2},
	"W3one":      {warm, w3one},
	"W3scope":    {warm, w3scope},
	"W4":         {warm, w4},
	"W5one":      {warm, w5},
	"W5pool":     {warm, w5},
	"W5loops":    {warm, w5loops},
	"W7":         {fresh, w7},
	"W8sleep":    {fresh, w8sleep},
	"W8timer":    {fresh, w8timer},
	"W8cancel":   {warm, w8cancel},
	"W8late":     {once, w8late},
	"W9block":    {warm, w9block},
	"W10resume":  {warm, w10resume},
	"W10launch":  {warm, w10launch},
	"W12":        {warm, w12},
	"W12deep":    {warm, w12deep},
	"W14default": {warm, w14},
	"MEM":        {fresh, mem},
	"IDLE":       {fresh, idle},
}

func w2(f *frame) {
	n, times := f.param, 10
	if n < 10000 {
		times = 100000 / n
	}
	for {
		var all sync.WaitGroup
		var begin, end time.Time
		var sum int64

		f.next()
		all.Add(n)
		for i := 0; i < n; i++ {
			go func() {
				runtime.Gosched()
				if begin.IsZero() {
					begin = time.Now()
				}
				for j := 1; j < times; j++ {
					runtime.Gosched()
				}
				if atomic.AddInt64(&sum, int64(times)) == int64(n*times) {
					end = time.Now()
				}
				all.Done()
			}()
		}
		all.Wait()
		f.add("yield", "ns", end.Sub(begin), n*times, sum)
	}
}

func w3one(f *frame) {
	for {
		var child sync.WaitGroup
		var sum int64

		f.next()
		begin := time.Now()
		for i := int64(0); i < 1000; i++ {
			var slot int64
			number := i
			child.Add(1)
			go func() {
				slot = number
				child.Done()
			}()
			child.Wait()
			sum += slot
		}
		f.add("fiber", "ns", time.Since(begin), 1000, sum)
	}
}

func w3scope(f *frame) {
	slots := make([]int64, f.param)
	for {
		var all sync.WaitGroup
		var sum int64

		f.next()
		begin := time.Now()
		all.Add(len(slots))
		for i := range slots {
			i := i
			go func() {
				slots[i] = int64(i)
				all.Done()
			}()
		}
		all.Wait()
		for _, slot := range slots {
			sum += slot
		}
		f.add("fiber", "ns", time.Since(begin), len(slots), sum)
	}
}

func sumOfLeaves(first, leaves int, result chan<- int) {
	if leaves == 1 {
		result <- first
		return
	}
	children := make(chan int)
	for i := 0; i < 10; i++ {
		go sumOfLeaves(first+i*(leaves/10), leaves/10, children)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	result <- sum
}

func w4(f *frame) {
	for {
		f.next()
		result := make(chan int)
		begin := time.Now()
		go sumOfLeaves(0, f.param, result)
		sum := <-result
		f.add("tree", "ms", time.Since(begin), 1, int64(sum))
	}
}

func play(f *frame, to chan<- int, fro <-chan int) {
	for {
		f.next()
		begin := time.Now()
		sum := 0
		for i := 0; i < 1000; i++ {
			to <- i
			sum += <-fro
		}
		f.add("trip", "ns", time.Since(begin), 1000, int64(sum))
	}
}

func echo(to <-chan int, fro chan<- int) {
	for value := range to {
		fro <- value + 1
	}
}

func w5(f *frame) {
	to, fro := make(chan int), make(chan int)
	go echo(to, fro)
	play(f, to, fro)
}

// Each of the two has a thread of its own, which no other goroutine uses.
func w5loops(f *frame) {
	to, fro := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		echo(to, fro)
	}()
	runtime.LockOSThread()
	play(f, to, fro)
}

var touched byte

//go:noinline
func touchStack() byte {
	var bytes [512]byte
	for i := range bytes {
		bytes[i] = byte(i)
	}
	return bytes[len(os.Args)]
}

func w7(f *frame) {
	var parked, all sync.WaitGroup
	var ended int64
	goOn := make(chan struct{})

	f.next()
	before, begin := resident(), time.Now()
	parked.Add(f.param)
	all.Add(f.param)
	for i := 0; i < f.param; i++ {
		go func() {
			touched = touchStack()
			parked.Done()
			<-goOn
			atomic.AddInt64(&ended, 1)
			all.Done()
		}()
	}
	parked.Wait()
	created, grown := time.Since(begin), resident()-before
	begin = time.Now()
	close(goOn)
	all.Wait()
	f.add("wake", "ns", time.Since(begin), f.param, ended)
	f.add("create", "ns", created, f.param, ended)
	f.show("resident", "bytes", float64(grown)/float64(f.param), ended)
	f.next()
}

// A goroutine that was launched has its stack, so it may begin: as it would,
// when the one that launches is preempted.
func mem(f *frame) {
	var all sync.WaitGroup
	var ran int64
	goOn := make(chan struct{})

	f.next()
	before := resident()
	all.Add(f.param)
	for i := 0; i < f.param; i++ {
		go func() {
			<-goOn
			atomic.AddInt64(&ran, 1)
			all.Done()
		}()
	}
	grown := resident() - before
	close(goOn)
	all.Wait()
	f.show("resident", "bytes", float64(grown)/float64(f.param), ran)
	f.next()
}

func idle(f *frame) {
	done := make(chan bool)
	for i := 0; i < 1000; i++ {
		go func() { done <- true }()
		<-done
	}
	f.next()
	before := cpu()
	time.Sleep(time.Duration(f.param) * time.Second)
	f.add("cpu", "s", cpu()-before, 1, int64(f.param))
	f.next()
}

func sleepers(n int) (used time.Duration, slept int64) {
	var all sync.WaitGroup
	x := uint32(1)

	before := cpu()
	all.Add(n)
	for i := 0; i < n; i++ {
		ms := sleepMs(&x)
		go func() {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			atomic.AddInt64(&slept, int64(ms))
			all.Done()
		}()
	}
	all.Wait()
	return cpu() - before, slept
}

func w8sleep(f *frame) {
	f.next()
	used, slept := sleepers(f.param)
	f.add("first", "s", used, 1, slept)
	used, slept = sleepers(f.param)
	f.add("warm", "s", used, 1, slept)
	f.next()
}

func w8timer(f *frame) {
	timers := make([]*time.Timer, f.param)
	lengths := make([]int, f.param)
	x, sum := uint32(1), int64(0)

	f.next()
	before := cpu()
	for i := range timers {
		lengths[i] = sleepMs(&x)
		timers[i] = time.NewTimer(
			time.Duration(lengths[i]) * time.Millisecond)
	}
	for i, timer := range timers {
		<-timer.C
		sum += int64(lengths[i])
	}
	f.add("cpu", "s", cpu()-before, 1, sum)
	f.next()
}

func w8cancel(f *frame) {
	for i := 0; i < f.param; i++ {
		go time.Sleep(time.Hour)
	}
	for {
		f.next()
		begin := time.Now()
		sum := 0
		body := func(_ context.Context, i int) { sum += i }
		for i := 0; i < 1000; i++ {
			limited, cancel := context.WithTimeout(
				context.Background(), 10*time.Second)
			body(limited, i)
			cancel()
		}
		f.add("timeout", "ns", time.Since(begin), 1000, int64(sum))
	}
}

func w8late(f *frame) {
	if f.param > 0 {
		go func() {
			for {
				compute(10 * time.Microsecond)
				runtime.Gosched()
			}
		}()
	}
	for {
		late := make([]time.Duration, 100)

		f.next()
		for i := range late {
			begin := time.Now()
			time.Sleep(time.Millisecond)
			late[i] = time.Since(begin) - time.Millisecond
		}
		middle := median(late)
		f.show("p50", "us", float64(middle)/1e3, 100)
		f.show("p99", "us", float64(late[99])/1e3, 100)
		f.show("max", "us", float64(late[99])/1e3, 100)
	}
}

// The caller keeps its thread, so the goroutine it asks runs on another.
func w9block(f *frame) {
	runtime.LockOSThread()
	result := make(chan int)
	for {
		f.next()
		begin := time.Now()
		sum := 0
		for i := 0; i < 1000; i++ {
			i := i
			go func() { result <- i }()
			sum += <-result
		}
		f.add("trip", "ns", time.Since(begin), 1000, int64(sum))
	}
}
