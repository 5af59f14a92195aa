//! The figures of a capture for Prometheus, over HTTP.
//!
//! Whoever asks must not be able to do anything to the capture: few are served at once, none for long, and nobody
//! waits for them.

use crate::config::MOST_SERVED;
use anyhow::Context;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

/// How long an answer waits for new figures. They come twice as fast.
const NEWS: Duration = Duration::from_millis(1500);

/// How long may be taken for a request, and for each write of its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest request.
const LONGEST: usize = 8 << 10;

/// What the exposition format calls itself
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers to whoever asks for the figures.
pub(super) struct Exporter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    published: Condvar,
    /// How many are served.
    served: AtomicUsize,
}

/// The figures as they were published last.
#[derive(Default)]
struct State {
    text: Arc<str>,
    /// How often something was published.
    count: u64,
    /// Somebody waits for what comes next.
    asked: bool,
    /// Nothing comes any more.
    over: bool,
}

/// Listens at an address.
///
/// # Errors
/// The system does not allow it.
pub(super) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("--metrics {address}: cannot listen"))
}

impl Exporter {
    /// Begins to answer.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(listener: TcpListener) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let all = shared.clone();
        // It ends with the process: nothing here is worth waiting for.
        Builder::new()
            .name("metrics".into())
            .spawn(move || accept(&listener, &all))
            .context("cannot start a thread")?;
        Ok(Self(shared))
    }

    /// Does somebody wait for new figures?
    pub(super) fn is_asked(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// These are the figures from now on.
    pub(super) fn publish(&self, text: String) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { text: text.into(), count: state.count + 1, asked: false, over: false };
        drop(state);
        self.0.published.notify_all();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.0.published.notify_all();
    }
}

impl Shared {
    /// The figures, new ones if they come in time.
    fn ask(&self) -> Arc<str> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.count;
        state.asked = true;
        let waits = |state: &mut State| state.count == before && !state.over;
        let waited = self.published.wait_timeout_while(state, NEWS, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.text.clone()
    }
}

/// Serves each in a thread of its own, as long as they are not too many.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept() else {
            // There are no descriptors, or it was gone at once.
            sleep(Duration::from_millis(100));
            continue;
        };
        if shared.served.fetch_add(1, Ordering::Relaxed) >= MOST_SERVED {
            shared.served.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let all = shared.clone();
        let serve = move || {
            // Whoever asked may have gone.
            let _ = serve(client, &all);
            all.served.fetch_sub(1, Ordering::Relaxed);
        };
        if Builder::new().name("metrics".into()).spawn(serve).is_err() {
            shared.served.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers one request.
fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let request = read_request(&mut client)?;
    let (status, kind, body) = match request {
        Asked::Figures => ("200 OK", CONTENT_TYPE, shared.ask()),
        Asked::Elsewhere => ("404 Not Found", "text/plain", "the figures are at /metrics\n".into()),
        Asked::Otherwise => {
            ("405 Method Not Allowed", "text/plain", "GET is all there is\n".into())
        }
        Asked::Nothing => ("400 Bad Request", "text/plain", "this is no request\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Figures,
    Elsewhere,
    Otherwise,
    /// It is none.
    Nothing,
}

/// Reads a request to the end of its headers; a body has no meaning.
fn read_request(client: &mut TcpStream) -> io::Result<Asked> {
    let begun = Instant::now();
    let mut request = Vec::new();
    loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        if left.is_zero() || request.len() >= LONGEST {
            return Err(ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        let mut piece = [0; 1024];
        match client.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => request.extend_from_slice(&piece[..len]),
        }
        if let Some(asked) = asked(&request) {
            return Ok(asked);
        }
    }
}

/// What a request asks for, if all of it has come.
fn asked(request: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(_) => return Some(Asked::Nothing),
    }
    let path = parsed.path.unwrap_or_default().split('?').next();
    Some(match (parsed.method, path) {
        (Some("GET"), Some("/metrics")) => Asked::Figures,
        (Some("GET"), _) => Asked::Elsewhere,
        _ => Asked::Otherwise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_when_they_are_whole() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!((0..whole.len()).all(|len| asked(&whole[..len]).is_none()));
        for (request, wanted) in [
            (&whole[..], Asked::Figures),
            (b"GET /metrics HTTP/1.0\r\n\r\n", Asked::Figures),
            (b"GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            (b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n", Asked::Otherwise),
            (b"\x16\x03\x01\x02", Asked::Nothing),
        ] {
            assert_eq!(asked(request), Some(wanted), "{request:?}");
        }
    }

    #[test]
    fn idle_clients_do_not_keep_others_out_for_long() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let exporter = Exporter::start(listener).unwrap();
        exporter.publish("figure 1\n".into());
        let idle: Vec<_> =
            (0..3 * MOST_SERVED).map(|_| TcpStream::connect(address).unwrap()).collect();
        let begun = Instant::now();
        let answer = loop {
            let mut client = TcpStream::connect(address).unwrap();
            let asked = client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
            let mut answer = String::new();
            if asked.is_ok() && client.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
                break answer;
            }
            assert!(begun.elapsed() < 10 * PATIENCE, "they are waited for for ever");
            sleep(Duration::from_millis(50));
        };
        assert!(answer.ends_with("\r\n\r\nfigure 1\n"), "{answer}");
        drop(idle);
    }
}
