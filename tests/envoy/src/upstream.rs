//! A service behind Envoy that answers from a closure and records its requests.

mod port;
mod reply;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use bytes::Bytes;
use h2::server::SendResponse;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::http1::{Wire, encode_reply};
use crate::http2;
use crate::message::Request;
use crate::patience::{PATIENCE, POLL_INTERVAL};
use crate::runtime::runtime;

pub use port::RefusingPort;
pub use reply::{Ending, Reply};

/// Returns the reply to a request. It may block, because each call has its own thread.
type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A scripted upstream on a loopback port. It detects HTTP/1.1 or HTTP/2 (without TLS) for each connection. Dropping it
/// stops it and closes its connections.
pub struct Upstream {
    port: RefusingPort,
    shared: Arc<Shared>,
    /// Owns the listener and the connections; `None` while connections are refused.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    arrival: Condvar,
}

struct State {
    script: Script,
    received: Vec<Request>,
}

impl Upstream {
    /// Starts an upstream that answers every request with the result of `script`.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script: Arc::new(script),
                received: Vec::new(),
            }),
            arrival: Condvar::new(),
        });
        let upstream = Self {
            port: RefusingPort::new(),
            shared,
            accepting: Mutex::new(None),
        };
        upstream.accept_connections();
        upstream
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Closes all connections and refuses new ones, like a service that is not running.
    pub fn refuse_connections(&self) {
        if let Some(accepting) = self.accepting().take() {
            accepting.abort();
            // Cancelled, because it does not end on its own. This closes the listener.
            let _ = runtime().block_on(accepting);
        }
    }

    /// Accepts connections again.
    pub fn accept_connections(&self) {
        let accept = || runtime().spawn(accept(self.port.listen(), Arc::clone(&self.shared)));
        self.accepting().get_or_insert_with(accept);
    }

    /// Replaces the script.
    pub fn set_script(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.shared.state().script = Arc::new(script);
    }

    /// Forgets the requests received so far, and answers with an empty 200 from now on.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.script = Arc::new(|_| Reply::new(200));
        state.received.clear();
        drop(state);
        self.accept_connections();
    }

    /// The requests received so far, in the order in which their last byte arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().received.clone()
    }

    /// Waits until at least `count` requests have been received, answered or not. Returns them all.
    ///
    /// # Panics
    /// After a timeout.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        let fewer = |state: &mut State| state.received.len() < count;
        let arrival = &self.shared.arrival;
        let (state, timeout) = arrival
            .wait_timeout_while(self.shared.state(), PATIENCE, fewer)
            .expect("nothing panics while it holds the state");
        let received = state.received.clone();
        drop(state);
        assert!(
            !timeout.timed_out(),
            "waited for {count} requests, the upstream received {received:#?}"
        );
        received
    }

    fn accepting(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting
            .lock()
            .expect("nothing panics while it holds the task")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting().take() {
            accepting.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }

    /// Records the request and calls the script.
    async fn answer(&self, request: Request) -> io::Result<Reply> {
        let script = {
            let mut state = self.state();
            state.received.push(request.clone());
            Arc::clone(&state.script)
        };
        self.arrival.notify_all();
        let reply = tokio::task::spawn_blocking(move || script(&request)).await?;
        tokio::time::sleep(reply.delay).await;
        Ok(reply)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // An error means that Envoy closed the connection, which is allowed.
            let _ = match speaks_http2(&stream).await {
                Ok(true) => serve_http2(stream, shared).await,
                Ok(false) => serve_http1(stream, shared).await,
                Err(error) => Err(error),
            };
        });
    }
}

/// Whether the connection begins with the preface of HTTP/2 (`PRI * HTTP/2.0`). Its second letter distinguishes it from
/// POST, PUT and PATCH.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; 2];
    while stream.peek(&mut start).await? == 1 {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(&start == b"PR")
}

async fn serve_http1(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.read_request().await? {
        let method = request.method.clone();
        let reply = shared.answer(request).await?;
        wire.write(&encode_reply(&reply, &method)).await?;
        match reply.ending {
            Ending::Complete => {}
            Ending::Close => break,
            Ending::Hang => return wire.wait_for_close().await,
            Ending::Reset => return wire.into_stream().set_zero_linger(),
        }
    }
    Ok(())
}

async fn serve_http2(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let handshake = h2::server::handshake(stream).await;
    let mut connection = handshake.map_err(io::Error::other)?;
    let close = Arc::new(Notify::new());
    let mut streams = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = close.notified() => return Ok(()),
        };
        let Some(stream) = accepted else {
            return Ok(());
        };
        let (request, respond) = stream.map_err(io::Error::other)?;
        let (shared, close) = (Arc::clone(&shared), Arc::clone(&close));
        streams.spawn(async move { serve_stream(request, respond, &shared, &close).await });
    }
}

async fn serve_stream(
    request: http::Request<h2::RecvStream>,
    respond: SendResponse<Bytes>,
    shared: &Shared,
    close: &Notify,
) -> io::Result<()> {
    let request = http2::read_request(request).await?;
    let reply = shared.answer(request).await?;
    let sent = http2::send_reply(respond, &reply, close).await;
    sent.map_err(io::Error::other)
}
