//! The figures of a capture for Prometheus, over HTTP.

use anyhow::{Context, anyhow};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tiny_http::{Header, Method, Request, Response, Server};

/// How long an answer waits for new figures. They come twice as fast.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the exposition format calls itself
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const CONTENT_TYPE: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";

/// Answers to whoever asks for the figures.
pub(super) struct Exporter {
    server: Arc<Server>,
    figures: Arc<Latest>,
    thread: Option<JoinHandle<()>>,
}

/// The figures as they were published last.
#[derive(Default)]
struct Latest {
    state: Mutex<State>,
    published: Condvar,
}

#[derive(Default)]
struct State {
    text: Arc<str>,
    /// How often something was published.
    count: u64,
    /// Somebody waits for what comes next.
    asked: bool,
}

impl Exporter {
    /// Listens at an address.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(super) fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let server = Server::http(address)
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("--metrics {address}: cannot listen"))?;
        Ok(Self { server: Arc::new(server), figures: Arc::default(), thread: None })
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(mut self) -> anyhow::Result<Self> {
        let (server, figures) = (self.server.clone(), self.figures.clone());
        let work = move || server.incoming_requests().for_each(|request| answer(request, &figures));
        let thread = Builder::new().name("metrics".into()).spawn(work);
        self.thread = Some(thread.context("cannot start a thread")?);
        Ok(self)
    }

    /// Does somebody wait for new figures?
    pub(super) fn is_asked(&self) -> bool {
        self.figures.state.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// These are the figures from now on.
    pub(super) fn publish(&self, text: String) {
        let mut state = self.figures.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { text: text.into(), count: state.count + 1, asked: false };
        drop(state);
        self.figures.published.notify_all();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, and may have panicked: the run is over.
            let _ = thread.join();
        }
    }
}

impl Latest {
    /// The figures, new ones if they come in time.
    fn ask(&self) -> Arc<str> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.count;
        state.asked = true;
        let waits = |state: &mut State| state.count == before;
        let waited = self.published.wait_timeout_while(state, PATIENCE, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.text.clone()
    }
}

fn answer(request: Request, figures: &Latest) {
    let path = request.url().split('?').next().unwrap_or_default();
    let answer = match (request.method(), path) {
        (Method::Get | Method::Head, "/metrics") => {
            let response = Response::from_string(&*figures.ask());
            match Header::from_bytes(b"Content-Type", CONTENT_TYPE) {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            }
        }
        (Method::Get | Method::Head, _) => {
            Response::from_string("the figures are at /metrics\n").with_status_code(404)
        }
        _ => Response::from_string("GET /metrics is all there is\n").with_status_code(405),
    };
    // Whoever asked may have gone.
    let _ = request.respond(answer);
}
