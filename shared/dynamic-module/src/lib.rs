//! The back end for Envoy's dynamic modules: plugins that run within Envoy's process.
//!
//! [`library!`] turns chains of plugins into a library that Envoy loads.
//!
//! # A request's way, from Envoy to the policy and back
//!
//! 1. **Load.** Envoy loads the library once, in its main thread ([`hooks`]), and for each filter configuration creates
//!    a [`FilterConfig`]: it reads the JSON and creates a chain of plugins for the main thread and for each worker, as
//!    a WebAssembly module has a VM for each. So plugins need no locks of their own.
//! 2. **Request headers.** Envoy creates a filter for each stream, which finds the chain of its worker. It passes the
//!    call on to an [`HttpStream`](portcullis_host::HttpStream), which calls the plugins.
//! 3. **State** that workers share is in the memory of the process (`tables.rs`, `shared_values.rs`), behind fine locks.
//! 4. **Response, trailers and the end** pass the same way.
//!
//! # Ticks and calls
//!
//! The ABI has neither timers nor calls in workers that outlive a stream. So the main thread ticks and makes all calls,
//! and a worker ticks when a request comes or, while requests wait, through one of their streams (`ticker.rs`,
//! `waiting.rs`). What the main thread has fetched is in a shared value, where workers find it. A call of a stream is
//! handed over to the main thread (`calls.rs`), which handles the response and wakes the request.
//!
//! # A panic ends no process
//!
//! Each entry point catches panics: one that left the library would end Envoy. The plugins then decide as after any other
//! error, and the log has the panic. Nothing of a stream is borrowed while Envoy may call back.
//!
//! # Unsafe code
//!
//! It is in `abi/`, in the files that call it (`filter_host.rs`, `services.rs`, `ticker.rs`, `waiting.rs`, `logger.rs`), and at the
//! border ([`hooks`], `filter_config.rs`, `current.rs`). Each use says why it is sound.
//!
//! | file | content |
//! |---|---|
//! | `export.rs`, `hooks.rs`, `filter_config.rs`, `worker.rs`, `route_config.rs`, `rehearsal.rs`, `filter.rs`, `current.rs` | from Envoy's callbacks to the plugins |
//! | `backend.rs`, `filter_host.rs`, `services.rs`, `calls.rs`, `metrics.rs`, `ticker.rs`, `waiting.rs`, `logger.rs` | from the plugins to Envoy |
//! | `process.rs`, `shared_values.rs`, `signature.rs`, `tables.rs` | what a WebAssembly module asks Envoy for, as plain memory and system calls |
//! | `lock.rs` | locks that outlive a panic |
//! | `panics.rs` | panics that tests ask for |
//! | `abi/` | the ABI |

mod abi;
mod backend;
mod calls;
mod current;
mod export;
mod filter;
mod filter_config;
mod filter_host;
pub mod hooks;
mod lock;
mod logger;
mod metrics;
mod panics;
pub mod process;
mod rehearsal;
mod route_config;
mod services;
pub mod shared_values;
pub mod signature;
pub mod tables;
mod ticker;
mod waiting;
mod worker;

pub use filter_config::{FilterConfig, NewConfig};
pub use route_config::{AcceptedRouteConfig, NewRouteConfig};
