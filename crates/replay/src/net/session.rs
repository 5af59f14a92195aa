//! What all plays of a run share, and what one of them has of it.

use super::tls::Tls;
use super::{Event, Played};
use crate::outcome::Outcome;
use crate::player::Pace;
use crate::script::Script;
use crate::store::{Store, Stored};
use flow::{Endpoint, Side};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// What all plays of a run share. They are in one thread.
pub(crate) struct Shared {
    pub(crate) pace: Pace,
    pub(crate) tls: Tls,
    pub(crate) store: RefCell<Store>,
    pub(crate) tell: RefCell<Box<dyn FnMut(Event)>>,
    pub(crate) stop: watch::Receiver<bool>,
    /// How many connections there may be at once.
    pub(crate) room: Arc<Semaphore>,
    /// May recordings be played again and again?
    pub(crate) repeat: bool,
    /// Where streams are read into: only one of them at a time. One for each would take 14 MB for a thousand.
    pub(crate) buffer: RefCell<Vec<u8>>,
}

/// So many bytes are read at once.
pub(crate) const READ: usize = 64 << 10;

impl Shared {
    /// Tells whoever runs it.
    pub(crate) fn tell(&self, event: Event) {
        (self.tell.borrow_mut())(event);
    }

    /// Stores something; says so where that fails, once.
    fn keep<T>(&self, store: impl FnOnce(&mut Store) -> T) -> T {
        let mut kept = self.store.borrow_mut();
        let result = store(&mut kept);
        if let Some(failure) = kept.news() {
            drop(kept);
            self.tell(Event::Note(format!("{failure}; from here on nothing is stored")));
        }
        result
    }

    /// A recording that came to nothing.
    pub(crate) fn unplayed(&self, script: &Arc<Script>, outcome: Outcome) {
        let script = script.clone();
        let played = Played { script, local: None, peer: None, file: None, outcome };
        self.tell(Event::Played(Box::new(played)));
    }

    /// Is the program to stop?
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the program is to stop.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // Whoever could say so is gone: then nobody will.
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One play of a run.
pub(crate) struct Session {
    shared: Rc<Shared>,
    script: Arc<Script>,
    begun: Instant,
    ends: Option<[SocketAddr; 2]>,
    stored: Option<Stored>,
    stop: std::pin::Pin<Box<dyn Future<Output = ()>>>,
}

impl Session {
    /// A play between this end and the other one, where they have addresses.
    pub(crate) fn new(
        shared: &Rc<Shared>,
        script: &Arc<Script>,
        ends: Option<[SocketAddr; 2]>,
    ) -> Self {
        let (transport, sides) = (script.recording().transport(), sides(script, ends));
        let stored = shared.keep(|store| store.open(transport, sides));
        let stopping = shared.clone();
        Self {
            shared: shared.clone(),
            script: script.clone(),
            begun: Instant::now(),
            ends,
            stored,
            stop: Box::pin(async move { stopping.stopped().await }),
        }
    }

    pub(crate) fn shared(&self) -> Rc<Shared> {
        self.shared.clone()
    }

    pub(crate) fn pace(&self) -> Pace {
        self.shared.pace
    }

    /// Time since it began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The moment of the clock; far off where there is none.
    pub(crate) fn at(&self, time: Option<Duration>) -> Instant {
        let far = Duration::from_secs(86_400 * 365);
        self.begun + time.unwrap_or(far).min(far)
    }

    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stop.as_mut().poll(cx)
    }

    /// We said something.
    pub(crate) fn said(&mut self, bytes: &[u8]) {
        self.keep(self.script.side(), bytes);
    }

    /// The peer said something.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        self.keep(Side::BOTH[1 - self.script.side().index()], bytes);
    }

    fn keep(&mut self, side: Side, bytes: &[u8]) {
        if let Some(stored) = &mut self.stored {
            self.shared.keep(|store| store.data(stored, side, bytes));
        }
    }

    /// It is over.
    pub(crate) fn over(self, outcome: Outcome) {
        let shared = &self.shared;
        let file = self.stored.and_then(|stored| shared.keep(|store| store.close(stored)));
        let [local, peer] = match self.ends {
            Some(ends) => ends.map(|end| Some(end.to_string())),
            None => [None, None],
        };
        let script = self.script;
        self.shared.tell(Event::Played(Box::new(Played { script, local, peer, file, outcome })));
    }
}

/// The ends by side; those of the recording where the play has none.
fn sides(script: &Script, ends: Option<[SocketAddr; 2]>) -> [Endpoint; 2] {
    let nobody = Endpoint { addr: std::net::Ipv4Addr::UNSPECIFIED.into(), port: 0 };
    match ends {
        Some(ends) => {
            let [local, peer] =
                ends.map(|end| Endpoint { addr: end.ip().to_canonical(), port: end.port() });
            match script.side() {
                Side::Zero => [local, peer],
                Side::One => [peer, local],
            }
        }
        None => script.recording().ends().unwrap_or([nobody; 2]),
    }
}
