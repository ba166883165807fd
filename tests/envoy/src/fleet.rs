//! Several Envoys with one rate-limit service behind them, and a real Redis behind that.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_ratelimit_service::{Control, Fault, Limits, Server};

use crate::bootstrap::{PLAIN, grpc_cluster};
use crate::envoy::{Builder, Envoy};
use crate::load;
use crate::message::Request;
use crate::redis::Redis;
use crate::upstream::RefusingPort;

/// The cluster of the service.
pub const SERVICE: &str = "ratelimit";
/// The connections of the load for each Envoy.
const CONNECTIONS: usize = 16;
/// How often a test begins again in another window.
const ATTEMPTS: usize = 5;

/// Envoys with the same configuration, their rate-limit service, and its Redis.
pub struct Fleet {
    // Fields are dropped in this order: the Envoys end first.
    envoys: Vec<Envoy>,
    service: Service,
    redis: Redis,
}

impl Fleet {
    /// Starts Envoys that `builder` configures by their number; the cluster [`SERVICE`] is added. `limits` is the service's
    /// YAML. `None` if this machine has no Redis.
    ///
    /// # Panics
    /// If a part does not start.
    pub fn start(envoys: usize, limits: &str, builder: impl Fn(usize) -> Builder) -> Option<Self> {
        let redis = Redis::start()?;
        let service = Service::start(limits, redis.address());
        let start = |number| {
            let cluster = grpc_cluster(SERVICE, service.address());
            builder(number).cluster(cluster).start()
        };
        Some(Self {
            envoys: (0..envoys).map(start).collect(),
            service,
            redis,
        })
    }

    /// The Envoys.
    pub fn envoys(&self) -> &[Envoy] {
        &self.envoys
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The service's Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Sends a number of requests to each Envoy, to all at once. Returns the statuses, Envoy by Envoy, each in the order
    /// of the requests' numbers.
    ///
    /// # Panics
    /// If a connection breaks.
    pub fn send(
        &self,
        requests: usize,
        request: impl Fn(usize) -> Request + Clone + Send + Sync + 'static,
    ) -> Vec<Vec<u16>> {
        let send = |envoy: &Envoy| {
            let statuses = load::run(envoy.address(PLAIN), CONNECTIONS, requests, request.clone());
            statuses.unwrap_or_else(|error| panic!("{error}"))
        };
        thread::scope(|scope| {
            let running: Vec<_> = (self.envoys.iter())
                .map(|envoy| scope.spawn(move || send(envoy)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        })
    }
}

/// Calls `attempt` in one of the service's windows, which must have at least half of its time left. If the attempt takes
/// longer than that window, it is repeated in another one. `window` is in seconds.
///
/// # Panics
/// If several attempts took too long.
pub fn within_a_window<T>(window: u64, mut attempt: impl FnMut() -> T) -> T {
    for _ in 0..ATTEMPTS {
        let (_, rest) = window_at(window);
        if rest < Duration::from_secs(window) / 2 {
            thread::sleep(rest);
        }
        let (number, _) = window_at(window);
        let result = attempt();
        if window_at(window).0 == number {
            return result;
        }
    }
    panic!("{ATTEMPTS} attempts took longer than half of a window each")
}

/// Sleeps until the service's next window. `window` is in seconds.
pub fn sleep_until_next_window(window: u64) {
    thread::sleep(window_at(window).1);
}

/// The number of the service's current window, and the rest of its time. `window` is in seconds.
///
/// # Panics
/// If the clock is before 1970.
pub fn window_at(window: u64) -> (u64, Duration) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("a clock after 1970");
    let number = since.as_secs() / window;
    (number, Duration::from_secs((number + 1) * window) - since)
}

/// A rate-limit service on a port that stays its own while it is stopped.
pub struct Service {
    port: RefusingPort,
    limits: Limits,
    redis: SocketAddr,
    control: Control,
    server: Mutex<Option<Server>>,
}

impl Service {
    /// Starts a service with these limits in YAML.
    ///
    /// # Panics
    /// If the limits are wrong.
    pub fn start(limits: &str, redis: SocketAddr) -> Self {
        let service = Self {
            port: RefusingPort::new(),
            limits: Limits::from_yaml(limits).unwrap_or_else(|error| panic!("{error}")),
            redis,
            control: Control::default(),
            server: Mutex::new(None),
        };
        service.start_again();
        service
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Closes all connections and refuses new ones, like a process that was killed.
    pub fn kill(&self) {
        self.server().take();
    }

    /// Serves again after [`Service::kill`].
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start_again(&self) {
        self.server().get_or_insert_with(|| {
            let listener = self.port.listen().into_std().expect("a listener");
            let server = Server::start(listener, self.limits.clone(), self.redis, &self.control);
            server.expect("a server")
        });
    }

    /// Makes all calls fail in this way from now on.
    pub fn fail(&self, fault: Fault) {
        self.control.set(fault);
    }

    /// The number of calls so far.
    pub fn calls(&self) -> u64 {
        self.control.calls()
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server
            .lock()
            .expect("nothing panics while it holds the server")
    }
}
