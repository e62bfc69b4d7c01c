//! A TCP connection: whether something listens there, and how long connecting takes.
//!
//! A refused connection is `fail`: whether the port takes connections is the very thing asked, and the machine answered
//! no. A name that does not resolve, a route that is missing or silence say nothing about the port and are `unknown`.

use super::{Findings, excerpt};
use crate::clock::human;
use crate::event::{Reading, Status};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

/// Where to connect, and how fast it has to be.
pub(super) struct Tcp {
    pub(super) address: String,
    pub(super) within: Option<Duration>,
}

impl Tcp {
    /// Connects once and closes again. The time is that of connecting alone: how long a name takes is not the port's doing.
    pub(super) async fn read(&self, limit: Duration) -> Reading {
        // A little less than the loop gives, so that it can be said how far it came.
        let began = Instant::now();
        let until = began + limit.mul_f64(0.9);
        let address = excerpt(&self.address, 80);
        let host = excerpt(self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host), 80);
        let addresses: Vec<_> = match timeout_at(until, lookup_host(&*self.address)).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
                return Reading::unknown(format!("{address} is no address: {}", excerpt(&error.to_string(), 120)));
            }
            Ok(Err(error)) => {
                let why = excerpt(&error.to_string(), 120);
                return Reading::unknown(format!("the name {host} does not resolve: {why}"));
            }
            Err(_) => {
                let late = human(until - began);
                return Reading::unknown(format!("nobody says within {late} where the name {host} leads"));
            }
        };
        if addresses.is_empty() {
            return Reading::unknown(format!("the name {host} leads nowhere"));
        }
        let began = Instant::now();
        let Ok(connected) = timeout_at(until, TcpStream::connect(&*addresses)).await else {
            return Reading::unknown(format!("{address} says neither yes nor no within {}", human(until - began)));
        };
        let took = began.elapsed();
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
