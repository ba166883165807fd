//! The names that an instance has metrics for, so that the gauges of a name that a later configuration lacks can be
//! set to 0.
//!
//! Envoy never deletes a statistic, and a gauge that nobody sets keeps its value: an alert on it would never end.
//! Each instance therefore keeps a list in a shared value, under `portcullis/<plugin>/<instance>/roster`. It has one
//! line for each name: `+` and the name for those of the newest configuration, `-` and the name for those that only
//! earlier configurations had (the last [`MAX_RETIRED`]). All workers see the retired names, so each worker can set
//! their gauges to 0 after its own old instance has last set them.

use portcullis_core::config::Name;
use portcullis_table::Edit;

use crate::shared_value::SharedValue;

const CURRENT: char = '+';
const RETIRED: char = '-';
/// More names than the streams of old configurations can still use. Beyond it the list forgets the oldest, so that
/// a control plane that invents a new name with each push does not fill the memory.
const MAX_RETIRED: usize = 1_000;

/// The list of one instance.
#[derive(Debug)]
pub struct MetricNames(SharedValue);

impl MetricNames {
    /// Opens the list of an instance. Call it when configuring.
    pub fn open(plugin: &str, instance: &Name) -> Self {
        Self(SharedValue::open(plugin, instance, "roster"))
    }

    /// Replaces the current names. Returns the retired ones: the names of earlier configurations that are not
    /// current.
    pub fn replace(&self, names: &[&str]) -> Vec<String> {
        let replaced = self.0.update(|bytes| {
            let before = std::mem::take(bytes);
            let retired: Vec<String> = lines(&before)
                .map(|(_, name)| name.to_owned())
                .filter(|name| !names.contains(&name.as_str()))
                // The names of the last configuration come first.
                .take(MAX_RETIRED)
                .collect();
            *bytes = text(names, &retired).into_bytes();
            Edit {
                changed: before != *bytes,
                outcome: retired,
            }
        });
        replaced.unwrap_or_default()
    }

    /// Whether only earlier configurations had this name.
    pub fn is_retired(&self, name: &str) -> bool {
        let bytes = self.0.read().unwrap_or_default();
        lines(&bytes).any(|line| line == (RETIRED, name))
    }
}

fn text(names: &[&str], retired: &[String]) -> String {
    let names = names.iter().map(|name| format!("{CURRENT}{name}"));
    let retired = retired.iter().map(|name| format!("{RETIRED}{name}"));
    names.chain(retired).collect::<Vec<_>>().join("\n")
}

/// The marks and names of a list.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (char, &str)> {
    let text = str::from_utf8(bytes).unwrap_or_default();
    text.lines().filter_map(|line| {
        let mut letters = line.chars();
        Some((letters.next()?, letters.as_str()))
    })
}
