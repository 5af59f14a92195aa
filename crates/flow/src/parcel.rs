//! Datagrams on their way to a shard.

use crate::Arrival;
use crate::arrival::Label;
use wire::{Body, Payload, Segment, TcpFlags};

/// An [`Arrival`] without its bytes: where they stand in a buffer that is handed over with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    pub(crate) label: Label,
    /// Where the payload begins, how much of it was captured, and how long it was.
    at: u32,
    captured: u32,
    len: u32,
    /// Its bytes are a copy's.
    copied: bool,
    header: Header,
}

/// What there is beside the payload.
#[derive(Clone, Copy, Debug)]
enum Header {
    Message,
    Tcp { seq: u32, ack: u32, window: u16, flags: TcpFlags },
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
        let payload = arrival.body.payload();
        let header = match arrival.body {
            Body::Message(_) => Header::Message,
            Body::Tcp(Segment { seq, ack, flags, window, .. }) => {
                Header::Tcp { seq, ack, window, flags }
            }
        };
        let (captured, len) = (payload.captured(), payload.len);
        Self { label: arrival.label.again(), at, captured, len, copied, header }
    }

    /// Do its bytes stand in the other buffer?
    #[inline]
    pub(crate) fn is_copied(&self) -> bool {
        self.copied
    }

    /// The datagram again. What is not in `buffer` was not captured.
    #[inline(always)]
    pub(crate) fn open<'a>(&self, buffer: &'a [u8]) -> Arrival<'a> {
        Arrival { label: self.label, body: self.body(buffer) }
    }

    /// What it carries.
    #[inline(always)]
    pub(crate) fn body<'a>(&self, buffer: &'a [u8]) -> Body<'a> {
        let bytes = buffer.get(self.at as usize..).unwrap_or_default();
        let bytes = bytes.get(..self.captured as usize).unwrap_or_default();
        let payload = Payload { bytes, len: self.len };
        match self.header {
            Header::Message => Body::Message(payload),
            Header::Tcp { seq, ack, window, flags } => {
                Body::Tcp(Segment { seq, ack, flags, window, payload })
            }
        }
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
