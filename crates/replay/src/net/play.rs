//! A play over a stream.

use super::session::Session;
use super::stream::Stream;
use crate::outcome::Ending;
use crate::player::{Next, PeerEnd, Player};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

/// How long a connection may take to say that it is closed, when nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a peer may take to get what was said before we break off, if it may take for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked whether it has it, and whether it has broken off.
const BREATH: Duration = Duration::from_millis(1);

/// And at last.
const LONG_BREATH: Duration = Duration::from_millis(50);

/// What happened to a stream.
enum Happened {
    /// So many bytes came; none are the end.
    Read(usize),
    /// So many bytes went.
    Wrote(usize),
    /// Our direction has ended.
    Closed,
    /// It broke.
    Broke(io::Error),
    /// It is time.
    Time,
    /// The program is to stop.
    Stop,
}

/// A stream on which something is played.
struct Playing {
    stream: Stream,
    /// Something was written that TLS may hold.
    unflushed: bool,
    /// Our direction is to end.
    closing: bool,
}

/// Plays until it is over. `early` is what the peer has sent already.
pub(crate) async fn play(stream: Stream, player: &mut Player, session: &mut Session, early: &[u8]) {
    let mut playing = Playing { stream, unflushed: false, closing: false };
    if !early.is_empty() {
        player.received(early, session.elapsed());
    }
    let mut alarm = pin!(sleep_until(Instant::now()));
    loop {
        let wants = player.wants_more();
        let (send, until) = match player.next(session.elapsed()) {
            Next::Send { bytes, until } => (bytes, until),
            Next::Wait(until) => (&[][..], until),
            Next::Watch(until) => {
                if playing.stream.is_broken() {
                    player.peer_ended(PeerEnd::Reset, session.elapsed());
                    continue;
                }
                let soon = session.elapsed() + BREATH;
                (&[][..], Some(until.map_or(soon, |until| until.min(soon))))
            }
            Next::Fin => {
                playing.closing = true;
                continue;
            }
            Next::Rst => {
                let all_gone = playing.reset(session).await;
                return player.reset(all_gone, session.elapsed());
            }
            Next::Over => break,
        };
        alarm.as_mut().reset(session.at(until));
        let happened = poll_fn(|cx| playing.poll(cx, wants, send, alarm.as_mut(), session)).await;
        match happened {
            Happened::Read(0) => player.peer_ended(PeerEnd::Closed, session.elapsed()),
            Happened::Read(len) => {
                // Nobody else has read anything since: this task has not waited.
                let shared = session.shared();
                let buffer = shared.buffer.borrow();
                let bytes = buffer.get(..len).unwrap_or_default();
                session.heard(bytes);
                player.received(bytes, session.elapsed());
            }
            Happened::Wrote(len) => {
                session.said(send.get(..len).unwrap_or_default());
                player.sent(len, session.elapsed());
            }
            Happened::Closed | Happened::Time => {}
            Happened::Broke(error) => broke(player, &error, session.elapsed()),
            Happened::Stop => player.end(Ending::Stopped),
        }
    }
    if playing.unflushed || playing.closing || !player.has_finished() {
        // TLS wants to hear of it; if it does not go, the stream is closed all the same.
        let _ = timeout(GOODBYE, playing.stream.shutdown()).await;
    }
}

/// The stream broke.
fn broke(player: &mut Player, error: &io::Error, now: Duration) {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::WriteZero => player.peer_ended(PeerEnd::Reset, now),
        // TLS that ends without saying so.
        io::ErrorKind::UnexpectedEof => player.peer_ended(PeerEnd::Closed, now),
        _ => player.break_off(error.to_string()),
    }
}

impl Playing {
    /// Breaks off, when the peer has what was said before, which a RST would overtake. Has it?
    async fn reset(mut self, session: &mut Session) -> bool {
        let gone = async {
            // Where it does not go, it breaks off all the same.
            let _ = self.stream.flush().await;
            let mut breath = BREATH;
            while self.stream.unsent() > 0 {
                sleep(breath).await;
                breath = (breath * 2).min(LONG_BREATH);
            }
        };
        let most = session.pace().timeout.unwrap_or(PATIENCE);
        let all_gone = tokio::select! {
            biased;
            () = poll_fn(|cx| session.poll_stop(cx)) => false,
            gone = timeout(most, gone) => gone.is_ok(),
        };
        self.stream.abort();
        all_gone
    }

    /// Waits for whatever happens first.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wants: bool,
        send: &[u8],
        alarm: Pin<&mut Sleep>,
        session: &mut Session,
    ) -> Poll<Happened> {
        if session.poll_stop(cx).is_ready() {
            return Poll::Ready(Happened::Stop);
        }
        if wants && let Poll::Ready(happened) = self.poll_read(cx, session) {
            return Poll::Ready(happened);
        }
        if !send.is_empty()
            && let Poll::Ready(happened) = self.poll_write(cx, send)
        {
            return Poll::Ready(happened);
        }
        if let Poll::Ready(happened) = self.poll_rest(cx) {
            return Poll::Ready(happened);
        }
        alarm.poll(cx).map(|()| Happened::Time)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, session: &Session) -> Poll<Happened> {
        let shared = session.shared();
        let mut place = shared.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut place);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        Poll::Ready(match read {
            Ok(()) => Happened::Read(buffer.filled().len()),
            Err(error) => Happened::Broke(error),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Happened> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.unflushed = true;
        Poll::Ready(match written {
            Ok(0) => Happened::Broke(io::ErrorKind::WriteZero.into()),
            Ok(len) => Happened::Wrote(len),
            Err(error) => Happened::Broke(error),
        })
    }

    /// What was written is on its way, and then our direction ends, if it is to.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if self.unflushed {
            match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(error) => return Poll::Ready(Happened::Broke(error)),
            }
        }
        if !self.closing {
            return Poll::Pending;
        }
        let closed = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        self.closing = false;
        Poll::Ready(match closed {
            // A peer that has gone needs to hear nothing.
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Happened::Broke(error),
            _ => Happened::Closed,
        })
    }
}
