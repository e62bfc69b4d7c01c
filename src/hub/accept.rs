//! Where connections come in, and how many may be on their way in at once.

use super::arrivals::{Arrivals, UNPROVED};
use super::{HubError, peer};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

/// Bytes the kernel may hold for one participant who does not read.
const SEND_BUFFER: u32 = 256 * 1024;

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
    fn links_name_a_host_that_can_be_reached() {
        assert_eq!(reachable_as("127.0.0.1".parse().unwrap()), "127.0.0.1");
        let everywhere = reachable_as("0.0.0.0".parse().unwrap());
        assert!(everywhere != "0.0.0.0" && !everywhere.is_empty(), "{everywhere}");
    }
}
