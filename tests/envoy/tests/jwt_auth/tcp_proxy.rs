//! A TCP proxy in front of a server, whose target can change.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The fate of a new connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// It is forwarded to this server.
    Server(SocketAddr),
    /// It is closed once its first bytes have arrived.
    Close,
    /// It stays open without a response.
    Hang,
}

pub(super) struct TcpProxy {
    address: SocketAddr,
    target: Arc<Mutex<Target>>,
    /// Set until the proxy accepts connections.
    closed: Mutex<Option<Closed>>,
}

/// A port whose queue of connections is full, so that the kernel does not complete new ones.
struct Closed {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl TcpProxy {
    pub(super) fn new(target: Target) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("the port just bound");
        let target = Arc::new(Mutex::new(target));
        accept(listener, Arc::clone(&target));
        Self {
            address,
            target,
            closed: Mutex::new(None),
        }
    }

    /// A proxy that completes no connection before [`set`](Self::set).
    pub(super) fn closed() -> Self {
        let listener = listen_to_one();
        let address = listener.local_addr().expect("the port just bound");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self {
            address,
            target: Arc::new(Mutex::new(Target::Close)),
            closed: Mutex::new(Some(Closed {
                listener,
                _queue: queue,
            })),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the target of new connections.
    pub(super) fn set(&self, target: Target) {
        *self.target.lock().unwrap() = target;
        if let Some(closed) = self.closed.lock().unwrap().take() {
            accept(closed.listener, Arc::clone(&self.target));
        }
    }
}

/// A listener with a queue for one connection, which the standard library cannot create.
fn listen_to_one() -> TcpListener {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let runtime = runtime.expect("a runtime");
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("nobody else listens");
    let listener = listener.into_std().expect("a listener");
    listener.set_nonblocking(false).expect("a listener");
    listener
}

/// Accepts connections until the test process ends.
fn accept(listener: TcpListener, target: Arc<Mutex<Target>>) {
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let target = *target.lock().unwrap();
            thread::spawn(move || serve(&connection, target));
        }
    });
}

/// `None` means that one of the sides has closed the connection.
fn serve(mut connection: &TcpStream, target: Target) -> Option<()> {
    match target {
        Target::Server(server) => {
            let server = TcpStream::connect(server).ok()?;
            let (from, to) = (connection.try_clone().ok()?, server.try_clone().ok()?);
            thread::spawn(move || pass_on(&from, &to));
            pass_on(&server, connection);
        }
        Target::Close => {
            connection.peek(&mut [0]).ok()?;
            connection.shutdown(Shutdown::Both).ok()?;
        }
        Target::Hang => {
            io::copy(&mut connection, &mut io::sink()).ok()?;
        }
    }
    Some(())
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
