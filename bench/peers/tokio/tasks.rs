//! bench/workloads in Tokio: W2 to W9, MEM and IDLE.

use crate::frame::*;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Notify};
use tokio::task::{block_in_place, spawn_blocking, yield_now, JoinHandle};
use tokio::time::{sleep, timeout};

async fn join_all<T>(children: Vec<JoinHandle<T>>) {
    for child in children {
        child.await.unwrap();
    }
}

pub async fn w2(mut f: Frame) {
    let n = f.param as i64;
    let times = if n < 10000 { 100000 / n } else { 10 };
    #[derive(Default)]
    struct Turns {
        begin: AtomicI64,
        end: AtomicI64,
        sum: AtomicI64,
    }

    loop {
        f.next();
        let turns = Arc::new(Turns::default());
        let start = Instant::now();
        let now = move || start.elapsed().as_nanos() as i64;
        let children = (0..n).map(|_| {
            let turns = turns.clone();
            tokio::spawn(async move {
                yield_now().await;
                let begin = &turns.begin;
                let _ = begin.compare_exchange(0, now(), Relaxed, Relaxed);
                for _ in 1..times {
                    yield_now().await;
                }
                if turns.sum.fetch_add(times, Relaxed) == (n - 1) * times {
                    turns.end.store(now(), Relaxed);
                }
            })
        });
        join_all(children.collect()).await;
        let took = turns.end.load(Relaxed) - turns.begin.load(Relaxed);
        f.add("yield", "ns", Duration::from_nanos(took as u64),
              (n * times) as usize, turns.sum.load(Relaxed));
    }
}

pub async fn w3one(mut f: Frame) {
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..1000 {
            sum += tokio::spawn(async move { i }).await.unwrap();
        }
        f.add("fiber", "ns", begin.elapsed(), 1000, sum);
    }
}

pub async fn w3scope(mut f: Frame) {
    let n = f.param as i64;
    let mut children = Vec::with_capacity(f.param);
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..n {
            children.push(tokio::spawn(async move { i }));
        }
        for child in children.drain(..) {
            sum += child.await.unwrap();
        }
        f.add("fiber", "ns", begin.elapsed(), f.param, sum);
    }
}

type Sum = Pin<Box<dyn Future<Output = i64> + Send>>;

fn sum_of_leaves(first: i64, leaves: i64) -> Sum {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let mut children = Vec::with_capacity(10);
        for i in 0..10 {
            let child = sum_of_leaves(first + i * (leaves / 10), leaves / 10);
            children.push(tokio::spawn(child));
        }
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
        }
        sum
    })
}

pub async fn w4(mut f: Frame) {
    loop {
        f.next();
        let begin = Instant::now();
        let root = tokio::spawn(sum_of_leaves(0, f.param as i64));
        let sum = root.await.unwrap();
        f.add("tree", "ms", begin.elapsed(), 1, sum);
    }
}

async fn echo(mut to: mpsc::Receiver<i64>, fro: mpsc::Sender<i64>) {
    while let Some(value) = to.recv().await {
        fro.send(value + 1).await.unwrap();
    }
}

async fn play(mut f: Frame, to: mpsc::Sender<i64>,
              mut fro: mpsc::Receiver<i64>) {
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..1000 {
            to.send(i).await.unwrap();
            sum += fro.recv().await.unwrap();
        }
        f.add("trip", "ns", begin.elapsed(), 1000, sum);
    }
}

pub async fn w5(f: Frame) {
    let (to, to_here) = mpsc::channel(1);
    let (fro, fro_here) = mpsc::channel(1);
    tokio::spawn(echo(to_here, fro));
    play(f, to, fro_here).await;
}

pub async fn w5loops(f: Frame) {
    let (to, to_here) = mpsc::channel(1);
    let (fro, fro_here) = mpsc::channel(1);
    std::thread::spawn(|| crate::runtime(1).block_on(echo(to_here, fro)));
    play(f, to, fro_here).await;
}

/// Tasks have no stacks: what they touch is the thread's.
pub async fn w7(mut f: Frame) {
    f.next();
    let n = f.param;
    let go_on = Arc::new(Notify::new());
    let parked = Arc::new(AtomicI64::new(0));
    let ended = Arc::new(AtomicI64::new(0));
    let mut children = Vec::with_capacity(n);
    let before = resident();
    let begin = Instant::now();
    for _ in 0..n {
        let (go_on, parked, ended) =
            (go_on.clone(), parked.clone(), ended.clone());
        children.push(tokio::spawn(async move {
            touch_stack();
            parked.fetch_add(1, Relaxed);
            go_on.notified().await;
            ended.fetch_add(1, Relaxed);
        }));
    }
    while parked.load(Relaxed) < n as i64 {
        yield_now().await;
    }
    let created = begin.elapsed();
    let grown = (resident() - before) as f64;
    let begin = Instant::now();
    go_on.notify_waiters();
    join_all(children).await;
    let (took, ended) = (begin.elapsed(), ended.load(Relaxed));
    f.add("wake", "ns", took, n, ended);
    f.add("create", "ns", created, n, ended);
    f.show("resident", "bytes", grown / n as f64, ended);
    f.next();
}

pub async fn mem(mut f: Frame) {
    f.next();
    let ran = Arc::new(AtomicI64::new(0));
    let mut children = Vec::with_capacity(f.param);
    let before = resident();
    for _ in 0..f.param {
        let ran = ran.clone();
        children.push(tokio::spawn(async move {
            ran.fetch_add(1, Relaxed);
        }));
    }
    let grown = (resident() - before) as f64;
    join_all(children).await;
    f.show("resident", "bytes", grown / f.param as f64, ran.load(Relaxed));
    f.next();
}

pub async fn idle(mut f: Frame) {
    for _ in 0..1000 {
        tokio::spawn(async {}).await.unwrap();
    }
    f.next();
    let before = cpu();
    sleep(Duration::from_secs(f.param as u64)).await;
    f.add("cpu", "s", cpu() - before, 1, f.param as i64);
    f.next();
}

async fn sleepers(n: usize) -> (Duration, i64) {
    let before = cpu();
    let slept = Arc::new(AtomicI64::new(0));
    let mut x = 1;
    let mut children = Vec::with_capacity(n);
    for _ in 0..n {
        let ms = sleep_ms(&mut x);
        let slept = slept.clone();
        children.push(tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            slept.fetch_add(ms as i64, Relaxed);
        }));
    }
    join_all(children).await;
    (cpu() - before, slept.load(Relaxed))
}

pub async fn w8sleep(mut f: Frame) {
    f.next();
    let (used, slept) = sleepers(f.param).await;
    f.add("first", "s", used, 1, slept);
    let (used, slept) = sleepers(f.param).await;
    f.add("warm", "s", used, 1, slept);
    f.next();
}

/// `timeout` polls the body before its timer, and this body is ready then.
pub async fn w8cancel(mut f: Frame) {
    for _ in 0..f.param {
        tokio::spawn(sleep(Duration::from_secs(3600)));
    }
    yield_now().await;
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..1000 {
            let body = async { sum += i };
            timeout(Duration::from_secs(10), body).await.unwrap();
        }
        f.add("timeout", "ns", begin.elapsed(), 1000, sum);
    }
}

pub async fn w8late(mut f: Frame) {
    if f.param > 0 {
        tokio::spawn(async {
            loop {
                compute(Duration::from_micros(10));
                yield_now().await;
            }
        });
    }
    loop {
        f.next();
        let mut late = Vec::new();
        for _ in 0..100 {
            let begin = Instant::now();
            sleep(Duration::from_millis(1)).await;
            let took = begin.elapsed().as_nanos() as f64;
            late.push((took - 1e6) / 1e3);
        }
        late.sort_by(|a, b| a.partial_cmp(b).unwrap());
        f.show("p50", "us", late[50], 100);
        f.show("p99", "us", late[99], 100);
        f.show("max", "us", late[99], 100);
    }
}

/// What a worker does to run what blocks: it hands its other tasks to another
/// worker; the task is back among them when it has given way.
pub async fn w9io(mut f: Frame) {
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..1000 {
            sum += block_in_place(|| i);
            yield_now().await;
        }
        f.add("trip", "ns", begin.elapsed(), 1000, sum);
    }
}

pub async fn w9block(mut f: Frame) {
    loop {
        f.next();
        let begin = Instant::now();
        let mut sum = 0;
        for i in 0..1000 {
            sum += spawn_blocking(move || i).await.unwrap();
        }
        f.add("trip", "ns", begin.elapsed(), 1000, sum);
    }
}
