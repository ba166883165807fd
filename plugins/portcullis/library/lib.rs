//! The native library `dist/libportcullis.so`: each plugin, and all of them as one, for Envoy's dynamic modules.
#![cfg(target_os = "linux")]

use portcullis::WithChain;
use portcullis_dynamic_module::{FilterConfig, NewConfig};
use portcullis_host::Chain;

/// Creates the configuration of a chain.
struct Create<'a>(NewConfig<'a>);

impl WithChain for Create<'_> {
    type Output = Option<Box<dyn FilterConfig>>;

    fn with<C: Chain>(self) -> Self::Output {
        self.0.create::<C>()
    }
}

fn create(name: &str, new: NewConfig<'_>) -> Option<Option<Box<dyn FilterConfig>>> {
    portcullis::with_chain(name, Create(new))
}

portcullis_dynamic_module::library!(super::create);
