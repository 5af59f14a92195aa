//! Plays over the kernel's sockets. All of them are in one thread: a play is little work and much waiting.

mod address;
mod connect;
mod datagram;
mod listen;
mod os;
mod play;
mod plays;
mod session;
mod stream;
mod tls;

pub use address::Address;
pub use tls::{Tls, TlsClient, TlsServer, Trust};

use crate::outcome::Outcome;
use crate::pick::Pool;
use crate::player::Pace;
use crate::recording::Transport;
use crate::script::Script;
use crate::store::Store;
use listen::{Door, serve};
use session::Shared;
use sink::SinkError;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;

/// Whom to play to.
#[derive(Debug)]
pub enum Role {
    /// To whoever comes to one of these addresses, the recordings there.
    Listen(Vec<(Address, Vec<Arc<Script>>)>),
    /// To whoever is at this address.
    Connect(Address, Vec<Arc<Script>>),
}

/// How to play.
pub struct Options {
    /// When things are done.
    pub pace: Pace,
    /// TLS around the bytes.
    pub tls: Tls,
    /// Where what was said is stored.
    pub store: Store,
    /// Each recording may be played again and again.
    pub repeat: bool,
    /// Clients get recordings in their order, whatever they say.
    pub in_order: bool,
    /// So many connections there are at once.
    pub at_once: usize,
}

/// A play that is over.
#[derive(Debug)]
pub struct Played {
    /// What was played.
    pub script: Arc<Script>,
    /// Our address.
    pub local: Option<String>,
    /// The peer's.
    pub peer: Option<String>,
    /// The file in which what was said is stored.
    pub file: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Something to be told of.
#[derive(Debug)]
pub enum Event {
    /// Clients may come to this address, for so many recordings.
    Listening(Address, Transport, usize),
    /// A play is over.
    Played(Box<Played>),
    /// Somebody was not played to.
    Dismissed {
        /// Who.
        peer: String,
        /// Why.
        why: Dismissed,
    },
    /// Something that is good to know.
    Note(String),
}

/// Why somebody was not played to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dismissed {
    /// There is no TLS with it.
    NoHandshake(String),
    /// It came and went without a word; or broke off so.
    Wordless(Option<String>),
    /// All recordings were given away.
    NothingLeft,
}

impl Dismissed {
    /// Is it the peer's fault?
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::NoHandshake(_))
    }
}

impl fmt::Display for Dismissed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHandshake(why) => write!(f, "TLS: {why}"),
            Self::Wordless(None) => f.write_str("came and went without a word"),
            Self::Wordless(Some(why)) => write!(f, "came and went without a word: {why}"),
            Self::NothingLeft => f.write_str("nothing is left to play"),
        }
    }
}

/// Why nothing can be played.
#[derive(Debug, Error)]
pub enum NetError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}{}", advice(.address, .reason))]
    Listen {
        /// Where.
        address: Address,
        /// Why. Not named `source`: its text is a part of this one's.
        reason: io::Error,
    },
    /// The system gives no event loop.
    #[error("cannot wait for sockets: {0}")]
    Runtime(io::Error),
    /// What was said cannot be stored.
    #[error(transparent)]
    Store(#[from] SinkError),
}

/// What to do about it.
fn advice(address: &Address, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse if matches!(address, Address::Unix(_)) => {
            "; give another one, or remove it if nobody listens there"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need root: give another one",
        io::ErrorKind::AddrInUse => "; give another one, or end whoever has it",
        io::ErrorKind::AddrNotAvailable => "; it is none of this machine's",
        _ => "",
    }
}

/// How often it is asked whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Plays until everything was played, or `stop` says so.
///
/// # Errors
/// Nothing can be played, or what was said cannot be stored.
pub fn run(
    role: Role,
    options: Options,
    tell: Box<dyn FnMut(Event)>,
    stop: impl Fn() -> bool + 'static,
) -> Result<(), NetError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NetError::Runtime)?;
    options.store.prepare()?;
    let (stopping, stopped) = watch::channel(false);
    let shared = Rc::new(Shared {
        pace: options.pace,
        tls: options.tls,
        store: RefCell::new(options.store),
        tell: RefCell::new(tell),
        stop: stopped,
        buffer: RefCell::new(vec![0; session::READ]),
        room: Arc::new(Semaphore::new(options.at_once.clamp(1, Semaphore::MAX_PERMITS))),
        repeat: options.repeat,
    });
    let in_order = options.in_order;
    let all = LocalSet::new();
    let look = async {
        while !stop() {
            tokio::time::sleep(LOOK).await;
        }
        // Whoever does not listen is done.
        let _ = stopping.send(true);
        std::future::pending::<()>().await;
    };
    let playing = async {
        match role {
            Role::Connect(address, scripts) => {
                connect::connect_all(shared.clone(), address, scripts).await;
                Ok(())
            }
            Role::Listen(doors) => listen_all(&shared, doors, in_order).await,
        }
    };
    let played = all.block_on(&runtime, async {
        tokio::select! {
            played = playing => played,
            () = look => Ok(()),
        }
    });
    // All plays are over, and with them whoever else had it.
    let store = Rc::into_inner(shared).map(|shared| shared.store.into_inner());
    let stored = store.map_or(Ok(()), Store::finish);
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    played.and(stored.map_err(NetError::from))
}

/// Opens all doors, and then serves at each of them.
async fn listen_all(
    shared: &Rc<Shared>,
    doors: Vec<(Address, Vec<Arc<Script>>)>,
    in_order: bool,
) -> Result<(), NetError> {
    let mut open = Vec::new();
    for (address, scripts) in doors {
        let (streams, datagrams): (Vec<_>, Vec<_>) = scripts
            .into_iter()
            .partition(|script| script.recording().transport() == Transport::Tcp);
        for scripts in [streams, datagrams] {
            let Some(first) = scripts.first() else { continue };
            let transport = first.recording().transport();
            let door = match transport {
                Transport::Tcp => Door::of_streams(&address).await,
                Transport::Udp => Door::of_datagrams(&address).await,
            };
            let door = door.and_then(|door| Ok((door.address()?, door)));
            let (at, door) =
                door.map_err(|reason| NetError::Listen { address: address.clone(), reason })?;
            open.push((at, transport, door, scripts));
        }
    }
    for (at, transport, _, scripts) in &open {
        shared.tell(Event::Listening(at.clone(), *transport, scripts.len()));
    }
    let mut serving = Vec::new();
    for (_, _, door, scripts) in open {
        let pool = Pool::new(scripts, shared.repeat, in_order);
        serving.push(tokio::task::spawn_local(serve(shared.clone(), door, pool)));
    }
    for served in serving {
        match served.await {
            Ok(served) => served?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    Ok(())
}
