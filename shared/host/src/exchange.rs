//! One request or response, as a plugin sees it.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use portcullis_core::few::Few;
use portcullis_core::headers::{Change, HeaderMap};
use portcullis_core::key::{CLAIMS_PROPERTY, Needs};
use portcullis_core::reply::Reply;
use portcullis_core::short_text::ShortText;
use portcullis_core::time::Nanos;

use crate::backend::{Map, StreamHost, backend};
use crate::call::{Call, CallId};
use crate::callback_monitor::CallbackMonitor;
use crate::clock::SteadyClock;
use crate::error::Error;
use crate::grpc::GrpcCall;
use crate::handed_over::HandedOver;
use crate::known_properties::{KnownProperties, find};
use crate::phase::Phase;
use crate::property::Property;
use crate::request_attributes::RequestAttributes;
use crate::shared_value::SharedValue;
use crate::spare_memory::SpareMemory;
use crate::wait_queue::Calls;

/// One request or response on its way through the plugin.
///
/// The host asks Envoy for each thing at most once in a callback, for all plugins of a module: for the headers, each
/// property, and the time. It carries out the changes when the last plugin has returned.
pub struct Exchange<'a> {
    host: &'a dyn StreamHost,
    callbacks: &'a CallbackMonitor,
    memory: &'a SpareMemory,
    phase: Phase,
    is_request_complete: bool,
    headers: HeaderMap,
    /// Whether the headers are those of a reply that is not yet sent, so that Envoy does not have them.
    is_own_reply: bool,
    texts: KnownProperties<Option<ShortText>>,
    numbers: KnownProperties<Option<u64>>,
    /// By the monotonic clock.
    time: Cell<Option<Nanos>>,
    filter_state: Few<(&'static str, Bytes)>,
    rare: Option<Box<Rare>>,
    /// The calls that were made.
    pub(crate) calls: Calls,
    /// Whether the response was never shown to this module.
    pub(crate) misses_response: bool,
    /// The first failure of a plugin that depends on learning how streams end.
    pub(crate) end_failure: Option<Error>,
}

/// What few exchanges have.
#[derive(Default)]
struct Rare {
    failures: Vec<(&'static str, Error)>,
    handed_over: HandedOver,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        phase: Phase,
        is_request_complete: bool,
        host: &'a dyn StreamHost,
        callbacks: &'a CallbackMonitor,
        memory: &'a SpareMemory,
    ) -> Self {
        Self {
            host,
            callbacks,
            memory,
            phase,
            is_request_complete,
            headers: HeaderMap::unread(),
            is_own_reply: false,
            texts: KnownProperties::default(),
            numbers: KnownProperties::default(),
            time: Cell::new(None),
            filter_state: Few::None,
            rare: None,
            calls: Calls::new(),
            misses_response: false,
            end_failure: None,
        }
    }

    /// A reply that a plugin of this module is about to send, as Envoy would show it. Changes of its headers stay in
    /// the map.
    pub(crate) fn own_reply(
        headers: HeaderMap,
        reply: &Reply,
        is_request_complete: bool,
        host: &'a dyn StreamHost,
        callbacks: &'a CallbackMonitor,
        memory: &'a SpareMemory,
    ) -> Self {
        let phase = Phase::Response;
        let mut exchange = Self::new(phase, is_request_complete, host, callbacks, memory);
        exchange.headers = headers;
        exchange.is_own_reply = true;
        let details = Some(&reply.details[..]).filter(|details| !details.is_empty());
        let texts = &exchange.texts;
        texts.set(Property::ResponseCodeDetails, details.map(ShortText::from));
        let numbers = &exchange.numbers;
        numbers.set(Property::ResponseCode, Some(reply.status.into()));
        numbers.set(Property::ResponseFlags, Some(0));
        numbers.set(Property::AttemptCount, Some(0));
        exchange
    }

    /// Which callbacks Envoy makes.
    pub(crate) fn callbacks(&self) -> &CallbackMonitor {
        self.callbacks
    }

    /// The headers with all changes, as far as a plugin has read them.
    pub(crate) fn into_headers(mut self) -> HeaderMap {
        std::mem::take(&mut self.headers)
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
        self.headers_in(Phase::Request, Map::Request)
    }

    /// The headers of the response, in the response phase.
    pub fn response(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Response, Map::Response)
    }

    /// The headers of the response, in the response phase, only to set and to append some: the map may be empty, because
    /// the host does not read them.
    pub fn response_to_write(&mut self) -> Result<&mut HeaderMap, Error> {
        if self.phase != Phase::Response {
            return Err(Error::NotIn(self.phase));
        }
        self.memory.lend_to(&mut self.headers);
        Ok(&mut self.headers)
    }

    /// The trailers of the response, in the trailers phase.
    pub fn trailers(&mut self) -> Result<&mut HeaderMap, Error> {
        self.headers_in(Phase::Trailers, Map::ResponseTrailers)
    }

    /// Stores a value in the filter state of the request, where later filters read it with
    /// [`Property::FilterState`]. The host carries it out with the other changes.
    pub fn set_filter_state(&mut self, name: &'static str, value: Bytes) {
        self.filter_state.push((name, value));
    }

    /// Sends a request to another service, at once: it does not wait for the end of the callback, and it is not
    /// cancelled when the stream ends. [`Plugin::on_call_response`](crate::Plugin::on_call_response) receives the
    /// response, possibly in another thread: see there.
    ///
    /// A request that needs the response [waits](crate::Flow::Wait), and `on_call_response`
    /// [wakes](crate::Worker::wake_caller) it.
    pub fn call(&mut self, call: &Call<'_>) -> Result<CallId, Error> {
        let id = self.host.call(call)?;
        self.calls.push(id);
        Ok(id)
    }

    /// Sends a gRPC request; see [`call`](Self::call).
    pub fn grpc_call(&mut self, call: &GrpcCall<'_>) -> Result<CallId, Error> {
        call.with(|call| self.call(call))
    }

    /// Tells later plugins of this module, in this callback, what a plugin knows about a shared value beyond the value
    /// itself.
    pub fn hand_over<T: 'static>(&mut self, about: &SharedValue, knowledge: T) {
        let rare = self.rare.get_or_insert_default();
        rare.handed_over.add(about, knowledge);
    }

    /// Everything that earlier plugins of this module have [handed over](Self::hand_over).
    pub fn handed_over(&self) -> HandedOver {
        self.rare
            .as_ref()
            .map(|rare| rare.handed_over.clone())
            .unwrap_or_default()
    }

    /// A property that is a number; `None` when it has no value.
    pub fn number(&self, property: Property) -> Result<Option<u64>, Error> {
        self.numbers.get(property, || self.host.number(property))
    }

    /// A property that is text; `None` when it has no value.
    pub fn property(&self, property: Property) -> Result<Option<ShortText>, Error> {
        if let Property::FilterState(wanted) = property
            && let Some(value) = stored(&self.filter_state, wanted)
        {
            return Ok(Some(value[..].into()));
        }
        self.texts.get(property, || self.host.text(property))
    }

    /// A number that another filter has stored in the dynamic metadata of the request; `None` when there is no number.
    /// A filter nearer to the upstream may store it with the end of the response: then it is there in the log phase.
    pub fn metadata(&self, namespace: &str, key: &str) -> Result<Option<f64>, Error> {
        self.host.metadata(namespace, key)
    }

    /// The properties and the headers of the request that a policy needs, in the request phase. Properties come first:
    /// after a header was written, Envoy chooses the route again.
    ///
    /// A property without a value is empty. One that Envoy refuses to provide is an error, because a policy may treat an
    /// empty one more mildly. Without a need for headers, the map may be empty.
    pub fn request_with(
        &mut self,
        needs: Needs,
    ) -> Result<(RequestAttributes<'_>, &HeaderMap), Error> {
        const CLAIMS: Property = Property::FilterState(CLAIMS_PROPERTY);
        if needs.route {
            self.fetch(Property::RouteName)?;
        }
        if needs.remote_address {
            self.fetch(Property::RemoteAddress)?;
        }
        if needs.claims && stored(&self.filter_state, CLAIMS_PROPERTY).is_none() {
            self.fetch(CLAIMS)?;
        }
        if needs.cluster {
            self.fetch(Property::ClusterName)?;
        }
        if needs.headers {
            self.request()?;
        }
        let texts = self.texts.all();
        let fetched = |property| {
            let text = find(texts, property).and_then(Option::as_deref);
            text.unwrap_or_default()
        };
        let mut attributes = RequestAttributes::default();
        if needs.route {
            attributes.route = fetched(Property::RouteName);
        }
        if needs.remote_address {
            attributes.remote_address = fetched(Property::RemoteAddress);
        }
        if needs.claims {
            attributes.claims = match stored(&self.filter_state, CLAIMS_PROPERTY) {
                Some(claims) => claims,
                None => fetched(CLAIMS),
            };
        }
        if needs.cluster {
            attributes.cluster = fetched(Property::ClusterName);
        }
        Ok((attributes, &self.headers))
    }

    /// Asks Envoy for a property, unless that has been done.
    fn fetch(&mut self, property: Property) -> Result<(), Error> {
        let host = self.host;
        self.texts.fetch(property, || host.text(property))
    }

    /// The time by a clock: the same for all plugins in this callback. If Envoy does not provide it, this is an error.
    pub fn now(&self, clock: SteadyClock) -> Result<Nanos, Error> {
        let monotonic = match self.time.get() {
            Some(time) => time,
            None => {
                let time = backend().monotonic_time()?;
                self.time.set(Some(time));
                time
            }
        };
        clock.at(monotonic)
    }

    fn headers_in(&mut self, phase: Phase, map: Map) -> Result<&mut HeaderMap, Error> {
        if self.phase != phase {
            return Err(Error::NotIn(self.phase));
        }
        if self.headers.is_unread() {
            self.memory.lend_to(&mut self.headers);
            let host = self.host;
            self.headers.read(|headers| host.headers(map, headers))?;
        }
        Ok(&mut self.headers)
    }

    /// Records an error for the log. Use it where the plugin can safely go on without the value.
    pub fn note(&mut self, plugin: &'static str, error: Error) {
        let rare = self.rare.get_or_insert_default();
        rare.failures.push((plugin, error));
    }

    /// The errors so far, each with the name of its plugin.
    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        self.rare
            .as_ref()
            .map(|rare| &rare.failures[..])
            .unwrap_or_default()
    }

    /// Whether there is anything to carry out.
    pub(crate) fn has_changes(&self) -> bool {
        self.headers.is_changed() || !self.filter_state.is_empty()
    }

    /// Carries out the changes. If Envoy refuses one, the others are still carried out, and the first error is
    /// returned.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let mut first = None;
        let mut note = |done: Result<(), Error>| {
            if let Err(error) = done {
                first.get_or_insert(error);
            }
        };
        for (name, value) in self.filter_state.iter() {
            note(self.host.set_filter_state(name, value));
        }
        let map = match self.phase {
            Phase::Request => Some(Map::Request),
            Phase::Response => Some(Map::Response),
            Phase::Trailers => Some(Map::ResponseTrailers),
            Phase::RequestEnd | Phase::Log => None,
        };
        if let Some(map) = map
            && self.headers.is_changed()
            && !self.is_own_reply
        {
            for change in self.headers.first_changes() {
                note(self.carry_out(map, change));
            }
            for (name, value) in self.headers.appended() {
                note(self.host.add_header(map, name, value));
            }
            self.host.headers_changed(map);
        }
        first.map_or(Ok(()), Err)
    }

    fn carry_out(&self, map: Map, change: Change<'_>) -> Result<(), Error> {
        let host = self.host;
        match change {
            Change::Set(name, value) => host.set_header(map, name, value),
            Change::Append(name, value) => host.add_header(map, name, value),
            Change::Remove(name) => host.remove_header(map, name),
            // Envoy can replace a header by one line, but not by several. Remove the old lines first: a missing line is
            // safer than an extra one.
            Change::SetLines(name, lines) => match lines {
                [line] => host.set_header(map, name, line),
                lines => {
                    host.remove_header(map, name)?;
                    let mut lines = lines.iter();
                    lines.try_for_each(|line| host.add_header(map, name, line))
                }
            },
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.memory.take_back(&mut self.headers);
    }
}

/// What an earlier plugin of this module has stored in the same callback.
fn stored<'a>(filter_state: &'a [(&'static str, Bytes)], name: &str) -> Option<&'a Bytes> {
    let last = filter_state.iter().rfind(|(other, _)| *other == name);
    last.map(|(_, value)| value)
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("phase", &self.phase)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
