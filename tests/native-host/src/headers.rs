//! An ordered multimap of header fields that behaves as Envoy's does.

use std::fmt;

/// Headers (or trailers) in their order, with duplicates. Names are lower-case; values are bytes
/// and need not be UTF-8.
///
/// Three habits of Envoy's own map are kept, because filters can see them:
///
/// * Pseudo headers (`:path` …) stand before all others.
/// * Headers that Envoy knows by name and that may not repeat ([`add`](Self::add) on `vary`,
///   `accept`, `content-type` …) are joined into one field with a comma. Others, such as
///   `set-cookie`, `cookie` and unknown names, stay separate fields.
/// * [`set`](Self::set) removes every field of that name and appends one: what was several lines
///   becomes one, and moves to the end.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one field, or extends the field of that name if Envoy allows only one.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let name = name.to_ascii_lowercase();
        let value = value.as_ref();
        let single = name.starts_with(':') || SINGLE.contains(&name.as_str());
        let existing = self.fields.iter_mut().find(|(field, _)| *field == name);
        match existing {
            Some((_, joined)) if single => {
                joined.push(b',');
                joined.extend_from_slice(value);
            }
            _ => self.insert(name, value.to_vec()),
        }
    }

    /// Replaces all fields of that name by one at the end.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.insert(name.to_ascii_lowercase(), value.as_ref().to_vec());
    }

    /// Replaces the value of the first field of that name where it stands; adds one if there is
    /// none.
    pub(crate) fn overwrite(&mut self, name: &str, value: &[u8]) {
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.insert(name.to_owned(), value.to_vec()),
        }
    }

    /// Removes all fields of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    fn insert(&mut self, name: String, value: Vec<u8>) {
        let at = if name.starts_with(':') {
            let pseudo = self.fields.iter().filter(|(name, _)| name.starts_with(':'));
            pseudo.count()
        } else {
            self.fields.len()
        };
        self.fields.insert(at, (name, value));
    }

    /// The first value of that name, if it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// The first value of that name.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All values of that name, in order.
    pub fn get_all(&self, name: &str) -> Vec<&[u8]> {
        self.values(name).collect()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let name = name.to_ascii_lowercase();
        self.fields
            .iter()
            .filter(move |(field, _)| *field == name)
            .map(|(_, value)| value.as_slice())
    }

    /// All values of that name joined with commas, as properties show them.
    pub(crate) fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(&b","[..]))
    }

    /// Whether there is a field of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The names of all fields in order.
    pub fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The sum of the lengths of all names and values.
    pub(crate) fn byte_size(&self) -> usize {
        self.fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// The ABI's encoding: a count, the lengths of all names and values, then all of them, each
    /// ended by a zero byte. Numbers are 32 bits, little-endian. No fields give no bytes.
    pub(crate) fn to_pairs(&self) -> Vec<u8> {
        if self.fields.is_empty() {
            return Vec::new();
        }
        let mut bytes = (self.fields.len() as u32).to_le_bytes().to_vec();
        for (name, value) in &self.fields {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend((value.len() as u32).to_le_bytes());
        }
        for (name, value) in &self.fields {
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.extend(value);
            bytes.push(0);
        }
        bytes
    }

    /// Reads the ABI's encoding; what is malformed reads as no fields, as in Envoy.
    pub(crate) fn from_pairs(bytes: &[u8]) -> Self {
        Self::decode_pairs(bytes).unwrap_or_default()
    }

    fn decode_pairs(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let bytes = bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let count = number(0)?;
        let mut at = 4 + 8 * count;
        let mut take = |size: usize| -> Option<&[u8]> {
            let taken = bytes.get(at..at.checked_add(size)?)?;
            at += size + 1;
            Some(taken)
        };
        let mut headers = Self::new();
        for field in 0..count {
            let name = take(number(4 + 8 * field)?)?;
            let value = take(number(8 + 8 * field)?)?;
            headers.add(&String::from_utf8_lossy(name), value);
        }
        Some(headers)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, String::from_utf8_lossy(value))),
            )
            .finish()
    }
}

/// Names whose fields Envoy joins into one (its inline headers, with those that the filters of the
/// standard build register). Pseudo headers are joined as well.
const SINGLE: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "grpc-message",
    "grpc-status",
    "grpc-timeout",
    "keep-alive",
    "last-modified",
    "location",
    "origin",
    "pragma",
    "proxy-connection",
    "referer",
    "server",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-upstream-service-time",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_moves_to_the_end_and_makes_one_of_many() {
        let mut headers = Headers::new();
        for (name, value) in [("Set-Cookie", "a"), ("x", "1"), ("set-cookie", "b")] {
            headers.add(name, value);
        }
        assert_eq!(headers.get_all("SET-COOKIE"), [b"a", b"b"]);
        headers.set("set-cookie", "c");
        assert_eq!(headers.names(), ["x", "set-cookie"]);
    }

    #[test]
    fn known_names_are_joined_and_pseudo_headers_lead() {
        let mut headers = Headers::new();
        headers.add("vary", "a");
        headers.add("vary", "b");
        headers.add("x-a", "1");
        headers.set(":status", "200");
        assert_eq!(headers.names(), [":status", "vary", "x-a"]);
        assert_eq!(headers.get("vary"), Some("a,b"));
    }

    #[test]
    fn pairs_survive_the_journey_and_garbage_is_empty() {
        let mut headers = Headers::new();
        headers.add("a", b"\xff");
        headers.add("b", "");
        let bytes = headers.to_pairs();
        assert_eq!(Headers::from_pairs(&bytes), headers);
        assert!(Headers::from_pairs(&bytes[..bytes.len() - 4]).is_empty());
        assert!(Headers::from_pairs(b"\xff\xff\xff\x7f").is_empty());
    }
}
