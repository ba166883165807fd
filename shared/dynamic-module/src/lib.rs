//! Services for plugins that run within Envoy's process, as a dynamic module.
//!
//! A WebAssembly module asks Envoy for each of them; here they are plain memory and system calls:
//!
//! | module | content |
//! |---|---|
//! | [`process`] | clocks, random numbers, the seed for hashing |
//! | [`shared_values`] | values that all workers share |
//! | [`signature`] | verification of signatures |
//! | [`tables`] | the blocks of tables, which all workers share |

pub mod process;
pub mod shared_values;
pub mod signature;
pub mod tables;
