//! A TCP connection: whether something listens there, and how long connecting takes.
//!
//! A refused connection is `fail`: whether the port takes connections is the very thing asked, and the machine answered
//! no. A name that does not resolve, a route that is missing or silence say nothing about the port and are `unknown`.

use super::{Findings, excerpt};
use crate::clock::human;
use crate::event::{Reading, Status};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Where to connect, and how fast it has to be.
pub(super) struct Tcp {
    pub(super) address: String,
    pub(super) within: Option<Duration>,
}

impl Tcp {
    /// Connects once and closes again.
    pub(super) async fn read(&self) -> Reading {
        let began = Instant::now();
        let connected = tokio::net::TcpStream::connect(&*self.address).await;
        let took = began.elapsed();
        let address = excerpt(&self.address, 80);
        let mut findings = Findings::default();
        match connected {
            Ok(_) => {
                if let Some(within) = self.within.filter(|within| took > *within) {
                    findings.add(Status::Fail, format!("slower than {}", human(within)));
                }
                let ms = took.as_secs_f64() * 1000.0;
                findings.reading(&format!("connected to {address} in {ms:.1} ms"), Some(ms), "ms")
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                findings.add(Status::Fail, format!("{address} refuses connections"));
                findings.reading("", None, "")
            }
            Err(error) => Reading::unknown(format!("no answer from {address}: {}", excerpt(&error.to_string(), 120))),
        }
    }
}
