//! Envoy's description of a stream.

use circuit_breaker_policy::Stream;
use portcullis_core::short_text::ShortText;
use portcullis_host::{Error, Exchange, Property};

/// A stream whose properties Envoy is asked for as a verdict needs them.
///
/// If Envoy refuses a property, the stream looks like one that no upstream has answered, or whose deadline the client
/// chose: its verdict is neutral, which neither opens nor closes a circuit.
pub(crate) struct EnvoyStream<'a> {
    exchange: &'a Exchange<'a>,
    refused: Result<(), Error>,
}

impl<'a> EnvoyStream<'a> {
    pub(crate) fn new(exchange: &'a Exchange) -> Self {
        Self {
            exchange,
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

/// The exchange remembers what it was asked for.
impl Stream for EnvoyStream<'_> {
    fn code_details(&mut self) -> ShortText {
        let value = self.exchange.property(Property::ResponseCodeDetails);
        self.value_or(value, None).unwrap_or_default()
    }

    fn flags(&mut self) -> u64 {
        let flags = self.exchange.number(Property::ResponseFlags);
        self.value_or(flags, None).unwrap_or_default()
    }

    fn grpc_timeout(&mut self) -> ShortText {
        let value = self.exchange.property(Property::GRPC_TIMEOUT);
        self.value_or(value, Some(ShortText::from(&b"0n"[..])))
            .unwrap_or_default()
    }

    fn is_internal(&mut self) -> bool {
        let value = self.exchange.property(Property::IS_INTERNAL);
        self.value_or(value, Some(ShortText::default())).is_some()
    }

    fn is_upgrade(&mut self) -> bool {
        let mut has = |property, refused| {
            let value = self.exchange.property(property);
            self.value_or(value, refused).is_some()
        };
        has(Property::UPGRADE, None)
            && !has(Property::CONTENT_LENGTH, Some(ShortText::default()))
            && !has(Property::TRANSFER_ENCODING, Some(ShortText::default()))
    }

    fn attempts(&mut self) -> Option<u32> {
        let attempts = self.exchange.number(Property::AttemptCount);
        let attempts = self.value_or(attempts, Some(0));
        attempts.and_then(|attempts| attempts.try_into().ok())
    }
}
