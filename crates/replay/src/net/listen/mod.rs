//! Our side listens: it plays the server.

mod datagrams;
mod door;

pub(crate) use door::Door;

use super::play::play;
use super::plays::Plays;
use super::session::{Session, Shared};
use super::stream::{Plain, Stream};
use super::{Dismissed, Event, NetError};
use crate::outcome::{Ending, Outcome};
use crate::pick::{Pick, Pool};
use crate::player::Player;
use crate::script::Script;
use datagrams::serve_datagrams;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a client may be silent before it is decided by what it said which recording it gets.
const SILENCE: Duration = Duration::from_millis(200);

/// When a client cannot be accepted, the next attempt is made after this time.
const BREATH: Duration = Duration::from_millis(20);

/// The recordings of one door, and who has not got one yet.
pub(crate) struct Stage {
    pool: RefCell<Pool>,
    /// Are all given away?
    empty: watch::Sender<bool>,
}

impl Stage {
    /// One for these recordings.
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool: RefCell::new(pool), empty: watch::Sender::new(false) }
    }

    /// Gives a recording away, as `choose` says.
    fn give(&self, choose: impl FnOnce(&mut Pool) -> Pick) -> Pick {
        let mut pool = self.pool.borrow_mut();
        let pick = choose(&mut pool);
        if pool.is_empty() {
            self.empty.send_replace(true);
        }
        pick
    }

    fn script(&self, pick: Pick) -> Option<Arc<Script>> {
        match pick {
            Pick::Chosen(number) => self.pool.borrow().script(number).cloned(),
            Pick::Open | Pick::Nothing => None,
        }
    }

    /// Waits until all are given away.
    async fn emptied(&self) {
        let mut empty = self.empty.subscribe();
        // The sender is in this.
        let _ = empty.wait_for(|empty| *empty).await;
    }

    /// Until when a client may say nothing; `None` is for ever.
    fn patience(&self, shared: &Shared) -> Option<Instant> {
        let recorded = self.pool.borrow().longest_silence(shared.pace.speed);
        Instant::now().checked_add(recorded)?.checked_add(shared.pace.timeout?)
    }
}

/// Plays to whoever comes, until all recordings were played or the program is to stop.
pub(crate) async fn serve(shared: Rc<Shared>, door: Door, pool: Pool) -> Result<(), NetError> {
    let stage = Rc::new(Stage::new(pool));
    let mut plays = Plays::default();
    match &door {
        Door::Udp(socket) => serve_datagrams(&shared, socket, &stage, &mut plays).await,
        _ => serve_streams(&shared, &door, &stage, &mut plays).await,
    }
    if !matches!(door, Door::Udp(_)) {
        // Who comes now is refused.
        drop(door);
    }
    plays.finish().await;
    if !shared.repeat {
        for script in stage.pool.borrow().never_given() {
            shared.unplayed(script, Outcome::unplayed(Ending::NotPlayed));
        }
    }
    Ok(())
}

async fn serve_streams(shared: &Rc<Shared>, door: &Door, stage: &Rc<Stage>, plays: &mut Plays) {
    let told = Cell::new(false);
    loop {
        let accepted = async {
            // One that there is no room for waits in the system's queue.
            let permit = shared.room.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((permit, door.accept().await?))
        };
        let accepted = tokio::select! {
            biased;
            () = shared.stopped() => return,
            () = stage.emptied() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((permit, plain)) => {
                let (shared, stage) = (shared.clone(), stage.clone());
                plays.spawn(async move { welcome(&shared, &stage, plain, permit).await });
            }
            Err(error) => {
                // The client has gone already, or the system has no room for it.
                if !told.replace(true) {
                    shared.tell(Event::Note(format!("a client was not accepted: {error}")));
                }
                sleep(BREATH).await;
            }
        }
    }
}

/// A client has come: shakes hands, finds out what it gets, and plays that.
async fn welcome(shared: &Rc<Shared>, stage: &Stage, plain: Plain, _room: OwnedSemaphorePermit) {
    let peer = plain.ends().map_or_else(|| "a client".into(), |[_, peer]| peer.to_string());
    let dismiss = |why: Dismissed| shared.tell(Event::Dismissed { peer: peer.clone(), why });
    let shaken = tokio::select! {
        biased;
        () = shared.stopped() => return,
        () = stage.emptied(), if shared.tls.is_there() => return dismiss(Dismissed::NothingLeft),
        shaken = in_time(stage.patience(shared), shared.tls.wrap(plain)) => shaken,
    };
    let mut stream = match shaken {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return dismiss(Dismissed::NoHandshake(error.to_string())),
        None => return dismiss(Dismissed::NoHandshake("it took too long".into())),
    };
    let mut early = Vec::new();
    let found = tokio::select! {
        biased;
        () = shared.stopped() => None,
        found = in_time(stage.patience(shared), find_out(stage, &mut stream, &mut early)) => found,
    };
    let (pick, is_silent) = match found {
        Some(Ok(pick)) => (pick, false),
        // What it said is kept, and how it goes on is seen in the play.
        _ if !early.is_empty() => (stage.give(|pool| pool.pick(&early, true)), false),
        Some(Err(error)) => return dismiss(Dismissed::Wordless(Some(error.to_string()))),
        None if shared.is_stopped() => return,
        None => (stage.give(Pool::pick_any), true),
    };
    let Some(script) = stage.script(pick) else {
        return dismiss(match pick {
            Pick::Nothing => Dismissed::NothingLeft,
            _ => Dismissed::Wordless(None),
        });
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

/// What comes of it, if it does until then.
async fn in_time<T>(until: Option<Instant>, doing: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, doing).await.ok(),
        None => Some(doing.await),
    }
}

/// Reads what a client says first, until it is clear what it gets. [`Pick::Open`] where it has gone without a word.
async fn find_out(stage: &Stage, stream: &mut Stream, early: &mut Vec<u8>) -> io::Result<Pick> {
    let (mut silent, mut ended) = (false, false);
    loop {
        match stage.give(|pool| pool.pick(early, silent)) {
            Pick::Open if ended => return Ok(Pick::Open),
            Pick::Open => {}
            decided => return Ok(decided),
        }
        // Whoever has said nothing yet may be waited for, but some recordings begin with our words.
        let mut buffer = [0; 4096];
        let read = match silent && early.is_empty() {
            false => timeout_at(Instant::now() + SILENCE, stream.read(&mut buffer)).await,
            // There is nothing to decide before it speaks, or all others are gone.
            true => tokio::select! {
                biased;
                () = stage.emptied() => return Ok(Pick::Nothing),
                read = stream.read(&mut buffer) => Ok(read),
            },
        };
        match read {
            Ok(Ok(0)) => (silent, ended) = (true, true),
            Ok(Ok(len)) => {
                early.extend_from_slice(buffer.get(..len).unwrap_or_default());
                silent = false;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => silent = true,
        }
    }
}
