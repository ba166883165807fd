//! A running service.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::server::TcpIncoming;

use crate::faults::{Control, Faulty};
use crate::limits::Limits;
use crate::reservations::{Both, Reservations};
use crate::service::Service;

/// The time in which a stopped server closes its connections.
const STOP: Duration = Duration::from_secs(5);

/// A running service. Dropping it closes its port and its connections at once, like a process that is killed.
pub struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves on a port that already listens.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub fn start(
        listener: TcpListener,
        limits: Limits,
        redis: SocketAddr,
        control: &Control,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        // Its own runtime, because its end also ends the connections.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ratelimit")
            .enable_all()
            .build()?;
        let service = Faulty {
            inner: Both {
                reservations: Reservations::new(limits.clone(), redis),
                other: RateLimitServiceServer::new(Service::new(limits, redis)),
            },
            control: control.clone(),
        };
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = tonic::transport::Server::builder();
        runtime.spawn(server.serve_with_incoming(service, incoming));
        Ok(Self {
            address,
            runtime: Some(runtime),
        })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOP);
        }
    }
}
