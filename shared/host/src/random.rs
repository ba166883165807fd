//! Random numbers.

use crate::abi;
use crate::error::Error;

/// Unpredictable bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    abi::random(&mut bytes).map_err(Error::of("random_get"))?;
    Ok(bytes)
}
