//! The configuration of all plugins in one module: one member for each plugin.
//!
//! There is no policy beside those of the plugins. Requests pass the plugins in the order of [`MEMBERS`], responses
//! pass them backward, exactly as they pass a chain of five filters. Each member is the configuration of its plugin,
//! unchanged, and its reader is the plugin's own: `portcullis_host::Pair` takes the members out of the document.
//! This crate therefore only describes the whole, for `schema.json`.
//!
//! A plugin without a member does nothing. A configuration without any member is refused, and so is a member with
//! any other name.

/// The members, in the order in which requests pass the plugins:
///
/// 1. security-headers sees the responses of everything behind it, including the refusals of the other plugins.
/// 2. jwt-auth comes before rate-limit, whose keys can be claims.
/// 3. rate-limit comes before circuit-breaker: a request over its limit does not take a probe of a half-open circuit.
/// 4. circuit-breaker comes before retry-budget: a request that the breaker refuses earns no retries.
/// 5. retry-budget is the last, because it sets the headers that the router reads.
pub const MEMBERS: [&str; 5] = [
    "security_headers",
    "jwt_auth",
    "rate_limit",
    "circuit_breaker",
    "retry_budget",
];

/// Configuration of the portcullis module: one member for each plugin that is to run. Each plugin has an instance
/// name of its own.
#[derive(Debug)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "portcullis", deny_unknown_fields, extend("minProperties" = 1))
)]
pub struct Config {
    /// Security headers on responses, and cross-site checks of requests.
    #[cfg_attr(
        feature = "schema",
        schemars(default, with = "security_headers_policy::Config")
    )]
    pub security_headers: Option<security_headers_policy::Config>,
    /// Verification of JSON Web Tokens.
    #[cfg_attr(
        feature = "schema",
        schemars(default, with = "jwt_auth_policy::Config")
    )]
    pub jwt_auth: Option<jwt_auth_policy::Config>,
    /// Rate limits.
    #[cfg_attr(
        feature = "schema",
        schemars(default, with = "rate_limit_policy::Config")
    )]
    pub rate_limit: Option<rate_limit_policy::Config>,
    /// Circuit breakers.
    #[cfg_attr(
        feature = "schema",
        schemars(default, with = "circuit_breaker_policy::Config")
    )]
    pub circuit_breaker: Option<circuit_breaker_policy::Config>,
    /// Retry budgets.
    #[cfg_attr(
        feature = "schema",
        schemars(default, with = "retry_budget_policy::Config")
    )]
    pub retry_budget: Option<retry_budget_policy::Config>,
}
