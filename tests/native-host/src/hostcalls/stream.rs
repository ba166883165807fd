//! Bodies, and what moves a stream along or ends it.

use super::Guest;
use crate::headers::Headers;
use crate::local_reply::LocalReply;
use crate::state::Direction;
use crate::status::Status;
use crate::sync::lock;
use crate::vm::{Action, StreamPosition};

impl Guest<'_> {
    /// Part of a buffer. Most buffers exist always and are just empty when there is nothing in them.
    pub(crate) fn buffer(&self, buffer: u32, start: usize, size: usize) -> Result<Vec<u8>, Status> {
        let bytes = match buffer {
            0 => self.body(Direction::Request),
            1 => self.body(Direction::Response),
            2 | 3 => Vec::new(),
            5 | 8 => {
                let root = self.vm.root().map(|(_, root)| root);
                let held = root.map(|root| match buffer {
                    5 => &root.grpc_message,
                    _ => &root.call_data,
                });
                held.cloned().flatten().unwrap_or_default()
            }
            4 => {
                let (_, root) = self.vm.root().ok_or(Status::NotFound)?;
                let response = root.call_response.as_ref().ok_or(Status::NotFound)?;
                response.body_bytes()
            }
            6 => self.vm.spec.config.clone(),
            7 => {
                let root = self.vm.root().map(|(_, root)| root);
                let root = root
                    .filter(|root| root.configuring)
                    .ok_or(Status::NotFound)?;
                root.filter.config.clone()
            }
            _ => return Err(Status::BadArgument),
        };
        let end = start.checked_add(size).ok_or(Status::BadArgument)?;
        let start = start.min(bytes.len());
        Ok(bytes[start..end.min(bytes.len())].to_vec())
    }

    fn body(&self, direction: Direction) -> Vec<u8> {
        let Some(stream) = self.vm.stream() else {
            return Vec::new();
        };
        let mut state = lock(&stream.state);
        let view = state.views[stream.at.filter].of(direction);
        view.body.clone().unwrap_or_default()
    }

    /// Changes a body at its start (replacing `size` bytes) or at its end; Envoy can do nothing in
    /// between.
    pub(crate) fn set_buffer(
        &mut self,
        buffer: u32,
        start: usize,
        size: usize,
        bytes: &[u8],
    ) -> Result<(), Status> {
        let direction = match buffer {
            0 => Direction::Request,
            1 => Direction::Response,
            _ => return Err(Status::BadArgument),
        };
        let stream = self.vm.stream().ok_or(Status::BadArgument)?;
        let mut state = lock(&stream.state);
        let view = state.views[stream.at.filter].of(direction);
        let body = view.body.as_mut().ok_or(Status::BadArgument)?;
        if start == 0 {
            body.splice(..size.min(body.len()), bytes.iter().copied());
        } else if start >= body.len() {
            body.extend_from_slice(bytes);
        } else {
            return Err(Status::BadArgument);
        }
        Ok(())
    }

    /// Answers in place of the upstream. A root context has nothing to answer; nothing happens then.
    pub(crate) fn send_local_response(
        &mut self,
        code: u32,
        details: &[u8],
        body: &[u8],
        headers: &[u8],
        grpc_status: i32,
    ) -> Result<(), Status> {
        self.vm.asked.stop = true;
        let Some((at, logging)) = self.position() else {
            return Ok(());
        };
        if logging {
            self.vm.asked.misuse =
                Some("a filter sent a local response from on_log: Envoy 1.40 crashes");
            return Ok(());
        }
        let details = details.iter().map(|byte| match byte {
            byte if byte.is_ascii_whitespace() => b'_',
            byte => *byte,
        });
        let reply = LocalReply {
            code: u16::try_from(code).map_err(|_| Status::BadArgument)?,
            body: body.to_vec(),
            headers: Headers::from_pairs(headers),
            grpc_status: u32::try_from(grpc_status)
                .ok()
                .filter(|status| *status <= 16),
            details: details.collect(),
        };
        self.vm.ask(Action::Reply { at, reply });
        Ok(())
    }

    /// Lets a stream go on. Whichever direction is meant, the request is out of the filter's sight
    /// afterwards.
    pub(crate) fn continue_stream(&mut self, kind: u32) -> Result<(), Status> {
        let direction = match kind {
            0 => Direction::Request,
            1 => Direction::Response,
            2 => return Ok(()),
            3 => return Err(Status::Unimplemented),
            _ => return Err(Status::BadArgument),
        };
        let Some((at, _)) = self.position() else {
            return Ok(());
        };
        let mut early = false;
        if let Some(stream) = self.vm.stream() {
            let mut state = lock(&stream.state);
            early = direction == Direction::Response && state.response_headers.is_none();
            let view = &mut state.views[at.filter].request;
            view.headers = false;
            view.trailers = false;
        }
        if early {
            self.vm.asked.misuse =
                Some("a filter resumed a response that has not begun: Envoy 1.40 crashes");
        }
        self.vm.ask(Action::Continue { at, direction });
        Ok(())
    }

    pub(crate) fn close_stream(&mut self, kind: u32) -> Result<(), Status> {
        match (kind, self.position()) {
            (0 | 1, Some((at, _))) => self.vm.ask(Action::Close { at }),
            (0..=3, _) => {}
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn position(&self) -> Option<(StreamPosition, bool)> {
        let stream = self.vm.stream()?;
        let state = lock(&stream.state);
        Some((stream.at, state.views[stream.at.filter].logging))
    }
}
