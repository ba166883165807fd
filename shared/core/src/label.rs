//! Values of metric labels.

/// A closed set of label values, such as reasons or outcomes. Each is counted separately.
pub trait Label: Copy + PartialEq + 'static {
    /// All values. Configuring defines a counter for each.
    const ALL: &'static [Self];

    /// The value of the label, in snake case.
    fn label(self) -> &'static str;
}

/// Something for each value of a label, made once: a counter, or the response-code details of a reply.
#[derive(Clone, Debug)]
pub struct ByLabel<T, V>(Vec<(T, V)>);

impl<T: Label, V> ByLabel<T, V> {
    /// Calls `value` once for each.
    pub fn new(value: impl Fn(T) -> V) -> Self {
        Self(T::ALL.iter().map(|it| (*it, value(*it))).collect())
    }

    /// The entry of one label value; `None` only if [`Label::ALL`] lacks it.
    pub fn get(&self, of: T) -> Option<&V> {
        let found = self.0.iter().find(|(other, _)| *other == of);
        found.map(|(_, value)| value)
    }
}
