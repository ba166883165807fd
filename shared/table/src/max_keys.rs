//! The number of keys of a table, in a configuration.

use serde::Deserialize;

use super::MAX_KEYS;

/// The number of keys that a table has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct MaxKeys<const DEFAULT: u32>(u32);

impl<const DEFAULT: u32> MaxKeys<DEFAULT> {
    /// The number, from 1 to [`MAX_KEYS`].
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const DEFAULT: u32> Default for MaxKeys<DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const DEFAULT: u32> TryFrom<u64> for MaxKeys<DEFAULT> {
    type Error = String;

    fn try_from(keys: u64) -> Result<Self, String> {
        match u32::try_from(keys) {
            Ok(keys) if (1..=MAX_KEYS).contains(&keys) => Ok(Self(keys)),
            _ => Err(format!(
                "found {keys}; expected a whole number from 1 to {MAX_KEYS}"
            )),
        }
    }
}

#[cfg(feature = "schema")]
impl<const DEFAULT: u32> schemars::JsonSchema for MaxKeys<DEFAULT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxKeys".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": MAX_KEYS})
    }
}
