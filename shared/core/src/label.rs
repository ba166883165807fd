//! Values of metric labels.

/// A closed set of things that are counted apart, each under a word of its own: reasons, outcomes, grounds.
pub trait Label: Copy + PartialEq + 'static {
    /// All of them. A counter is defined for each when configuring.
    const ALL: &'static [Self];

    /// The word, in snake case.
    fn label(self) -> &'static str;
}

/// A value for each of such things, made once: a counter, or the response-code details of a reply.
#[derive(Clone, Debug)]
pub struct ByLabel<T, V>(Vec<(T, V)>);

impl<T: Label, V> ByLabel<T, V> {
    /// Makes the values.
    pub fn new(value: impl Fn(T) -> V) -> Self {
        Self(T::ALL.iter().map(|it| (*it, value(*it))).collect())
    }

    /// The value of one of them; none only if [`Label::ALL`] lacks it.
    pub fn get(&self, of: T) -> Option<&V> {
        let found = self.0.iter().find(|(other, _)| *other == of);
        found.map(|(_, value)| value)
    }
}
