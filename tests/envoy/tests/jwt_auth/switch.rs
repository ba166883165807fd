//! A TCP port in front of a server, which can be led elsewhere.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lead {
    /// It leads to this server.
    To(SocketAddr),
    /// It is closed once the first bytes have come.
    Close,
    /// It is kept, and nothing comes back.
    Hang,
}

pub(super) struct Switch {
    address: SocketAddr,
    lead: Arc<Mutex<Lead>>,
    /// Until connections are accepted.
    closed: Mutex<Option<Closed>>,
}

/// A port whose queue of connections is full, so that the kernel answers no more of them.
struct Closed {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Switch {
    pub(super) fn new(lead: Lead) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("the port just bound");
        let lead = Arc::new(Mutex::new(lead));
        accept(listener, Arc::clone(&lead));
        Self {
            address,
            lead,
            closed: Mutex::new(None),
        }
    }

    /// Answers no connection before it is led somewhere.
    pub(super) fn closed() -> Self {
        let listener = listen_to_one();
        let address = listener.local_addr().expect("the port just bound");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self {
            address,
            lead: Arc::new(Mutex::new(Lead::Close)),
            closed: Mutex::new(Some(Closed {
                listener,
                _queue: queue,
            })),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections elsewhere.
    pub(super) fn set(&self, lead: Lead) {
        *self.lead.lock().unwrap() = lead;
        if let Some(closed) = self.closed.lock().unwrap().take() {
            accept(closed.listener, Arc::clone(&self.lead));
        }
    }
}

/// A listener with room for one connection, which the standard library cannot make.
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
fn accept(listener: TcpListener, lead: Arc<Mutex<Lead>>) {
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let lead = *lead.lock().unwrap();
            thread::spawn(move || serve(&connection, lead));
        }
    });
}

/// An error means that one of both sides has closed the connection.
fn serve(mut connection: &TcpStream, lead: Lead) -> Option<()> {
    match lead {
        Lead::To(server) => {
            let server = TcpStream::connect(server).ok()?;
            let (from, to) = (connection.try_clone().ok()?, server.try_clone().ok()?);
            thread::spawn(move || pass_on(&from, &to));
            pass_on(&server, connection);
        }
        Lead::Close => {
            connection.peek(&mut [0]).ok()?;
            connection.shutdown(Shutdown::Both).ok()?;
        }
        Lead::Hang => {
            io::copy(&mut connection, &mut io::sink()).ok()?;
        }
    }
    Some(())
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
