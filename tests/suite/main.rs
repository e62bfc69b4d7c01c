//! Tests of the built program and of the parts it works with, in one binary: linking takes longer than most of them run.

mod demo;
