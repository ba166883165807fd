//! Prints the results.

use crate::comparison;
use crate::variants::Described;

/// The cost of a variant's requests.
pub(crate) struct Measured {
    pub(crate) variant: Described,
    /// Cost per request, by session and round.
    pub(crate) sessions: Vec<Vec<f64>>,
}

/// The measured quantity.
pub(crate) struct Table {
    unit: &'static str,
    decimals: usize,
}

pub(crate) const TIME: Table = Table {
    unit: "µs of CPU time",
    decimals: 1,
};
pub(crate) const INSTRUCTIONS: Table = Table {
    unit: "thousand instructions",
    decimals: 2,
};

impl Table {
    /// Prints each variant's cost beyond the same requests without filters, with the ratio to the second variant: over
    /// all rounds, and the lowest and the highest session.
    pub(crate) fn print(&self, variants: &[Measured]) {
        let all = variants;
        let Some((bare, variants)) = variants.split_first() else {
            return;
        };
        let Self { unit, decimals } = self;
        println!(
            "{}: {:.decimals$} {unit} per request\n",
            bare.variant.name,
            at(0.5, &bare.sessions.concat())
        );
        println!("added per request, in {unit}");
        println!(
            "{:44} {:>9} {:>18} {:>9} {:>12}",
            "", "median", "middle half", "× empty", "by session"
        );
        let mut empty = None;
        for variant in variants {
            let added = variant.beyond(all);
            let empty: &Vec<Vec<f64>> = empty.get_or_insert_with(|| added.clone());
            let [lowest, highest] = extremes(&added, empty);
            let (added, empty) = (added.concat(), empty.concat());
            let [low, median, high] = [0.25, 0.5, 0.75].map(|part| at(part, &added));
            let ratio = median / at(0.5, &empty);
            let name = &variant.variant.name;
            let middle_half = format!("{low:.decimals$} to {high:.decimals$}");
            let by_session = format!("{lowest:.1} to {highest:.1}");
            println!(
                "{name:44} {median:>9.decimals$} {middle_half:>18} {ratio:>9.1} {by_session:>12}"
            );
        }
        comparison::print(self.decimals, all);
    }
}

impl Measured {
    /// The cost beyond the reference's, by session and round.
    pub(crate) fn beyond(&self, all: &[Self]) -> Vec<Vec<f64>> {
        let reference = self.variant.reference;
        let reference = all.iter().find(|other| other.variant.id == reference);
        self.sessions
            .iter()
            .zip(reference.iter().flat_map(|reference| &reference.sessions))
            .map(less)
            .collect()
    }
}

/// The lowest and the highest ratio of a session.
pub(crate) fn extremes(added: &[Vec<f64>], other: &[Vec<f64>]) -> [f64; 2] {
    let ratios = added
        .iter()
        .zip(other)
        .map(|(added, other)| at(0.5, added) / at(0.5, other));
    let ratios: Vec<f64> = ratios.collect();
    [0.0, 1.0].map(|part| at(part, &ratios))
}

/// The difference of two variants, by round.
fn less((all, bare): (&Vec<f64>, &Vec<f64>)) -> Vec<f64> {
    let rounds = all.iter().zip(bare);
    rounds.map(|(all, bare)| all - bare).collect()
}

/// A quantile of the values: 0 for the least, 0.5 for the median, 1 for the greatest.
pub(crate) fn at(part: f64, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (part * sorted.len() as f64) as usize;
    sorted
        .get(index)
        .or(sorted.last())
        .copied()
        .unwrap_or(f64::NAN)
}
