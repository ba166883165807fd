//! hello_world: greets when the VM starts, and tells time and a lucky number on a timer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::info;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;
use proxy_wasm_native_host::{Filter, Host, Thread};

use super::said;

struct Greeter;

impl Context for Greeter {}

impl RootContext for Greeter {
    fn on_vm_start(&mut self, _: usize) -> bool {
        info!("good morning");
        self.set_tick_period(Duration::from_secs(5));
        true
    }

    fn on_tick(&mut self) {
        let mut lucky = [0];
        getrandom::fill(&mut lucky).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        info!("{} s, lucky {}", now.as_secs(), lucky[0]);
    }
}

fn host(seed: u64) -> Host {
    let filter = Filter::from_fn("greeter", || {
        proxy_wasm::set_log_level(LogLevel::Trace);
        proxy_wasm::set_root_context(|_| Box::new(Greeter));
    });
    let host = Host::builder().seed(seed).filter(filter).start().unwrap();
    host.set_wall_time(UNIX_EPOCH + Duration::from_secs(1_000));
    host
}

#[test]
fn it_greets_once_for_each_vm() {
    let host = host(1);
    let greetings = said(&host)
        .into_iter()
        .filter(|line| line == "good morning");
    // To try it out, on the main thread, and on the worker.
    assert_eq!(greetings.count(), 3);
    assert_eq!(host.tick_periods("greeter").len(), 2);
}

#[test]
fn it_tells_the_time_every_five_seconds() {
    let host = host(1);
    host.advance(Duration::from_secs(11));
    let logs = host.logs();
    let on_worker = logs.iter().filter(|line| line.thread == Thread::Worker(0));
    let ticks = on_worker.filter_map(|line| line.message.split_once(" s, "));
    let times: Vec<_> = ticks.map(|(time, _)| time).collect();
    assert_eq!(times, ["1005", "1010"]);
}

#[test]
fn its_numbers_can_be_repeated() {
    let numbers = |seed| {
        let host = host(seed);
        host.advance(Duration::from_secs(20));
        said(&host)
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
}
