//! A server of PostgreSQL, asked with its own protocol.
//!
//! A query is one statement, since a prepared one cannot be more; it returns rows, or it is not run; and it runs in a
//! transaction that may only read and is rolled back, under a time limit that the server keeps. So it can neither change a row
//! nor end the transaction that keeps it from doing so. What a function does outside of transactions is up to the role's rights.

use super::{BYTES_MAX, Cell, Found, SAID, bytes, excerpt, text};
use crate::clock::human;
use crate::monitor::headers::From as Secret;
use crate::monitor::web;
use crate::plan::{self, Params};
use futures_util::TryStreamExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};

/// Of the time that is left, what the server gets: its own word that it stopped is the better one.
const SERVERS_SHARE: f64 = 0.9;

/// See the module.
pub(super) struct Postgres {
    host: String,
    port: u16,
    config: Config,
    password: Option<Secret>,
    tls: bool,
    roots: Option<PathBuf>,
    timeout: Duration,
}

impl Postgres {
    /// Fills the templates in.
    pub(super) fn new(
        server: &plan::Postgres,
        params: &Params,
        folder: &Path,
        timeout: Duration,
    ) -> Result<Self, String> {
        let of = |template: &plan::Template| template.render(params).map_err(text);
        let host = of(&server.host)?;
        let tls = server.tls && !host.starts_with('/');
        let mut config = Config::new();
        config.user(of(&server.user)?).dbname(of(&server.dbname)?).application_name("crosscheck");
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        let password = server.password.as_ref().map(|value| Secret::new(value, params, folder)).transpose()?;
        let roots = server.roots.as_ref().map(of).transpose()?.map(|file| folder.join(file));
        Ok(Postgres { host, port: server.port, config, password, tls, roots, timeout })
    }

    /// Asks once.
    pub(super) async fn ask(&self, query: &str) -> Result<Found, String> {
        let until = Instant::now() + self.timeout;
        let late = |what: &str| format!("{what} within {}", human(self.timeout));
        let mut config = self.config.clone();
        if let Some(password) = &self.password {
            let password = password.line(until).await.map_err(|why| format!("no password to ask with: {why}"))?;
            config.password(password);
        }
        let stream = self.dial(until).await?;
        let tls = match self.tls {
            true => Some((self.trusted()?, ServerName::try_from(self.host.clone()).map_err(text)?)),
            false => None,
        };
        let (client, connection) = match timeout_at(until, config.connect_raw(stream, Tls(tls))).await {
            Ok(connected) => connected.map_err(|error| format!("not let in: {}", told(&error)))?,
            Err(_) => return Err(late(&format!("{} let nobody in", self.place()))),
        };
        // The connection lives in this future: whoever drops it closes it.
        let mut connection = pin!(connection);
        let mut over = false;
        let found = {
            let mut found = pin!(timeout_at(until, asked(&client, query, until)));
            tokio::select! {
                biased;
                ended = &mut connection => {
                    over = true;
                    match ended {
                        Err(error) if !error.is_closed() => Ok(Err(told(&error))),
                        // What the server said before it hung up is the reason.
                        _ => found.await,
                    }
                }
                found = &mut found => found,
            }
        };
        let found = found.unwrap_or_else(|_| Err(late("no answer")));
        if !over && found.as_ref().is_ok_and(|found| found.rows.len() < 2) {
            // Said good-bye to, a server notes no connection that broke off.
            drop(client);
            let _ = timeout_at(until, connection).await;
        }
        found
    }

    fn place(&self) -> String {
        match self.host.starts_with('/') {
            true => excerpt(&format!("{}/.s.PGSQL.{}", self.host, self.port), 80),
            false => excerpt(&format!("{}:{}", self.host, self.port), 80),
        }
    }

    async fn dial(&self, until: Instant) -> Result<Capped, String> {
        let place = self.place();
        let late = |what: &str| format!("{what} within {}", human(self.timeout));
        let silent = || late(&format!("{place} took no connection"));
        let inner: Box<dyn Stream> = if self.host.starts_with('/') {
            let socket = Path::new(&self.host).join(format!(".s.PGSQL.{}", self.port));
            let opened = timeout_at(until, UnixStream::connect(&socket)).await.map_err(|_| silent())?;
            Box::new(opened.map_err(|error| format!("no server at {place}: {error}"))?)
        } else {
            let name = excerpt(&self.host, 80);
            let found = timeout_at(until, tokio::net::lookup_host((&*self.host, self.port))).await;
            let found = found.map_err(|_| late(&format!("nobody says where the name {name} leads")))?;
            let found: Vec<_> = found.map_err(|error| format!("the name {name} does not resolve: {error}"))?.collect();
            let opened = timeout_at(until, TcpStream::connect(&*found)).await.map_err(|_| silent())?;
            Box::new(opened.map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => format!("connection refused by {place}"),
                _ => format!("no connection to {place}: {error}"),
            })?)
        };
        Ok(Capped { inner, left: BYTES_MAX })
    }

    /// Whom it has to be: the roots of the machine say so, or those of the plan alone. Read anew each time, since they change.
    fn trusted(&self) -> Result<Arc<rustls::ClientConfig>, String> {
        let Some(path) = &self.roots else { return web::tls(None) };
        let why =
            |why: String| format!("no roots to know the server by: {}: {why}", excerpt(&path.to_string_lossy(), 80));
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| why(text(error)))? {
            roots.add(certificate.map_err(|error| why(text(error)))?).map_err(|error| why(text(error)))?;
        }
        if roots.is_empty() {
            return Err(why("no certificate is in it".to_owned()));
        }
        web::tls(Some(roots))
    }
}

/// Asks on a connection that is there.
async fn asked(client: &Client, query: &str, until: Instant) -> Result<Found, String> {
    let left = until.saturating_duration_since(Instant::now()).mul_f64(SERVERS_SHARE).as_millis().max(1);
    let begin = format!("begin transaction read only; set local statement_timeout = {left}");
    client.batch_execute(&begin).await.map_err(|error| told(&error))?;
    let prepared = client.prepare(query).await.map_err(|error| format!("not asked: {}", told(&error)))?;
    if prepared.columns().is_empty() {
        return Err("not asked: the query returns no rows".to_owned());
    }
    let kinds: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
    let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    let mut found = Found { columns, rows: vec![] };
    // As text, which every type has; the very text that was prepared, so that it is one statement too.
    let mut rows = pin!(client.simple_query_raw(query).await.map_err(|error| told(&error))?);
    while let Some(message) = rows.try_next().await.map_err(|error| told(&error))? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let cells = kinds.iter().enumerate().map(|(index, kind)| row.try_get(index).map(|text| cell(kind, text)));
        found.rows.push(cells.collect::<Result<_, _>>().map_err(|error| told(&error))?);
        if found.rows.len() == 2 {
            return Ok(found);
        }
    }
    client.batch_execute("rollback").await.map_err(|error| told(&error))?;
    Ok(found)
}

fn cell(kind: &Type, text: Option<&str>) -> Cell {
    let numbers = [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC, Type::OID];
    match text {
        None => Cell::Null,
        Some(text) if *kind == Type::BOOL => Cell::Is((text == "t").into()),
        Some(text) if numbers.contains(kind) => Cell::number(text),
        Some(_) if *kind == Type::BYTEA => Cell::Not("bytes".to_owned()),
        Some(text) => Cell::word(text),
    }
}

/// An error in words people know.
fn told(error: &Error) -> String {
    let Some(said) = error.as_db_error() else {
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        return excerpt(&inner.to_string(), SAID);
    };
    let words = format!("{} ({})", excerpt(said.message(), SAID), said.code().code());
    match *said.code() {
        SqlState::READ_ONLY_SQL_TRANSACTION => format!("it would write, and may not: {words}"),
        SqlState::QUERY_CANCELED => format!("the server stopped the query: {words}"),
        _ => format!("PostgreSQL says: {words}"),
    }
}

/// What PostgreSQL is spoken to over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A stream that gives no more than so many bytes: the library keeps a whole row before it shows any of it.
struct Capped {
    inner: Box<dyn Stream>,
    left: usize,
}

impl AsyncRead for Capped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let why = format!("the answer is longer than {}", bytes(BYTES_MAX as u64));
            return Poll::Ready(Err(io::Error::other(why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        // The last piece may go past the limit by a buffer's length.
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Capped {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// TLS as the other watches speak it; nothing where the plan goes without.
struct Tls(Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>);

impl TlsConnect<Capped> for Tls {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Capped) -> Self::Future {
        Box::pin(async move {
            let (config, name) = self.0.ok_or_else(|| io::Error::other("TLS where none was asked for"))?;
            let encrypted = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            Ok(Encrypted(Box::new(encrypted)))
        })
    }
}

struct Encrypted(Box<tokio_rustls::client::TlsStream<Capped>>);

impl TlsStream for Encrypted {
    /// The certificate was held against whom the plan names, which says more than that both ends see the same one.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, buffer)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}
