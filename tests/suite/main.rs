//! Tests of the built program and of the parts it works with, in one binary: linking takes longer than most of them run.

mod demo;
mod plain;
mod refusals;
#[allow(dead_code)] // what a helper offers does not change with the tests that happen to use it
mod support;
