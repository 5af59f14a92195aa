//! Recordings of datagrams, each played to one of the peers of a socket.

use super::Stage;
use crate::net::datagram::{Ear, MAX_DATAGRAM, Mouth, play_datagrams};
use crate::net::plays::Plays;
use crate::net::session::{Session, Shared};
use crate::net::{Dismissed, Event};
use crate::pick::Pick;
use crate::player::Player;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};

/// So many datagrams of one peer wait until they are looked at; more are lost, as on a network.
const WAITING: usize = 1024;

/// So many peers are known at once; what others send is lost. Addresses are easily forged.
const PEERS: usize = 1 << 14;

/// A peer of the socket.
enum Peer {
    /// Something is played to it: its datagrams go there.
    Playing(mpsc::Sender<Vec<u8>>),
    /// That was until then. It may ask again what it was answered.
    Over(Instant),
}

/// The peers of a socket.
#[derive(Default)]
struct Peers {
    all: RefCell<HashMap<SocketAddr, Peer>>,
    /// Something is over.
    over: Notify,
}

impl Peers {
    fn are_playing(&self) -> bool {
        self.all.borrow().values().any(|peer| matches!(peer, Peer::Playing(_)))
    }

    /// Where the peer's datagrams go; and if nowhere, is it known?
    fn find(&self, peer: SocketAddr) -> Result<mpsc::Sender<Vec<u8>>, bool> {
        match self.all.borrow().get(&peer) {
            Some(Peer::Playing(sender)) => Ok(sender.clone()),
            Some(Peer::Over(_)) => Err(true),
            None => Err(false),
        }
    }

    /// Is there room for another one? Those that were over for long are forgotten.
    fn have_room(&self, shared: &Shared) -> bool {
        let mut all = self.all.borrow_mut();
        if all.len() >= PEERS {
            let linger = shared.pace.linger;
            all.retain(|_, peer| match peer {
                Peer::Playing(_) => true,
                Peer::Over(since) => since.elapsed() < linger,
            });
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
        let is_known = match peers.find(peer) {
            Ok(playing) => {
                // Where it waits for too many, this one is lost.
                let _ = playing.try_send(datagram.to_vec());
                continue;
            }
            Err(is_known) => is_known,
        };
        let pick = match peers.have_room(shared) {
            true => stage.give(|pool| pool.pick_datagram(datagram, is_known)),
            false => Pick::Nothing,
        };
        match stage.script(pick) {
            Some(script) => {
                let (sender, receiver) = mpsc::channel(WAITING);
                // There is room for the first.
                let _ = sender.try_send(datagram.to_vec());
                peers.all.borrow_mut().insert(peer, Peer::Playing(sender));
                let (shared, socket, peers) = (shared.clone(), socket.clone(), peers.clone());
                plays.spawn(async move {
                    let ends = socket.local_addr().ok().map(|local| [local, peer]);
                    let session = Session::new(&shared, &script, ends);
                    play_to_peer(
                        &socket,
                        peer,
                        receiver,
                        session,
                        Player::new(script, shared.pace),
                    )
                    .await;
                    peers.all.borrow_mut().insert(peer, Peer::Over(Instant::now()));
                    peers.over.notify_one();
                });
            }
            // It says again what was answered before.
            None if is_known => {}
            None => {
                let (peer, why) = (peer.to_string(), Dismissed::NothingLeft);
                shared.tell(Event::Dismissed { peer, why });
            }
        }
    }
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
