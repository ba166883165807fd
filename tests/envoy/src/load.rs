//! Sends a number of requests as fast as they are answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::http1::{Wire, encode_request};
use crate::message::Request;

/// Sends `requests` requests over `connections` concurrent connections (HTTP/1.1, kept alive). Each connection waits for
/// a response before it sends again. `request` returns the request with a number, starting at 0; requests with adjacent
/// numbers are in flight at the same time. Everything runs on the calling thread.
///
/// Returns the statuses, by number.
///
/// # Errors
/// If a connection breaks or a response is incomplete.
pub fn run(
    address: SocketAddr,
    connections: usize,
    requests: usize,
    request: impl Fn(usize) -> Request + Send + Sync + 'static,
) -> io::Result<Vec<u16>> {
    let load = Arc::new(Load {
        address,
        requests,
        request,
        next: AtomicUsize::new(0),
    });
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for _ in 0..connections {
            running.spawn(Arc::clone(&load).send_over_one_connection());
        }
        let mut statuses = vec![0; requests];
        while let Some(ended) = running.join_next().await {
            for (number, status) in ended?? {
                statuses[number] = status;
            }
        }
        Ok(statuses)
    })
}

struct Load<F> {
    address: SocketAddr,
    requests: usize,
    request: F,
    /// The next number to send.
    next: AtomicUsize,
}

impl<F: Fn(usize) -> Request> Load<F> {
    async fn send_over_one_connection(self: Arc<Self>) -> io::Result<Vec<(usize, u16)>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut wire = Wire::new(stream);
        let mut statuses = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return Ok(statuses);
            }
            let request = (self.request)(number);
            wire.write(&encode_request(&request)).await?;
            let response = wire.read_response(false).await?;
            if !response.complete {
                return Err(io::Error::other(format!("the response was {response:?}")));
            }
            statuses.push((number, response.status));
        }
    }
}
