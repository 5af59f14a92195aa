//! Datagrams by the batch.

use crate::Arrival;
use crate::parcel::Parcel;

/// Datagrams that are handed over together to the thread that has their shards.
///
/// Their bytes stand in one buffer `B` that is shared, those that stood elsewhere in a copy.
#[derive(Debug)]
pub struct Batch<B> {
    buffer: Option<B>,
    copied: Vec<u8>,
    parcels: Vec<Parcel>,
}

/// More datagrams than this are not put in a batch. A block of a capture of usual packets has about as
/// many, so that threads meet once for each; with 96, two workers took 0.92 s instead of 0.80.
const MOST: usize = 512;

/// Nor are more, where so many bytes were copied: datagrams put together from fragments have up to
/// 64 KiB each.
const MOST_COPIED: usize = 256 << 10;

impl<B> Default for Batch<B> {
    fn default() -> Self {
        Self { buffer: None, copied: Vec::new(), parcels: Vec::with_capacity(MOST) }
    }
}

impl<B: AsRef<[u8]>> Batch<B> {
    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Is there no room for another one?
    #[inline]
    pub fn is_full(&self) -> bool {
        self.parcels.len() >= MOST || self.copied.len() >= MOST_COPIED
    }

    /// The buffer that the datagrams' bytes stand in.
    #[inline]
    pub fn buffer(&self) -> Option<&B> {
        self.buffer.as_ref()
    }

    /// Takes another buffer for the datagrams to come. The batch must be empty.
    pub fn set_buffer(&mut self, buffer: B) {
        self.clear();
        self.buffer = Some(buffer);
    }

    /// Puts a datagram in, whose bytes stand in the [buffer](Self::buffer) or are copied.
    #[inline(always)]
    pub fn push(&mut self, arrival: &Arrival<'_>) {
        let within =
            self.buffer.as_ref().and_then(|buffer| Parcel::within(arrival, buffer.as_ref()));
        match within {
            Some(parcel) => self.parcels.push(parcel),
            None => self.push_copy(&arrival.again()),
        }
    }

    /// The same for one whose bytes stand elsewhere: it was put together from fragments.
    #[cold]
    fn push_copy(&mut self, arrival: &Arrival<'_>) {
        let parcel = Parcel::copied(arrival, self.copied.len());
        self.copied.extend_from_slice(arrival.body.payload().bytes);
        self.parcels.push(parcel);
    }

    /// Lets go of everything.
    pub fn clear(&mut self) {
        self.buffer = None;
        self.copied.clear();
        self.parcels.clear();
    }

    /// The datagrams without their bytes, in the order in which they were put in.
    #[inline]
    pub(crate) fn parcels(&self) -> &[Parcel] {
        &self.parcels
    }

    /// The bytes of those that stand in the buffer, and of the others.
    #[inline]
    pub(crate) fn buffers(&self) -> Buffers<'_> {
        let shared = self.buffer.as_ref().map_or(&[][..], AsRef::as_ref);
        Buffers { shared, copied: &self.copied }
    }
}

/// Where the bytes of a batch's datagrams stand.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    shared: &'a [u8],
    copied: &'a [u8],
}

impl<'a> Buffers<'a> {
    /// The one that has those of a datagram.
    #[inline(always)]
    pub(crate) fn of(&self, parcel: &Parcel) -> &'a [u8] {
        if parcel.is_copied() { self.copied } else { self.shared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use wire::{Body, Datagram, Ends, Payload, VlanIds};

    fn arrival(bytes: &[u8]) -> Arrival<'_> {
        let (ends, vlans) = (Ends::V4 { src: 1, dst: 2 }, VlanIds::NONE);
        let body = Body::Message(Payload::whole(bytes));
        let datagram = Datagram { ends, protocol: 17, src_port: 1, dst_port: 2, vlans, body };
        Arrival::new(Source::default(), 1, 1, &datagram)
    }

    #[test]
    fn it_is_full_after_many_datagrams_or_many_copied_bytes() {
        let buffer = vec![7; 65_000];
        let elsewhere = vec![8; 65_000];
        for (bytes, most) in [(&buffer, MOST), (&elsewhere, 5)] {
            let mut batch = Batch::default();
            batch.set_buffer(&buffer);
            while !batch.is_full() {
                batch.push(&arrival(bytes));
            }
            assert_eq!(batch.parcels().len(), most);
            let buffers = batch.buffers();
            let payload = |parcel: &Parcel| parcel.open(buffers.of(parcel)).body.payload();
            assert!(batch.parcels().iter().all(|parcel| payload(parcel) == Payload::whole(bytes)));
            batch.clear();
            assert!(batch.is_empty() && !batch.is_full() && batch.buffer().is_none());
        }
    }
}
