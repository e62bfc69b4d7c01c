//! A place that is told: a web server that keeps what is posted to it, and answers in the ways hooks do. Start at [`Hook`].

use super::wait::{PATIENCE, poll};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How it answers from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// With this status line, these header lines and this body.
    Says(&'static str, String, String),
    /// It reads the request and never answers.
    Hangs,
    /// It says yes, and its body never ends.
    Trickles,
}
impl Answer {
    /// With this status line alone.
    pub fn status(line: &'static str) -> Answer {
        Answer::Says(line, String::new(), String::new())
    }
}

/// What was posted.
#[derive(Clone, Debug)]
pub struct Post {
    /// When.
    pub at: Instant,
    /// The first line of the request.
    pub request: String,
    /// The header lines.
    pub head: Vec<String>,
    /// The body.
    pub body: Value,
}

/// A server on a port of its own. One request a connection.
pub struct Hook {
    /// Where it listens.
    pub address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    posts: Arc<Mutex<Vec<Post>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hook {
    /// Starts it on a free port.
    pub fn start(answer: Answer) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (answer, posts) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(vec![])));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = (answer.clone(), posts.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.2.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, posts, stop) = shared.clone();
                std::thread::spawn(move || drop(serve(&stream, &answer, &posts, &stop)));
            }
        });
        Hook { address, answer, posts, stop, thread: Some(thread) }
    }

    /// From now on it answers like that.
    pub fn is(&self, answer: Answer) {
        *self.answer.lock().expect("no thread of it panicked") = answer;
    }

    /// Everything posted so far.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().expect("no thread of it panicked").clone()
    }

    /// What was posted about that occasion.
    pub fn about(&self, occasion: &str) -> Vec<Value> {
        let posts = self.posts().into_iter().map(|post| post.body);
        posts.filter(|body| body["crosscheck"]["occasion"] == occasion).collect()
    }

    /// Waits until something was posted about that occasion.
    #[track_caller]
    pub fn told(&self, occasion: &str) -> Value {
        let found = poll(PATIENCE, || self.about(occasion).into_iter().next());
        found.unwrap_or_else(|| panic!("nothing about {occasion:?} among {:?}", self.posts()))
    }
}

fn serve(
    mut stream: &TcpStream,
    answer: &Mutex<Answer>,
    posts: &Mutex<Vec<Post>>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let (mut request, mut head) = (String::new(), vec![]);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let request = request.trim().to_owned();
    posts.lock().expect("no thread of it panicked").push(Post { at: Instant::now(), request, head, body });
    let answer = answer.lock().expect("no thread of it panicked").clone();
    match answer {
        Answer::Says(status, head, body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        }
        hangs => {
            if hangs == Answer::Trickles {
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            }
            while !stop.load(Ordering::SeqCst) {
                if hangs == Answer::Trickles {
                    stream.write_all(b"x")?;
                }
                std::thread::sleep(Duration::from_millis(20)); // between two looks at whether it is still to hang
            }
            Ok(())
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes it from waiting for a connection
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
