//! The results, for people.

/// Prints what each variant adds to the first, with the ratio to the second. Each comes with its
/// microseconds per request by round.
pub(crate) fn print<'a>(variants: impl Iterator<Item = (&'a str, &'a [f64])>) {
    let mut variants = variants;
    let Some((bare, bare_rounds)) = variants.next() else {
        return;
    };
    println!(
        "{bare}: {:.1} µs of CPU time per request\n",
        median(bare_rounds)
    );
    println!(
        "{:44} {:>9} {:>15} {:>9}",
        "added per request, in µs", "median", "min..max", "× empty"
    );
    let mut empty = None;
    for (name, rounds) in variants {
        let added: Vec<f64> = rounds
            .iter()
            .zip(bare_rounds)
            .map(|(all, bare)| all - bare)
            .collect();
        let (least, most) = added.iter().fold((f64::MAX, f64::MIN), |(least, most), x| {
            (least.min(*x), most.max(*x))
        });
        let median = median(&added);
        let ratio = median / *empty.get_or_insert(median);
        let spread = format!("{least:.1}..{most:.1}");
        println!("{name:44} {median:>9.2} {spread:>15} {ratio:>9.1}");
    }
}

/// The value in the middle; the upper one, if there are two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
