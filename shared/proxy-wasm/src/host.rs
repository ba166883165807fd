//! The calls of plugins, as host calls.

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::headers::Received;
use portcullis_core::reply::Reply;
use portcullis_core::short_text::ShortText;
use portcullis_core::signature::Hash;
use portcullis_core::time::Nanos;
use portcullis_host::backend::{
    Backend, Map, MetricId, MetricKind, StreamHost, TableStore, ValueStore,
};
use portcullis_host::{Call, CallId, Error, Property, Status};
use portcullis_table::Seed;

use crate::abi::{self, MapKind};
use crate::calls::{self, RootCalls};
use crate::shared_data::{self, SharedBytes};
use crate::tables::Tables;
use crate::{header_codec, signature};

const SEED: &[u8] = b"portcullis/hash_seed";
/// The stored seed if the host provided no random bytes.
const NO_SEED: [u8; 16] = [0; 16];
const STEADY_OFFSET: &[u8] = b"portcullis/steady_clock";
const CLOCK: &str = "clock_time_get";
const RANDOM: &str = "random_get";

/// Envoy, as the WebAssembly VM sees it.
pub(crate) struct Envoy;

impl Backend for Envoy {
    fn monotonic_time(&self) -> Result<Nanos, Error> {
        abi::monotonic_time().map_err(Error::of(CLOCK))
    }

    fn wall_time(&self) -> Result<Nanos, Error> {
        abi::wall_time().map_err(Error::of(CLOCK))
    }

    fn steady_offset(&self) -> Result<u64, Error> {
        let wall = self.wall_time()?;
        let offset = wall.get().wrapping_sub(self.monotonic_time()?.get());
        let shared = shared_data::seeded(STEADY_OFFSET, || offset.to_le_bytes());
        Ok(shared.map_or(offset, u64::from_le_bytes))
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        abi::random(buffer).map_err(Error::of(RANDOM))
    }

    fn hash_seed(&self) -> Result<[u8; 16], Error> {
        let mut unavailable = Status::InternalFailure;
        let seed = shared_data::seeded(SEED, || {
            let mut random = [0; 16];
            match abi::random(&mut random) {
                Ok(()) => random,
                Err(status) => {
                    unavailable = status;
                    NO_SEED
                }
            }
        });
        seed.filter(|seed| *seed != NO_SEED)
            .ok_or(Error::of(RANDOM)(unavailable))
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, Error> {
        abi::define_metric(kind, name).map_err(Error::of("proxy_define_metric"))
    }

    fn add_to_metric(&self, id: MetricId, difference: i64) -> Result<(), Error> {
        abi::increment_metric(id, difference).map_err(Error::of("proxy_increment_metric"))
    }

    fn set_metric(&self, id: MetricId, value: u64) -> Result<(), Error> {
        abi::record_metric(id, value).map_err(Error::of("proxy_record_metric"))
    }

    fn open_tables(
        &self,
        plugin: &str,
        instance: &str,
        identities: &[u64],
        seed: &Seed,
    ) -> Box<dyn TableStore> {
        Box::new(Tables::open(plugin, instance, identities, seed))
    }

    fn open_value(&self, key: &str) -> Box<dyn ValueStore> {
        Box::new(SharedBytes::open(key))
    }

    fn verify_signature(
        &self,
        hash: Hash,
        key: &[u8],
        text: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        signature::verify(hash, key, signature, text)
    }

    fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        calls::make(call)
    }
}

/// The stream of a context.
///
/// Host calls act on the effective context. In a callback of a stream, that is its own.
pub(crate) struct ContextStream {
    pub(crate) id: u32,
    pub(crate) calls: Rc<RootCalls>,
}

impl StreamHost for ContextStream {
    fn headers(&self, map: Map, into: &mut Received) -> Result<(), Error> {
        let block = abi::header_map(kind(map));
        let block = block.map_err(Error::of("proxy_get_header_map_pairs"))?;
        header_codec::decode(block, into).ok_or(Error::Malformed)
    }

    // One host call for each change. Writing the whole map in one call costs more the more headers there are; it is
    // cheaper only when a plugin adds a dozen headers to a response that has a few (`make bench`).
    fn set_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let replaced = abi::replace_header(kind(map), name, value);
        replaced.map_err(Error::of("proxy_replace_header_map_value"))
    }

    fn add_header(&self, map: Map, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let added = abi::add_header(kind(map), name, value);
        added.map_err(Error::of("proxy_add_header_map_value"))
    }

    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Error> {
        let removed = abi::remove_header(kind(map), name);
        removed.map_err(Error::of("proxy_remove_header_map_value"))
    }

    fn text(&self, property: Property) -> Result<Option<ShortText>, Error> {
        Ok(bytes(property)?.map(ShortText::from))
    }

    fn number(&self, property: Property) -> Result<Option<u64>, Error> {
        let Some(value) = bytes(property)? else {
            return Ok(None);
        };
        let bytes = value.try_into().map_err(|_| Error::Malformed)?;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    fn metadata(&self, namespace: &str, key: &str) -> Result<Option<f64>, Error> {
        let path = ["metadata", "filter_metadata", namespace, key].join("\0");
        Ok(found(abi::property(path.as_bytes()))?.and_then(|value| metadata_number(&value)))
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        abi::set_property(name.as_bytes(), value).map_err(Error::of("proxy_set_property"))
    }

    fn reply(&self, reply: &Reply) -> Result<(), Error> {
        /// Envoy derives the gRPC status from the HTTP status.
        const DERIVED: i32 = -1;

        let grpc_status = reply.grpc_status.and_then(|code| i32::try_from(code).ok());
        let headers = reply
            .headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]));
        let sent = abi::send_local_response(
            reply.status.into(),
            &reply.details,
            &reply.body,
            &header_codec::encode(headers),
            grpc_status.unwrap_or(DERIVED),
        );
        sent.map_err(Error::of("proxy_send_local_response"))
    }

    fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        self.calls.call(self.id, call)
    }

    fn begin_wait(&self, is_first: bool, tick: Duration) {
        if is_first {
            // If Envoy refuses, the period from the configuration stays.
            let _ = self.calls.timer.tick_within(tick);
        }
    }

    fn enter(&self) -> Result<(), Error> {
        act_on(self.id)
    }

    /// Envoy resumes it when the current callback has returned.
    fn resume(&self) -> Result<(), Error> {
        abi::resume_request().map_err(Error::of("proxy_continue_stream"))
    }
}

/// Makes the following host calls act on another context.
pub(crate) fn act_on(context: u32) -> Result<(), Error> {
    let set = abi::set_effective_context(context);
    set.map_err(Error::of("proxy_set_effective_context"))
}

fn kind(map: Map) -> MapKind {
    match map {
        Map::Request => MapKind::RequestHeaders,
        Map::Response => MapKind::ResponseHeaders,
        Map::ResponseTrailers => MapKind::ResponseTrailers,
    }
}

/// The bytes of a property; `None` when it has no value.
fn bytes(property: Property) -> Result<Option<Vec<u8>>, Error> {
    let value = match property {
        Property::RequestHeader(name) => {
            abi::property(&[b"request\0headers\0", name.as_bytes()].concat())
        }
        property => abi::property(path(property).as_bytes()),
    };
    found(value)
}

fn found(value: Result<Vec<u8>, Status>) -> Result<Option<Vec<u8>>, Error> {
    match value {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(Status::NotFound) => Ok(None),
        Err(status) => Err(Error::of("proxy_get_property")(status)),
    }
}

/// A number of metadata, which Envoy gives in the eight bytes of an `f64`. It gives texts as they are, and some have
/// eight bytes; no whole number below 2⁵¹ has only printable ones.
fn metadata_number(value: &[u8]) -> Option<f64> {
    let bytes: [u8; 8] = value.try_into().ok()?;
    let is_text = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (!is_text).then(|| f64::from_le_bytes(bytes))
}

/// The path of a property, with NUL between its parts. Dots in the name of a filter state do not separate parts.
fn path(property: Property) -> &'static str {
    match property {
        Property::RouteName => "xds\0route_name",
        Property::ClusterName => "xds\0cluster_name",
        Property::TlsVersion => "connection\0tls_version",
        Property::RemoteAddress => "source\0address",
        Property::ResponseCode => "response\0code",
        Property::ResponseFlags => "response\0flags",
        Property::ResponseCodeDetails => "response\0code_details",
        Property::AttemptCount => "upstream\0request_attempt_count",
        Property::InternalRedirects => "filter_state\0num_internal_redirects",
        Property::RequestHeader(name) | Property::FilterState(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_metadata_are_told_from_texts() {
        for number in [0.0, 1.0, 1234.0, 0.5, -1.0, f64::from(u32::MAX), 1e15] {
            assert_eq!(metadata_number(&number.to_le_bytes()), Some(number));
        }
        for text in [
            "12345678",
            "provider",
            "gpt-4o-C",
            "",
            "1234",
            "\u{1}",
            "123456789",
        ] {
            assert_eq!(metadata_number(text.as_bytes()), None, "{text}");
        }
    }
}
