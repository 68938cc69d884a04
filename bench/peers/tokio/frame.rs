//! The frame of the Tokio program; bench/peers/peer.h says the same for C: a
//! workload prepares what outlives a unit, and then does a unit each time that
//! `next` returns.

use std::io::BufRead;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Warm,  // repeats the unit, warmed up before
    Once,  // one unit to a round
    Fresh, // one unit to a process, not warmed up
}

const WARM_UPS: usize = 3;
const ROUND_TIMED: Duration = Duration::from_millis(20);
const ROUND_LONG: Duration = Duration::from_millis(200);
const WARM_LONG: Duration = Duration::from_millis(500);

struct Metric {
    name: &'static str,
    unit: &'static str,
    sum: f64,
    operations: f64,
    checksum: i64,
}

pub struct Frame {
    pub param: usize,
    pub threads: usize,
    kind: Kind,
    ready: bool,
    rounds: usize,
    started: Instant,
    begin: Option<Instant>,
    timed: Duration,
    metrics: Vec<Metric>,
}

impl Frame {
    pub fn new(param: usize, threads: usize, kind: Kind) -> Frame {
        Frame {
            param,
            threads,
            kind,
            ready: false,
            rounds: 0,
            started: Instant::now(),
            begin: None,
            timed: Duration::ZERO,
            metrics: Vec::new(),
        }
    }

    fn metric(&mut self, name: &'static str, unit: &'static str,
              checksum: i64) -> &mut Metric {
        let at = self.metrics.iter().position(|m| m.name == name);
        let at = at.unwrap_or_else(|| {
            self.metrics.push(Metric {
                name, unit, sum: 0.0, operations: 0.0, checksum,
            });
            self.metrics.len() - 1
        });
        let m = &mut self.metrics[at];
        assert_eq!(m.checksum, checksum, "checksum of {}", name);
        m
    }

    /// The unit took so long for so many operations.
    pub fn add(&mut self, name: &'static str, unit: &'static str,
               took: Duration, operations: usize, checksum: i64) {
        let one = match unit {
            "s" => 1e9,
            "ms" => 1e6,
            "us" => 1e3,
            _ => 1.0,
        };
        self.timed += took;
        let m = self.metric(name, unit, checksum);
        m.sum += took.as_nanos() as f64 / one;
        m.operations += operations as f64;
    }

    /// The unit showed this value; a round shows their mean.
    pub fn show(&mut self, name: &'static str, unit: &'static str,
                value: f64, checksum: i64) {
        let m = self.metric(name, unit, checksum);
        m.sum += value;
        m.operations += 1.0;
    }

    fn print(&self) {
        for m in &self.metrics {
            println!("{} {} {:.6} {}", m.name, m.unit,
                     m.sum / m.operations, m.checksum);
        }
        println!();
    }

    fn wants_more(&self) -> bool {
        match self.begin {
            Some(begin) => self.kind == Kind::Warm
                && self.timed < ROUND_TIMED && begin.elapsed() < ROUND_LONG,
            None => false,
        }
    }

    fn is_cold(&mut self) -> bool {
        self.rounds += 1;
        self.kind != Kind::Fresh && !self.ready && self.rounds <= WARM_UPS
            && self.started.elapsed() < WARM_LONG
    }

    /// Waits until a unit is wanted; at the end of the input it exits.
    pub fn next(&mut self) {
        if self.wants_more() {
            return;
        }
        if !self.is_cold() {
            if self.ready {
                self.print();
            } else {
                println!("ready");
            }
            if self.kind == Kind::Fresh && self.ready || !asked() {
                std::process::exit(0);
            }
            self.ready = true;
        }
        self.begin = Some(Instant::now());
        self.timed = Duration::ZERO;
        for m in &mut self.metrics {
            m.sum = 0.0;
            m.operations = 0.0;
        }
    }
}

fn asked() -> bool {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap() > 0
}

/// Processor time of this process.
pub fn cpu() -> Duration {
    extern "C" {
        fn clock() -> std::os::raw::c_long; // in microseconds, says POSIX
    }
    Duration::from_micros(unsafe { clock() } as u64)
}

/// Bytes of this process that are in memory.
pub fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split(' ').nth(1).unwrap();
    pages.parse::<i64>().unwrap() * 4096
}

pub fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}

/// The lengths of sleep, the same for all programs.
pub fn sleep_ms(x: &mut u32) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    1 + u64::from(*x % 1000)
}

pub fn compute(span: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < span {}
}

/// Uses 512 bytes of the stack.
#[inline(never)]
pub fn touch_stack() {
    let mut bytes = [0u8; 512];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = i as u8;
    }
    unsafe { std::ptr::read_volatile(&bytes) };
}
