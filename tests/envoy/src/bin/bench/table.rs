//! The results, for people.

/// A variant's name, and what its requests took, by round.
pub(crate) type Measured = (String, Vec<f64>);

/// What is measured.
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
    /// Prints what each variant adds to the first, with the ratio to the second.
    pub(crate) fn print(&self, variants: &[Measured]) {
        let Some(((bare, bare_rounds), variants)) = variants.split_first() else {
            return;
        };
        let Self { unit, decimals } = self;
        println!(
            "{bare}: {:.decimals$} {unit} per request\n",
            at(0.5, bare_rounds)
        );
        println!("added per request, in {unit}");
        println!(
            "{:44} {:>9} {:>18} {:>9}",
            "", "median", "middle half", "× empty"
        );
        let mut empty = None;
        for (name, rounds) in variants {
            let rounds = rounds.iter().zip(bare_rounds);
            let added: Vec<f64> = rounds.map(|(all, bare)| all - bare).collect();
            let median = at(0.5, &added);
            let ratio = median / *empty.get_or_insert(median);
            let [low, high] = [0.25, 0.75].map(|part| at(part, &added));
            let middle_half = format!("{low:.decimals$} to {high:.decimals$}");
            println!("{name:44} {median:>9.decimals$} {middle_half:>18} {ratio:>9.1}");
        }
    }
}

/// The value below which that part of the values is: 0.5 for the median.
fn at(part: f64, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (part * sorted.len() as f64) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
