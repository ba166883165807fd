//! Sends requests at fixed times, whether earlier ones have been answered or not.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::http1::{Wire, encode_request};
use crate::message::Request;

/// The connections to each address (HTTP/1.1, kept alive).
const CONNECTIONS: usize = 8;
/// The time until all threads run.
const START: Duration = Duration::from_millis(20);

/// The response to a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Its status.
    pub status: u16,
    /// The time until it was complete.
    pub latency: Duration,
}

/// Sends a request again and again, `rate` times a second, to the addresses in turn. Returns the responses in the order of
/// sending.
///
/// A latency begins when the request is due, even if it had to wait for its connection. If the connection was free, the
/// latency begins with the sending, because it does not matter how long this machine takes to wake a thread.
///
/// # Errors
/// If a connection breaks or a response is incomplete.
///
/// # Panics
/// Without addresses.
pub fn run(
    addresses: &[SocketAddr],
    rate: u32,
    requests: usize,
    request: &Request,
) -> io::Result<Vec<Outcome>> {
    let request = encode_request(request);
    let connections = CONNECTIONS * addresses.len();
    let start = Instant::now() + START;
    let send = |first: usize, address: SocketAddr| -> io::Result<Vec<(usize, Outcome)>> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut wire = Wire::new(stream);
            let mut outcomes = Vec::new();
            for number in (first..requests).step_by(connections) {
                let due = start + Duration::from_secs_f64(number as f64 / f64::from(rate));
                let wait = due.saturating_duration_since(Instant::now());
                // The thread has nothing else to do.
                thread::sleep(wait);
                let begin = if wait.is_zero() { due } else { Instant::now() };
                wire.write(&request).await?;
                let response = wire.read_response(false).await?;
                let latency = begin.elapsed();
                if !response.complete {
                    return Err(io::Error::other(format!("the response was {response:?}")));
                }
                let status = response.status;
                outcomes.push((number, Outcome { status, latency }));
            }
            Ok(outcomes)
        })
    };
    let outcomes: io::Result<Vec<_>> = thread::scope(|scope| {
        let running: Vec<_> = (0..connections)
            .map(|first| {
                let address = addresses[first % addresses.len()];
                scope.spawn(move || send(first, address))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let mut outcomes = outcomes?.concat();
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}
