//! rate-limit, next to Envoy's own limiter of one bucket and to a token bucket in Lua.
//!
//! The limits admit everything, and their periods are longer than the measurement. So this measures the counting, with
//! evictions if there are many keys.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Response;
use serde_json::{Value, json};

use super::{Filter, Partner, Variant, lua};
use crate::subject::KEY;

pub(super) fn variants() -> Vec<Variant> {
    let plugin = |id, name, key: Value, headers: Value| {
        let limit = json!({"name": "all", "key": key, "rate": {"requests": PLENTY, "per": "365d"}});
        let configuration = json!({"limits": [limit], "response_headers": headers});
        Variant::new(
            id,
            name,
            Filter::plugin("rate_limit", configuration),
            counts,
        )
    };
    let by_header = || json!([{"header": KEY}]);
    vec![
        Variant::new(
            "local_ratelimit",
            "native local_ratelimit, one bucket",
            Filter::Native(vec![local_ratelimit("OFF")]),
            |envoy, _| envoy.counter("bench.http_local_rate_limit.ok") == 1,
        ),
        Variant::new(
            "local_ratelimit_headers",
            "native local_ratelimit, with headers",
            Filter::Native(vec![local_ratelimit(WITH_HEADERS)]),
            |_, response| response.header("x-ratelimit-remaining").is_some(),
        ),
        Variant::new(
            "lua_bucket",
            "Lua, a token bucket with headers",
            lua(LUA),
            |_, response| response.header("x-ratelimit-remaining").is_some(),
        ),
        plugin(
            "limit",
            "rate-limit by address",
            json!(["remote_address"]),
            json!([]),
        )
        .compared_with(const { &[Partner::of(&["local_ratelimit"])] }),
        plugin(
            "limit_headers",
            "rate-limit by address, RateLimit headers",
            json!(["remote_address"]),
            json!(["ratelimit"]),
        )
        .compared_with(const { &[Partner::at_most(1.5, &["local_ratelimit_headers"])] }),
        plugin(
            "limit_1",
            "rate-limit by header, 1 key",
            by_header(),
            json!([]),
        ),
        plugin(
            "limit_1000",
            "rate-limit by header, 1,000 keys",
            by_header(),
            json!([]),
        )
        .with_keys(1_000),
        plugin(
            "limit_1000000",
            "rate-limit by header, 1,000,000 keys",
            by_header(),
            json!([]),
        )
        .with_keys(1_000_000),
    ]
}

/// More than the requests of a run.
pub(super) const PLENTY: u32 = 1_000_000_000;

pub(super) fn counts(envoy: &Envoy, _response: &Response) -> bool {
    let admitted = "portcullis.rate_limit.policy=.=default;.;limit=.=all;.;admitted";
    envoy.counter(admitted) == 1
}

/// The value of the option for `x-ratelimit-…` headers.
pub(super) const WITH_HEADERS: &str = "DRAFT_VERSION_03";

pub(super) fn local_ratelimit(headers: &str) -> Value {
    let always = json!({"default_value": {"numerator": 100}});
    json!({
        "name": "local_ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "bench",
            "token_bucket": {"max_tokens": PLENTY, "tokens_per_fill": PLENTY, "fill_interval": "1s"},
            "filter_enabled": always,
            "filter_enforced": always,
            "enable_x_ratelimit_headers": headers,
        },
    })
}

/// One bucket for each worker, as in such scripts: workers share nothing.
const LUA: &str = r#"
local capacity, per_millisecond = 1000000000, 1000000
local tokens, last = capacity, 0

function envoy_on_request(handle)
  local now = tonumber(handle:timestamp())
  tokens = math.min(capacity, tokens + (now - last) * per_millisecond)
  last = now
  if tokens < 1 then
    handle:respond({[":status"] = "429", ["retry-after"] = "1"}, "Too many requests\n")
    return
  end
  tokens = tokens - 1
end

function envoy_on_response(handle)
  local headers = handle:headers()
  headers:replace("x-ratelimit-limit", tostring(capacity))
  headers:replace("x-ratelimit-remaining", tostring(math.floor(tokens)))
  headers:replace("x-ratelimit-reset", "1")
end
"#;
