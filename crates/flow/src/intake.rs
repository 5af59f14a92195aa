//! From frames to datagrams: decoding and defragmentation, before anything is known of connections.

use crate::Arrival;
use crate::msdu::{Msdus, Outcome};
use crate::unpacker::Unpacker;
use crate::{Books, Config, Limit, Reason, Source, Totals};
use wire::{Decoded, Dropped, Frame, Layer, LinkFragment, Plain};

/// Turns frames into datagrams for the shards. There is one of it in a run: fragments name no port, so
/// they cannot be shared out before they are whole. Where something else shares frames out, there
/// [can be several](Self::part), each of which sees the fragments that came to it.
#[derive(Debug)]
pub struct Intake {
    unpacker: Unpacker,
    msdus: Msdus,
}

impl Intake {
    /// One that holds at most as many bytes of fragments as `config` allows.
    pub fn new(config: &Config) -> Self {
        Self::part(config, 0, 1)
    }

    /// The one with number `part` of `of`, which together feed the same shards.
    pub fn part(config: &Config, part: u64, of: u64) -> Self {
        Self { unpacker: Unpacker::part(config, part, of), msdus: Msdus::default() }
    }

    /// A frame was read that is not to be looked into.
    pub fn set_aside(&mut self, reason: Reason) {
        self.unpacker.accounts.books.count_read(1);
        self.unpacker.accounts.books.count_set_aside(reason, 1);
    }

    /// The datagram of a plain frame. `None` says nothing of any other, which was not taken in then:
    /// [`Self::handle`] is for all. (What [`Self::take_dropped`] tells is not touched.)
    #[inline(always)]
    pub fn plain<'a>(&mut self, source: Source, frame: &Frame<'a>) -> Option<Arrival<'a>> {
        let arrival = self.plain_after(0, source, &wire::decode_plain(frame)?);
        self.count_plain(1);
        Some(arrival)
    }

    /// The datagram of a plain frame, after `n` other ones. They are to be [counted](Self::count_plain) when nobody looks
    /// at them any more: what each of them changes is waited for by the next.
    #[inline(always)]
    pub fn plain_after<'a>(&self, n: u64, source: Source, plain: &Plain<'a>) -> Arrival<'a> {
        self.unpacker.arrival_after(n, source, 1, &plain.datagram())
    }

    /// So many plain frames were read, and their datagrams are on their way.
    #[inline(always)]
    pub fn count_plain(&mut self, n: u64) {
        self.unpacker.accounts.books.count_read(n);
        self.unpacker.count_arrivals(n);
    }

    /// Decodes a frame. `take` is given what comes out of it, if anything, for the
    /// [shard](Arrival::shard) that each names.
    ///
    /// That is one datagram, or none. An A-MSDU holds several, and one into which the snap length cut
    /// holes comes as its captured runs.
    ///
    /// # Errors
    /// Those of `take`; what comes after is left out.
    pub fn handle<E>(
        &mut self,
        source: Source,
        frame: &Frame<'_>,
        mut take: impl FnMut(&Arrival<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.unpacker.begin();
        let first = match wire::decode_within(frame, self.unpacker.max_headers) {
            Ok(Decoded::LinkFragment(fragment)) => self.handle_link_fragment(source, &fragment),
            decoded => self.unpacker.unpack(source, 1, decoded, None),
        };
        if let Some(arrival) = first {
            take(&arrival)?;
        }
        while let Some(arrival) = self.unpacker.further.next() {
            take(&arrival)?;
        }
        Ok(())
    }

    /// Why the last frame that was given to [`Self::handle`], or a part of it, could not be decoded.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.unpacker.accounts.dropped.take()
    }

    /// The input has ended: fragments that still wait are set aside.
    pub fn finish(&mut self) {
        self.msdus.give_up_all();
        self.unpacker.accounts.give_up(self.msdus.take_given_up());
        self.unpacker.finish();
    }

    /// What became of the frames that did not go on to a shard, and how many were read.
    pub fn books(&self) -> &Books {
        &self.unpacker.accounts.books
    }

    /// Adds what is known here to the sums of the shards.
    pub fn add_to(&self, totals: &mut Totals) {
        let (defragmenter, msdus) = (&self.unpacker.defragmenter, &self.msdus);
        totals.limits[Limit::Fragments as usize] +=
            defragmenter.limit_reached() + msdus.limit_reached();
        totals.fragment_conflicts += defragmenter.conflicts() + msdus.conflicts();
    }

    fn handle_link_fragment<'a>(
        &'a mut self,
        source: Source,
        fragment: &LinkFragment<'_>,
    ) -> Option<Arrival<'a>> {
        let outcome = self.msdus.handle(source, fragment);
        let accounts = &mut self.unpacker.accounts;
        accounts.give_up(self.msdus.take_given_up());
        match outcome {
            Outcome::Completes { frames, aggregate } => {
                let whole = self.msdus.whole();
                let headers = self.unpacker.max_headers;
                let decoded = wire::decode_msdu(whole.payload(), aggregate, headers);
                self.unpacker.unpack(source, frames, decoded, Some(whole))
            }
            Outcome::Waits => None,
            Outcome::OutOfRange => {
                let why = "a fragment contradicts the others of its frame";
                accounts.set_aside(Dropped::Malformed { layer: Layer::Link, why }, 1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::LinkType;

    /// IPv4, 10.0.0.1 -> 10.0.0.2, protocol 253, "hi", and ARP, both behind LLC and SNAP.
    const PACKET: [u8; 30] = [
        0xaa, 0xaa, 3, 0, 0, 0, 8, 0, //
        0x45, 0, 0, 22, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, b'h', b'i',
    ];
    const ARP: [u8; 10] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 6, 0, 1];

    /// An 802.11 frame with these subframes: its length, and what it holds.
    fn aggregate(subframes: &[(u8, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (length, msdu) in subframes {
            body.resize(body.len().next_multiple_of(4), 0);
            body.extend([&[0; 13][..], &[*length], msdu].concat());
        }
        [&[0x88, 2][..], &[0; 22], &[0x80, 0], &body].concat()
    }

    /// How many frames each datagram of a frame counts, why a part of it could not be decoded, and how
    /// often it was set aside for each reason.
    fn taken(bytes: &[u8]) -> (Vec<u64>, Option<Dropped>, Vec<(Reason, u64)>) {
        let mut intake = Intake::new(&Config::default());
        let frame = Frame { link: LinkType::IEEE802_11, bytes, wire_len: bytes.len() as u32 };
        let mut frames: Vec<u64> = Vec::new();
        let all: Result<(), ()> = intake.handle(Source::default(), &frame, |arrival| {
            frames.push(arrival.label.frames.into());
            Ok(())
        });
        assert_eq!(all, Ok(()));
        assert_eq!(intake.books().read(), 1);
        let reasons = Reason::ALL.iter().map(|&reason| (reason, intake.books().set_aside(reason)));
        let reasons = reasons.filter(|&(_, count)| count > 0).collect();
        (frames, intake.take_dropped(), reasons)
    }

    const DAMAGED: Dropped = Dropped::Malformed {
        layer: Layer::Link,
        why: "a subframe of an A-MSDU ends past its frame",
    };

    #[test]
    fn the_first_datagram_of_a_frame_counts_it() {
        let (packet, arp) = ((30, &PACKET[..]), (10, &ARP[..]));
        let got = taken(&aggregate(&[arp, packet, packet, arp, packet]));
        assert_eq!(got, (vec![1, 0, 0], None, vec![]));
    }

    #[test]
    fn a_frame_of_which_nothing_came_out_is_set_aside_once() {
        let (arp, damaged) = ((10, &ARP[..]), (99, &PACKET[..]));
        let got = taken(&aggregate(&[arp, arp]));
        assert_eq!(got, (vec![], Some(Dropped::NotIp), vec![(Reason::NotIp, 1)]));
        let got = taken(&aggregate(&[arp, arp, damaged]));
        assert_eq!(got, (vec![], Some(DAMAGED), vec![(Reason::Malformed, 1)]));
    }

    #[test]
    fn damage_is_said_and_what_came_before_it_counts() {
        let got = taken(&aggregate(&[(30, &PACKET), (99, &PACKET)]));
        assert_eq!(got, (vec![1], Some(DAMAGED), vec![]));
    }

    #[test]
    fn what_was_not_taken_is_forgotten() {
        let mut intake = Intake::new(&Config::default());
        let bytes = aggregate(&[(30, &PACKET), (30, &PACKET)]);
        let frame = Frame { link: LinkType::IEEE802_11, bytes: &bytes, wire_len: 0 };
        let mut taken = 0;
        let first = intake.handle(Source::default(), &frame, |_| {
            taken += 1;
            Err(())
        });
        assert_eq!((first, taken), (Err(()), 1));
        let arp = Frame { link: LinkType::RAW, bytes: &[0], wire_len: 0 };
        assert_eq!(intake.handle(Source::default(), &arp, |_| Err(())), Ok(()));
    }
}
