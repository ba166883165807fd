//! The client's end of a stream.

use super::{Frame, Stream};
use crate::clock::http_date;
use crate::message::Response;
use crate::outcome::Received;
use crate::sync::lock;
use crate::worker::Core;

/// What the client has got so far.
#[derive(Debug, Default)]
pub(super) struct Client {
    response: Option<Response>,
    /// The stream ended before the response was complete.
    pub(super) broken_off: bool,
}

impl Client {
    pub(super) fn has_headers(&self) -> bool {
        self.response.is_some()
    }

    pub(super) fn received(self) -> Received {
        Received {
            response: self.response,
            broken_off: self.broken_off,
        }
    }
}

/// Headers that are between two hops and not passed on.
const HOP_BY_HOP: [&str; 4] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
];

impl Stream {
    /// Sends a frame to the client. Before the headers leave, Envoy puts its own `server` over any
    /// other and adds a `date` if there is none.
    pub(super) fn deliver(&mut self, core: &mut Core, frame: Frame) {
        let mut state = lock(&self.state);
        let end = match frame {
            Frame::Headers { end } => {
                let date = http_date(core.shared.clock.now().wall);
                let headers = state.response_headers.get_or_insert_default();
                for name in HOP_BY_HOP {
                    headers.remove(name);
                }
                if !headers.contains("date") {
                    headers.add("date", date);
                }
                headers.overwrite("server", b"envoy");
                let response = Response::from_headers(headers.clone());
                state.info.response_code = Some(response.status());
                self.client.response = Some(response);
                end
            }
            Frame::Data { bytes, end } => {
                state.info.bytes_sent += bytes.len();
                let response = self.client.response.as_mut();
                if let Some(response) = response.filter(|_| !bytes.is_empty()) {
                    response.chunks.push(bytes);
                }
                end
            }
            Frame::Trailers => {
                if let Some(response) = &mut self.client.response {
                    response.trailers = state.response_trailers.clone().unwrap_or_default();
                }
                true
            }
        };
        drop(state);
        if end {
            self.finish(core);
        }
    }
}
