//! Connections on their way in: strangers until they prove a key, counted together and by where they come from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that have not proved a key yet.
pub const UNPROVED: usize = 32;
/// Of them, those from one source.
const UNPROVED_PER_SOURCE: usize = 8;
/// Whom an address counts as where strangers are counted: itself, for IPv6 its /64, which is what one subscriber gets. `None`
/// is this machine: a crew that comes through ssh shares that address, and nobody of it may shut the others out.
pub fn source(from: IpAddr) -> Option<IpAddr> {
    match from.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
        ip => Some(ip),
    }
}

/// The connections on their way in, and where they come from.
pub struct Arrivals {
    room: Arc<Semaphore>,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place among them; given back when it is dropped.
pub struct Arrival {
    _room: OwnedSemaphorePermit,
    source: Option<IpAddr>,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Arrivals {
    /// Nobody yet.
    pub fn new() -> Arrivals {
        Arrivals { room: Arc::new(Semaphore::new(UNPROVED)), by_source: Arc::default() }
    }
    /// A place, where there is one.
    pub fn take(&self, from: IpAddr) -> Option<Arrival> {
        let room = self.room.clone().try_acquire_owned().ok()?;
        let source = source(from);
        if let Some(source) = source {
            let mut counts = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(source).or_insert(0);
            if *count >= UNPROVED_PER_SOURCE {
                return None;
            }
            *count += 1;
        }
        Some(Arrival { _room: room, source, by_source: self.by_source.clone() })
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut counts = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted_by_where_they_come_from_and_this_machine_is_no_stranger() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(source(ip(near)), None, "{near}");
        }
        assert_eq!(source(ip("::ffff:192.0.2.1")), Some(ip("192.0.2.1")));
        assert_eq!(source(ip("2001:db8::1:2:3:4")), source(ip("2001:db8::5:6:7:8")));
        assert_ne!(source(ip("2001:db8::1")), source(ip("2001:db8:0:1::1")));

        let arrivals = Arrivals::new();
        let (far, further) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let mut here: Vec<_> = (0..UNPROVED_PER_SOURCE).map(|_| arrivals.take(far).unwrap()).collect();
        assert!(arrivals.take(far).is_none(), "the ninth");
        let mut there: Vec<_> = (0..UNPROVED_PER_SOURCE).map(|_| arrivals.take(further).unwrap()).collect();
        here.pop();
        here.push(arrivals.take(far).unwrap());
        while let Some(one) = arrivals.take(ip("127.0.0.1")) {
            there.push(one);
        }
        assert_eq!(here.len() + there.len(), UNPROVED, "the 33rd");
        drop((here, there));
        assert!(arrivals.by_source.lock().unwrap().is_empty(), "nothing is remembered of those who are gone");
        assert_eq!(arrivals.room.available_permits(), UNPROVED);
    }
}
