//! The search service of the demo: one health page over HTTP/1.1 on loopback, which really looks at the files.

use super::Trouble;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

/// So long after its start the service says that it warms up, so that a watch is seen to turn.
const WARM_UP: Duration = Duration::from_secs(3);
/// The longest request read; a GET from a watch has some 100 bytes.
const REQUEST_BYTES_MAX: usize = 4096;
/// Whoever is slower than this is not answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// The running service. Dropping it stops it, and every answer under way.
pub struct Service {
    /// Where it answers.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts to answer for the index in that folder.
    pub async fn start(folder: &Path, trouble: Trouble) -> std::io::Result<Service> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let index = Index { folder: folder.to_owned(), trouble, warm: Instant::now() + WARM_UP };
        Ok(Service { address, task: tokio::spawn(serve(listener, index)) })
    }
}
impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the service tells about.
#[derive(Clone)]
struct Index {
    folder: PathBuf,
    trouble: Trouble,
    warm: Instant,
}

impl Index {
    fn health(&self) -> String {
        // With Kafka the trouble is the lag's; without, the service itself is what holds the release up.
        let troubled = cfg!(not(feature = "kafka")) && self.trouble.holds();
        let (status, note) = match troubled || Instant::now() < self.warm {
            true => ("yellow", "warming up"),
            false => ("green", "ready"),
        };
        let left = std::fs::read_dir(self.folder.join("exports")).map_or(0, Iterator::count);
        serde_json::json!({ "status": status, "note": note, "index": "customers_v42", "old_exports": left }).to_string()
    }
}

async fn serve(listener: TcpListener, index: Index) {
    let mut answers = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let index = index.clone();
                answers.spawn(async move {
                    // A visitor who left or is too slow gets nothing; the watch then says so.
                    let _ = timeout(PATIENCE, answer(stream, &index)).await;
                });
            }
            // Out of descriptors or the like: it passes when somebody leaves.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while answers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, index: &Index) -> std::io::Result<()> {
    let mut request = vec![];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let room = REQUEST_BYTES_MAX.saturating_sub(request.len()) as u64;
        if (&mut stream).take(room).read_buf(&mut request).await? == 0 {
            return Ok(()); // no request
        }
    }
    let (status, body) = match request.starts_with(b"GET /health ") {
        true => ("200 OK", index.health()),
        false => ("404 Not Found", "{}".to_owned()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
