//! Random numbers.

use crate::backend::backend;
use crate::error::Error;

/// Unpredictable bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    backend().random(&mut bytes)?;
    Ok(bytes)
}
