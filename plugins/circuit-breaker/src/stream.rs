//! What Envoy says of a stream.

use portcullis_host::{Exchange, Property};
use portcullis_policy::circuit_breaker::Stream;

/// Asks Envoy, and each question once.
pub(crate) struct EnvoyStream<'a> {
    exchange: &'a mut Exchange,
    plugin: &'static str,
    code_details: Option<Vec<u8>>,
    flags: Option<u64>,
    attempts: Option<Option<u32>>,
}

impl<'a> EnvoyStream<'a> {
    pub(crate) fn new(exchange: &'a mut Exchange, plugin: &'static str) -> Self {
        Self {
            exchange,
            plugin,
            code_details: None,
            flags: None,
            attempts: None,
        }
    }

    /// Without a value, or if Envoy does not tell, which is noted for the log, there is none.
    fn number(&mut self, property: Property) -> Option<u64> {
        let value = self.exchange.number(property);
        self.exchange.settle(self.plugin, value)
    }
}

impl Stream for EnvoyStream<'_> {
    fn code_details(&mut self) -> Vec<u8> {
        if self.code_details.is_none() {
            let value = self.exchange.property(Property::RESPONSE_CODE_DETAILS);
            let value = self.exchange.settle(self.plugin, value);
            self.code_details = Some(value.unwrap_or_default());
        }
        self.code_details.clone().unwrap_or_default()
    }

    fn flags(&mut self) -> u64 {
        match self.flags {
            Some(flags) => flags,
            None => {
                let flags = self.number(Property::RESPONSE_FLAGS).unwrap_or_default();
                *self.flags.insert(flags)
            }
        }
    }

    fn grpc_timeout(&mut self) -> Vec<u8> {
        let value = self.exchange.property(Property::GRPC_TIMEOUT);
        let value = self.exchange.settle(self.plugin, value);
        value.unwrap_or_default()
    }

    fn is_internal(&mut self) -> bool {
        let value = self.exchange.property(Property::IS_INTERNAL);
        self.exchange.settle(self.plugin, value).is_some()
    }

    fn attempts(&mut self) -> Option<u32> {
        match self.attempts {
            Some(attempts) => attempts,
            None => {
                let attempts = self.number(Property::ATTEMPT_COUNT);
                *self
                    .attempts
                    .insert(attempts.and_then(|attempts| attempts.try_into().ok()))
            }
        }
    }
}
