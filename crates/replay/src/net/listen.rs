//! Our side listens: it plays the server.

use super::address::Address;
use super::datagram::{Ear, MAX_DATAGRAM, Mouth, play_datagrams};
use super::play::play;
use super::session::{Session, Shared};
use super::stream::{Plain, Stream};
use super::{Event, NetError};
use crate::outcome::{Ending, Outcome};
use crate::pick::{Pick, Pool};
use crate::player::Player;
use crate::script::Script;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a client may be silent before it is decided by what it said which recording it gets.
const SILENCE: Duration = Duration::from_millis(200);

/// So many clients may wait until they are accepted.
const BACKLOG: u32 = 4096;

/// So many datagrams of one peer wait until they are looked at; more are lost, as on a network.
const WAITING: usize = 1024;

/// So many peers are played datagrams at once; what others send is lost. Addresses are easily forged.
const PEERS: usize = 1 << 14;

/// When the process has no descriptor left for another client, it waits for so long.
const BREATH: Duration = Duration::from_millis(20);

/// A socket at which recordings are played.
pub(crate) enum Door {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, std::path::PathBuf),
    Udp(Rc<UdpSocket>),
}

impl Door {
    /// Opens one for streams.
    pub(crate) fn of_streams(at: &Address) -> io::Result<Self> {
        match at {
            Address::Ip(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Self::Tcp(socket.listen(BACKLOG)?))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Self::Unix(UnixListener::bind(path)?, path.clone())),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Opens one for datagrams.
    pub(crate) async fn of_datagrams(at: &Address) -> io::Result<Self> {
        match at {
            Address::Ip(address) => Ok(Self::Udp(Rc::new(UdpSocket::bind(address).await?))),
            Address::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a unix socket is played streams, not datagrams",
            )),
        }
    }

    /// Where it is: a port that was 0 is another one.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Ip),
            #[cfg(unix)]
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
            Self::Udp(socket) => socket.local_addr().map(Address::Ip),
        }
    }

    async fn accept(&self) -> io::Result<Plain> {
        match self {
            Self::Tcp(listener) => Plain::tcp(listener.accept().await?.0),
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Plain::Unix(listener.accept().await?.0)),
            Self::Udp(_) => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
impl Drop for Door {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Nobody can connect there any more.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The recordings of one door, and the clients that have not got one yet.
struct Stage {
    pool: RefCell<Pool>,
    /// All are given away.
    empty: Notify,
}

impl Stage {
    fn pick(&self, bytes: &[u8], silent: bool) -> Pick {
        let mut pool = self.pool.borrow_mut();
        let pick = pool.pick(bytes, silent);
        if pool.is_empty() {
            self.empty.notify_one();
        }
        pick
    }

    fn pick_any(&self) -> Pick {
        let mut pool = self.pool.borrow_mut();
        let pick = pool.pick_any();
        if pool.is_empty() {
            self.empty.notify_one();
        }
        pick
    }

    fn script(&self, number: usize) -> Option<Arc<Script>> {
        self.pool.borrow().script(number).cloned()
    }
}

/// Plays to whoever comes, until all recordings were played or the program is to stop.
pub(crate) async fn serve(shared: Rc<Shared>, door: Door, pool: Pool) -> Result<(), NetError> {
    let stage = Rc::new(Stage { pool: RefCell::new(pool), empty: Notify::new() });
    let plays = LocalSet::new();
    let served = match &door {
        Door::Udp(socket) => {
            let doing = serve_datagrams(&shared, socket.clone(), &stage);
            plays.run_until(doing).await
        }
        _ => plays.run_until(serve_streams(&shared, &door, &stage)).await,
    };
    if !matches!(door, Door::Udp(_)) {
        // Who comes now is refused.
        drop(door);
    }
    plays.await;
    for script in stage.pool.borrow().never_given() {
        let outcome = Outcome {
            ending: Ending::NotPlayed,
            turns: 0,
            sent: 0,
            received: 0,
            differs: None,
            took: Duration::ZERO,
        };
        Session::new(&shared, script, None).over(outcome);
    }
    served
}

async fn serve_streams(
    shared: &Rc<Shared>,
    door: &Door,
    stage: &Rc<Stage>,
) -> Result<(), NetError> {
    let short = Cell::new(false);
    loop {
        let plain = tokio::select! {
            biased;
            () = shared.stopped() => return Ok(()),
            () = stage.empty.notified() => return Ok(()),
            plain = door.accept() => plain,
        };
        match plain {
            Ok(plain) => {
                let (shared, stage) = (shared.clone(), stage.clone());
                tokio::task::spawn_local(async move { welcome(&shared, &stage, plain).await });
            }
            Err(error) => {
                // The client has gone already, or there is no descriptor for it.
                if !short.replace(true) {
                    shared.tell(Event::Note(format!("a client was not accepted: {error}")));
                }
                sleep(BREATH).await;
            }
        }
    }
}

/// A client has come: shakes hands, finds out what it gets, and plays that.
async fn welcome(shared: &Rc<Shared>, stage: &Rc<Stage>, plain: Plain) {
    let peer = plain.ends().map_or_else(|| "a client".into(), |[_, peer]| peer.to_string());
    let most = shared.pace.timeout.unwrap_or(Duration::from_secs(3600));
    let wrapped = tokio::select! {
        biased;
        () = shared.stopped() => return,
        wrapped = timeout_at(Instant::now() + most, shared.tls.wrap(plain)) => wrapped,
    };
    let mut stream = match wrapped {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return shared.tell(Event::Note(format!("{peer}: TLS: {error}"))),
        Err(_) => return shared.tell(Event::Note(format!("{peer}: TLS: no handshake in time"))),
    };
    let mut early = Vec::new();
    let chosen = tokio::select! {
        biased;
        () = shared.stopped() => return,
        chosen = timeout_at(Instant::now() + most, find_out(stage, &mut stream, &mut early)) => chosen,
    };
    let is_silent = chosen.is_err();
    let script = match chosen.unwrap_or_else(|_| Ok(stage.pick_any())) {
        Ok(Pick::Chosen(number)) => stage.script(number),
        Ok(Pick::Open) => {
            return shared.tell(Event::Note(format!("{peer}: came and went without a word")));
        }
        Ok(Pick::Nothing) => None,
        Err(error) => return shared.tell(Event::Note(format!("{peer}: {error}"))),
    };
    let Some(script) = script else {
        return shared.tell(Event::Note(format!("{peer}: nothing is left to play")));
    };
    let mut session = Session::new(shared, &script, stream.ends());
    session.heard(&early);
    let mut player = Player::new(script, session.pace());
    if is_silent {
        player.time_out();
    }
    play(stream, &mut player, &mut session, &early).await;
    session.over(player.outcome());
}

/// Reads what a client says first, until it is clear what it gets. [`Pick::Open`] where it has gone.
async fn find_out(stage: &Stage, stream: &mut Stream, early: &mut Vec<u8>) -> io::Result<Pick> {
    let mut silent = false;
    loop {
        match stage.pick(early, silent) {
            Pick::Open => {}
            decided => return Ok(decided),
        }
        // Whoever has said nothing yet may be waited for, but some recordings begin with our words.
        let mut buffer = [0; 4096];
        match timeout_at(Instant::now() + SILENCE, stream.read(&mut buffer)).await {
            Ok(Ok(0)) if early.is_empty() => return Ok(Pick::Open),
            Ok(Ok(0)) => silent = true,
            Ok(Ok(len)) => {
                early.extend_from_slice(buffer.get(..len).unwrap_or_default());
                silent = false;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => silent = true,
        }
    }
}

/// Plays to each peer of a socket.
async fn serve_datagrams(
    shared: &Rc<Shared>,
    socket: Rc<UdpSocket>,
    stage: &Rc<Stage>,
) -> Result<(), NetError> {
    let peers: Rc<RefCell<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>> = Rc::default();
    let idle = Rc::new(Notify::new());
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        if stage.pool.borrow().is_empty() && peers.borrow().is_empty() {
            return Ok(());
        }
        let (len, peer) = tokio::select! {
            biased;
            () = shared.stopped() => return Ok(()),
            () = idle.notified() => continue,
            came = poll_fn(|cx| {
                let mut read = tokio::io::ReadBuf::new(&mut buffer);
                socket.poll_recv_from(cx, &mut read).map(|from| from.map(|from| (read.filled().len(), from)))
            }) => match came {
                Ok(came) => came,
                // A peer that is not there any more; it hears of nothing.
                Err(_) => continue,
            },
        };
        let datagram = buffer.get(..len).unwrap_or_default();
        let known = peers.borrow().get(&peer).cloned();
        if let Some(known) = known {
            // Where it waits for too many, this one is lost.
            let _ = known.try_send(datagram.to_vec());
            continue;
        }
        if peers.borrow().len() >= PEERS {
            continue;
        }
        let script = match stage.pick(datagram, true) {
            Pick::Chosen(number) => stage.script(number),
            Pick::Open | Pick::Nothing => None,
        };
        let Some(script) = script else {
            shared.tell(Event::Note(format!("{peer}: nothing is left to play")));
            continue;
        };
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let _ = sender.try_send(datagram.to_vec());
        peers.borrow_mut().insert(peer, sender);
        let (shared, socket) = (shared.clone(), socket.clone());
        let (peers, idle) = (peers.clone(), idle.clone());
        tokio::task::spawn_local(async move {
            let ends = socket.local_addr().ok().map(|local| [local, peer]);
            let mut session = Session::new(&shared, &script, ends);
            let mut player = Player::new(script, session.pace());
            let mouth = Mouth { socket: &socket, to: Some(peer) };
            play_datagrams(mouth, Ear::Channel(&mut receiver), &mut player, &mut session).await;
            session.over(player.outcome());
            peers.borrow_mut().remove(&peer);
            idle.notify_one();
        });
    }
}
