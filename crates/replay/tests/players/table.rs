//! A player at a table without a network: the test is the peer, and the clock.

use flow::Side;
use replay::{
    Fill, HalfClose, Next, Outcome, Pace, PeerEnd, Player, Recording, Rules, Script, Transport,
};
use std::sync::Arc;
use std::time::Duration;

/// What a player did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Did {
    Said(Vec<u8>),
    Fin,
    Rst,
}

/// A recording of these bytes, each with its side and its time in seconds.
pub(crate) fn recording(transport: Transport, said: &[(Side, i64, &[u8])]) -> Recording {
    let mut recording = Recording::new("recorded", transport);
    for (side, secs, bytes) in said {
        recording.push_data(*side, secs * 1_000_000_000, bytes);
    }
    recording
}

/// A player, and whether there is room for what it sends.
pub(crate) struct Table {
    player: Player,
    room: bool,
    said: Vec<u8>,
}

impl Table {
    pub(crate) fn of(recording: &Recording, side: Side) -> Self {
        Self::with(recording, side, Rules::default(), Pace::default())
    }

    pub(crate) fn with(recording: &Recording, side: Side, rules: Rules, pace: Pace) -> Self {
        Self::new(recording, side, rules, pace, Fill::Zero, HalfClose::AfterOurs)
    }

    pub(crate) fn filled(recording: &Recording, side: Side, rules: Rules, fill: Fill) -> Self {
        Self::new(recording, side, rules, Pace::default(), fill, HalfClose::AfterOurs)
    }

    pub(crate) fn closing(recording: &Recording, side: Side, close: HalfClose) -> Self {
        Self::new(recording, side, Rules::default(), Pace::default(), Fill::Zero, close)
    }

    fn new(
        recording: &Recording,
        side: Side,
        rules: Rules,
        pace: Pace,
        fill: Fill,
        close: HalfClose,
    ) -> Self {
        let script = Script::new(Arc::new(recording.clone()), side, Arc::new(rules), fill, close);
        Self { player: Player::new(Arc::new(script), pace), room: true, said: Vec::new() }
    }

    /// Nobody takes what it sends.
    pub(crate) fn without_room(self) -> Self {
        Self { room: false, ..self }
    }

    pub(crate) fn rules(wait: &str, lines: &str) -> Rules {
        let mut rules = Rules { wait: wait.parse().expect("it is one"), ..Rules::default() };
        rules.read(lines).expect("they are rules");
        rules
    }

    /// What it does now.
    pub(crate) fn does(&mut self, now: Duration) -> Vec<Did> {
        let mut done = Vec::new();
        for _ in 0..1000 {
            match self.player.next(now) {
                Next::Send { bytes, .. } if self.room => {
                    let bytes = bytes.to_vec();
                    self.player.sent(bytes.len(), now);
                    self.said.extend_from_slice(&bytes);
                    done.push(Did::Said(bytes));
                }
                Next::Send { until, .. } | Next::Wait(until) | Next::Watch(until) => {
                    assert!(until.is_none_or(|until| until > now), "it would wake at once");
                    return done;
                }
                Next::Fin => done.push(Did::Fin),
                Next::Rst => {
                    self.player.reset(true, now);
                    done.push(Did::Rst);
                }
                Next::Over => return done,
            }
        }
        panic!("it does not stop: {done:?}");
    }

    /// What it does when this comes.
    pub(crate) fn hears(&mut self, bytes: &[u8], now: Duration) -> Vec<Did> {
        self.player.received(bytes, now);
        self.does(now)
    }

    /// All that it said so far.
    pub(crate) fn said(&self) -> &[u8] {
        &self.said
    }

    /// The peer closes.
    pub(crate) fn closes(&mut self, now: Duration) -> Vec<Did> {
        self.ends(PeerEnd::Closed, now)
    }

    /// The peer ends.
    pub(crate) fn ends(&mut self, how: PeerEnd, now: Duration) -> Vec<Did> {
        self.player.peer_ended(how, now);
        self.does(now)
    }

    pub(crate) fn is_over(&mut self) -> bool {
        matches!(self.player.next(Duration::from_secs(0)), Next::Over)
    }

    /// How it ended.
    #[track_caller]
    pub(crate) fn ended(self) -> Outcome {
        let outcome = self.player.outcome();
        assert_ne!(outcome.ending, replay::Ending::Stopped, "it has not ended");
        outcome
    }
}
