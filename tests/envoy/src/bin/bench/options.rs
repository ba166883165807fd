//! The command line.

use std::path::PathBuf;

use crate::{hostile, variants};

/// What to measure.
pub(crate) struct Options {
    /// Number of rounds, if not the default.
    rounds: Option<u32>,
    /// The ids of variants; all if empty.
    only: Vec<String>,
    /// Folders with other builds of the modules.
    pub(crate) against: Vec<PathBuf>,
    /// Whether requests go to an upstream. Otherwise Envoy answers with direct responses.
    pub(crate) upstream: bool,
    /// Whether to count instructions. Otherwise CPU time is measured.
    pub(crate) instructions: bool,
}

impl Options {
    /// Reads the arguments. The error explains the usage.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: None,
            only: Vec::new(),
            against: Vec::new(),
            upstream: false,
            instructions: false,
        };
        while let Some(option) = arguments.next() {
            match option.as_str() {
                "--upstream" => options.upstream = true,
                "--instructions" => options.instructions = true,
                _ => {
                    let value = arguments.next();
                    let understood = value.and_then(|value| options.set(&option, value));
                    understood.ok_or_else(|| usage(&option))?;
                }
            }
        }
        Ok(options)
    }

    /// Number of rounds.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
            .unwrap_or(if self.instructions { 5 } else { 50 })
    }

    /// Whether to measure this variant.
    pub(crate) fn chooses(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }

    /// Whether to measure only hostile requests.
    pub(crate) fn is_hostile(&self) -> bool {
        self.only == [hostile::ID]
    }

    fn set(&mut self, option: &str, value: String) -> Option<()> {
        match option {
            "--rounds" => self.rounds = Some(value.parse().ok().filter(|rounds| *rounds > 0)?),
            "--only" => self.only = known(&value)?,
            "--against" => self.against.push(value.into()),
            _ => return None,
        }
        Some(())
    }
}

fn known(list: &str) -> Option<Vec<String>> {
    if list == hostile::ID {
        return Some(vec![list.to_owned()]);
    }
    let known = |id: &str| {
        variants::ids()
            .any(|known| known == id)
            .then(|| id.to_owned())
    };
    list.split(',').map(known).collect()
}

fn usage(option: &str) -> String {
    format!(
        "bench: {option} is unknown, or its value is missing or invalid. All options are optional:\n\
         \x20 --rounds N       visits to each variant (50; with --instructions, 5 batches); all Envoys\n\
         \x20                  restart after ten visits\n\
         \x20 --only A,B       only these variants of {}\n\
         \x20 --only hostile   the most expensive known requests, compared with plain ones\n\
         \x20 --against DIR    also measure the modules of another build in this folder; repeatable\n\
         \x20 --upstream       with an upstream, which circuit-breaker's variants and the chain need\n\
         \x20 --instructions   count instructions under valgrind instead of CPU time: exact, but slow",
        variants::ids().collect::<Vec<_>>().join(", ")
    )
}
