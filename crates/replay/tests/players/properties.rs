//! Two players, each one side of the same recording: whatever it is and however the network cuts and delays what
//! they say, they say what was recorded, in the recorded turns.

use flow::Side;
use proptest::collection::vec;
use proptest::prelude::*;
use replay::{
    Ending, Fill, Finish, HalfClose, Next, Pace, PeerEnd, Pick, Player, Pool, Recording, Rules,
    Script, Transport, Wait, What,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

fn recordings(transport: Transport) -> impl Strategy<Value = Recording> {
    let said = (any::<bool>(), 0..50_000_000i64, vec(any::<u8>(), 1..40));
    let ending = prop::option::of((any::<bool>(), any::<bool>(), 0usize..20));
    (vec(said, 0..20), ending).prop_map(move |(said, ending)| {
        let mut recording = Recording::new("recorded", transport);
        if ending.is_some() {
            recording = recording.with_finishes();
        }
        let (mut at, mut ended) = (0, [false; 2]);
        for (n, (one, later, bytes)) in said.iter().enumerate() {
            at += later;
            let side = Side::BOTH[usize::from(*one)];
            if let Some((one, _, when)) = ending
                && when == n
                && transport == Transport::Tcp
            {
                recording.push_finish(Side::BOTH[usize::from(one)], at, Finish::Fin);
                ended[usize::from(one)] = true;
            }
            if !ended[side.index()] {
                recording.push_data(side, at, bytes);
            }
        }
        if let Some((one, reset, _)) = ending
            && transport == Transport::Tcp
            && !ended[usize::from(one)]
        {
            let how = if reset { Finish::Rst } else { Finish::Fin };
            recording.push_finish(Side::BOTH[usize::from(one)], at, how);
        }
        recording
    })
}

/// Unbroken runs of one side, or datagrams.
fn turns(
    transport: Transport,
    said: impl Iterator<Item = (Side, Vec<u8>)>,
) -> Vec<(Side, Vec<u8>)> {
    let mut turns: Vec<(Side, Vec<u8>)> = Vec::new();
    for (side, bytes) in said {
        match turns.last_mut() {
            Some((of, turn)) if *of == side && transport == Transport::Tcp => turn.extend(bytes),
            _ => turns.push((side, bytes)),
        }
    }
    turns
}

fn recorded(recording: &Recording) -> Vec<(Side, Vec<u8>)> {
    let said = recording.events().iter().filter_map(|event| match event.what {
        What::Data { start, len, .. } => {
            Some((event.side, recording.bytes()[start..start + len].to_vec()))
        }
        What::Gap(_) | What::Finish(_) => None,
    });
    turns(recording.transport(), said)
}

/// What is on its way to a player.
enum Coming {
    Bytes(Vec<u8>),
    End(PeerEnd),
}

/// One side, and what comes to it.
struct End {
    player: Player,
    coming: VecDeque<Coming>,
    over: bool,
    closed: bool,
}

/// Plays both sides to each other. `cuts` says how much goes or comes at a time.
fn play(
    recording: &Recording,
    rules: &Rules,
    pace: Pace,
    cuts: &[usize],
) -> ([Ending; 2], Vec<(Side, Vec<u8>)>) {
    let recording = Arc::new(recording.clone());
    let rules = Arc::new(rules.clone());
    let mut ends = Side::BOTH.map(|side| {
        let script =
            Script::new(recording.clone(), side, rules.clone(), Fill::Zero, HalfClose::AfterOurs);
        let player = Player::new(Arc::new(script), pace);
        End { player, coming: VecDeque::new(), over: false, closed: false }
    });
    let is_tcp = recording.transport() == Transport::Tcp;
    let (mut said, mut now, mut cut) = (Vec::new(), Duration::ZERO, cuts.iter().copied().cycle());
    for _ in 0..200_000 {
        if ends.iter().all(|end| end.over) {
            break;
        }
        let mut wake = Duration::MAX;
        let mut idle = true;
        for n in 0..2 {
            let size = cut.next().unwrap_or(1).max(1);
            let [a, b] = &mut ends;
            let (me, other) = if n == 0 { (a, b) } else { (b, a) };
            if me.over {
                continue;
            }
            if let Some(coming) = me.coming.pop_front() {
                idle = false;
                match coming {
                    Coming::Bytes(bytes) if is_tcp && bytes.len() > size => {
                        me.player.received(&bytes[..size], now);
                        me.coming.push_front(Coming::Bytes(bytes[size..].to_vec()));
                    }
                    Coming::Bytes(bytes) => me.player.received(&bytes, now),
                    Coming::End(how) => me.player.peer_ended(how, now),
                }
            }
            match me.player.next(now) {
                Next::Send { bytes, .. } => {
                    idle = false;
                    let len = if is_tcp { bytes.len().min(size) } else { bytes.len() };
                    let bytes = bytes[..len].to_vec();
                    said.push((Side::BOTH[n], bytes.clone()));
                    me.player.sent(len, now);
                    other.coming.push_back(Coming::Bytes(bytes));
                }
                Next::Wait(until) | Next::Watch(until) => {
                    wake = wake.min(until.unwrap_or(Duration::MAX))
                }
                Next::Fin => {
                    idle = false;
                    me.closed = true;
                    other.coming.push_back(Coming::End(PeerEnd::Closed));
                }
                Next::Rst => {
                    me.player.reset(true, now);
                    other.coming.push_back(Coming::End(PeerEnd::Reset));
                }
                Next::Over => {
                    (idle, me.over) = (false, true);
                    if is_tcp && !me.closed {
                        other.coming.push_back(Coming::End(PeerEnd::Closed));
                    }
                }
            }
        }
        if idle {
            assert!(wake < Duration::MAX && wake > now, "nobody does anything at {now:?}");
            now = wake;
        }
    }
    let endings = ends.map(|end| end.player.outcome().ending);
    (endings, turns(recording.transport(), said.into_iter()))
}

fn waits() -> impl Strategy<Value = Rules> {
    prop_oneof![Just("length"), Just("bytes")].prop_map(|wait| crate::table::Table::rules(wait, ""))
}

proptest! {
    #[test]
    fn both_sides_say_what_was_recorded(
        recording in recordings(Transport::Tcp), rules in waits(),
        speed in prop_oneof![Just(None), Just(Some(1.0)), Just(Some(7.5))],
        cuts in vec(1usize..50, 1..20),
    ) {
        let pace = Pace { speed, ..Pace::default() };
        let (endings, said) = play(&recording, &rules, pace, &cuts);
        prop_assert_eq!(endings, [Ending::Done, Ending::Done]);
        prop_assert_eq!(said, recorded(&recording));
    }

    #[test]
    fn datagrams_are_said_as_recorded(
        recording in recordings(Transport::Udp), rules in waits(), cuts in vec(1usize..50, 1..20),
    ) {
        let (endings, said) = play(&recording, &rules, Pace::default(), &cuts);
        prop_assert_eq!(endings, [Ending::Done, Ending::Done]);
        prop_assert_eq!(said, recorded(&recording));
    }

    /// Where a match ends must not depend on how bytes come.
    #[test]
    fn patterns_do_not_depend_on_how_bytes_come(
        ids in vec("[0-9]{1,9}", 1..6), now in vec("[0-9]{1,9}", 6), cuts in vec(1usize..9, 1..20),
    ) {
        let line = |id: &String| format!("id={id};\n").into_bytes();
        let mut recording = Recording::new("recorded", Transport::Tcp);
        for id in &ids {
            recording.push_data(Side::Zero, 0, &line(id));
            recording.push_data(Side::One, 0, b"ok");
        }
        let rules = crate::table::Table::rules("bytes", "ignore id=[0-9]+");
        let script = Script::new(
            Arc::new(recording), Side::One, Arc::new(rules), Fill::Zero, HalfClose::AfterOurs,
        );
        let mut player = Player::new(Arc::new(script), Pace { speed: None, ..Pace::default() });
        let all: Vec<u8> = ids.iter().zip(&now).flat_map(|(_, id)| line(id)).collect();
        let mut rest = &all[..];
        let (mut cut, mut said) = (cuts.iter().copied().cycle(), 0);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(cut.next().unwrap_or(1).min(rest.len()));
            player.received(piece, Duration::ZERO);
            rest = later;
            while let Next::Send { bytes, .. } = player.next(Duration::ZERO) {
                let len = bytes.len();
                said += len;
                player.sent(len, Duration::ZERO);
            }
        }
        prop_assert_eq!(said, 2 * ids.len());
        while matches!(player.next(Duration::ZERO), Next::Fin) {}
        player.peer_ended(PeerEnd::Closed, Duration::ZERO);
        prop_assert_eq!(player.next(Duration::ZERO), Next::Over);
        prop_assert_eq!(player.outcome().ending, Ending::Done);
    }

    /// Any bytes, any times, any rules: it ends, and does not panic.
    #[test]
    fn nothing_a_peer_says_stops_the_program(
        recording in recordings(Transport::Tcp), is_udp in any::<bool>(),
        wait in prop_oneof![
            Just("length"), Just("bytes"), Just("any"), Just("none"), Just("regex:a|\\n"), Just("regex:")
        ],
        lines in prop_oneof![
            Just(""), Just("ignore [a-z]+\nmask turn:0:2\necho 0:2"), Just("ignore (?s).*\nmask 3:5"),
            Just("ignore \\d*\nignore .\necho 1:4"),
        ],
        comes in vec((vec(any::<u8>(), 0..60), 0u64..200), 0..30), end in any::<Option<bool>>(),
    ) {
        let mut recording = recording;
        if is_udp {
            let mut other = Recording::new("recorded", Transport::Udp);
            for (side, bytes) in recorded(&recording) {
                other.push_data(side, 0, &bytes);
            }
            recording = other;
        }
        let rules = Arc::new(crate::table::Table::rules(wait, lines));
        let script = Script::new(Arc::new(recording), Side::One, rules, Fill::Skip, HalfClose::AfterAll);
        let mut player = Player::new(Arc::new(script), Pace::default());
        let mut now = Duration::ZERO;
        let mut comes = comes.into_iter();
        for step in 0.. {
            prop_assert!(step < 10_000, "it does not end");
            match player.next(now) {
                Next::Send { bytes, .. } => {
                    let len = bytes.len();
                    player.sent(len, now);
                }
                Next::Over => break,
                Next::Rst => player.reset(true, now),
                Next::Fin => {}
                Next::Wait(until) | Next::Watch(until) => match comes.next() {
                    Some((bytes, later)) if player.wants_more() => {
                        now += Duration::from_millis(later);
                        player.received(&bytes, now);
                    }
                    _ => {
                        if let Some(reset) = end {
                            let how = if reset { PeerEnd::Reset } else { PeerEnd::Closed };
                            player.peer_ended(how, now);
                        }
                        if let Some(until) = until {
                            now = now.max(until);
                        }
                    }
                },
            }
        }
        let outcome = player.outcome();
        prop_assert!(outcome.ending != Ending::Stopped);
    }

    /// A client gets the recording it begins with, in whatever order clients come.
    #[test]
    fn clients_get_what_they_begin_with(
        firsts in vec(vec(0u8..4, 1..6), 1..12), order in any::<prop::sample::Index>(), cut in 1usize..6,
    ) {
        let script = |first: &Vec<u8>| {
            let mut recording = Recording::new("recorded", Transport::Tcp);
            recording.push_data(Side::Zero, 0, first);
            recording.push_data(Side::One, 0, b"ok");
            let rules = Arc::new(Rules { wait: Wait::Length, ..Rules::default() });
            Arc::new(Script::new(Arc::new(recording), Side::One, rules, Fill::Zero, HalfClose::AfterOurs))
        };
        let scripts: Vec<_> = firsts.iter().map(script).collect();
        let mut pool = Pool::new(scripts.clone(), false, false);
        let start = order.index(firsts.len());
        for n in 0..firsts.len() {
            let first = &firsts[(start + n) % firsts.len()];
            let mut sent = cut.min(first.len());
            let chosen = loop {
                let silent = sent == first.len();
                match pool.pick(&first[..sent], silent) {
                    Pick::Chosen(chosen) => break chosen,
                    Pick::Open => sent = (sent + cut).min(first.len()),
                    Pick::Nothing => prop_assert!(false, "there are as many as clients"),
                }
            };
            prop_assert_eq!(&firsts[chosen], first);
        }
        prop_assert!(pool.is_empty());
        prop_assert_eq!(pool.pick(b"", true), Pick::Nothing);
    }
}
