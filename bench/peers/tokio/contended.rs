//! W10, W12 and W14 in Tokio: many wait for one, and are cancelled.

use crate::frame::*;
use std::future::{pending, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch, Notify};
use tokio::task::{yield_now, JoinSet};

const WAITERS: i64 = 100;
const DEFERREDS: i64 = 10;

async fn reaches(count: &AtomicI64, n: i64) {
    while count.load(Relaxed) < n {
        yield_now().await;
    }
}

/// A watch is what is awaited by many, time and again.
pub async fn w10resume(mut f: Frame) {
    loop {
        f.next();
        let waiting = Arc::new(AtomicI64::new(0));
        let (complete, deferred) = watch::channel(0);
        let mut waiters = Vec::new();
        for _ in 0..WAITERS {
            let (waiting, mut deferred) = (waiting.clone(), deferred.clone());
            waiters.push(tokio::spawn(async move {
                let mut sum = 0;
                for _ in 0..DEFERREDS {
                    waiting.fetch_add(1, Relaxed);
                    deferred.changed().await.unwrap();
                    sum += *deferred.borrow();
                }
                sum
            }));
        }
        reaches(&waiting, WAITERS).await;
        let begin = Instant::now();
        for i in 1..=DEFERREDS {
            reaches(&waiting, i * WAITERS).await;
            complete.send(i).unwrap();
        }
        let mut sum = 0;
        for waiter in waiters {
            sum += waiter.await.unwrap();
        }
        f.add("wake", "ns", begin.elapsed(),
              (WAITERS * DEFERREDS) as usize, sum);
    }
}

/// The scope is a channel: it is at its end when all senders are dropped.
pub async fn w10launch(mut f: Frame) {
    loop {
        f.next();
        let slots: Arc<Vec<AtomicI64>> =
            Arc::new((0..10000).map(|_| AtomicI64::new(0)).collect());
        let (scope, mut ended) = mpsc::channel::<()>(1);
        let begin = Instant::now();
        for i in 0..100 {
            let (slots, scope) = (slots.clone(), scope.clone());
            tokio::spawn(async move {
                for j in i * 100..(i + 1) * 100 {
                    let (slots, scope) = (slots.clone(), scope.clone());
                    tokio::spawn(async move {
                        slots[j].store(j as i64, Relaxed);
                        drop(scope);
                    });
                }
            });
        }
        drop(scope);
        ended.recv().await;
        let sum = slots.iter().map(|slot| slot.load(Relaxed)).sum();
        f.add("launch", "ns", begin.elapsed(), slots.len(), sum);
    }
}

pub async fn w12(mut f: Frame) {
    loop {
        f.next();
        let waiting = Arc::new(AtomicI64::new(0));
        let mut scope = JoinSet::new();
        for _ in 0..f.param {
            let waiting = waiting.clone();
            scope.spawn(async move {
                waiting.fetch_add(1, Relaxed);
                pending::<()>().await;
            });
        }
        reaches(&waiting, f.param as i64).await;
        let begin = Instant::now();
        let mut cancelled = 0;
        scope.abort_all();
        while let Some(ended) = scope.join_next().await {
            cancelled += i64::from(ended.unwrap_err().is_cancelled());
        }
        f.add("child", "ns", begin.elapsed(), f.param, cancelled);
    }
}

#[derive(Default)]
struct Chain {
    length: i64,
    waiting: AtomicI64,
    cancelled: AtomicI64,
    all_ended: Notify,
}

/// Dropped when its task is aborted: that is how a task learns of it.
struct Member(Arc<Chain>);

impl Drop for Member {
    fn drop(&mut self) {
        if self.0.cancelled.fetch_add(1, Relaxed) + 1 == self.0.length {
            self.0.all_ended.notify_one();
        }
    }
}

/// One of the chain owns the set that the next one is in, which it aborts when
/// it is aborted itself.
fn nest(chain: Arc<Chain>, left: i64)
        -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let _member = Member(chain.clone());
        let mut next = JoinSet::new();
        if left > 1 {
            next.spawn(nest(chain.clone(), left - 1));
        }
        chain.waiting.fetch_add(1, Relaxed);
        pending::<()>().await;
        drop(next);
    })
}

pub async fn w12deep(mut f: Frame) {
    let length = f.param as i64;
    loop {
        f.next();
        let chain = Arc::new(Chain { length, ..Chain::default() });
        let mut first = JoinSet::new();
        first.spawn(nest(chain.clone(), length));
        reaches(&chain.waiting, length).await;
        let begin = Instant::now();
        first.abort_all();
        chain.all_ended.notified().await;
        f.add("child", "ns", begin.elapsed(), f.param,
              chain.cancelled.load(Relaxed));
    }
}

const BUSY_ANSWERS: usize = 1000;
const IDLE_ANSWERS: usize = 50;

type Answers = Vec<oneshot::Sender<()>>;

/// A thread of its own, asked for many answers at once, or for one after
/// 200 us of silence.  It says when it began.
struct Answerer {
    asked: std::sync::mpsc::Sender<Answers>,
    began: std::sync::mpsc::Receiver<Instant>,
}

fn answerer() -> Answerer {
    let (asked, asked_here) = std::sync::mpsc::channel::<Answers>();
    let (began_here, began) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answers in asked_here {
            if answers.len() == 1 {
                std::thread::sleep(Duration::from_micros(200));
            }
            let begin = Instant::now();
            for answer in answers {
                answer.send(()).unwrap();
            }
            began_here.send(begin).unwrap();
        }
    });
    Answerer { asked, began }
}

/// Has n tasks wait for an answer each: from the first answer to when the last
/// task has it; and the sum of their numbers.
async fn await_answers(from: &mut Answerer, n: usize) -> (Duration, i64) {
    let waiting = Arc::new(AtomicI64::new(0));
    let mut answers = Vec::with_capacity(n);
    let mut waiters = Vec::with_capacity(n);
    for i in 0..n {
        let (answer, answered) = oneshot::channel();
        let waiting = waiting.clone();
        answers.push(answer);
        waiters.push(tokio::spawn(async move {
            waiting.fetch_add(1, Relaxed);
            answered.await.unwrap();
            (i as i64, Instant::now())
        }));
    }
    reaches(&waiting, n as i64).await;
    from.asked.send(answers).unwrap();
    let mut sum = 0;
    let mut end = None;
    for waiter in waiters {
        let (number, at) = waiter.await.unwrap();
        sum += number;
        end = end.max(Some(at));
    }
    (end.unwrap() - from.began.recv().unwrap(), sum)
}

pub async fn w14(mut f: Frame) {
    let mut from = answerer();
    loop {
        f.next();
        let (took, sum) = await_answers(&mut from, BUSY_ANSWERS).await;
        f.add("busy", "ns", took, BUSY_ANSWERS, sum);
        let mut wakes = Vec::new();
        for _ in 0..IDLE_ANSWERS {
            wakes.push(await_answers(&mut from, 1).await.0);
        }
        f.show("idle", "us", median(wakes).as_nanos() as f64 / 1e3,
               IDLE_ANSWERS as i64);
    }
}
