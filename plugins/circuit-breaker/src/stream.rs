//! Envoy's description of a stream.

use circuit_breaker_policy::Stream;
use portcullis_host::{Error, Exchange, Property};

/// A stream that reads each property from Envoy at most once.
///
/// If Envoy refuses a property, the stream looks like one that no upstream has answered, or whose deadline the client
/// chose: its verdict is neutral, which neither opens nor closes a circuit.
pub(crate) struct EnvoyStream<'a> {
    exchange: &'a Exchange<'a>,
    flags: Option<u64>,
    attempts: Option<Option<u32>>,
    refused: Result<(), Error>,
}

impl<'a> EnvoyStream<'a> {
    pub(crate) fn new(exchange: &'a Exchange) -> Self {
        Self {
            exchange,
            flags: None,
            attempts: None,
            refused: Ok(()),
        }
    }

    /// The first refusal, if Envoy refused a property.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.refused
    }

    /// The value of a property, or `refused` if Envoy refused it.
    fn value_or<T>(&mut self, value: Result<Option<T>, Error>, refused: Option<T>) -> Option<T> {
        value.unwrap_or_else(|error| {
            self.refused = self.refused.and(Err(error));
            refused
        })
    }
}

impl Stream for EnvoyStream<'_> {
    fn code_details(&mut self) -> Vec<u8> {
        // The exchange keeps the value.
        let value = self.exchange.property(Property::ResponseCodeDetails);
        self.value_or(value, None).unwrap_or_default()
    }

    fn flags(&mut self) -> u64 {
        match self.flags {
            Some(flags) => flags,
            None => {
                let flags = self.exchange.number(Property::ResponseFlags);
                let flags = self.value_or(flags, None).unwrap_or_default();
                *self.flags.insert(flags)
            }
        }
    }

    fn grpc_timeout(&mut self) -> Vec<u8> {
        let value = self.exchange.property(Property::GRPC_TIMEOUT);
        self.value_or(value, Some(b"0n".to_vec()))
            .unwrap_or_default()
    }

    fn is_internal(&mut self) -> bool {
        let value = self.exchange.property(Property::IS_INTERNAL);
        self.value_or(value, Some(Vec::new())).is_some()
    }

    fn is_upgrade(&mut self) -> bool {
        let mut has = |property, refused| {
            let value = self.exchange.property(property);
            self.value_or(value, refused).is_some()
        };
        has(Property::UPGRADE, None)
            && !has(Property::CONTENT_LENGTH, Some(Vec::new()))
            && !has(Property::TRANSFER_ENCODING, Some(Vec::new()))
    }

    fn attempts(&mut self) -> Option<u32> {
        match self.attempts {
            Some(attempts) => attempts,
            None => {
                let attempts = self.exchange.number(Property::AttemptCount);
                let attempts = self.value_or(attempts, Some(0));
                *self
                    .attempts
                    .insert(attempts.and_then(|attempts| attempts.try_into().ok()))
            }
        }
    }
}
