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
        self.parcels.len() >= MOST
    }

    /// The buffer that the datagrams' bytes stand in.
    #[inline]
    pub fn buffer(&self) -> Option<&B> {
        self.buffer.as_ref()
    }

    /// Takes another buffer for the datagrams to come. The batch must be empty.
    pub fn set_buffer(&mut self, buffer: B) {
        self.parcels.clear();
        self.copied.clear();
        self.buffer = Some(buffer);
    }

    /// Puts a datagram in, whose bytes stand in the [buffer](Self::buffer) or are copied.
    #[inline]
    pub fn push(&mut self, arrival: &Arrival<'_>) {
        let within =
            self.buffer.as_ref().and_then(|buffer| Parcel::within(arrival, buffer.as_ref()));
        match within {
            Some(parcel) => self.parcels.push(parcel),
            None => self.push_copy(arrival),
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
        (self.buffer, self.copied) = (None, std::mem::take(&mut self.copied));
        self.copied.clear();
        self.parcels.clear();
    }

    /// The datagrams, in the order in which they were put in.
    #[inline]
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        let shared = self.buffer.as_ref().map_or(&[][..], AsRef::as_ref);
        let buffer =
            move |parcel: &Parcel| if parcel.is_copied() { &self.copied[..] } else { shared };
        self.parcels.iter().map(move |parcel| parcel.open(buffer(parcel)))
    }
}
