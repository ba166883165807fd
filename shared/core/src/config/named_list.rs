//! Lists whose entries have unique names.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::Name;

/// A list whose entries have unique names: the words for it in error messages.
pub struct NamedList {
    /// One entry, such as `a limit`.
    pub one: &'static str,
    /// Several entries, such as `limits`.
    pub several: &'static str,
    /// Where the names appear, such as `metrics and replies`.
    pub shown_in: &'static str,
}

impl NamedList {
    /// Reads a list with at least one entry, and each name once.
    pub fn read<'de, D, T>(
        &self,
        deserializer: D,
        name: impl Fn(&T) -> &Name,
    ) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        let list = self.read_any(deserializer, name)?;
        match list.is_empty() {
            false => Ok(list),
            true => Err(de::Error::custom(format!(
                "found an empty array; expected {}",
                self.one
            ))),
        }
    }

    /// Like [`read`](Self::read), but the list may be empty.
    pub fn read_any<'de, D, T>(
        &self,
        deserializer: D,
        name: impl Fn(&T) -> &Name,
    ) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        let list = Vec::<T>::deserialize(deserializer)?;
        let mut names = BTreeSet::new();
        match list.iter().map(&name).find(|name| !names.insert(*name)) {
            None => Ok(list),
            Some(name) => Err(de::Error::custom(format!(
                "found two {} named {:?}; expected each name once: names identify {} in {}",
                self.several,
                name.as_str(),
                self.several,
                self.shown_in
            ))),
        }
    }
}
