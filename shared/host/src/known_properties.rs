//! The properties that Envoy was asked for in one callback.

use std::cell::RefCell;

use smallvec::SmallVec;

use crate::error::Error;
use crate::property::Property;

/// Properties with their values. There are rarely more than a few, and then they take no memory of their own.
pub(crate) struct KnownProperties<T>(RefCell<SmallVec<[(Property, T); 3]>>);

impl<T> Default for KnownProperties<T> {
    fn default() -> Self {
        Self(RefCell::new(SmallVec::new()))
    }
}

impl<T> KnownProperties<T> {
    /// Remembers a value that was not known.
    pub(crate) fn set(&self, property: Property, value: T) {
        self.0.borrow_mut().push((property, value));
    }

    /// Asks for a value, unless it is known.
    pub(crate) fn fetch(
        &mut self,
        property: Property,
        ask: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(), Error> {
        let known = self.0.get_mut();
        if find(known, property).is_none() {
            known.push((property, ask()?));
        }
        Ok(())
    }

    /// All that is known, for [`find`].
    pub(crate) fn all(&mut self) -> &[(Property, T)] {
        self.0.get_mut()
    }
}

impl<T: Clone> KnownProperties<T> {
    /// A copy of a value. Asks for it, unless it is known.
    pub(crate) fn get(
        &self,
        property: Property,
        ask: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(value) = find(&self.0.borrow(), property) {
            return Ok(value.clone());
        }
        let value = ask()?;
        self.set(property, value.clone());
        Ok(value)
    }
}

/// The value of a property that is known.
pub(crate) fn find<T>(known: &[(Property, T)], property: Property) -> Option<&T> {
    let found = known.iter().find(|(other, _)| *other == property);
    found.map(|(_, value)| value)
}
