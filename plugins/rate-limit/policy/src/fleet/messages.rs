//! The messages of `envoy.service.ratelimit.v3.RateLimitService`.
//!
//! Written and read by hand, with [`portcullis_core::protobuf`]: a test compares them with Envoy's own definitions. In a
//! module this takes 21 KB; types derived with prost take 35 KB, and would read an answer without bounds. The answer
//! comes from another process, so every length is bounded before anything is allocated.

use std::borrow::Cow;

use portcullis_core::protobuf::{Fields, Malformed, Message, json};
use portcullis_core::time::Nanos;

/// The gRPC service.
pub const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
/// Its method.
pub const METHOD: &str = "ShouldRateLimit";

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;
/// The most headers of each kind that an answer may add.
const MAX_HEADERS: usize = 64;

/// One name and value of a descriptor.
pub type Entry<'a> = (&'a str, Cow<'a, str>);

/// The counter that a call is about, and the hits that it adds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// The names and values, in the order of the service's configuration.
    pub entries: Vec<Entry<'a>>,
    /// The hits.
    pub hits: u32,
}

/// Encodes a `RateLimitRequest`.
///
/// If all descriptors have the same number of hits, the call says it once, which every service understands. Otherwise
/// each descriptor has its own number. A service that does not know that field adds the largest number to each.
pub fn encode_request(domain: &str, descriptors: &[Descriptor<'_>]) -> Vec<u8> {
    let largest = descriptors.iter().map(|descriptor| descriptor.hits).max();
    let largest = largest.unwrap_or_default();
    let mut request = Message::default();
    request.text(1, domain);
    for descriptor in descriptors {
        let mut message = encoded_entries(&descriptor.entries);
        // A call for 0 hits would add 1.
        if descriptor.hits != largest || largest == 0 {
            let mut hits = Message::default();
            hits.number(1, descriptor.hits.into());
            message.message(3, &hits);
        }
        request.message(2, &message);
    }
    request.number(3, largest.into());
    request.into_bytes()
}

/// A `RateLimitDescriptor` without hits.
pub(super) fn encoded_entries(entries: &[Entry<'_>]) -> Message {
    let mut descriptor = Message::default();
    for (name, value) in entries {
        let mut entry = Message::default();
        entry.text(1, name).text(2, value);
        descriptor.message(1, &entry);
    }
    descriptor
}

/// The result of a descriptor, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// The service did not say; a code that only newer versions know.
    #[default]
    Unknown,
    /// Within the limit.
    Ok,
    /// Over the limit.
    OverLimit,
}

impl Code {
    pub(super) fn of(code: u64) -> Self {
        match code {
            1 => Self::Ok,
            2 => Self::OverLimit,
            _ => Self::Unknown,
        }
    }
}

/// A limit as the service has it configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentLimit {
    /// The name; often empty.
    pub name: String,
    /// The number of hits in a window.
    pub requests_per_unit: u32,
    /// The length of a window; `None` for a unit that is unknown.
    pub unit: Option<Nanos>,
}

/// The result of one descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it is over the limit.
    pub code: Code,
    /// The limit; `None` if the service has none for this descriptor.
    pub current_limit: Option<CurrentLimit>,
    /// The hits that are left in the window.
    pub limit_remaining: u32,
    /// The time until the window ends.
    pub duration_until_reset: Option<Nanos>,
}

/// A header that the service wants to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedHeader {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
}

/// A `RateLimitResponse`. The field `quota`, which no service sets, is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The result of all descriptors together.
    pub overall_code: Code,
    /// The result of each descriptor, in order. Limitador sends none.
    pub statuses: Vec<Status>,
    /// Headers to add to the response to the client.
    pub response_headers_to_add: Vec<AddedHeader>,
    /// Headers to add to the request to the upstream.
    pub request_headers_to_add: Vec<AddedHeader>,
    /// The body of a denial; empty for the configured one.
    pub raw_body: Vec<u8>,
    /// Dynamic metadata for other filters and the access log.
    pub dynamic_metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// The number of headers that were left out because they cannot be sent: of an empty or invalid name, a
    /// pseudo-header, or with a line break in the value.
    pub invalid_headers: usize,
}

impl Response {
    /// Decodes the answer to a call with this many descriptors.
    ///
    /// An answer of more than [`MAX_ANSWER`] bytes, with more statuses than descriptors or more than 64 headers of a
    /// kind is malformed.
    pub fn decode(bytes: &[u8], descriptors: usize) -> Result<Self, Malformed> {
        if bytes.len() > MAX_ANSWER {
            return Err(Malformed);
        }
        let mut response = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, code) => response.overall_code = Code::of(code.number()?),
                (2, status) => {
                    if response.statuses.len() >= descriptors {
                        return Err(Malformed);
                    }
                    response.statuses.push(Status::decode(status.bytes()?)?);
                }
                (3, header) => {
                    let list = &mut response.response_headers_to_add;
                    response.invalid_headers += add(list, header.bytes()?)?;
                }
                (4, header) => {
                    let list = &mut response.request_headers_to_add;
                    response.invalid_headers += add(list, header.bytes()?)?;
                }
                (5, body) => response.raw_body = body.bytes()?.to_vec(),
                (6, metadata) => response.dynamic_metadata = Some(json::read(metadata.bytes()?)?),
                _ => {}
            }
        }
        Ok(response)
    }
}

impl Status {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut status = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, code) => status.code = Code::of(code.number()?),
                (2, limit) => {
                    status.current_limit = Some(CurrentLimit::decode(limit.bytes()?)?);
                }
                (3, remaining) => status.limit_remaining = remaining.number32()?,
                (4, reset) => status.duration_until_reset = Some(duration(reset.bytes()?)?),
                _ => {}
            }
        }
        Ok(status)
    }
}

impl CurrentLimit {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut limit = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, requests) => limit.requests_per_unit = requests.number32()?,
                (2, unit) => limit.unit = unit_of(unit.number()?),
                (3, name) => limit.name = name.text()?.to_owned(),
                _ => {}
            }
        }
        Ok(limit)
    }
}

/// The length of a unit, as envoyproxy/ratelimit defines it.
fn unit_of(unit: u64) -> Option<Nanos> {
    const DAY: u64 = 86_400;
    let seconds = match unit {
        1 => 1,
        2 => 60,
        3 => 3_600,
        4 => DAY,
        5 => 30 * DAY,
        6 => 365 * DAY,
        7 => 7 * DAY,
        _ => return None,
    };
    Some(Nanos::from_secs(seconds))
}

/// A `google.protobuf.Duration`. A negative one is over: 0.
fn duration(bytes: &[u8]) -> Result<Nanos, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::of(bytes) {
        match field? {
            (1, value) => seconds = value.signed()?,
            (2, value) => nanos = value.signed()?,
            _ => {}
        }
    }
    if !(-999_999_999..=999_999_999).contains(&nanos) {
        return Err(Malformed);
    }
    let [seconds, nanos] = [seconds, nanos].map(|part| u64::try_from(part).unwrap_or(0));
    Ok(Nanos::from_secs(seconds) + Nanos::new(nanos))
}

/// Adds a `HeaderValue` to a list. Returns 1 if it cannot be sent.
fn add(list: &mut Vec<AddedHeader>, bytes: &[u8]) -> Result<usize, Malformed> {
    let (mut name, mut value, mut raw) = ("", "", &[][..]);
    for field in Fields::of(bytes) {
        match field? {
            (1, text) => name = text.text()?,
            (2, text) => value = text.text()?,
            (3, bytes) => raw = bytes.bytes()?,
            _ => {}
        }
    }
    if list.len() >= MAX_HEADERS {
        return Err(Malformed);
    }
    let value = match value {
        "" => raw,
        value => value.as_bytes(),
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let in_value = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if name.is_empty() || !name.bytes().all(in_name) || !value.iter().all(in_value) {
        return Ok(1);
    }
    list.push(AddedHeader {
        name: name.to_ascii_lowercase(),
        value: value.to_vec(),
    });
    Ok(0)
}
