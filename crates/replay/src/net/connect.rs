//! Our side connects: it plays the client.

use super::address::{Address, first_that};
use super::datagram::{Ear, Mouth, play_datagrams};
use super::play::play;
use super::plays::Plays;
use super::session::{Session, Shared};
use super::stream::{Plain, Stream};
use crate::outcome::{Ending, Outcome, Place, Standstill, Waiting};
use crate::player::Player;
use crate::recording::Transport;
use crate::script::Script;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};

/// Plays all recordings to one address: each as long after the first as it was recorded, and no more than so many
/// at once.
pub(crate) async fn connect_all(shared: Rc<Shared>, address: Address, scripts: Vec<Arc<Script>>) {
    let starts = starts(&scripts, shared.pace.speed);
    let begun = Instant::now();
    let mut plays = Plays::default();
    for (script, start) in scripts.into_iter().zip(starts) {
        let (shared, address) = (shared.clone(), address.clone());
        plays.spawn(async move {
            // In the order of their starts: a semaphore is fair, and tasks begin in the order they were made.
            let due = begun.checked_add(start);
            let turn = async {
                if let Some(due) = due.filter(|_| start > Duration::ZERO) {
                    sleep_until(due).await;
                }
                shared.room.acquire().await
            };
            tokio::select! {
                biased;
                () = shared.stopped() => {
                    shared.unplayed(&script, Outcome::unplayed(Ending::NotPlayed));
                }
                _permit = turn => connect(&shared, &address, &script).await,
            }
        });
    }
    plays.finish().await;
}

/// Nobody waits for what comes later.
const FAR: Duration = Duration::from_secs(86_400 * 365);

/// How long after the first each one starts.
fn starts(scripts: &[Arc<Script>], speed: Option<f64>) -> Vec<Duration> {
    let began = |script: &Arc<Script>| script.recording().began();
    let first =
        scripts.iter().filter_map(began).min_by_key(|time| (time.secs(), time.subsec_nanos()));
    let start = |script: &Arc<Script>| {
        let (began, first, speed) = (began(script)?, first?, speed?);
        let later = u64::try_from(began.nanos_since(first)).ok()?;
        let later = Duration::from_nanos(later).as_secs_f64() / speed;
        Some(Duration::try_from_secs_f64(later).unwrap_or(FAR).min(FAR))
    };
    scripts.iter().map(|script| start(script).unwrap_or_default()).collect()
}

async fn connect(shared: &Rc<Shared>, address: &Address, script: &Arc<Script>) {
    match script.recording().transport() {
        Transport::Tcp => connect_stream(shared, address, script).await,
        Transport::Udp => connect_datagrams(shared, address, script).await,
    }
}

async fn connect_stream(shared: &Rc<Shared>, address: &Address, script: &Arc<Script>) {
    let opened = async {
        let plain = Plain::connect(address).await?;
        shared.tls.wrap(plain).await
    };
    let begun = Instant::now();
    let opened: Result<Stream, Ending> = tokio::select! {
        biased;
        () = shared.stopped() => Err(Ending::Stopped),
        opened = in_time(shared, script, address, opened) => opened,
    };
    match opened {
        Ok(stream) => {
            let mut session = Session::new(shared, script, stream.ends());
            let mut player = Player::new(script.clone(), session.pace());
            play(stream, &mut player, &mut session, &[]).await;
            session.over(player.outcome());
        }
        Err(ending) => {
            let outcome = Outcome { took: begun.elapsed(), ..Outcome::unplayed(ending) };
            shared.unplayed(script, outcome);
        }
    }
}

/// Did the peer not want the connection? Whoever breaks off as soon as it was made may do so before we hear that it was.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// Nobody is there, or not who should be.
fn unconnected(address: &Address, error: &io::Error) -> Ending {
    Ending::Failed(format!("cannot connect to {address}: {error}"))
}

/// Does it before the timeout of a turn?
async fn in_time<T>(
    shared: &Shared,
    script: &Script,
    address: &Address,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, Ending> {
    let done = match shared.pace.timeout {
        Some(most) => timeout(most, doing).await,
        None => Ok(doing.await),
    };
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if is_refused(&error) && script.is_refused() => Err(Ending::Done),
        Ok(Err(error)) => Err(unconnected(address, &error)),
        Err(_) => {
            let at = Place { side: script.side(), turn: 0, offset: 0 };
            Err(Ending::TimedOut(Standstill { at, waiting: Waiting::Connection }))
        }
    }
}

async fn connect_datagrams(shared: &Rc<Shared>, address: &Address, script: &Arc<Script>) {
    let begun = Instant::now();
    let opened = tokio::select! {
        biased;
        () = shared.stopped() => Err(Ending::Stopped),
        opened = in_time(shared, script, address, open_datagrams(address)) => opened,
    };
    match opened {
        Ok((socket, ends)) => {
            let mut session = Session::new(shared, script, Some(ends));
            let mut player = Player::new(script.clone(), session.pace());
            let mouth = Mouth { socket: &socket, to: None };
            play_datagrams(mouth, Ear::Socket(&socket), &mut player, &mut session).await;
            session.over(player.outcome());
        }
        Err(ending) => {
            let outcome = Outcome { took: begun.elapsed(), ..Outcome::unplayed(ending) };
            shared.unplayed(script, outcome);
        }
    }
}

/// A socket that talks to one address alone, and both ends.
async fn open_datagrams(address: &Address) -> io::Result<(UdpSocket, [SocketAddr; 2])> {
    first_that(address.all().await?, |address| async move {
        // Nobody from elsewhere can send anything before it is connected.
        let any: IpAddr = match address.ip() {
            IpAddr::V4(to) if to.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(to) if to.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        let local = socket.local_addr()?;
        Ok((socket, [local, address]))
    })
    .await
}
