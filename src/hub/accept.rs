//! Where connections come in, and how many may be on their way in at once.

use super::{HubError, peer};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that have not proved a key yet.
const UNPROVED: usize = 32;
/// Of them, those from one source.
const UNPROVED_PER_SOURCE: usize = 8;
/// Bytes the kernel may hold for one participant who does not read.
const SEND_BUFFER: u32 = 256 * 1024;

/// Whom an address counts as where strangers are counted: itself, for IPv6 its /64, which is what one subscriber gets. `None`
/// is this machine: a crew that comes through ssh shares that address, and nobody of it may shut the others out.
pub fn source(from: IpAddr) -> Option<IpAddr> {
    match from.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
        ip => Some(ip),
    }
}

/// What links name as the host where nobody said so: the address, or this machine's name where it listens on all of them.
pub fn reachable_as(address: IpAddr) -> String {
    let name = || nix::unistd::gethostname().ok()?.into_string().ok().filter(|name| !name.is_empty());
    address.is_unspecified().then(name).flatten().unwrap_or_else(|| address.to_string())
}

/// Listens; where the port is left open, on the last one again if it is free.
pub fn listen(wanted: SocketAddr, last_port: u16) -> Result<TcpListener, HubError> {
    let ports = if wanted.port() == 0 && last_port != 0 { vec![last_port, 0] } else { vec![wanted.port()] };
    let mut failed = io::Error::other("no port");
    for port in ports {
        let address = SocketAddr::new(wanted.ip(), port);
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(address)?;
            socket.listen(1024)
        };
        match bind() {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(HubError::Listen { address: wanted, source: failed })
}

/// The connections on their way in, and where they come from.
struct Arrivals {
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
    fn new() -> Arrivals {
        Arrivals { room: Arc::new(Semaphore::new(UNPROVED)), by_source: Arc::default() }
    }
    /// A place, where there is one.
    fn take(&self, from: IpAddr) -> Option<Arrival> {
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

/// Takes connections in, within the limits; one too many is turned away at once, it may come back.
pub async fn accept(listener: TcpListener, door: Arc<peer::Door>, all: Arc<Semaphore>) {
    let arrivals = Arrivals::new();
    let turned_away = Arc::new(Semaphore::new(UNPROVED));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors or the like: it passes when somebody leaves.
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let door = door.clone();
        let (Some(arrival), Ok(place)) = (arrivals.take(from.ip()), all.clone().try_acquire_owned()) else {
            // Told why where that costs little; with as many of those at once, only dropped.
            if let Ok(turned) = turned_away.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    peer::turn_away(&door, stream).await;
                    drop(turned);
                });
            }
            continue;
        };
        tokio::spawn(async move {
            peer::serve(door, stream, from.ip(), arrival).await;
            drop(place);
        });
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

    #[test]
    fn links_name_a_host_that_can_be_reached() {
        assert_eq!(reachable_as("127.0.0.1".parse().unwrap()), "127.0.0.1");
        let everywhere = reachable_as("0.0.0.0".parse().unwrap());
        assert!(everywhere != "0.0.0.0" && !everywhere.is_empty(), "{everywhere}");
    }
}
