//! Datagrams on their way to a shard.

use crate::Arrival;
use crate::arrival::Label;
use crate::tcp::Head;
use prefetch_index::prefetch_index;
use wire::{Body, Payload, Segment, TcpFlags};

/// An [`Arrival`] without its bytes: where they stand in a buffer that is handed over with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    pub(crate) label: Label,
    /// Of a message, the length alone has a meaning.
    pub(crate) head: Head,
    window: u16,
    kind: Kind,
    /// Its bytes are a copy's.
    copied: bool,
    /// Where the payload begins, and how much of it was captured.
    at: u32,
    captured: u32,
}

/// What it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Message,
    Tcp,
}

impl Parcel {
    /// The parcel of a datagram whose payload stands in `buffer`; `None` where it stands elsewhere.
    #[inline(always)]
    pub(crate) fn within(arrival: &Arrival<'_>, buffer: &[u8]) -> Option<Self> {
        let payload = arrival.body.payload().bytes;
        let at = payload.as_ptr().addr().wrapping_sub(buffer.as_ptr().addr());
        if payload.is_empty() {
            return Some(Self::new(arrival, 0, false));
        }
        let inside = buffer.len().checked_sub(at)? >= payload.len();
        let at = u32::try_from(at).ok().filter(|_| inside)?;
        Some(Self::new(arrival, at, false))
    }

    /// The parcel of a datagram whose payload is copied to the place `at` of another buffer.
    pub(crate) fn copied(arrival: &Arrival<'_>, at: usize) -> Self {
        // A batch of datagrams has less than 4 GiB.
        Self::new(arrival, at as u32, true)
    }

    #[inline(always)]
    fn new(arrival: &Arrival<'_>, at: u32, copied: bool) -> Self {
        let (label, captured) = (arrival.label.again(), arrival.body.payload().captured());
        let (head, window, kind) = match &arrival.body {
            Body::Tcp(segment) => (Head::of(segment), segment.window, Kind::Tcp),
            Body::Message(payload) => {
                let head =
                    Head { seq: 0, ack: 0, flags: TcpFlags(0), cut: false, len: payload.len };
                (head, 0, Kind::Message)
            }
        };
        Self { label, head, window, kind, copied, at, captured }
    }

    #[inline(always)]
    pub(crate) fn is_tcp(&self) -> bool {
        self.kind == Kind::Tcp
    }

    /// Do its bytes stand in the other buffer?
    #[inline(always)]
    pub(crate) fn is_copied(&self) -> bool {
        self.copied
    }

    /// The datagram again. What is not in `buffer` was not captured.
    #[inline(always)]
    pub(crate) fn open<'a>(&self, buffer: &'a [u8]) -> Arrival<'a> {
        let payload = Payload { bytes: self.bytes(buffer), len: self.head.len };
        let Head { seq, ack, flags, .. } = self.head;
        let body = match self.kind {
            Kind::Message => Body::Message(payload),
            Kind::Tcp => Body::Tcp(Segment { seq, ack, flags, window: self.window, payload }),
        };
        Arrival { label: self.label.again(), body }
    }

    /// Has the beginning of its bytes fetched.
    #[inline(always)]
    pub(crate) fn fetch(&self, buffer: &[u8]) {
        prefetch_index(buffer, self.at as usize);
    }

    /// The bytes of its payload.
    #[inline(always)]
    pub(crate) fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let bytes = buffer.get(self.at as usize..).unwrap_or_default();
        bytes.get(..self.captured as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Intake, Source};
    use wire::{Frame, LinkType, Timestamp};

    /// 10.0.0.1:1024 -> 10.0.0.2:23, raw IP, with this protocol and what follows the addresses.
    fn packet(protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 20 + rest.len() as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(rest);
        packet
    }

    fn with_arrival(bytes: &[u8], mut then: impl FnMut(&Arrival<'_>)) {
        let mut intake = Intake::new(&Config::default());
        let frame = Frame { link: LinkType::RAW, bytes, wire_len: bytes.len() as u32 };
        let source = Source::new(Timestamp::new(9, 8), 7, 6);
        let mut count = 0;
        let taken: Result<(), ()> = intake.handle(source, &frame, |arrival| {
            count += 1;
            then(arrival);
            Ok(())
        });
        assert_eq!((taken, count), (Ok(()), 1), "a whole datagram");
    }

    #[test]
    fn a_parcel_is_opened_to_what_was_put_in() {
        let tcp =
            [4, 0, 0, 23, 0, 0, 0, 100, 0, 0, 0, 50, 0x50, 0x11, 3, 4, 0, 0, 0, 0, b'l', b's'];
        let udp = [4, 0, 0, 23, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o'];
        for (protocol, rest) in [(6, &tcp[..]), (6, &tcp[..20]), (17, &udp), (253, &udp)] {
            let mut buffer = vec![9; 100];
            buffer.extend(packet(protocol, rest));
            with_arrival(&buffer[100..], |arrival| {
                let parcel = Parcel::within(arrival, &buffer).unwrap();
                assert_eq!(format!("{:?}", parcel.open(&buffer)), format!("{arrival:?}"));
                // Copied elsewhere.
                let copy = [&[1, 2, 3], arrival.body.payload().bytes].concat();
                let parcel = Parcel::copied(arrival, 3);
                assert!(parcel.is_copied());
                assert_eq!(format!("{:?}", parcel.open(&copy)), format!("{arrival:?}"));
            });
        }
    }

    #[test]
    fn a_payload_that_stands_elsewhere_is_no_parcel_of_a_buffer() {
        let buffer = vec![9; 100];
        let bytes = packet(253, b"hello");
        with_arrival(&bytes, |arrival| assert!(Parcel::within(arrival, &buffer).is_none()));
    }

    #[test]
    fn it_is_no_larger_than_need_be() {
        assert!(size_of::<Parcel>() <= 136, "{}", size_of::<Parcel>());
    }
}
