//! The command line.

use std::path::PathBuf;

use crate::{hostile, variants, workers};

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
    /// Whether to leave out WebAssembly.
    pub(crate) library: bool,
    /// Whether to measure throughput by the number of workers.
    pub(crate) workers: bool,
    /// Whether to measure limits of a fleet.
    pub(crate) fleet: bool,
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
            library: false,
            workers: false,
            fleet: false,
        };
        while let Some(option) = arguments.next() {
            match option.as_str() {
                "--upstream" => options.upstream = true,
                "--instructions" => options.instructions = true,
                "--library" => options.library = true,
                "--workers" => options.workers = true,
                "--fleet" => options.fleet = true,
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
        let default = match self {
            Self { fleet: true, .. } => 10,
            Self {
                instructions: true, ..
            } => 5,
            Self { workers: true, .. } => 6,
            _ => 50,
        };
        self.rounds.unwrap_or(default)
    }

    /// Whether to measure this variant.
    pub(crate) fn chooses(&self, id: &str) -> bool {
        match self.only.as_slice() {
            [] if self.workers => id == workers::ID,
            [] => true,
            only => only.iter().any(|only| only == id),
        }
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
         \x20 --rounds N       visits to each variant (50, after each ten of which all Envoys restart; with\n\
         \x20                  --fleet, 10; with --workers, 6; with --instructions, 5 batches)\n\
         \x20 --only A,B       only these variants of {}, and those that they are\n\
         \x20                  compared with\n\
         \x20 --only hostile   the most expensive known requests, compared with plain ones\n\
         \x20 --against DIR    also measure the modules and the library of another build in this folder;\n\
         \x20                  repeatable\n\
         \x20 --library        without WebAssembly: the library and Envoy's own filters\n\
         \x20 --workers        throughput with 1 to 8 workers, by default of one hot key (limit_1)\n\
         \x20 --fleet          latency, calls and admitted requests of two and four proxies with one limit\n\
         \x20 --upstream       with an upstream, which circuit-breaker's variants and the chain need\n\
         \x20 --instructions   count instructions under valgrind instead of CPU time: exact, but slow",
        variants::ids().collect::<Vec<_>>().join(", ")
    )
}
