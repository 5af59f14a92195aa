//! Recordings of datagrams, each played to one of the peers of a socket.

use super::Stage;
use crate::net::datagram::{Ear, MAX_DATAGRAM, Mouth, play_datagrams};
use crate::net::plays::Plays;
use crate::net::session::{Session, Shared};
use crate::net::{Dismissed, Event};
use crate::player::Player;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};

/// So many datagrams of one peer wait until they are looked at; more are lost, as on a network.
const WAITING: usize = 1024;

/// So many peers are known at once; what others send is lost. Addresses are easily forged.
const PEERS: usize = 1 << 14;

/// So much of what a peer said is remembered, to tell when it says it again.
const REMEMBERED: usize = 64;

/// A peer of the socket.
struct Peer {
    /// Where its datagrams go, while something is played to it.
    playing: Option<mpsc::Sender<Vec<u8>>>,
    /// Hashes of what it said.
    said: VecDeque<u64>,
    /// When that was last.
    since: Instant,
}

/// The peers of a socket.
#[derive(Default)]
struct Peers {
    all: RefCell<HashMap<SocketAddr, Peer>>,
    /// Something is over.
    over: Notify,
    hashes: RandomState,
    /// Was it told that there are too many?
    told: Cell<bool>,
}

/// What is to become of a datagram.
enum Fate {
    /// It belongs to a play.
    Played,
    /// It says again what was answered before.
    Repeated,
    /// Something is to be played to its sender.
    New,
}

impl Peers {
    fn are_playing(&self) -> bool {
        self.all.borrow().values().any(|peer| peer.playing.is_some())
    }

    /// A datagram came.
    fn take(&self, from: SocketAddr, datagram: &[u8], linger: Duration) -> Fate {
        let hash = self.hashes.hash_one(datagram);
        let mut all = self.all.borrow_mut();
        let Some(peer) = all.get_mut(&from) else { return Fate::New };
        let repeats = peer.said.contains(&hash) && peer.since.elapsed() < linger;
        peer.since = Instant::now();
        match &peer.playing {
            Some(playing) => {
                if peer.said.len() >= REMEMBERED {
                    peer.said.pop_front();
                }
                peer.said.push_back(hash);
                // Where it waits for too many, this one is lost.
                let _ = playing.try_send(datagram.to_vec());
                Fate::Played
            }
            None if repeats => Fate::Repeated,
            None => Fate::New,
        }
    }

    /// Something is played to a peer that said this; where its datagrams go.
    fn play(&self, to: SocketAddr, datagram: &[u8]) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        // There is room for the first.
        let _ = sender.try_send(datagram.to_vec());
        let said = VecDeque::from([self.hashes.hash_one(datagram)]);
        let peer = Peer { playing: Some(sender), said, since: Instant::now() };
        self.all.borrow_mut().insert(to, peer);
        receiver
    }

    /// That is over.
    fn over(&self, peer: SocketAddr) {
        if let Some(peer) = self.all.borrow_mut().get_mut(&peer) {
            peer.playing = None;
            peer.since = Instant::now();
        }
        self.over.notify_one();
    }

    /// Is there room for another one? Those that are over for long are forgotten.
    fn have_room(&self, linger: Duration) -> bool {
        let mut all = self.all.borrow_mut();
        if all.len() >= PEERS && !self.told.get() {
            all.retain(|_, peer| peer.playing.is_some() || peer.since.elapsed() < linger);
        }
        all.len() < PEERS
    }
}

/// Plays to each peer of a socket, until all was played.
pub(super) async fn serve_datagrams(
    shared: &Rc<Shared>,
    socket: &Rc<UdpSocket>,
    stage: &Rc<Stage>,
    plays: &mut Plays,
) {
    let peers = Rc::new(Peers::default());
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        if stage.pool.borrow().is_empty() && !peers.are_playing() {
            return;
        }
        let (len, peer) = tokio::select! {
            biased;
            () = shared.stopped() => return,
            () = peers.over.notified() => continue,
            came = socket.recv_from(&mut buffer) => match came {
                Ok(came) => came,
                // Somebody who was answered is not there any more.
                Err(_) => continue,
            },
        };
        let datagram = buffer.get(..len).unwrap_or_default();
        if matches!(peers.take(peer, datagram, shared.pace.linger), Fate::New) {
            welcome(shared, socket, stage, plays, &peers, (peer, datagram));
        }
    }
}

/// Something came from a peer to whom nothing is played.
fn welcome(
    shared: &Rc<Shared>,
    socket: &Rc<UdpSocket>,
    stage: &Rc<Stage>,
    plays: &mut Plays,
    peers: &Rc<Peers>,
    (peer, datagram): (SocketAddr, &[u8]),
) {
    let permit = shared.room.clone().try_acquire_owned();
    let (Ok(permit), true) = (permit, peers.have_room(shared.pace.linger)) else {
        if !peers.told.replace(true) {
            let note =
                "there are more peers at once than there is room for: what others send is lost";
            shared.tell(Event::Note(note.into()));
        }
        return;
    };
    let pick = stage.give(|pool| pool.pick_datagram(datagram));
    let Some(script) = stage.script(pick) else {
        let (peer, why) = (peer.to_string(), Dismissed::NothingLeft);
        return shared.tell(Event::Dismissed { peer, why });
    };
    let receiver = peers.play(peer, datagram);
    let (shared, socket, peers) = (shared.clone(), socket.clone(), peers.clone());
    plays.spawn(async move {
        let _permit = permit;
        let ends = socket.local_addr().ok().map(|local| [local, peer]);
        let session = Session::new(&shared, &script, ends);
        play_to_peer(&socket, peer, receiver, session, Player::new(script, shared.pace)).await;
        peers.over(peer);
    });
}

async fn play_to_peer(
    socket: &UdpSocket,
    peer: SocketAddr,
    mut from: mpsc::Receiver<Vec<u8>>,
    mut session: Session,
    mut player: Player,
) {
    let mouth = Mouth { socket, to: Some(peer) };
    play_datagrams(mouth, Ear::Channel(&mut from), &mut player, &mut session).await;
    session.over(player.outcome());
}
