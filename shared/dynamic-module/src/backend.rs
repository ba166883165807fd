//! The services of the process, for plugins.

use std::sync::Arc;

use portcullis_core::signature::Hash;
use portcullis_core::time::Nanos;
use portcullis_host::backend::{Backend, MetricId, MetricKind, TableStore, ValueStore};
use portcullis_host::{Call, CallId, Error, Status};
use portcullis_table::{GaveUp, Seed};

use crate::abi::FilterPtr;
use crate::metrics::Change;
use crate::services::Services;
use crate::shared_values::SharedBytes;
use crate::tables::SharedTable;
use crate::{current, process, rehearsal};

const RANDOM: &str = "getrandom";

/// Envoy's process, as this library sees it.
pub(crate) struct Process;

impl Backend for Process {
    fn monotonic_time(&self) -> Result<Nanos, Error> {
        Ok(process::monotonic())
    }

    fn wall_time(&self) -> Result<Nanos, Error> {
        Ok(process::wall())
    }

    fn steady_offset(&self) -> Result<u64, Error> {
        Ok(process::steady_offset())
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        process::random(buffer).map_err(|_| Error::of(RANDOM)(Status::InternalFailure))
    }

    fn hash_seed(&self) -> Result<[u8; 16], Error> {
        process::hash_seed().map_err(|_| Error::of(RANDOM)(Status::InternalFailure))
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, Error> {
        in_callback(|services, filter| services.define_metric(filter, kind, name))
    }

    fn add_to_metric(&self, id: MetricId, difference: i64) -> Result<(), Error> {
        change_metric(id, Change::Add(difference))
    }

    fn set_metric(&self, id: MetricId, value: u64) -> Result<(), Error> {
        change_metric(id, Change::Set(value))
    }

    fn open_tables(
        &self,
        plugin: &str,
        instance: &str,
        identities: &[u64],
        _seed: &Seed,
    ) -> Box<dyn TableStore> {
        let open = |identity: &u64| SharedTable::open(plugin, instance, *identity);
        let identities = match rehearsal::is_running() {
            true => &[],
            false => identities,
        };
        Box::new(Tables(identities.iter().map(open).collect()))
    }

    fn open_value(&self, key: &str) -> Box<dyn ValueStore> {
        Box::new(Value(match rehearsal::is_running() {
            true => Arc::default(),
            false => SharedBytes::open(key),
        }))
    }

    fn verify_signature(
        &self,
        hash: Hash,
        key: &[u8],
        text: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        crate::signature::verify(hash, key, text, signature)
    }

    fn makes_calls(&self) -> bool {
        current::with(|services, _| services.is_main_thread()).unwrap_or_default()
    }

    fn ask_caller(&self, topic: u64) {
        current::with(|services, _| services.ask_caller(topic));
    }

    fn take_asked(&self, topic: u64) -> bool {
        current::with(|services, _| services.take_asked(topic)).unwrap_or_default()
    }

    fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        in_callback(|services, _| services.call(call))
    }
}

fn in_callback<T>(act: impl FnOnce(&Services, FilterPtr) -> Result<T, Error>) -> Result<T, Error> {
    current::with(act).unwrap_or(Err(Error::of("callback")(Status::BadArgument)))
}

fn change_metric(id: MetricId, change: Change) -> Result<(), Error> {
    in_callback(|services, filter| services.change_metric(filter, id, change))
}

/// The tables of one plugin instance.
struct Tables(Vec<Arc<SharedTable>>);

impl TableStore for Tables {
    fn update(
        &self,
        table: usize,
        block: u32,
        _now: Nanos,
        edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u32, GaveUp> {
        self.0.get(table).ok_or(GaveUp)?.update(block, edit);
        // Under a lock, nobody writes first.
        Ok(0)
    }
}

struct Value(Arc<SharedBytes>);

impl ValueStore for Value {
    fn read(&self) -> Result<Vec<u8>, GaveUp> {
        Ok(self.0.read())
    }

    fn update(&self, edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) -> Result<(), GaveUp> {
        self.0.update(edit);
        Ok(())
    }
}
