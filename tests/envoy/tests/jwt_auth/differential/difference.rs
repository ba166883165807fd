//! The differences of the two filters, with reasons: the lists in the plugin's README, word for word.

pub(super) const CRITICAL: &str = "\
    `crit`: a token with a critical extension that is not understood is invalid, and the list \
    must not be empty (RFC 7515 §4.1.11).";
pub(super) const UNENCODED: &str =
    "`b64`, `zip`: they change what the payload means (RFC 7797 §7, RFC 7516 §4.1.3).";
pub(super) const EMBEDDED_KEY: &str = "\
    `jwk`: neither filter uses a key that comes with the token, but only attackers send one (RFC \
    8725 §3.10, CVE-2018-0114).";
pub(super) const KEY_ID: &str = "\
    An empty `kid`: it names a key that does not exist, which differs from naming none (RFC 7515 \
    §4.1.4).";
pub(super) const TYPE: &str =
    "`typ`: a token of another kind, such as a logout token, is no access token (RFC 8725 §3.11).";
pub(super) const HEADER_TYPES: &str =
    "Members of the header that have the wrong type (RFC 7515 §4.1).";
pub(super) const NO_EXPIRATION: &str =
    "No `exp`: such a token never expires (RFC 9068 §2.2); `require_expiration: false` accepts it.";
pub(super) const EXPIRED_IN_1970: &str =
    "`exp: 0`: it is a time in 1970, not an absent one (RFC 7519 §4.1.4).";
pub(super) const FUTURE: &str = "\
    `iat` in the future: a clock is wrong, so `exp` is not reliable (RFC 7519 §4.1.6 leaves it \
    open).";
pub(super) const BASE64: &str = "\
    Padding, and trailing bits that are not zero: a token has one spelling (RFC 7515 §2, RFC 4648 \
    §3.5).";
pub(super) const COMPACT: &str =
    "More than two dots, with nothing between or beside them (RFC 7515 §7.1).";
pub(super) const PREFIX: &str =
    "Text in front of the scheme, or `=` in front of the token (RFC 6750 §2.1).";
pub(super) const ALGORITHM: &str = "\
    An `alg` for another type of key, or for another curve, where the key has no `alg` (RFC 8725 \
    §3.1).";
pub(super) const ES512: &str = "`ES512`, with the curve P-521.";
pub(super) const SLOW: &str = "\
    `PS256` … `PS512` and `EdDSA`, unless `algorithms` names them or an inline key is for nothing \
    else: they are [slow](#limits).";
pub(super) const ECDSA: &str =
    "ECDSA signatures of another length than the curve's (RFC 7518 §3.4).";
pub(super) const SALT: &str =
    "`salt`: one library (jwt-simple) uses it, and no standard defines it.";
pub(super) const NONCE: &str = "A `nonce` that is no string (OpenID Connect Core §2).";
pub(super) const JSON: &str = "\
    Lax JSON in a token or a key set: names without quotes, single quotes, line breaks in a text, \
    a comma too many (RFC 8259).";
pub(super) const DEPTH: &str = "JSON nested deeper than 32, in a token or a key set.";
pub(super) const AUDIENCE_FORM: &str = "\
    An audience with `http://` or `https://` in front or a slash behind: it is another one (RFC \
    7519 §4.1.3, RFC 3986 §6.2.1).";
pub(super) const USE: &str = "\
    Keys whose `use` is not among `uses` (`sig`), or whose `key_ops` lacks `verify` (RFC 7517 \
    §4.2, §4.3).";
pub(super) const PRIVATE: &str = "Private keys: their owner must replace them (RFC 7517 §9.2).";
pub(super) const MEMBER_TYPES: &str =
    "Keys with a `kid`, `alg`, `use` or `key_ops` of the wrong type (RFC 7517 §4).";
pub(super) const RSA: &str =
    "RSA keys of fewer than 2048 bits (RFC 7518 §3.3) or more than 4096, or with the exponent 3.";
pub(super) const SPELLING: &str = "Key material with padding or white space (RFC 7518 §2).";
pub(super) const COORDINATES: &str = "\
    Elliptic coordinates that are not as long as the curve's, and exponents with zeros in front \
    (RFC 7518 §6.2.1.2, §2).";
pub(super) const CURVE: &str = "Elliptic keys without `crv` (RFC 7518 §6.2.1.1).";
pub(super) const SECRETS: &str = "Secrets (`oct`) from a server, and secrets beside public keys.";
pub(super) const RIVALS: &str = "\
    Two different keys with one `kid` for one `alg`: order must not decide which one verifies \
    (RFC 7517 §4.5).";
pub(super) const NAMELESS: &str =
    "A key without `kid`, for a token whose `kid` another key of the set has.";
pub(super) const TRIES: &str = "\
    Tokens without `kid` where more than eight keys fit, or more than one for `PS256` … `PS512` \
    and `EdDSA`.";
pub(super) const SIZE: &str = "Sets of more than 160 KiB or 200 entries.";
pub(super) const CERTIFICATES: &str =
    "Sets of certificates, `{\"<kid>\": \"-----BEGIN CERTIFICATE-----…\"}` (no JWK set).";
pub(super) const AUDIENCE: &str =
    "A token for another audience is an invalid token: 401, there 403 (RFC 6750 §3.1).";
pub(super) const ONE_TOKEN: &str =
    "Two tokens, or text that is no token, are an invalid request: 400, there 401 (RFC 6750 §3.1).";
pub(super) const BLANKS: &str = "\
    Blanks in a token make it two texts, an invalid request: 400, there they are skipped (RFC \
    6750 §2.1).";
pub(super) const NO_KEYS: &str = "Without a usable key set, 503, there 401 (RFC 9110 §15.6.4).";
pub(super) const CASE: &str = "The scheme may be written in any case: `bearer` (RFC 9110 §11.1).";
pub(super) const NULL: &str =
    "A member or claim that is `null` is absent; with RS256, ES256 and their like, times, too.";
pub(super) const LARGE: &str = "Times of 2^64 and later are valid.";
pub(super) const BYTE_ORDER_MARK: &str =
    "A key set may begin with a byte order mark (RFC 8259 §8.1).";
pub(super) const TENANT: &str = "`{tenantid}` in an issuer stands for the claim `tid`.";
