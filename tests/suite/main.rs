//! Tests of the built program and of the parts it works with, in one binary: linking takes longer than most of them run.

mod arming;
mod backups;
mod bad_input;
mod batches;
mod compare;
mod crash;
mod demo;
mod docs;
mod doctor;
mod earlier;
mod elsewhere;
mod evidence;
mod exceptions;
mod fanout;
mod handshake;
mod hostile;
mod inherited;
mod interop;
mod joining;
mod keys;
#[cfg(feature = "kafka")]
mod lag;
mod left;
mod limits;
mod notify;
mod outage;
mod parts;
mod people;
mod plain;
mod preflight;
mod probed;
mod quorum;
mod readback;
#[cfg(feature = "kafka")]
mod real;
mod recipes;
mod reconnect;
mod refusals;
mod rehearsal;
mod rehearsed;
mod remote;
#[cfg(feature = "kafka")]
mod retention;
mod rollback;
mod samples;
mod scenarios;
mod secrets;
mod settings;
mod signers;
#[cfg(feature = "sql")]
mod sql;
mod statements;
#[allow(dead_code)] // what a helper offers does not change with the tests that happen to use it
mod support;
mod texts;
mod tidy;
mod tmux;
mod toctou;
mod tutorial;
mod typed;
mod verified;
mod waiting;
mod watch;
mod watched;
mod wire;
mod writers;
