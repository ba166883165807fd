//! Where a stream is that is not over, for a test that asks.

use super::flow::Gate;
use super::{Frame, Stream};
use crate::client::Held;
use crate::state::Direction;
use crate::sync::lock;

impl Stream {
    /// Where the stream is, for a test that expected it to be over.
    pub(crate) fn describe(&self) -> String {
        match self.holder() {
            Some((filter, direction)) => {
                let what = match direction {
                    Direction::Request => "request",
                    Direction::Response => "response",
                };
                let name = &self.slots[filter].filter.name;
                format!("filter {name:?} holds the {what}")
            }
            None => "it waits for the upstream or for the rest of the request".to_owned(),
        }
    }

    /// The filter that holds the stream, and what it holds.
    fn holder(&self) -> Option<(usize, Direction)> {
        let holder = |gates: &[Gate], direction| {
            let mut gates = gates.iter();
            let index = gates.position(|gate| !matches!(gate, Gate::Open))?;
            Some((index, direction))
        };
        holder(&self.response_gates, Direction::Response)
            .or_else(|| holder(&self.request_gates, Direction::Request))
    }

    /// What a filter holds, for a test.
    pub(crate) fn held(&self) -> Option<Held> {
        let (index, direction) = self.holder()?;
        let mut state = lock(&self.state);
        let headers = match direction {
            Direction::Request => state.request_headers.clone(),
            Direction::Response => state.response_headers.clone().unwrap_or_default(),
        };
        let body = state.views[index].of(direction).body.clone();
        let mut body = body.unwrap_or_default();
        let gates = match direction {
            Direction::Request => &self.request_gates,
            Direction::Response => &self.response_gates,
        };
        if let Gate::Headers { behind, .. } = &gates[index] {
            for frame in behind {
                if let Frame::Data { bytes, .. } = frame {
                    body.extend(bytes);
                }
            }
        }
        Some(Held {
            filter: self.slots[index].filter.name.clone(),
            is_response: direction == Direction::Response,
            headers,
            body,
        })
    }
}
