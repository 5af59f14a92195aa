//! A play in datagrams.

use super::session::Session;
use crate::outcome::Ending;
use crate::player::{Next, PeerEnd, Player};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// No datagram is larger.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

/// Where datagrams come from.
pub(crate) enum Ear<'a> {
    /// A socket that has one peer.
    Socket(&'a UdpSocket),
    /// Whoever reads a socket that has several.
    Channel(&'a mut mpsc::Receiver<Vec<u8>>),
}

/// Where datagrams go.
pub(crate) struct Mouth<'a> {
    pub(crate) socket: &'a UdpSocket,
    /// To whom, where the socket has several peers.
    pub(crate) to: Option<SocketAddr>,
}

impl Ear<'_> {
    /// Waits for a datagram, which takes the place of the one before.
    async fn hear(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Socket(socket) => {
                datagram.resize(MAX_DATAGRAM, 0);
                let len = socket.recv(datagram).await?;
                datagram.truncate(len);
                Ok(())
            }
            Self::Channel(channel) => match channel.recv().await {
                Some(came) => {
                    *datagram = came;
                    Ok(())
                }
                None => std::future::pending().await,
            },
        }
    }
}

impl Mouth<'_> {
    async fn say(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.to {
            Some(peer) => self.socket.send_to(bytes, peer).await,
            None => self.socket.send(bytes).await,
        }
    }
}

/// What happened.
enum Happened {
    Sent(io::Result<usize>),
    Came(io::Result<()>),
    Time,
    Stop,
}

/// Plays until it is over.
pub(crate) async fn play_datagrams(
    mouth: Mouth<'_>,
    mut ear: Ear<'_>,
    player: &mut Player,
    session: &mut Session,
) {
    let mut heard = Vec::new();
    let mut alarm = pin!(sleep_until(Instant::now()));
    loop {
        let (send, until) = match player.next(session.elapsed()) {
            Next::Send { bytes, until } => (Some(bytes), until),
            Next::Wait(until) | Next::Watch(until) => (None, until),
            Next::Fin => continue,
            Next::Rst => return player.reset(true, session.elapsed()),
            Next::Over => return,
        };
        alarm.as_mut().reset(session.at(until));
        let happened = tokio::select! {
            biased;
            () = poll_fn(|cx| session.poll_stop(cx)) => Happened::Stop,
            came = ear.hear(&mut heard) => Happened::Came(came),
            sent = mouth.say(send.unwrap_or_default()), if send.is_some() => Happened::Sent(sent),
            () = alarm.as_mut() => Happened::Time,
        };
        match happened {
            Happened::Sent(Ok(_)) => {
                let bytes = send.unwrap_or_default();
                session.said(bytes);
                let len = bytes.len();
                player.sent(len, session.elapsed());
            }
            Happened::Came(Ok(())) => {
                session.heard(&heard);
                player.received(&heard, session.elapsed());
            }
            Happened::Sent(Err(error)) | Happened::Came(Err(error)) => match error.kind() {
                // Nobody listens there.
                io::ErrorKind::ConnectionRefused => {
                    player.peer_ended(PeerEnd::Reset, session.elapsed());
                }
                _ => player.break_off(error.to_string()),
            },
            Happened::Time => {}
            Happened::Stop => player.end(Ending::Stopped),
        }
    }
}
