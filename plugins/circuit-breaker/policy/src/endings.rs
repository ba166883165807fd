//! The table of endings: who ended an exchange.
//!
//! Envoy's *response-code details* give the reason for which an exchange ended. This table names the author of each
//! ending. Its sources are Envoy's documentation ("Response code details"), `stream_info.h`, the router and the
//! connection manager, and the matrix of endings on a real Envoy (`tests/envoy/tests/circuit_breaker/matrix`).
//!
//! Details are not a stable interface. An ending that is not in the table is neutral, and is counted by the first word
//! of its details: most of these are local replies of other filters.

/// Who ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// The upstream.
    Upstream,
    /// The client, or a deadline that it chose or used up.
    Client,
    /// Envoy itself.
    Envoy,
    /// Unknown, because the breaker matches only some readings of the request.
    Ambiguous,
    /// A filter, or an ending that is not in the table: the first word of the details if it is
    /// among [`labels`](Self::labels), else `other`.
    Unknown(&'static str),
}

impl Author {
    /// First words of the details of Envoy's filters and of ours. Each has a counter of its own.
    const WORDS: [&str; 16] = [
        "adaptive",
        "admission",
        "cors",
        "cross",
        "csrf",
        "ext",
        "fault",
        "grpc",
        "jwt",
        "local",
        "lua",
        "oauth",
        "rate",
        "rbac",
        "request",
        "other",
    ];

    /// The values of the metric label `reason` of neutral endings.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        ["upstream", "client", "envoy", "ambiguous"]
            .into_iter()
            .chain(Self::WORDS)
    }

    /// The value of the metric label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Client => "client",
            Self::Envoy => "envoy",
            Self::Ambiguous => "ambiguous",
            Self::Unknown(word) => word,
        }
    }

    fn unknown(details: &[u8]) -> Self {
        let mut words = details.split(|byte| !byte.is_ascii_alphanumeric());
        let first = words.next().unwrap_or_default();
        let known = Self::WORDS
            .into_iter()
            .find(|word| word.as_bytes() == first);
        Self::Unknown(known.unwrap_or("other"))
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The upstream answered. Its response decides.
    Answered,
    /// The upstream answered with a redirect that Envoy follows itself.
    Redirected,
    /// There was no connection to the upstream, or no host.
    Unreachable,
    /// The upstream broke off before its response began.
    BrokeBefore,
    /// The upstream broke off within its response.
    BrokeWithin,
    /// The upstream missed a deadline that starts when the request is complete.
    Late,
    /// A deadline passed that starts with the request. The client's upload uses it up, and the client can choose it.
    Overdue,
    /// The client disconnected.
    Left,
    /// Another author ended it.
    By(Author),
}

/// Details as a whole, or up to the first brace.
const WHOLE: &[(&str, Ending)] = &[
    ("via_upstream", Ending::Answered),
    ("internal_redirect", Ending::Redirected),
    ("no_healthy_upstream", Ending::Unreachable),
    ("response_timeout", Ending::Late),
    ("upstream_per_try_timeout", Ending::Late),
    ("upstream_per_try_idle_timeout", Ending::Late),
    ("stream_idle_timeout", Ending::Late),
    ("max_duration_timeout", Ending::Overdue),
    ("upstream_max_stream_duration_reached", Ending::Overdue),
    ("downstream_remote_disconnect", Ending::Left),
    ("http2.remote_reset", Ending::Left),
    ("http2.remote_refuse", Ending::Left),
    ("http3.remote_reset", Ending::Left),
    ("http3.remote_refuse", Ending::Left),
    ("downstream_header_timeout", Ending::By(Author::Client)),
    ("early_connect_data", Ending::By(Author::Client)),
    ("request_header_timeout", Ending::By(Author::Client)),
    ("request_overall_timeout", Ending::By(Author::Client)),
    (
        "request_payload_exceeded_retry_buffer_limit",
        Ending::By(Author::Client),
    ),
    ("request_payload_too_large", Ending::By(Author::Client)),
    ("upgrade_failed", Ending::By(Author::Client)),
    (
        "websocket_handshake_unsuccessful",
        Ending::By(Author::Client),
    ),
    ("absolute_path_rejected", Ending::By(Author::Client)),
    ("path_normalization_failed", Ending::By(Author::Client)),
    ("missing_host_header", Ending::By(Author::Client)),
    ("missing_path_rejected", Ending::By(Author::Client)),
    ("invalid_path", Ending::By(Author::Client)),
    ("low_version", Ending::By(Author::Client)),
    (
        "request_headers_failed_strict_check",
        Ending::By(Author::Client),
    ),
    // The request names the host that could not be resolved.
    ("dns_resolution_failure", Ending::By(Author::Client)),
    ("cluster_not_found", Ending::By(Author::Envoy)),
    ("direct_response", Ending::By(Author::Envoy)),
    ("downstream_local_disconnect", Ending::By(Author::Envoy)),
    ("drop_overload", Ending::By(Author::Envoy)),
    ("duration_timeout", Ending::By(Author::Envoy)),
    (
        "filter_added_invalid_request_data",
        Ending::By(Author::Envoy),
    ),
    (
        "filter_added_invalid_response_data",
        Ending::By(Author::Envoy),
    ),
    ("filter_chain_not_found", Ending::By(Author::Envoy)),
    (
        "filter_removed_required_request_headers",
        Ending::By(Author::Envoy),
    ),
    (
        "filter_removed_required_response_headers",
        Ending::By(Author::Envoy),
    ),
    ("maintenance_mode", Ending::By(Author::Envoy)),
    ("overload", Ending::By(Author::Envoy)),
    (
        "rejecting_because_detection_failed",
        Ending::By(Author::Envoy),
    ),
    ("response_payload_too_large", Ending::By(Author::Envoy)),
    ("route_configuration_not_found", Ending::By(Author::Envoy)),
    ("route_not_found", Ending::By(Author::Envoy)),
    ("unconditional_drop_overload", Ending::By(Author::Envoy)),
];

/// The reasons for which the router lost a stream to the upstream: before its response, and within it.
const RESETS: &[(&str, Ending, Ending)] = &[
    (
        "connection_failure",
        Ending::Unreachable,
        Ending::BrokeWithin,
    ),
    (
        "remote_connection_failure",
        Ending::Unreachable,
        Ending::BrokeWithin,
    ),
    (
        "local_connection_failure",
        Ending::Unreachable,
        Ending::BrokeWithin,
    ),
    (
        "connection_timeout",
        Ending::Unreachable,
        Ending::BrokeWithin,
    ),
    (
        "connection_termination",
        Ending::BrokeBefore,
        Ending::BrokeWithin,
    ),
    ("remote_reset", Ending::BrokeBefore, Ending::BrokeWithin),
    (
        "remote_refused_stream_reset",
        Ending::BrokeBefore,
        Ending::BrokeWithin,
    ),
    ("protocol_error", Ending::BrokeBefore, Ending::BrokeWithin),
    // The target of a tunnel could not be reached. The client names the target.
    (
        "connect_error",
        Ending::By(Author::Client),
        Ending::By(Author::Client),
    ),
];

impl Ending {
    /// The ending that Envoy's details describe.
    pub(super) fn of(details: &[u8]) -> Self {
        let mut parts = details.splitn(2, |byte| matches!(byte, b'{' | b'('));
        let whole = parts.next().unwrap_or_default();
        let why = parts.next().unwrap_or_default();
        let of_reset = |is_within: bool| {
            let why = why
                .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
                .next();
            let reset = RESETS
                .iter()
                .find(|(name, ..)| Some(name.as_bytes()) == why);
            match reset {
                Some((_, before, _)) if !is_within => *before,
                Some((_, _, within)) => *within,
                // Overflow, a reset by Envoy itself, and unknown reasons.
                None => Self::By(Author::Envoy),
            }
        };
        match whole {
            b"upstream_reset_before_response_started" => return of_reset(false),
            b"upstream_reset_after_response_started" => return of_reset(true),
            _ => {}
        }
        if let Some((_, ending)) = WHOLE.iter().find(|(name, _)| name.as_bytes() == whole) {
            return *ending;
        }
        // Errors that the codecs find in a request.
        let is_codec = |name: &&[u8]| details.starts_with(name);
        match [&b"http1."[..], b"http2.", b"http3."].iter().any(is_codec) {
            true => Self::By(Author::Client),
            false => Self::By(Author::unknown(details)),
        }
    }
}
