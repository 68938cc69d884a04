// contended.go -- W10, W12 and W14 in Go: many wait for one, and are cancelled.
package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A value that many may wait for.
type deferred struct {
	value     int64
	completed chan struct{}
	waiting   sync.WaitGroup
}

const (
	waiters   = 100
	deferreds = 10
)

func w10resume(f *frame) {
	for {
		var all [deferreds]deferred
		var ended sync.WaitGroup
		var sum int64
		var begin time.Time

		f.next()
		for i := range all {
			all[i].completed = make(chan struct{})
			all[i].waiting.Add(waiters)
		}
		ended.Add(waiters)
		for i := 0; i < waiters; i++ {
			go func() {
				for i := range all {
					all[i].waiting.Done()
					<-all[i].completed
					atomic.AddInt64(&sum, all[i].value)
				}
				ended.Done()
			}()
		}
		for i := range all {
			all[i].waiting.Wait()
			if i == 0 {
				begin = time.Now()
			}
			all[i].value = int64(i + 1)
			close(all[i].completed)
		}
		ended.Wait()
		f.add("wake", "ns", time.Since(begin), waiters*deferreds, sum)
	}
}

func w10launch(f *frame) {
	slots := make([]int64, 100*100)
	for {
		var scope sync.WaitGroup
		var sum int64

		f.next()
		begin := time.Now()
		scope.Add(100)
		for i := 0; i < 100; i++ {
			first := i * 100
			go func() {
				for j := first; j < first+100; j++ {
					j := j
					scope.Add(1)
					go func() {
						slots[j] = int64(j)
						scope.Done()
					}()
				}
				scope.Done()
			}()
		}
		scope.Wait()
		for _, slot := range slots {
			sum += slot
		}
		f.add("launch", "ns", time.Since(begin), len(slots), sum)
	}
}

func w12(f *frame) {
	for {
		var waiting, ended sync.WaitGroup
		var cancelled int64

		f.next()
		scope, cancel := context.WithCancel(context.Background())
		waiting.Add(f.param)
		ended.Add(f.param)
		for i := 0; i < f.param; i++ {
			go func() {
				waiting.Done()
				<-scope.Done()
				if scope.Err() == context.Canceled {
					atomic.AddInt64(&cancelled, 1)
				}
				ended.Done()
			}()
		}
		waiting.Wait()
		begin := time.Now()
		cancel()
		ended.Wait()
		f.add("child", "ns", time.Since(begin), f.param, cancelled)
	}
}

type chain struct {
	waiting   sync.WaitGroup
	cancelled int64
}

// nest is one of the chain: it launches the next, waits to be cancelled, and
// then for the next to end.
func (c *chain) nest(parent context.Context, left int, ended chan<- bool) {
	self, cancel := context.WithCancel(parent)
	defer cancel()
	child := make(chan bool)
	if left > 1 {
		go c.nest(self, left-1, child)
	}
	c.waiting.Done()
	<-self.Done()
	if self.Err() == context.Canceled {
		atomic.AddInt64(&c.cancelled, 1)
	}
	if left > 1 {
		<-child
	}
	ended <- true
}

func w12deep(f *frame) {
	for {
		var c chain

		f.next()
		first, cancel := context.WithCancel(context.Background())
		ended := make(chan bool)
		c.waiting.Add(f.param)
		go c.nest(first, f.param, ended)
		c.waiting.Wait()
		begin := time.Now()
		cancel()
		<-ended
		f.add("child", "ns", time.Since(begin), f.param, c.cancelled)
	}
}

const (
	busyAnswers = 1000
	idleAnswers = 50
)

// answerer has a thread of its own.  It is asked for so many answers: for many
// at once, or for one after 200 us of silence.
type answerer struct {
	answers [busyAnswers]chan struct{}
	asked   chan int
	begin   time.Time
}

func (a *answerer) run() {
	runtime.LockOSThread()
	for n := range a.asked {
		if n == 1 {
			time.Sleep(200 * time.Microsecond)
		}
		a.begin = time.Now()
		for _, answer := range a.answers[:n] {
			answer <- struct{}{}
		}
	}
}

// await has n goroutines wait for an answer each.
func (a *answerer) await(n int) (took time.Duration, sum int64) {
	var waiting, all sync.WaitGroup
	var answered int64
	var end time.Time

	waiting.Add(n)
	all.Add(n)
	for i := 0; i < n; i++ {
		number := int64(i)
		go func() {
			waiting.Done()
			<-a.answers[number]
			atomic.AddInt64(&sum, number)
			if atomic.AddInt64(&answered, 1) == int64(n) {
				end = time.Now()
			}
			all.Done()
		}()
	}
	waiting.Wait()
	a.asked <- n
	all.Wait()
	return end.Sub(a.begin), sum
}

func w14(f *frame) {
	a := &answerer{asked: make(chan int)}
	for i := range a.answers {
		a.answers[i] = make(chan struct{}, 1)
	}
	go a.run()
	for {
		wakes := make([]time.Duration, idleAnswers)

		f.next()
		took, sum := a.await(busyAnswers)
		f.add("busy", "ns", took, busyAnswers, sum)
		for i := range wakes {
			wakes[i], _ = a.await(1)
		}
		f.show("idle", "us", float64(median(wakes))/1e3, idleAnswers)
	}
}
