//! Which connection a segment belongs to, where several have the same ends (rules 3 and 4).

use super::stream::Stream;
use super::{FITS, LATE_SYN, Tcp};
use wire::{Segment, TcpFlags};

/// Rule 3(c): how far a segment is from a direction of which nothing is known.
const UNKNOWN: u64 = 64 << 10;

/// How a segment joins a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Join {
    /// As any segment does.
    Plain,
    /// A SYN that was seen before: it cancels closing.
    Repeat,
    /// A SYN that comes after what it opened.
    LateSyn,
    /// It belongs here, and nothing in it counts.
    Ignored,
}

/// Where a segment goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// It opens a connection.
    Opens,
    /// It belongs to the connection with this index.
    Joins(usize, Join),
}

/// Finds the connection of a segment from end `from` among those of its key, the newest first.
pub(crate) fn route(newest_first: &[&Tcp], from: usize, segment: &Segment<'_>) -> Route {
    let Some(newest) = newest_first.first() else { return Route::Opens };
    if segment.flags.has(TcpFlags::SYN) {
        return route_syn(newest_first, newest, from, segment);
    }
    let distances = newest_first.iter().map(|tcp| tcp.distance(from, segment));
    let Some((index, distance)) = distances.enumerate().min_by_key(|&(index, d)| (d, index)) else {
        return Route::Opens;
    };
    if segment.payload.len > 0 && newest_first[index].is_past(from, segment, distance) {
        return Route::Opens;
    }
    Route::Joins(index, Join::Plain)
}

fn route_syn(newest_first: &[&Tcp], newest: &Tcp, from: usize, segment: &Segment<'_>) -> Route {
    // (a) A SYN whose number is known is a repetition.
    let same = |tcp: &&Tcp| tcp.streams[from].isn().is_some_and(|isn| isn as u32 == segment.seq);
    if let Some(index) = newest_first.iter().position(same) {
        return Route::Joins(index, Join::Repeat);
    }
    let (me, peer) = (&newest.streams[from], &newest.streams[1 - from]);
    let answers = segment.flags.has(TcpFlags::ACK) && !segment.flags.has(TcpFlags::RST);
    // (d) A SYN-ACK is judged by the SYN that it answers.
    if let Some(isn) = peer.isn().filter(|_| answers) {
        let beyond = segment.ack.wrapping_sub(isn as u32).wrapping_sub(1);
        if beyond > peer.syn_len {
            return route_foreign_answer(newest_first, from, segment);
        }
        if !me.delivered && !newest.settled {
            return Route::Joins(0, Join::Plain);
        }
    }
    // (b) A SYN that belongs to what was seen without one.
    if (me.isn().is_none() || me.isn_inferred) && is_syn_of(me, segment.seq) {
        return Route::Joins(0, Join::LateSyn);
    }
    // (c) Any other opens a connection.
    Route::Opens
}

/// A SYN-ACK that answers no SYN of the newest connection: of an older one, of one whose SYN comes
/// later, or of none.
fn route_foreign_answer(newest_first: &[&Tcp], from: usize, segment: &Segment<'_>) -> Route {
    let answered = |tcp: &&Tcp| {
        tcp.streams[1 - from].isn().is_some_and(|isn| (isn as u32).wrapping_add(1) == segment.ack)
    };
    if let Some(index) = newest_first.iter().skip(1).position(answered) {
        return Route::Joins(index + 1, Join::Ignored);
    }
    let newest = newest_first[0];
    if newest.is_confirmed() && !newest.plain_syn[from] {
        return Route::Opens;
    }
    Route::Joins(0, Join::Ignored)
}

/// Rule 3(b): can a SYN with this number be the one that opened what is known of a direction?
fn is_syn_of(stream: &Stream, seq: u32) -> bool {
    let lowest = if stream.spoke {
        stream.lowest().or(stream.reference.get())
    } else {
        // Simultaneous open: only the peer's acknowledgements say something.
        match stream.acks.first() {
            Some(ack) => Some(ack),
            None => return true,
        }
    };
    let Some((lowest, syn)) = lowest.zip(stream.locate(seq)) else { return true };
    lowest.checked_sub(syn + 1).is_some_and(|distance| distance <= LATE_SYN)
}

/// Is the newest connection of a key the one of a segment, whatever is known of the others? A SYN may
/// belong to any of them.
pub(crate) fn is_of_newest(newest: &Tcp, from: usize, segment: &Segment<'_>) -> bool {
    !segment.flags.has(TcpFlags::SYN) && newest.distance(from, segment) == 0
}

impl Tcp {
    /// How far a segment from end `from` is from what was seen of this connection: the larger of the
    /// distances of its sequence and its acknowledgement number.
    fn distance(&self, from: usize, segment: &Segment<'_>) -> u64 {
        let flags = segment.flags;
        let by_seq = distance(&self.streams[from], segment.seq);
        if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
            by_seq.max(distance(&self.streams[1 - from], segment.ack))
        } else {
            by_seq
        }
    }

    /// Is a segment with data from end `from` too far beyond the end of this connection to belong to it
    /// (rule 4)? `distance` is [`Self::distance`].
    fn is_past(&self, from: usize, segment: &Segment<'_>, distance: u64) -> bool {
        let (me, peer) = (&self.streams[from], &self.streams[1 - from]);
        let fins = me.fin().filter(|_| peer.fin().is_some());
        let past_fin =
            fins.zip(me.locate(segment.seq)).is_some_and(|(fin, position)| position > fin + 1);
        past_fin || (self.is_over() && distance > FITS)
    }

    /// Must a segment without SYN be routed with care, even where this is the only connection?
    pub(crate) fn is_ending(&self) -> bool {
        self.is_over() || self.streams.iter().all(|stream| stream.fin().is_some())
    }

    /// Was the handshake completed, or is there anything that had no handshake?
    fn is_confirmed(&self) -> bool {
        self.streams.iter().any(|stream| match stream.isn() {
            Some(isn) => [stream.acks.highest(), stream.seen()].iter().any(|p| *p > Some(isn)),
            None => stream.spoke,
        })
    }
}

/// How far `seq` is outside of what was seen of a direction; 0 inside.
pub(super) fn distance(stream: &Stream, seq: u32) -> u64 {
    let known = [
        stream.seen(),
        stream.acks.highest(),
        stream.isn().map(|isn| isn + 1),
        stream.next(),
        stream.fin().map(|fin| fin + 1),
    ];
    let Some(highest) = known.into_iter().flatten().max() else { return UNKNOWN };
    let lowest = stream.isn().or(stream.lowest()).or(stream.reference.get());
    let (Some(position), Some(lowest)) = (stream.locate(seq), lowest) else {
        return UNKNOWN;
    };
    if position < lowest { lowest - position } else { position.saturating_sub(highest) }
}
