//! The command line.

use std::path::PathBuf;

use crate::variants::NAMES;

/// What to measure.
pub(crate) struct Options {
    /// How often each variant is visited.
    pub(crate) rounds: u32,
    /// Names of variants; all if empty.
    pub(crate) only: Vec<String>,
    /// Another build of security-headers.
    pub(crate) against: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments. The error says how they are to be.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 50,
            only: Vec::new(),
            against: None,
        };
        while let Some(option) = arguments.next() {
            let value = arguments.next();
            let understood = value.and_then(|value| options.set(&option, value));
            understood.ok_or_else(|| usage(&option))?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str, value: String) -> Option<()> {
        match option {
            "--rounds" => self.rounds = value.parse().ok().filter(|rounds| *rounds > 0)?,
            "--only" => self.only = variants(&value)?,
            "--against" => self.against = Some(value.into()),
            _ => return None,
        }
        Some(())
    }
}

fn variants(list: &str) -> Option<Vec<String>> {
    let known = |name: &str| NAMES.contains(&name).then(|| name.to_owned());
    list.split(',').map(known).collect()
}

fn usage(option: &str) -> String {
    format!(
        "bench: {option} is unknown, or its value is missing or wrong. All are optional:\n\
         \x20 --rounds N       visits to each variant (50)\n\
         \x20 --only A,B       only these variants of {}\n\
         \x20 --against FILE   also another build of security-headers",
        NAMES.join(", ")
    )
}
