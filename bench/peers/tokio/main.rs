//! Tokio: a current-thread runtime where the workload has one thread, else one
//! with so many workers.  A workload's body is a task itself, so it runs where
//! its children do.

mod contended;
mod frame;
mod tasks;

use frame::{Frame, Kind};
use std::future::Future;
use tokio::runtime::{Builder, Runtime};

pub fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().unwrap()
}

fn run<F>(f: Frame, work: fn(Frame) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    run_on(runtime(f.threads), f, work)
}

fn run_on<F>(on: Runtime, f: Frame, work: fn(Frame) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on.block_on(async { tokio::spawn(work(f)).await.unwrap() });
}

fn cannot(why: &str) -> ! {
    println!("cannot {}", why);
    std::process::exit(3);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.len() == 2 && args[1] == "--version" {
        println!("Tokio {}", env!("TOKIO_VERSION"));
        return;
    }
    if args.len() != 4 {
        eprintln!("usage: tokio WORKLOAD PARAM THREADS");
        std::process::exit(2);
    }
    let number = |i: usize| args[i].parse::<usize>().unwrap();
    let f = |kind| Frame::new(number(2), number(3), kind);
    use Kind::{Fresh, Once, Warm};

    match args[1].as_str() {
        "W2" => run(f(Warm), tasks::w2),
        "W3one" => run(f(Warm), tasks::w3one),
        "W3scope" => run(f(Warm), tasks::w3scope),
        "W4" => run(f(Warm), tasks::w4),
        "W5one" | "W5pool" => run(f(Warm), tasks::w5),
        "W5loops" => run_on(runtime(1), f(Warm), tasks::w5loops),
        "W7" => run(f(Fresh), tasks::w7),
        "W8sleep" => run(f(Fresh), tasks::w8sleep),
        "W8cancel" => run(f(Warm), tasks::w8cancel),
        "W8late" => run(f(Once), tasks::w8late),
        "W9io" => run(f(Warm), tasks::w9io),
        "W9block" => run_on(runtime(1), f(Warm), tasks::w9block),
        "W10resume" => run(f(Warm), contended::w10resume),
        "W10launch" => run(f(Warm), contended::w10launch),
        "W12" => run(f(Warm), contended::w12),
        "W12deep" => run(f(Warm), contended::w12deep),
        "W14main" => run_on(runtime(1), f(Warm), contended::w14),
        "W14default" => run(f(Warm), contended::w14),
        "MEM" => run(f(Fresh), tasks::mem),
        "IDLE" => run(f(Fresh), tasks::idle),
        "W8timer" => cannot("a timer is armed by the task that polls it"),
        _ => cannot("a task stays on its runtime: it has no hops"),
    }
}
