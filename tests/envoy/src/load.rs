//! A number of requests, as fast as they are answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::http1::{Wire, encode_request};
use crate::message::Request;

/// Sends a request so many times in all, over so many connections at once (HTTP/1.1, kept
/// alive), each of which waits for the response before it sends again. All of it happens on the
/// calling thread.
///
/// # Errors
/// If a connection breaks or a response is anything but a complete 200.
pub fn run(
    address: SocketAddr,
    request: &Request,
    connections: usize,
    requests: usize,
) -> io::Result<()> {
    let bytes: Arc<[u8]> = encode_request(request).into();
    Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(async {
            let mut running = JoinSet::new();
            for _ in 0..connections {
                let bytes = Arc::clone(&bytes);
                running.spawn(repeat(address, bytes, requests / connections));
            }
            while let Some(ended) = running.join_next().await {
                ended??;
            }
            Ok(())
        })
}

async fn repeat(address: SocketAddr, request: Arc<[u8]>, times: usize) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    for _ in 0..times {
        wire.write(&request).await?;
        let response = wire.read_response(false).await?;
        if response.status != 200 || !response.complete {
            return Err(io::Error::other(format!("the response was {response:?}")));
        }
    }
    Ok(())
}
