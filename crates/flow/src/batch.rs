//! Datagrams by the batch.

use crate::parcel::Parcel;
use crate::{Arrival, FlowKey};

/// Datagrams that are handled together: by the same thread as took them in, or by another.
///
/// Their bytes stand in one buffer `B` that is shared or handed over, those that stood elsewhere in a
/// copy. Handled one by one, each packet waits for memory, since what is known of its connection left
/// the nearest cache while hundreds of others came; in a batch, all are looked up before the first is
/// handled, and they wait together.
#[derive(Debug)]
pub struct Batch<B> {
    buffer: Option<B>,
    copied: Vec<u8>,
    parcels: Vec<Parcel>,
}

/// More datagrams than this are not put in a batch: their parcels fill a third of the first-level cache.
const MOST: usize = 96;

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

    /// How many datagrams there are.
    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    /// The shard and the key of a datagram.
    #[inline]
    pub(crate) fn key(&self, number: usize) -> Option<&FlowKey> {
        self.parcels.get(number).map(Parcel::key)
    }

    /// A datagram.
    #[inline]
    pub(crate) fn arrival(&self, number: usize) -> Option<Arrival<'_>> {
        let parcel = self.parcels.get(number)?;
        let buffer = match (parcel.is_copied(), &self.buffer) {
            (true, _) => &self.copied[..],
            (false, Some(buffer)) => buffer.as_ref(),
            (false, None) => &[],
        };
        Some(parcel.open(buffer))
    }
}
