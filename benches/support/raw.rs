//! A websocket client that costs next to nothing, so that a hundred of them do not take the processor from what is
//! measured: it proves its key as a real one does and then looks at frames without folding them.

use bytes::{Buf as _, Bytes, BytesMut};
use crosscheck::hash::Hash;
use crosscheck::identity::Key;
use crosscheck::link::Link;
use crosscheck::name::Principal;
use crosscheck::protocol::{Binary, Channel, FromClient, FromHub, PATH, SUBPROTOCOL, VERSIONS, join_statement};
use crosscheck::tls;
use crosscheck::trust::statement::Purpose;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

pub struct Raw {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Raw {
    /// Joins by the observers' link under that name, and reads until the first live line could come. A small receive
    /// buffer makes a client that stops reading felt at once.
    pub async fn join(link: &Link, name: &str, receive_buffer: Option<u32>) -> io::Result<Raw> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let address = format!("{}:{}", link.host, link.port).parse().map_err(io::Error::other)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = tls::connector(link.certificate).map_err(io::Error::other)?;
        let mut stream = connector.connect(tls::server_name(), stream).await?;
        let channel = tls::channel(stream.get_mut().1, link.certificate).map_err(io::Error::other)?;
        let mut raw = Raw { stream, buffer: BytesMut::with_capacity(16 * 1024) };
        raw.upgrade().await?;
        raw.greet(&channel, link, name).await?;
        Ok(raw)
    }

    async fn upgrade(&mut self) -> io::Result<()> {
        // The key may be any 16 bytes: its answer is not looked at.
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                return match head.starts_with(b"HTTP/1.1 101") {
                    true => Ok(()),
                    false => Err(io::Error::other(String::from_utf8_lossy(&head).into_owned())),
                };
            }
            self.fill().await?;
        }
    }

    async fn greet(&mut self, channel: &Channel, link: &Link, name: &str) -> io::Result<()> {
        let odd = |what: FromHub| io::Error::other(format!("{what:?}"));
        self.say(&FromClient::Knock { versions: VERSIONS.to_vec(), token: link.token.clone() }).await?;
        let (session, hub_nonce) = match self.hear().await? {
            FromHub::Hello { session, nonce, .. } => (session, nonce),
            other => return Err(odd(other)),
        };
        let key = Key::fresh().map_err(io::Error::other)?;
        let principal = Principal::new(&format!("observer:{name}")).map_err(io::Error::other)?;
        let nonce = Hash::of(name.as_bytes()).to_string();
        let statement = join_statement(channel, &session, &hub_nonce, &nonce, &principal, None);
        let signature = key.sign_sshsig(Purpose::Join.namespace(), statement.as_bytes());
        let public = key.public().to_string();
        self.say(&FromClient::Auth { key: public, principal, nonce, have: None, signature }).await?;
        match self.hear().await? {
            FromHub::Welcome { snapshot: false, .. } => return Ok(()),
            FromHub::Welcome { .. } => {}
            other => return Err(odd(other)),
        }
        loop {
            match self.hear().await? {
                FromHub::Snapshot { part, parts, .. } if part + 1 == parts => return Ok(()),
                FromHub::Snapshot { .. } => {}
                other => return Err(odd(other)),
            }
        }
    }

    async fn say(&mut self, message: &FromClient) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        self.frame_out(0x81, &text).await
    }

    async fn frame_out(&mut self, head: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![head];
        match u8::try_from(payload.len()) {
            Ok(n @ 0..126) => frame.push(0x80 | n),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes());
            }
        }
        frame.extend([0; 4]); // a mask of zeros leaves the payload as it is
        frame.extend(payload);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> io::Result<FromHub> {
        loop {
            let (kind, payload) = self.frame().await?;
            if kind == BINARY
                && let Binary::Message(message) = Binary::decode(&payload).map_err(io::Error::other)?
            {
                return Ok(message);
            }
        }
    }

    /// The next text or binary frame. Pings are answered.
    pub async fn frame(&mut self) -> io::Result<(u8, Bytes)> {
        loop {
            let Some((kind, payload)) = self.whole() else {
                self.fill().await?;
                continue;
            };
            match kind {
                PING => self.frame_out(0x8a, &payload).await?,
                CLOSE => return Err(io::Error::other(format!("closed: {}", String::from_utf8_lossy(&payload)))),
                kind => return Ok((kind, payload)),
            }
        }
    }

    fn whole(&mut self) -> Option<(u8, Bytes)> {
        let bytes = &self.buffer;
        let (head, length) = match *bytes.get(1)? {
            126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            n => (2, u64::from(n)),
        };
        let length = usize::try_from(length).ok()?;
        if bytes.len() < head + length {
            return None;
        }
        let kind = bytes[0] & 0x0f;
        self.buffer.advance(head);
        Some((kind, self.buffer.split_to(length).freeze()))
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(16 * 1024);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
