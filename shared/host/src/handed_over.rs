//! What plugins of one module tell each other in a callback.

use std::any::Any;
use std::rc::Rc;

use crate::shared_value::SharedValue;

/// What earlier plugins of the module have [handed over](crate::Exchange::hand_over) in one callback.
#[derive(Clone, Debug, Default)]
pub struct HandedOver(Vec<(Rc<str>, Rc<dyn Any>)>);

impl HandedOver {
    pub(crate) fn add<T: 'static>(&mut self, about: &SharedValue, knowledge: T) {
        self.0.push((Rc::clone(about.key()), Rc::new(knowledge)));
    }

    /// The latest knowledge of this type about a shared value.
    pub fn get<T: 'static>(&self, about: &SharedValue) -> Option<&T> {
        let mut known = self.0.iter().rev();
        known.find_map(|(key, knowledge)| match key == about.key() {
            true => knowledge.downcast_ref(),
            false => None,
        })
    }
}
