//! From what a frame carries to whole datagrams, and what is counted on the way.
//!
//! In the books a captured frame is one packet, whatever it carries: the first datagram that comes out of
//! it counts it, the others count none. So what is handed on here is always something together with the
//! frames that nothing else counts.

use crate::Arrival;
use crate::assembled::Assembled;
use crate::defrag::{Defragmenter, Outcome, Whole};
use crate::further::{Further, runs};
use crate::{Books, Config, Reason, Source};
use wire::{Aggregate, Datagram, Decoded, Dropped, Fragment, Layer, VlanIds};

/// Takes apart what holds several datagrams, and puts together what is a part of one.
#[derive(Debug)]
pub(crate) struct Unpacker {
    pub(crate) accounts: Accounts,
    pub(crate) defragmenter: Defragmenter,
    /// What the frame gives beside what came out of it first.
    pub(crate) further: Further,
    /// Datagrams so far. Each has a number of its own, though one frame may bring several.
    serial: u64,
    /// By how much they differ: where others take apart other frames of a run, theirs lie in between.
    step: u64,
    vlan_keys: bool,
    pub(crate) max_headers: usize,
}

/// What becomes of frames that do not go on to a shard.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) books: Books,
    /// Why the last frame, or a part of it, could not be decoded.
    pub(crate) dropped: Option<Dropped>,
}

impl Accounts {
    /// `frames` gave nothing.
    pub(crate) fn set_aside(&mut self, dropped: Dropped, frames: u64) {
        self.books.count_set_aside(reason(dropped), frames);
        self.dropped = Some(dropped);
    }

    /// The same of fragments that wait no more.
    pub(crate) fn give_up(&mut self, frames: u64) {
        self.books.count_set_aside(Reason::IncompleteDatagram, frames);
    }
}

impl Unpacker {
    /// One of so many that together hold at most as many bytes of IP fragments as `config` allows.
    pub(crate) fn part(config: &Config, part: u64, of: u64) -> Self {
        let limits = &config.limits;
        let fragments = limits.fragments / usize::try_from(of.max(1)).unwrap_or(usize::MAX);
        Self {
            accounts: Accounts::default(),
            defragmenter: Defragmenter::new(fragments, limits.fragment_wait),
            further: Further::default(),
            serial: part,
            step: of,
            vlan_keys: config.vlan_keys,
            max_headers: limits.headers,
        }
    }

    /// The next frame was read.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.accounts.books.count_read(1);
        self.accounts.dropped = None;
        self.further.clear();
    }

    /// A datagram on its way to its shard, which counts `frames` for it.
    #[inline]
    pub(crate) fn arrival<'a>(
        &mut self,
        source: Source,
        frames: u64,
        datagram: &Datagram<'a>,
    ) -> Arrival<'a> {
        let arrival = self.arrival_after(0, source, frames, datagram);
        self.count_arrivals(1);
        arrival
    }

    /// The same after `n` other ones, that are to be [counted](Self::count_arrivals).
    #[inline(always)]
    pub(crate) fn arrival_after<'a>(
        &self,
        n: u64,
        source: Source,
        frames: u64,
        datagram: &Datagram<'a>,
    ) -> Arrival<'a> {
        Arrival::new(source, self.serial + self.step * (n + 1), frames, datagram)
    }

    /// So many are on their way.
    #[inline(always)]
    pub(crate) fn count_arrivals(&mut self, n: u64) {
        self.serial += self.step * n;
    }

    /// The VLANs among these that tell flows apart.
    fn told_apart(&self, vlans: VlanIds) -> VlanIds {
        if self.vlan_keys { vlans } else { VlanIds::NONE }
    }

    /// A datagram with the VLANs alone that tell flows apart.
    fn telling<'a>(&self, datagram: Datagram<'a>) -> Datagram<'a> {
        Datagram { vlans: self.told_apart(datagram.vlans), ..datagram }
    }

    /// What comes first out of `frames`. The rest is kept for later. `whole` has the bytes where several
    /// were put together.
    pub(crate) fn unpack<'a>(
        &'a mut self,
        source: Source,
        frames: u64,
        decoded: Result<Decoded<'a>, Dropped>,
        whole: Option<&'a Assembled>,
    ) -> Option<Arrival<'a>> {
        match decoded {
            Ok(Decoded::Datagram(datagram)) => {
                let arrival = self.arrival(source, frames, &self.telling(datagram));
                Some(match whole {
                    Some(whole) => self.further.keep_later(runs(whole, arrival)),
                    None => arrival,
                })
            }
            Ok(Decoded::Fragment(fragment)) => {
                let whole = self.add_fragment(source, frames, &fragment)?;
                let headers = self.max_headers;
                let datagram =
                    reassembled(&self.defragmenter, &mut self.accounts, &whole, headers)?;
                self.serial += self.step;
                let arrival = Arrival::new(source, self.serial, whole.frames, &datagram);
                Some(self.further.keep_later(runs(self.defragmenter.whole(), arrival)))
            }
            Ok(Decoded::Aggregate(aggregate)) => {
                self.unpack_aggregate(source, frames, &aggregate);
                self.further.next()
            }
            other => {
                // What 802.11 fragments make is no such fragment.
                let dropped = other.err().unwrap_or(Dropped::TooDeep);
                self.accounts.set_aside(dropped, frames);
                None
            }
        }
    }

    /// Keeps all that comes out of the frames in a frame.
    ///
    /// The first whole datagram counts the frame; where there is none, the first IP fragment does, so that
    /// a frame of which something came out is not set aside with a fragment that waits in vain.
    fn unpack_aggregate(&mut self, source: Source, frames: u64, aggregate: &Aggregate<'_>) {
        let is_datagram = |subframe| matches!(subframe, Ok(Decoded::Datagram(_)));
        let has_datagram = aggregate.subframes().any(is_datagram);
        let (mut uncounted, mut why) = (frames, None);
        for subframe in aggregate.subframes() {
            match subframe {
                Ok(Decoded::Datagram(datagram)) => {
                    let frames = std::mem::take(&mut uncounted);
                    let arrival = self.arrival(source, frames, &self.telling(datagram));
                    self.further.keep(&arrival);
                }
                Ok(Decoded::Fragment(fragment)) => {
                    let frames = if has_datagram { 0 } else { std::mem::take(&mut uncounted) };
                    self.keep_completed(source, frames, &fragment);
                }
                // No subframe holds an 802.11 frame.
                Ok(_) => why = Some(Dropped::TooDeep),
                // ARP beside a packet is not worth a word, and nothing beside what is damaged.
                Err(dropped) if why.is_none_or(|why| why == Dropped::NotIp) => why = Some(dropped),
                Err(_) => {}
            }
        }
        if let Some(why) = why.filter(|&why| uncounted > 0 || why != Dropped::NotIp) {
            self.accounts.set_aside(why, uncounted);
        }
    }

    /// Keeps what comes out of a fragment.
    fn keep_completed(&mut self, source: Source, frames: u64, fragment: &Fragment<'_>) {
        let Some(whole) = self.add_fragment(source, frames, fragment) else { return };
        let Self { accounts, defragmenter, further, serial, step, max_headers, .. } = self;
        let Some(datagram) = reassembled(defragmenter, accounts, &whole, *max_headers) else {
            return;
        };
        *serial += *step;
        let arrival = Arrival::new(source, *serial, whole.frames, &datagram);
        let (first, later) = runs(defragmenter.whole(), arrival);
        further.keep(&first);
        later.iter().for_each(|run| further.keep(run));
    }

    /// Takes in a fragment; what it completes, if it does.
    fn add_fragment(
        &mut self,
        source: Source,
        frames: u64,
        fragment: &Fragment<'_>,
    ) -> Option<Whole> {
        let vlans = self.told_apart(fragment.vlans);
        let outcome = self.defragmenter.handle(source, &Fragment { vlans, ..*fragment }, frames);
        self.accounts.give_up(self.defragmenter.take_given_up());
        match outcome {
            Outcome::Completes(whole) => Some(whole),
            Outcome::Waits => None,
            Outcome::OutOfRange => {
                let layer = if fragment.ends.is_v6() { Layer::Extension } else { Layer::Ipv4 };
                let why = "a fragment contradicts where its datagram ends";
                self.accounts.set_aside(Dropped::Malformed { layer, why }, frames);
                None
            }
        }
    }

    /// The input has ended: fragments that still wait are set aside.
    pub(crate) fn finish(&mut self) {
        self.defragmenter.give_up_all();
        self.accounts.give_up(self.defragmenter.take_given_up());
    }
}

/// The datagram that was completed last.
fn reassembled<'a>(
    defragmenter: &'a Defragmenter,
    accounts: &mut Accounts,
    whole: &Whole,
    max_headers: usize,
) -> Option<Datagram<'a>> {
    let &Whole { ends, protocol, vlans, frames } = whole;
    let payload = defragmenter.whole().payload();
    let dropped = match wire::decode_reassembled(ends, protocol, payload, max_headers) {
        Ok(Decoded::Datagram(datagram)) => return Some(Datagram { vlans, ..datagram }),
        // Fragments of fragments: no host sends them.
        Ok(_) => Dropped::TooDeep,
        Err(dropped) => dropped,
    };
    accounts.set_aside(dropped, frames);
    None
}

/// The reason under which the books count it.
fn reason(dropped: Dropped) -> Reason {
    match dropped {
        Dropped::UnknownLink(_) => Reason::UnknownLink,
        Dropped::Encrypted => Reason::Encrypted,
        Dropped::Truncated { .. } => Reason::Truncated,
        Dropped::Malformed { .. } => Reason::Malformed,
        Dropped::TooDeep => Reason::TooDeep,
        _ => Reason::NotIp,
    }
}
