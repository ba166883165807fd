//! Prints the ratio of each variant to those that it is compared with.

use crate::table::{Measured, at, extremes};
use crate::variants::{Host, Partner};

/// Prints a line for each variant and each of its partners that was measured in the same run, with the costs beyond the
/// same requests without filters. The library has bounds, which are ratios of instructions.
pub(crate) fn print(decimals: usize, all: &[Measured]) {
    let lines: Vec<String> = all
        .iter()
        .flat_map(|of| of.variant.partners.iter().map(move |partner| (of, partner)))
        .filter_map(|(of, partner)| line(decimals, all, of, partner))
        .collect();
    if lines.is_empty() {
        return;
    }
    println!(
        "\nadded per request, compared\n{:44} {:>9} {:>9} {:>7} {:>14} {:>8}  other",
        "", "this", "other", "ratio", "by session", "at most"
    );
    for line in lines {
        println!("{line}");
    }
}

/// `None` if the partner was not measured.
fn line(decimals: usize, all: &[Measured], of: &Measured, partner: &Partner) -> Option<String> {
    let measured = |id: &&str| all.iter().find(|other| other.variant.id == *id);
    let others: Option<Vec<&Measured>> = partner.ids.iter().map(measured).collect();
    let others = others?;
    let names: Vec<&str> = others.iter().map(|other| &*other.variant.name).collect();
    let other = others.iter().map(|other| other.beyond(all));
    let other = other.reduce(|sum, other| sum.iter().zip(&other).map(plus).collect())?;
    let this = of.beyond(all);
    let [lowest, highest] = extremes(&this, &other);
    let [this, other] = [this, other].map(|added| at(0.5, &added.concat()));
    let described = &of.variant;
    // The name ends with the build, if there are several.
    let is_another = described.host == Host::Library || described.name.starts_with("  the same");
    let build = described.name.rfind(", ").filter(|_| is_another);
    let build = build
        .and_then(|at| described.name.get(at..))
        .unwrap_or_default();
    let bound = partner
        .at_most
        .filter(|_| described.host == Host::Library)
        .map(|bound| format!("{bound:.1}"))
        .unwrap_or_default();
    Some(format!(
        "{:44} {this:>9.decimals$} {other:>9.decimals$} {:>7.2} {:>14} {bound:>8}  {}",
        format!("{}{build}", described.id),
        this / other,
        format!("{lowest:.2} to {highest:.2}"),
        names.join(" + ")
    ))
}

/// The sum of two variants, by round.
fn plus((one, other): (&Vec<f64>, &Vec<f64>)) -> Vec<f64> {
    one.iter()
        .zip(other)
        .map(|(one, other)| one + other)
        .collect()
}
