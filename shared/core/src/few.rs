//! A list that nearly always has at most one item.

use std::ops::Deref;

/// A list that nearly always has at most one item, and then takes no memory of its own.
#[derive(Clone, Debug, Default)]
pub enum Few<T> {
    /// No item.
    #[default]
    None,
    /// One item.
    One(T),
    /// Any number of items.
    Several(Vec<T>),
}

impl<T> Few<T> {
    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(item),
            Self::One(first) => Self::Several(vec![first, item]),
            Self::Several(mut items) => {
                items.push(item);
                Self::Several(items)
            }
        };
    }

    /// Adds the items of another list at the end.
    pub fn append(&mut self, other: Self) {
        match other {
            Self::None => {}
            Self::One(item) => self.push(item),
            Self::Several(items) => items.into_iter().for_each(|item| self.push(item)),
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::None;
        items.into_iter().for_each(|item| few.push(item));
        few
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => std::slice::from_ref(item),
            Self::Several(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn items_keep_their_order() {
        let mut few = Few::default();
        assert_eq!(*few, [0; 0]);
        for (i, item) in (1..=4).enumerate() {
            few.push(item);
            assert_eq!(few.len(), i + 1);
            assert_eq!(few.last(), Some(&item));
        }
        assert_eq!(*few, [1, 2, 3, 4]);
        for other in [Few::None, Few::One(5), Few::Several(vec![6, 7])] {
            few.append(other);
        }
        assert_eq!(*few, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(*(0..3).collect::<Few<_>>(), [0, 1, 2]);
    }
}
