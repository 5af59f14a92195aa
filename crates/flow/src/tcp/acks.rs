//! What the peer's acknowledgements prove (rule 8).

use super::position::Mark;
use super::{FAR_AHEAD, PROOF_PACKETS};
use std::collections::VecDeque;

/// Acknowledgements of one direction's bytes, which the other direction sent.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// The first of all.
    first: Mark,
    /// The highest that can be believed.
    highest: Mark,
    /// The highest of all, and how often it came.
    raw: Mark,
    raw_count: u32,
    /// What is needed only while bytes are missing.
    evidence: Option<Box<Evidence>>,
}

/// What is known for good, once nothing is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) first: Mark,
    pub(super) highest: Mark,
    pub(super) raw: Mark,
    /// Did the highest of all come at least twice?
    pub(super) raw_repeated: bool,
}

/// Acknowledgements of bytes that were not delivered.
#[derive(Debug, Default)]
struct Evidence {
    /// One for bytes that were not seen: believed when repeated, or when the bytes come.
    pending: Mark,
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

    /// The highest of all where it came at least twice.
    pub(super) fn raw_repeated(&self) -> Option<u64> {
        self.raw().filter(|_| self.raw_count > 1)
    }

    /// Is anything known that would prove a hole?
    #[inline]
    pub(super) fn has_evidence(&self) -> bool {
        self.evidence.is_some()
    }

    /// A packet acknowledges everything below `ack`, all of which was seen and delivered.
    #[inline]
    pub(super) fn note_delivered(&mut self, ack: u64) {
        if self.first().is_none() {
            self.first = Mark::at(ack);
        }
        self.note_raw(ack);
        if self.highest().is_none_or(|highest| ack > highest) {
            self.highest = Mark::at(ack);
        }
    }

    #[inline]
    fn note_raw(&mut self, ack: u64) {
        if self.raw() == Some(ack) {
            self.raw_count = self.raw_count.saturating_add(1);
        } else if self.raw().is_none_or(|raw| ack > raw) {
            (self.raw, self.raw_count) = (Mark::at(ack), 1);
        }
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
        // Beyond the reach of a believable segment, coming again proves nothing: a forgery does.
        let near = ack - limit <= FAR_AHEAD;
        if near && evidence.pending.get() == Some(ack) {
            self.believe(ack, n, delivered);
        } else {
            evidence.pending = Mark::at(ack);
        }
    }

    /// Is there an acknowledgement, believed or not, of bytes near `at`?
    pub(super) fn speak_for(&self, at: u64) -> bool {
        let pending = self.evidence.as_ref().and_then(|evidence| evidence.pending.get());
        pending.is_some_and(|ack| ack.abs_diff(at) <= FAR_AHEAD)
    }

    /// Bytes up to `seen` were captured by packet `n`: believes the acknowledgement that waited for
    /// them.
    pub(super) fn bytes_came(&mut self, seen: u64, n: u64, delivered: u64) {
        let Some(evidence) = &mut self.evidence else { return };
        if let Some(ack) = evidence.pending.get().filter(|&ack| ack <= seen) {
            evidence.pending = Mark::default();
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

    /// All there is, unless there is something that would prove a hole.
    pub(super) fn known(&self) -> Option<Known> {
        let Self { first, highest, raw, .. } = *self;
        let raw_repeated = self.raw_count > 1;
        self.evidence.is_none().then_some(Known { first, highest, raw, raw_repeated })
    }

    /// The same again.
    pub(super) fn from_known(known: Known) -> Self {
        let Known { first, highest, raw, raw_repeated } = known;
        let raw_count = u32::from(raw.get().is_some()) + u32::from(raw_repeated);
        Self { first, highest, raw, raw_count, evidence: None }
    }

    /// Everything below `delivered` was delivered: forgets what would prove a hole there, unless an
    /// acknowledgement reaches further.
    pub(super) fn tidy(&mut self, delivered: u64) {
        let waits = |evidence: &Evidence| evidence.pending.get().is_some();
        if self.highest().is_none_or(|highest| highest <= delivered)
            && self.evidence.as_deref().is_some_and(|evidence| !waits(evidence))
        {
            self.evidence = None;
        }
    }

    /// Nothing is missing: forgets what would prove it.
    pub(super) fn forget_evidence(&mut self) {
        self.evidence = None;
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
        assert_eq!((acks.highest(), acks.raw(), acks.raw_repeated()), (None, Some(500), None));
        acks.note(500, 2, 200, 100, false);
        assert_eq!((acks.highest(), acks.raw_repeated()), (Some(500), Some(500)));
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
