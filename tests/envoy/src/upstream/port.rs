//! A loopback port that stays reserved, with or without a listener.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::runtime::runtime;

/// A reserved loopback port: no other process can listen there, and it refuses connections.
pub struct RefusingPort(TcpSocket);

impl RefusingPort {
    /// Reserves a port.
    pub fn new() -> Self {
        Self(bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
    }

    /// The address that refuses connections.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("the port just bound")
    }

    /// Accepts connections until the listener is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        let _runtime = runtime().enter();
        let listening = bind(self.address()).listen(1024);
        listening.expect("nobody else listens here")
    }
}

impl Default for RefusingPort {
    fn default() -> Self {
        Self::new()
    }
}

/// The socket shares its port with other sockets of this user that request exactly this port. The kernel never chooses a
/// shared port on its own.
fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a new socket");
    let bound = socket.bind(address);
    bound.unwrap_or_else(|error| panic!("{address} cannot be taken: {error}"));
    socket
}
