//! A client that sends exactly the given messages, and returns exactly the received ones.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::http1::{Wire, encode_request};
use crate::http2;
use crate::message::{Request, Response};
use crate::patience::PATIENCE;
use crate::runtime::runtime;
use crate::tls::SERVER_NAME;

/// An address and a protocol, from an [`crate::envoy::Envoy`] or for any address.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    protocol: Protocol,
}

#[derive(Clone, Debug)]
enum Protocol {
    Http1,
    Http1Tls(Arc<ClientConfig>),
    Http2,
}

impl Client {
    /// HTTP/1.1.
    pub fn http1(address: SocketAddr) -> Self {
        Self {
            address,
            protocol: Protocol::Http1,
        }
    }

    /// HTTP/1.1 over TLS.
    pub(crate) fn http1_tls(address: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self {
            address,
            protocol: Protocol::Http1Tls(tls),
        }
    }

    /// HTTP/2 without TLS, by prior knowledge.
    pub fn http2(address: SocketAddr) -> Self {
        Self {
            address,
            protocol: Protocol::Http2,
        }
    }

    /// Sends a request on a new connection.
    ///
    /// # Panics
    /// If no response header arrives.
    pub fn send(&self, request: &Request) -> Response {
        expect_response(self.try_send(request), request)
    }

    /// Sends a request on a new connection; an error if no response header arrives.
    pub fn try_send(&self, request: &Request) -> io::Result<Response> {
        self.try_connect()?.try_send(request)
    }

    /// Sends a request on a new connection without waiting for the response.
    pub fn start(&self, request: Request) -> Pending {
        let mut connection = self.connect();
        Pending(runtime().spawn(async move { connection.exchange(&request).await }))
    }

    /// Sends bytes that need not be HTTP on a new connection, and reads one response.
    ///
    /// An error if the connection is closed instead.
    pub fn send_bytes(&self, bytes: &[u8]) -> io::Result<Response> {
        let mut connection = self.try_connect()?;
        let Transport::Http1(wire) = &mut connection.0 else {
            panic!("raw bytes are for HTTP/1");
        };
        within_patience(async {
            wire.write(bytes).await?;
            wire.read_response(false).await
        })
    }

    /// Opens a connection for several requests. A connection belongs to one worker of Envoy, so that worker serves
    /// them all.
    ///
    /// # Panics
    /// If the connection or the TLS handshake fails.
    pub fn connect(&self) -> Connection {
        self.try_connect()
            .unwrap_or_else(|error| panic!("no connection to {}: {error}", self.address))
    }

    fn try_connect(&self) -> io::Result<Connection> {
        within_patience(async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let transport = match &self.protocol {
                Protocol::Http1 => Transport::Http1(Wire::new(Box::new(stream))),
                Protocol::Http1Tls(tls) => {
                    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
                    let tls = TlsConnector::from(Arc::clone(tls));
                    let stream = tls.connect(name, stream).await?;
                    Transport::Http1(Wire::new(Box::new(stream)))
                }
                Protocol::Http2 => {
                    let handshake = h2::client::handshake(stream).await;
                    let (sender, connection) = handshake.map_err(io::Error::other)?;
                    // Ends by itself, with a GOAWAY, when the last handle on it is dropped.
                    tokio::spawn(connection);
                    Transport::Http2(sender)
                }
            };
            Ok(Connection(transport))
        })
    }
}

/// An open connection to Envoy, closed when dropped.
pub struct Connection(Transport);

enum Transport {
    Http1(Wire<Box<dyn Stream>>),
    Http2(SendRequest<Bytes>),
}

impl Connection {
    /// Sends a request and waits for its response.
    ///
    /// # Panics
    /// If no response header arrives.
    pub fn send(&mut self, request: &Request) -> Response {
        expect_response(self.try_send(request), request)
    }

    /// Sends a request and waits for its response; an error if no response header arrives.
    pub fn try_send(&mut self, request: &Request) -> io::Result<Response> {
        within_patience(self.exchange(request))
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        match &mut self.0 {
            Transport::Http1(wire) => {
                wire.write(&encode_request(request)).await?;
                wire.read_response(request.method == "HEAD").await
            }
            Transport::Http2(sender) => http2::exchange(sender.clone(), request).await,
        }
    }
}

/// A request in flight. Dropping this does not cancel it.
pub struct Pending(JoinHandle<io::Result<Response>>);

impl Pending {
    /// Waits for the response.
    ///
    /// # Panics
    /// If no response header arrives.
    pub fn response(self) -> Response {
        let response = within_patience(async { self.0.await.map_err(io::Error::other)? });
        response.unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Whether the response has arrived, or can no longer arrive.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Closes the connection (over HTTP/2, after resetting the stream), like a user who leaves. The request may not even
    /// have been sent, so first wait for a sign of it, such as [`crate::upstream::Upstream::wait_for_requests`].
    pub fn disconnect(self) {
        self.0.abort();
        // Cancelled or just finished: either way the connection is gone now.
        let _ = runtime().block_on(self.0);
    }
}

/// A plain or a TLS connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn within_patience<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    runtime().block_on(async { tokio::time::timeout(PATIENCE, what).await? })
}

fn expect_response(result: io::Result<Response>, request: &Request) -> Response {
    result.unwrap_or_else(|error| {
        panic!(
            "no response to {} {}: {error}",
            request.method, request.target
        )
    })
}
