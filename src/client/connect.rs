//! From a link to an open websocket: TLS to the hub that the link names, directly or through `ssh -W` over a bastion. The
//! bastion carries bytes that it cannot read.

use crate::link::Link;
use crate::protocol::{Channel, HUB_BYTES_MAX, PATH, SUBPROTOCOL};
use crate::tls::{self, Failure, TlsError};
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::http::{Request, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

/// The longest a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A websocket to a hub.
pub type Socket = WebSocketStream<TlsStream<Way>>;

/// How the bytes get there.
pub enum Way {
    /// Directly.
    Direct(TcpStream),
    /// Through a bastion; the ssh client ends with this value.
    Ssh {
        /// Its input.
        stdin: ChildStdin,
        /// Its output.
        stdout: ChildStdout,
        /// The process.
        _child: Box<Child>,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConnectError {
    #[error(
        "cannot reach the hub at {place}: {source}\nhint: is the hub running, and does this machine reach that address? Through a bastion: join --via USER@BASTION"
    )]
    Unreachable { place: String, source: io::Error },
    #[error("cannot reach the hub at {place}: no answer within {} s", CONNECT.as_secs())]
    Silent { place: String },
    #[error("ssh cannot be started for --via {via}: {source}")]
    Ssh { via: String, source: io::Error },
    #[error(
        "nothing came back through {via}: ssh could not reach {place}, or was not let in there; what it said stands above"
    )]
    Bastion { via: String, place: String },
    #[error("{place} is no crosscheck hub of this protocol: {why}")]
    NoHub { place: String, why: String },
    #[error(
        "{place} does not speak TLS, so it is no crosscheck hub (or one of an older version)\nhint: look at the address in the link; its secret was not sent there"
    )]
    NoTls { place: String },
    #[error(
        "the hub at {place} has another certificate than your link says: somebody is in between, or the link is of another session\nhint: do not go on; ask the lead for a new link, on another way than this one came"
    )]
    OtherCertificate { place: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(
        "the hub at {place} takes no more connections at the moment\nhint: try again when somebody has left, or let it be started with a larger --max-participants"
    )]
    TooMany { place: String },
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// Opens the websocket, and tells what is known of its connection.
pub async fn connect(link: &Link, via: Option<&str>) -> Result<(Socket, Channel), ConnectError> {
    let place = place(link);
    let way = match via {
        None => direct(link, &place).await?,
        Some(via) => over_ssh(via, &place)?,
    };
    // Through ssh the time to log in counts too, a touch of a security key included.
    let limit = if via.is_some() { CONNECT * 6 } else { CONNECT };
    let opening = async {
        let (stream, channel) = secure(way, link, via).await?;
        Ok((upgrade(stream, link).await?, channel))
    };
    timeout(limit, opening).await.unwrap_or(Err(ConnectError::Silent { place }))
}

fn place(link: &Link) -> String {
    let host = if link.host.contains(':') { format!("[{}]", link.host) } else { link.host.clone() };
    format!("{host}:{}", link.port)
}

/// TLS with the hub that the link names, and nobody else. `via` is for the words of a failure.
pub async fn secure(way: Way, link: &Link, via: Option<&str>) -> Result<(TlsStream<Way>, Channel), ConnectError> {
    let connecting = tls::connector(link.certificate)?.connect(tls::server_name(), way);
    let mut stream = connecting.await.map_err(|error| {
        let place = place(link);
        match (Failure::of(&error), via) {
            (Failure::OtherCertificate, _) => ConnectError::OtherCertificate { place },
            (Failure::NoTls, _) => ConnectError::NoTls { place },
            (Failure::Connection, Some(via)) => ConnectError::Bastion { via: via.to_owned(), place },
            (Failure::Connection, None) => {
                ConnectError::NoHub { place, why: format!("it broke off the TLS handshake ({error})") }
            }
            (Failure::OtherTls, _) => ConnectError::NoHub { place, why: error.to_string() },
        }
    })?;
    let channel = tls::channel(stream.get_mut().1, link.certificate)?;
    Ok((stream, channel))
}

/// The websocket inside.
pub async fn upgrade(stream: TlsStream<Way>, link: &Link) -> Result<Socket, ConnectError> {
    let place = place(link);
    let request = Request::builder()
        .uri(format!("wss://{place}{PATH}"))
        .header("host", &place)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", tokio_tungstenite::tungstenite::handshake::client::generate_key())
        .header("sec-websocket-protocol", SUBPROTOCOL)
        .body(())
        .map_err(|error| ConnectError::NoHub { place: place.clone(), why: error.to_string() })?;
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 16 * 1024;
    config.write_buffer_size = 4096;
    // One line of a transcript, and the few bytes around a snapshot's part.
    config.max_message_size = Some(HUB_BYTES_MAX * 2);
    config.max_frame_size = Some(HUB_BYTES_MAX * 2);
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
            Err(ConnectError::TooMany { place })
        }
        Err(error) => Err(ConnectError::NoHub { place, why: error.to_string() }),
    }
}

async fn direct(link: &Link, place: &str) -> Result<Way, ConnectError> {
    match timeout(CONNECT, TcpStream::connect((link.host.as_str(), link.port))).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            Ok(Way::Direct(stream))
        }
        Ok(Err(source)) => Err(ConnectError::Unreachable { place: place.to_owned(), source }),
        Err(_) => Err(ConnectError::Silent { place: place.to_owned() }),
    }
}

fn over_ssh(via: &str, place: &str) -> Result<Way, ConnectError> {
    let failed = |source| ConnectError::Ssh { via: via.to_owned(), source };
    if via.starts_with('-') {
        return Err(failed(io::Error::other("a bastion is written USER@HOST")));
    }
    let mut child = Command::new("ssh")
        .args(["-o", "ServerAliveInterval=15", "-W", place, "--", via])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok(Way::Ssh { stdin, stdout, _child: Box::new(child) }),
        _ => Err(failed(io::Error::other("its pipes are missing"))),
    }
}

impl AsyncRead for Way {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Way::Direct(stream) => Pin::new(stream).poll_read(cx, buf),
            Way::Ssh { stdout, .. } => Pin::new(stdout).poll_read(cx, buf),
        }
    }
}
impl AsyncWrite for Way {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Way::Direct(stream) => Pin::new(stream).poll_write(cx, buf),
            Way::Ssh { stdin, .. } => Pin::new(stdin).poll_write(cx, buf),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Way::Direct(stream) => Pin::new(stream).poll_flush(cx),
            Way::Ssh { stdin, .. } => Pin::new(stdin).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Way::Direct(stream) => Pin::new(stream).poll_shutdown(cx),
            Way::Ssh { stdin, .. } => Pin::new(stdin).poll_shutdown(cx),
        }
    }
}
