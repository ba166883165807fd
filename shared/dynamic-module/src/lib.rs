//! Services for plugins that run within Envoy's process, as a dynamic module.
//!
//! A WebAssembly module asks Envoy for each of them; here they are plain memory and system calls:
//!
//! | module | content |
//! |---|---|
//! | [`tables`] | the blocks of tables, which all workers share |

pub mod tables;
