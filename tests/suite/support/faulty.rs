//! A web server that breaks in every way a server can, and mends again. Start at [`Faulty`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How it answers from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// This status line and this body.
    Answers(&'static str, String),
    /// It takes connections and says nothing.
    Silent,
    /// Head and no body.
    Headless,
    /// A body without an end, one byte at a time.
    Trickles,
    /// Half of what it promised.
    BreaksOff,
}

/// A web server on a port of its own. One request a connection.
pub struct Faulty {
    /// Where it listens, while it does.
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    listening: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Faulty {
    /// Starts it on a free port.
    pub fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut server = Faulty { address, mode: Arc::new(Mutex::new(mode)), listening: None };
        server.listen(listener);
        server
    }

    /// From now on it behaves like that. What hangs is let go of, without an answer.
    pub fn is(&self, mode: Mode) {
        *self.mode.lock().expect("no thread of it panicked") = mode;
    }

    /// Refuses connections.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.listening.take() {
            stop.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(self.address); // wakes it from waiting for a connection
            thread.join().expect("it ends");
        }
    }

    /// Takes connections again, on the same port.
    pub fn resume(&mut self) {
        self.listen(TcpListener::bind(self.address).expect("its port is still free"));
    }

    fn listen(&mut self, listener: TcpListener) {
        let stop = Arc::new(AtomicBool::new(false));
        let (mode, stops) = (self.mode.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let (mode, stops) = (mode.clone(), stops.clone());
                // A client that goes away in the middle is its own business.
                std::thread::spawn(move || drop(serve(&stream, &mode, &stops)));
            }
        });
        self.listening = Some((stop, thread));
    }
}

fn serve(mut stream: &TcpStream, mode: &Mutex<Mode>, stop: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break; // the end of the request's head; a GET has nothing else
        }
    }
    let now = || mode.lock().expect("no thread of it panicked").clone();
    let current = now();
    let still = || now() == current && !stop.load(Ordering::SeqCst);
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    match &current {
        Mode::Answers(status, body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
        }
        Mode::Silent => {}
        Mode::Headless => write!(stream, "{head}Content-Length: 10\r\n\r\n")?,
        Mode::Trickles => write!(stream, "{head}\r\n")?,
        Mode::BreaksOff => return write!(stream, "{head}Content-Length: 10\r\n\r\nhalf"),
    }
    while !matches!(current, Mode::Answers(..)) && still() {
        if current == Mode::Trickles {
            stream.write_all(b"x")?;
        }
        std::thread::sleep(Duration::from_millis(20)); // between two looks at whether it is still to hang
    }
    Ok(())
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.stop();
    }
}
