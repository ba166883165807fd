//! The library for tests of panics: a request with the header `x-portcullis-crash` makes its filter panic. An example,
//! because cargo builds those with the tests.

#[path = "lib.rs"]
mod library;
