//! The key-value store that all VMs of one `vm_id` share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::status::Status;
use crate::sync::lock;

/// Shared data, with the semantics of Envoy's host library:
///
/// * Keys live in the namespace of their `vm_id`, and stay when a VM is reloaded. There is no
///   delete and no expiry.
/// * Every write gives the key a new CAS token, from one counter for all keys; the counter skips
///   zero when it wraps.
/// * A write with CAS zero always succeeds. Any other must match the key's token, unless **the key
///   is absent: then it succeeds whatever the token**. There is no create-if-absent.
/// * A write without a value leaves the key with an empty value.
///
/// A test can look into the store, write to it behind the filters' backs, count what the filters
/// do, and run code [just before each of their writes](Self::before_each_write), which is how to
/// make a compare-and-swap loop lose deliberately.
///
/// ```
/// # use proxy_wasm_native_host::SharedData;
/// let data = SharedData::new();
/// data.write("vm", "key", b"one");
/// assert_eq!(data.read("vm", "key").as_deref(), Some(&b"one"[..]));
/// assert_eq!(data.keys("vm"), ["key"]);
/// ```
#[derive(Clone, Default)]
pub struct SharedData {
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    spaces: BTreeMap<String, BTreeMap<Vec<u8>, Value>>,
    next_cas: u32,
    operations: SharedDataOperations,
    before_write: Option<BeforeWrite>,
}

struct Value {
    bytes: Vec<u8>,
    cas: u32,
}

type BeforeWrite = Arc<dyn Fn(&SharedData, &WriteAttempt) + Send + Sync>;

/// A filter's write that is about to happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteAttempt {
    /// The namespace.
    pub vm_id: String,
    /// The key; what is not UTF-8 is replaced.
    pub key: String,
    /// The CAS token that the filter gave; zero overwrites.
    pub cas: u32,
}

/// How often filters did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedDataOperations {
    /// Reads, whether or not they found anything.
    pub reads: u64,
    /// Those that found bytes, for which a host allocates memory in the module.
    pub reads_of_bytes: u64,
    /// Writes that succeeded.
    pub writes: u64,
    /// Writes that failed because the token did not match.
    pub mismatches: u64,
}

impl SharedData {
    /// An empty store. A host makes its own; hosts that are to share one are given it with
    /// [`HostBuilder::shared_data`](crate::HostBuilder::shared_data).
    pub fn new() -> Self {
        Self::default()
    }

    /// A key's value.
    pub fn read(&self, vm_id: &str, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let store = lock(&self.store);
        let value = store.spaces.get(vm_id)?.get(key.as_ref())?;
        Some(value.bytes.clone())
    }

    /// Overwrites a key, as another process-wide user would: its token changes.
    pub fn write(&self, vm_id: &str, key: impl AsRef<[u8]>, value: &[u8]) {
        let mut store = lock(&self.store);
        // A write with CAS zero cannot fail.
        let _ = store.write(vm_id, key.as_ref(), value, 0);
    }

    /// The keys of a namespace in order; what is not UTF-8 is replaced.
    pub fn keys(&self, vm_id: &str) -> Vec<String> {
        let store = lock(&self.store);
        let space = store.spaces.get(vm_id);
        space
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    /// The bytes that the keys and values of a namespace take.
    pub fn size(&self, vm_id: &str) -> usize {
        let store = lock(&self.store);
        let entries = store.spaces.get(vm_id).into_iter().flatten();
        entries
            .map(|(key, value)| key.len() + value.bytes.len())
            .sum()
    }

    /// What filters did so far; what the test did itself does not count.
    pub fn operations(&self) -> SharedDataOperations {
        lock(&self.store).operations
    }

    /// Lets the counter that gives out CAS tokens go on from here.
    pub fn set_next_cas(&self, next: u32) {
        lock(&self.store).next_cas = next;
    }

    /// Runs this before each write of a filter from now on, on the filter's thread and with the
    /// store unlocked. It replaces what was set before.
    ///
    /// Writes that it makes through the given store do not run it again. It must not panic: it
    /// runs within the guest's call, where a panic ends the process.
    pub fn before_each_write(
        &self,
        hook: impl Fn(&SharedData, &WriteAttempt) + Send + Sync + 'static,
    ) {
        lock(&self.store).before_write = Some(Arc::new(hook));
    }

    /// Stops running [`before_each_write`](Self::before_each_write).
    pub fn leave_writes_alone(&self) {
        lock(&self.store).before_write = None;
    }

    pub(crate) fn guest_get(&self, vm_id: &str, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        let mut store = lock(&self.store);
        store.operations.reads += 1;
        let value = store.spaces.get(vm_id).and_then(|space| space.get(key));
        let Value { bytes, cas } = value.ok_or(Status::NotFound)?;
        let found = (bytes.clone(), *cas);
        store.operations.reads_of_bytes += u64::from(!found.0.is_empty());
        Ok(found)
    }

    pub(crate) fn guest_set(
        &self,
        vm_id: &str,
        key: &[u8],
        value: &[u8],
        cas: u32,
    ) -> Result<(), Status> {
        let hook = lock(&self.store).before_write.clone();
        if let Some(hook) = hook {
            let attempt = WriteAttempt {
                vm_id: vm_id.to_owned(),
                key: String::from_utf8_lossy(key).into_owned(),
                cas,
            };
            hook(self, &attempt);
        }
        let mut store = lock(&self.store);
        let result = store.write(vm_id, key, value, cas);
        match result {
            Ok(()) => store.operations.writes += 1,
            Err(_) => store.operations.mismatches += 1,
        }
        result
    }
}

impl Store {
    fn write(&mut self, vm_id: &str, key: &[u8], bytes: &[u8], cas: u32) -> Result<(), Status> {
        let space = self.spaces.entry(vm_id.to_owned()).or_default();
        let old = space.get(key);
        if old.is_some_and(|old| cas != 0 && cas != old.cas) {
            return Err(Status::CasMismatch);
        }
        self.next_cas = self.next_cas.max(1);
        let value = Value {
            bytes: bytes.to_vec(),
            cas: self.next_cas,
        };
        self.next_cas = self.next_cas.wrapping_add(1);
        space.insert(key.to_vec(), value);
        Ok(())
    }
}

impl fmt::Debug for SharedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = lock(&self.store);
        let sizes = store
            .spaces
            .iter()
            .map(|(vm_id, space)| (vm_id, space.len()));
        f.debug_map().entries(sizes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_an_absent_key_ignores_the_token() {
        let data = SharedData::new();
        assert_eq!(data.guest_set("v", b"k", b"1", 99), Ok(()));
        assert_eq!(
            data.guest_set("v", b"k", b"2", 99),
            Err(Status::CasMismatch)
        );
        let (_, cas) = data.guest_get("v", b"k").unwrap();
        assert_eq!(data.guest_set("v", b"k", b"3", cas), Ok(()));
        assert_eq!(
            data.guest_set("v", b"k", b"4", cas),
            Err(Status::CasMismatch)
        );
        assert_eq!(data.guest_set("v", b"k", b"5", 0), Ok(()));
        assert_eq!(data.read("v", "k").as_deref(), Some(&b"5"[..]));
        assert_eq!(data.read("w", "k"), None);
        let operations = SharedDataOperations {
            reads: 1,
            reads_of_bytes: 1,
            writes: 3,
            mismatches: 2,
        };
        assert_eq!(data.operations(), operations);
    }

    #[test]
    fn tokens_skip_zero_when_they_wrap() {
        let data = SharedData::new();
        data.set_next_cas(u32::MAX);
        data.write("v", "a", b"");
        assert_eq!(data.guest_get("v", b"a").unwrap().1, u32::MAX);
        data.write("v", "a", b"");
        assert_eq!(data.guest_get("v", b"a").unwrap().1, 1);
    }

    #[test]
    fn a_hook_can_steal_the_token() {
        let data = SharedData::new();
        data.write("v", "k", b"old");
        let (_, cas) = data.guest_get("v", b"k").unwrap();
        data.before_each_write(|data, attempt| data.write(&attempt.vm_id, &attempt.key, b"theirs"));
        assert_eq!(
            data.guest_set("v", b"k", b"mine", cas),
            Err(Status::CasMismatch)
        );
        data.leave_writes_alone();
        let (value, cas) = data.guest_get("v", b"k").unwrap();
        assert_eq!(value, b"theirs");
        assert_eq!(data.guest_set("v", b"k", b"mine", cas), Ok(()));
    }
}
