//! One request or response, as a plugin sees it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::headers::{Change, HeaderMap};
use portcullis_core::time::Nanos;

use crate::abi::{self, MapKind, Status};
use crate::callback_monitor::CallbackMonitor;
use crate::clock::SteadyClock;
use crate::error::Error;
use crate::header_codec;
use crate::phase::Phase;
use crate::property::Property;
use crate::shared_data::SharedValue;

/// One request or response on its way through the plugin.
///
/// The host asks Envoy for each thing at most once in a callback, for all plugins of a module: for the headers, each
/// property, and the time. It carries out the changes when the last plugin has returned.
#[derive(Debug)]
pub struct Exchange {
    phase: Phase,
    is_request_complete: bool,
    headers: Option<HeaderMap>,
    properties: RefCell<Vec<KnownProperty>>,
    /// By the monotonic clock.
    time: Cell<Option<Nanos>>,
    filter_state: Vec<(&'static str, Vec<u8>)>,
    failures: Vec<(&'static str, Error)>,
    handed_over: HandedOver,
    callbacks: Rc<CallbackMonitor>,
    /// Whether the response was never shown to this module.
    pub(crate) misses_response: bool,
    /// The first failure of a plugin that depends on learning how streams end.
    pub(crate) end_failure: Option<Error>,
}

/// A property that Envoy was asked for, with its value.
type KnownProperty = (&'static str, Option<Vec<u8>>);

/// What earlier plugins of the module have [handed over](Exchange::hand_over) in one callback.
#[derive(Clone, Debug, Default)]
pub struct HandedOver(Vec<(Rc<str>, Rc<dyn Any>)>);

impl HandedOver {
    /// The latest knowledge of this type about a shared value.
    pub fn get<T: 'static>(&self, about: &SharedValue) -> Option<&T> {
        let mut known = self.0.iter().rev();
        known.find_map(|(key, knowledge)| match key == about.key() {
            true => knowledge.downcast_ref(),
            false => None,
        })
    }
}

impl Exchange {
    pub(crate) fn new(
        phase: Phase,
        is_request_complete: bool,
        callbacks: &Rc<CallbackMonitor>,
    ) -> Self {
        Self {
            phase,
            is_request_complete,
            headers: None,
            properties: RefCell::default(),
            time: Cell::new(None),
            filter_state: Vec::new(),
            failures: Vec::new(),
            handed_over: HandedOver::default(),
            callbacks: Rc::clone(callbacks),
            misses_response: false,
            end_failure: None,
        }
    }

    /// Which callbacks Envoy makes.
    pub(crate) fn callbacks(&self) -> &CallbackMonitor {
        &self.callbacks
    }

    /// The phase in which the plugin is called.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the whole request has arrived, including its body and trailers, as far as this module knows. A
    /// module that does not list `request_body` and `request_trailers` among its callbacks learns it only for
    /// requests without a body.
    pub fn is_request_complete(&self) -> bool {
        self.is_request_complete
    }

    /// The headers of the request, in the request phase. They cannot be read later: keep what the response
    /// phase will need.
    pub fn request(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Request, MapKind::RequestHeaders)
    }

    /// The headers of the response, in the response phase.
    pub fn response(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Response, MapKind::ResponseHeaders)
    }

    /// The trailers of the response, in the trailers phase.
    pub fn trailers(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Trailers, MapKind::ResponseTrailers)
    }

    /// Stores a value in the filter state of the request, where later filters read it with
    /// [`Property::filter_state`]. The host carries it out with the other changes.
    pub fn set_filter_state(&mut self, name: &'static str, value: Vec<u8>) {
        self.filter_state.push((name, value));
    }

    /// Tells later plugins of this module, in this callback, what a plugin knows about a shared value beyond the value
    /// itself.
    pub fn hand_over<T: 'static>(&mut self, about: &SharedValue, knowledge: T) {
        let about = Rc::clone(about.key());
        self.handed_over.0.push((about, Rc::new(knowledge)));
    }

    /// Everything that earlier plugins of this module have [handed over](Self::hand_over).
    pub fn handed_over(&self) -> HandedOver {
        self.handed_over.clone()
    }

    /// A property that is an integer; `None` when it has no value.
    pub fn number(&self, property: Property) -> Result<Option<u64>, Error> {
        let Some(value) = self.property(property)? else {
            return Ok(None);
        };
        let bytes = value.try_into().map_err(|_| Error::Malformed)?;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// A property; `None` when it has no value.
    pub fn property(&self, property: Property) -> Result<Option<Vec<u8>>, Error> {
        // An earlier plugin of this module may have stored it in the same callback.
        let mut stored = self.filter_state.iter();
        if let Some((_, value)) = stored.rfind(|(name, _)| *name == property.0) {
            return Ok(Some(value.clone()));
        }
        let mut known = self.properties.borrow_mut();
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == property.0) {
            return Ok(value.clone());
        }
        let value = match abi::property(property.0.as_bytes()) {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(Status::NotFound) => None,
            Err(status) => return Err(Error::of("proxy_get_property")(status)),
        };
        known.push((property.0, value.clone()));
        Ok(value)
    }

    /// The time by a clock: the same for all plugins in this callback. If Envoy does not provide it, this is an error.
    pub fn now(&self, clock: SteadyClock) -> Result<Nanos, Error> {
        let monotonic = match self.time.get() {
            Some(time) => time,
            None => {
                let time = abi::monotonic_time().map_err(Error::of(SteadyClock::CALL))?;
                self.time.set(Some(time));
                time
            }
        };
        clock.at(monotonic)
    }

    fn headers_in(&mut self, phase: Phase, map: MapKind) -> Result<&mut HeaderMap, Error> {
        if self.phase != phase {
            return Err(Error::NotIn(self.phase));
        }
        match &mut self.headers {
            Some(headers) => Ok(headers),
            none => {
                let block = abi::header_map(map);
                let block = block.map_err(Error::of("proxy_get_header_map_pairs"))?;
                let entries = header_codec::decode(block).ok_or(Error::Malformed)?;
                Ok(none.insert(HeaderMap::new(entries)))
            }
        }
    }

    /// Records an error for the log. Use it where the plugin can safely go on without the value.
    pub fn note(&mut self, plugin: &'static str, error: Error) {
        self.failures.push((plugin, error));
    }

    /// The errors so far, each with the name of its plugin.
    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        &self.failures
    }

    /// Carries out the changes, with one call to the host for each. Writing the whole map in one call costs more
    /// the more headers there are; it is cheaper only when a plugin adds a dozen headers to a response that has
    /// a few (`make bench`).
    ///
    /// If Envoy refuses a change, the others are still carried out, and the first error is returned.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let mut done = Ok(());
        for (name, value) in &self.filter_state {
            let set = abi::set_property(name.as_bytes(), value);
            done = done.and(set.map_err(Error::of("proxy_set_property")));
        }
        let Some(headers) = &self.headers else {
            return done;
        };
        let map = match self.phase {
            Phase::Request => MapKind::RequestHeaders,
            Phase::Response => MapKind::ResponseHeaders,
            Phase::Trailers => MapKind::ResponseTrailers,
            Phase::RequestEnd | Phase::Log => return done,
        };
        for change in headers.changes() {
            done = done.and(apply(map, change));
        }
        done
    }
}

fn apply(map: MapKind, change: &Change) -> Result<(), Error> {
    let remove = |name: &[u8]| {
        let removed = abi::remove_header(map, name);
        removed.map_err(Error::of("proxy_remove_header_map_value"))
    };
    let add = |name: &[u8], value: &[u8]| {
        let added = abi::add_header(map, name, value);
        added.map_err(Error::of("proxy_add_header_map_value"))
    };
    let replace = |name: &[u8], value: &[u8]| {
        let replaced = abi::replace_header(map, name, value);
        replaced.map_err(Error::of("proxy_replace_header_map_value"))
    };
    match change {
        Change::Set(name, value) => replace(name, value),
        Change::Append(name, value) => add(name, value),
        Change::Remove(name) => remove(name),
        // Envoy can replace a header by one line, but not by several. Remove the old lines first: a missing line is
        // safer than an extra one.
        Change::SetLines(name, lines) => match lines.as_slice() {
            [line] => replace(name, line),
            lines => {
                remove(name)?;
                lines.iter().try_for_each(|line| add(name, line))
            }
        },
    }
}
