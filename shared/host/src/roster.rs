//! The names that an instance has metrics for, so that gauges of what a later configuration lacks can be set
//! to 0.
//!
//! Envoy forgets no statistic, and a gauge that nobody sets keeps its value: an alert on it would never end. So
//! each instance keeps a list in shared data, under `portcullis/<plugin>/<policy>/roster`: a line for each
//! name of the newest configuration, behind `+`, and for each name of any earlier one, behind `-`. All
//! workers see the list of earlier ones (the last [`MAX_GONE`]), so each can set the gauges to 0 in its turn, after what its own old
//! instance has set.

use portcullis_core::config::Name;
use portcullis_table::Edit;

use crate::shared_data::SharedValue;

const PRESENT: char = '+';
const GONE: char = '-';
/// More than streams of old configurations can still set gauges of. Beyond it the oldest are forgotten, so that
/// a control plane that makes up a new name with each push does not fill the memory.
const MAX_GONE: usize = 1_000;

/// The list of one instance.
#[derive(Debug)]
pub struct Roster(SharedValue);

impl Roster {
    /// Opens the list of an instance. Call it when configuring.
    pub fn open(plugin: &str, policy: &Name) -> Self {
        Self(SharedValue::open(plugin, policy, "roster"))
    }

    /// Makes these the names. Returns those of earlier configurations that are not among them.
    pub fn replace(&self, names: &[&str]) -> Vec<String> {
        let replaced = self.0.update(|bytes| {
            let before = std::mem::take(bytes);
            let gone: Vec<String> = lines(&before)
                .map(|(_, name)| name.to_owned())
                .filter(|name| !names.contains(&name.as_str()))
                // Those of the last configuration stand first.
                .take(MAX_GONE)
                .collect();
            *bytes = text(names, &gone).into_bytes();
            Edit {
                changed: before != *bytes,
                outcome: gone,
            }
        });
        replaced.unwrap_or_default()
    }

    /// Whether the newest configuration lacks this name.
    pub fn lacks(&self, name: &str) -> bool {
        let bytes = self.0.read().unwrap_or_default();
        lines(&bytes).any(|line| line == (GONE, name))
    }
}

fn text(names: &[&str], gone: &[String]) -> String {
    let names = names.iter().map(|name| format!("{PRESENT}{name}"));
    let gone = gone.iter().map(|name| format!("{GONE}{name}"));
    names.chain(gone).collect::<Vec<_>>().join("\n")
}

/// The marks and names of a list.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (char, &str)> {
    let text = str::from_utf8(bytes).unwrap_or_default();
    text.lines().filter_map(|line| {
        let mut letters = line.chars();
        Some((letters.next()?, letters.as_str()))
    })
}
