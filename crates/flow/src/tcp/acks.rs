//! What the peer's acknowledgements prove (rule 8).

use super::position::Mark;
use super::{FAR_AHEAD, PROOF_PACKETS};
use crate::varint::{Reader, Writer};
use std::collections::VecDeque;

/// Acknowledgements of one direction's bytes, which the other direction sent.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// The first of all.
    first: Mark,
    /// The highest that can be believed.
    highest: Mark,
    /// The highest of all, how often it came, and the highest below it.
    raw: Mark,
    raw_count: u32,
    second: Mark,
    /// What is needed only while bytes are missing.
    evidence: Option<Box<Evidence>>,
}

/// The same without the evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) first: Mark,
    pub(super) highest: Mark,
    pub(super) raw: Mark,
    pub(super) second: Mark,
    pub(super) raw_count: u32,
}

/// Acknowledgements of bytes that were not delivered.
#[derive(Debug, Default)]
struct Evidence {
    /// The highest one for bytes that were not seen: it is believed when it is repeated, when one
    /// above it comes, or when the bytes come.
    pending: Mark,
    /// The same for one so far above that only a segment near it makes it credible.
    beyond: Mark,
    /// The believed ones that are younger than [`PROOF_PACKETS`], each with its packet's number in the
    /// connection; both increase. A queue, so that a second hole does not restart the count.
    young: VecDeque<(u64, u64)>,
    /// The highest of the older ones.
    mature: u64,
}

impl Evidence {
    fn ripen(&mut self, n: u64) {
        while let Some(&(ack, at)) = self.young.front() {
            if n.saturating_sub(at) < PROOF_PACKETS {
                break;
            }
            self.mature = ack;
            self.young.pop_front();
        }
    }
}

impl Acks {
    pub(super) fn first(&self) -> Option<u64> {
        self.first.get()
    }

    pub(super) fn highest(&self) -> Option<u64> {
        self.highest.get()
    }

    /// The highest of all, believed or not.
    pub(super) fn raw(&self) -> Option<u64> {
        self.raw.get()
    }

    /// The highest of all where two speak for bytes above `known`: it came twice, or another one that
    /// is near and lies above too.
    pub(super) fn confirmed_above(&self, known: u64) -> Option<u64> {
        let raw = self.raw().filter(|&raw| raw > known)?;
        let other = |&second: &u64| second > known && raw - second <= FAR_AHEAD;
        (self.raw_count > 1 || self.second.get().is_some_and(|second| other(&second)))
            .then_some(raw)
    }

    /// Is anything known that would prove a hole?
    #[inline]
    pub(super) fn has_evidence(&self) -> bool {
        self.evidence.is_some()
    }

    /// A packet acknowledges everything below `ack`, all of which was seen and delivered.
    #[inline]
    pub(super) fn note_delivered(&mut self, ack: u64) {
        let first = self.first.or_zero();
        self.first = Mark::at(if first == 0 { ack } else { first });
        self.note_raw(ack);
        self.highest = Mark::at(self.highest.or_zero().max(ack));
    }

    /// Without branches: whether an acknowledgement is a new one is as hard to foresee for a processor as for
    /// anybody else.
    #[inline]
    fn note_raw(&mut self, ack: u64) {
        let (raw, second, count) = (self.raw.or_zero(), self.second.or_zero(), self.raw_count);
        let (again, higher) = (raw == ack, raw < ack);
        let below = if again { second } else { second.max(ack) };
        let once_more = if again { count.saturating_add(1) } else { count };
        self.second = Mark::at(if higher { raw } else { below });
        self.raw_count = if higher { 1 } else { once_more };
        self.raw = Mark::at(raw.max(ack));
    }

    /// Packet `n` acknowledges everything below `ack`. `limit` is one past the highest byte seen (its
    /// FIN included); bytes below `delivered` need no proof. `witnessed` where a segment that is not
    /// believed yet lies near.
    pub(super) fn note(&mut self, ack: u64, n: u64, limit: u64, delivered: u64, witnessed: bool) {
        if self.first().is_none() {
            self.first = Mark::at(ack);
        }
        self.note_raw(ack);
        let evidence = match &mut self.evidence {
            _ if ack <= limit || witnessed => return self.believe(ack, n, delivered),
            evidence => evidence.get_or_insert_default(),
        };
        if ack - limit > FAR_AHEAD {
            // Beyond the reach of a believable segment, coming again proves nothing: a forgery does.
            evidence.beyond = Mark::at(ack);
            return;
        }
        // Whoever acknowledges more acknowledges what is below, too.
        let pending = evidence.pending.get();
        evidence.pending = Mark::at(pending.unwrap_or(ack).max(ack));
        if let Some(pending) = pending {
            self.believe(pending.min(ack), n, delivered);
        }
    }

    /// Is there an acknowledgement, believed or not, of bytes near `at`?
    pub(super) fn speak_for(&self, at: u64) -> bool {
        let waiting = self.evidence.iter().flat_map(|e| [e.pending.get(), e.beyond.get()]);
        waiting.flatten().any(|ack| ack.abs_diff(at) <= FAR_AHEAD)
    }

    /// Does any acknowledgement lie near `from..to`?
    pub(super) fn are_near(&self, from: u64, to: u64) -> bool {
        let known = [self.first(), self.highest(), self.raw(), self.second.get()];
        let reach = from.saturating_sub(FAR_AHEAD)..=to.saturating_add(FAR_AHEAD);
        known.into_iter().flatten().any(|ack| reach.contains(&ack))
    }

    /// Bytes up to `seen` were captured by packet `n`: believes the acknowledgement that waited for
    /// them.
    pub(super) fn bytes_came(&mut self, seen: u64, n: u64, delivered: u64) {
        let Some(evidence) = &mut self.evidence else { return };
        let mut believed = None;
        for waiting in [&mut evidence.pending, &mut evidence.beyond] {
            if let Some(ack) = waiting.get().filter(|&ack| ack <= seen) {
                *waiting = Mark::default();
                believed = believed.max(Some(ack));
            }
        }
        if let Some(ack) = believed {
            self.believe(ack, n, delivered);
        }
    }

    fn believe(&mut self, ack: u64, n: u64, delivered: u64) {
        if self.highest().is_some_and(|highest| ack <= highest) {
            return;
        }
        self.highest = Mark::at(ack);
        // A hole lies above what was delivered, so nothing else can ever prove one. In a capture
        // without loss the queue stays empty.
        if ack > delivered {
            let evidence = self.evidence.get_or_insert_default();
            evidence.ripen(n);
            evidence.young.push_back((ack, n));
        }
    }

    /// Has everything below `to` been acknowledged for [`PROOF_PACKETS`] packets, the newest being `n`?
    pub(super) fn prove(&mut self, to: u64, n: u64) -> bool {
        let Some(evidence) = &mut self.evidence else { return false };
        evidence.ripen(n);
        evidence.mature >= to
    }

    /// All there is beside the evidence.
    pub(super) fn known(&self) -> Known {
        let Self { first, highest, raw, second, raw_count, .. } = *self;
        Known { first, highest, raw, second, raw_count }
    }

    /// The same again.
    pub(super) fn from_known(known: Known) -> Self {
        let Known { first, highest, raw, second, raw_count } = known;
        Self { first, highest, raw, second, raw_count, evidence: None }
    }

    /// Puts down what would prove a hole, if there is anything. `next` is near the positions, `packets`
    /// above the packets' numbers.
    pub(super) fn put_evidence(&self, next: u64, packets: u64, out: &mut Writer<'_>) {
        let Some(evidence) = &self.evidence else { return };
        let Evidence { pending, beyond, young, mature } = &**evidence;
        pending.put(next, out);
        beyond.put(next, out);
        out.put_near(*mature, next);
        out.put(young.len() as u64);
        for &(ack, n) in young {
            out.put_near(ack, next);
            out.put_near(n, packets);
        }
    }

    /// Takes that again.
    pub(super) fn take_evidence(&mut self, next: u64, packets: u64, bytes: &mut Reader<'_>) {
        let (pending, beyond) = (Mark::take(next, bytes), Mark::take(next, bytes));
        let mature = bytes.take_near(next);
        let young =
            (0..bytes.take()).map(|_| (bytes.take_near(next), bytes.take_near(packets))).collect();
        self.evidence = Some(Box::new(Evidence { pending, beyond, young, mature }));
    }

    /// Everything below `delivered` was delivered: forgets what would prove a hole there, unless an
    /// acknowledgement reaches further.
    pub(super) fn tidy(&mut self, delivered: u64) {
        let waits = |e: &Evidence| e.pending.get().or(e.beyond.get()).is_some();
        if self.highest().is_none_or(|highest| highest <= delivered)
            && self.evidence.as_deref().is_some_and(|evidence| !waits(evidence))
        {
            self.evidence = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_proves_after_32_further_packets() {
        let mut acks = Acks::default();
        acks.note(150, 10, 150, 100, false);
        assert!(!acks.prove(150, 41));
        assert!(acks.prove(150, 42));
        assert!(!acks.prove(151, 1000));
    }

    #[test]
    fn a_second_hole_does_not_restart_the_count() {
        let mut acks = Acks::default();
        acks.note(150, 10, 300, 100, false);
        acks.note(250, 20, 300, 100, false);
        acks.note(300, 30, 300, 100, false);
        assert!(acks.prove(150, 42));
        assert!(!acks.prove(250, 51));
        assert!(acks.prove(250, 52));
        assert!(acks.prove(300, 62));
    }

    #[test]
    fn beyond_the_bytes_seen_it_waits_for_a_second_witness() {
        let mut acks = Acks::default();
        acks.note(500, 1, 200, 100, false);
        assert_eq!(
            (acks.highest(), acks.raw(), acks.confirmed_above(200)),
            (None, Some(500), None)
        );
        acks.note(500, 2, 200, 100, false);
        assert_eq!((acks.highest(), acks.confirmed_above(200)), (Some(500), Some(500)));
        acks.note(900, 3, 200, 100, false);
        acks.bytes_came(899, 4, 100);
        assert_eq!(acks.highest(), Some(500));
        acks.bytes_came(900, 5, 100);
        assert_eq!(acks.highest(), Some(900));
        // The count begins with the packet that made it credible.
        assert!(!acks.prove(900, 36));
        assert!(acks.prove(900, 37));
    }

    #[test]
    fn whoever_acknowledges_more_acknowledges_what_is_below() {
        let mut acks = Acks::default();
        for (n, ack) in [500, 700, 600, 900].into_iter().enumerate() {
            acks.note(ack, n as u64, 200, 100, false);
        }
        // 900 was said once.
        assert_eq!((acks.highest(), acks.confirmed_above(200)), (Some(700), Some(900)));
        assert_eq!((acks.confirmed_above(700), acks.confirmed_above(900)), (None, None));
        // A number far away speaks for nothing but itself, however often it comes.
        for n in 5..9 {
            acks.note(200 + FAR_AHEAD + 900, n, 200, 100, false);
        }
        assert_eq!(acks.highest(), Some(700));
        assert!(acks.speak_for(200 + FAR_AHEAD) && acks.are_near(0, 100));
        assert!(!acks.are_near(900 + 3 * FAR_AHEAD, 900 + 4 * FAR_AHEAD));
    }

    #[test]
    fn the_queue_is_bounded_and_empty_without_loss() {
        let mut acks = Acks::default();
        for n in 0..10_000 {
            acks.note(1000 + n, n, u64::MAX, 1000 + n, false);
        }
        assert!(acks.evidence.is_none());
        for n in 10_000..20_000 {
            acks.note(1000 + n, n, u64::MAX, 11_000, false);
        }
        assert!(acks.evidence.unwrap().young.len() <= PROOF_PACKETS as usize);
    }
}
