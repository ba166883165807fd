//! Lists whose entries are told apart by their names.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::Name;

/// What the entries of a list are called in errors, and where their names show.
pub struct NamedList {
    /// `a limit`.
    pub one: &'static str,
    /// `limits`.
    pub several: &'static str,
    /// `metrics and replies`.
    pub shown_in: &'static str,
}

impl NamedList {
    /// Reads a list with at least one entry, in which no name stands twice.
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

    /// The same of a list that may be empty.
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
                "found two {} named {:?}; expected each name once: it tells them apart in {}",
                self.several,
                name.as_str(),
                self.shown_in
            ))),
        }
    }
}
