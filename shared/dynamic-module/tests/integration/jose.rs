//! jwt-auth's tests of tokens, keys and signatures, with this crate's verifier as the host: the examples of the RFCs,
//! bad signatures, changed tokens, and the agreement of host and Rust. They take this module for that of
//! jwt-auth-policy with this name.

use portcullis_dynamic_module::signature;

pub(crate) use jwt_auth_policy::jose::*;

#[path = "../../../../plugins/jwt-auth/policy/src/jose/base64url.rs"]
mod base64url;
#[path = "../../../../plugins/jwt-auth/policy/src/jose/tests/mod.rs"]
mod tests;

/// In place of the file with this name.
mod like_envoy {
    use super::{Hash, HostSignatures, signature};

    /// The verifier of the library.
    pub(super) struct LikeEnvoy;

    impl HostSignatures for LikeEnvoy {
        fn verify(
            &self,
            hash: Hash,
            spki_der: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Option<bool> {
            signature::verify(hash, spki_der, message, signature)
        }
    }
}
