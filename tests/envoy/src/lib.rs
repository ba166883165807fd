//! Envoy harness.
