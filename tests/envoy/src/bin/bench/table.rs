//! The results, for people.

/// Prints what each variant adds to the first, with the ratio to the second. Each comes with its
/// microseconds per request by round.
pub(crate) fn print<'a>(mut variants: impl Iterator<Item = (&'a str, &'a [f64])>) {
    let Some((bare, bare_rounds)) = variants.next() else {
        return;
    };
    let bare_cost = at(0.5, bare_rounds);
    println!("{bare}: {bare_cost:.1} µs of CPU time per request\n");
    println!(
        "{:44} {:>9} {:>16} {:>9}",
        "added per request, in µs", "median", "middle half", "× empty"
    );
    let mut empty = None;
    for (name, rounds) in variants {
        let rounds = rounds.iter().zip(bare_rounds);
        let added: Vec<f64> = rounds.map(|(all, bare)| all - bare).collect();
        let median = at(0.5, &added);
        let ratio = median / *empty.get_or_insert(median);
        let middle_half = format!("{:.1} to {:.1}", at(0.25, &added), at(0.75, &added));
        println!("{name:44} {median:>9.1} {middle_half:>16} {ratio:>9.1}");
    }
}

/// The value below which that part of the values is: 0.5 for the median.
fn at(part: f64, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (part * sorted.len() as f64) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
