//! Foreign functions: what the host offers by name beyond the ABI.

#[cfg(feature = "verify-signature")]
mod verify_signature;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::status::Status;

type Function = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync>;

/// The foreign functions of a host, by name.
#[derive(Clone)]
pub(crate) struct ForeignFunctions {
    functions: BTreeMap<String, Function>,
    /// Those that the test wants not to be there.
    removed: BTreeSet<String>,
}

impl Default for ForeignFunctions {
    fn default() -> Self {
        let mut functions = Self {
            functions: BTreeMap::new(),
            removed: BTreeSet::new(),
        };
        #[cfg(feature = "verify-signature")]
        functions.register("verify_signature", verify_signature::verify_signature);
        // What it does is done where it is called, for the stream that it is called for.
        functions.register(CLEAR_ROUTE_CACHE, |_: &[u8]| Ok(Vec::new()));
        functions
    }
}

pub(crate) const CLEAR_ROUTE_CACHE: &str = "clear_route_cache";

/// What Envoy offers and this host does not, unless a test does.
const NOT_EMULATED: &[&str] = &[
    "compress",
    "declare_property",
    "expr_create",
    "expr_delete",
    "expr_evaluate",
    "set_envoy_filter_state",
    "sign",
    "uncompress",
    "verify_signature",
];

impl ForeignFunctions {
    pub(crate) fn register(
        &mut self,
        name: &str,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) {
        self.functions.insert(name.to_owned(), Arc::new(function));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.functions.remove(name);
        self.removed.insert(name.to_owned());
    }

    pub(crate) fn call(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        self.functions.get(name).ok_or(Status::NotFound)?(arguments)
    }

    /// Why a function is not there that Envoy has.
    pub(crate) fn lacks(&self, name: &str) -> Option<&'static str> {
        let known = NOT_EMULATED.contains(&name);
        if !known || self.functions.contains_key(name) || self.removed.contains(name) {
            return None;
        }
        Some(match name {
            "verify_signature" => {
                "it is there with the feature `verify-signature` of proxy-wasm-native-host"
            }
            _ => {
                "add one with HostBuilder::foreign_function, or say with without_foreign_function \
                 that the host has none"
            }
        })
    }
}

impl fmt::Debug for ForeignFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.functions.keys()).finish()
    }
}
