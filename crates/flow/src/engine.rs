//! The engine: one intake and all the shards, in one thread.

use crate::{Books, Census, Config, Intake, Reason, Shards, Sink, Source, Totals};
use wire::{Dropped, Frame, Timestamp};

/// Follows the connections of a stream of frames.
///
/// It does in one thread what several do with an [`Intake`] and a part of the [`Shards`] each, with the
/// same result.
#[derive(Debug)]
pub struct Engine<H> {
    intake: Intake,
    shards: Shards<H>,
}

impl<H: Copy> Engine<H> {
    /// An engine that knows no connection yet.
    pub fn new(config: Config) -> Self {
        Self { intake: Intake::new(&config), shards: Shards::all(config) }
    }

    /// Takes in a frame. Packets must come in the order of the input; their times may be any.
    ///
    /// # Errors
    /// The sink's own.
    #[inline]
    pub fn handle_packet<S: Sink<Handle = H>>(
        &mut self,
        source: Source,
        frame: &Frame<'_>,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        match self.intake.plain(source, frame) {
            Some(arrival) => {
                self.intake.take_dropped();
                match self.shards.handle_usual(&arrival, sink) {
                    Ok(false) => self.shards.handle(&arrival, sink),
                    taken => {
                        self.shards.count_usual(1);
                        taken.map(drop)
                    }
                }
            }
            None => self.intake.handle(source, frame, |arrival| self.shards.handle(arrival, sink)),
        }
    }

    /// It is `now`: see [`Shards::handle_timeout`].
    ///
    /// # Errors
    /// The sink's own.
    pub fn handle_timeout<S: Sink<Handle = H>>(
        &mut self,
        now: Timestamp,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        self.shards.handle_timeout(now, sink)
    }

    /// A frame was read that is not to be looked into.
    pub fn set_aside(&mut self, reason: Reason) {
        self.intake.set_aside(reason);
    }

    /// Why the last frame, or a part of it, could not be decoded. Asking forgets it.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.intake.take_dropped()
    }

    /// The input has ended: closes all connections, in the order of their first packets.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish<S: Sink<Handle = H>>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.intake.finish();
        self.shards.finish(sink)
    }

    /// Connections held now, those that linger included.
    pub fn connections(&self) -> usize {
        self.shards.connections()
    }

    /// Looks at every connection: see [`Shards::census`].
    pub fn census(&self) -> Census {
        self.shards.census()
    }

    /// What became of every packet so far.
    pub fn books(&self) -> Books {
        self.sums().0
    }

    /// Sums over the connections so far.
    pub fn totals(&self) -> Totals {
        self.sums().1
    }

    fn sums(&self) -> (Books, Totals) {
        let (mut books, mut totals) = (self.intake.books().clone(), Totals::default());
        self.shards.add_to(&mut books, &mut totals);
        self.intake.add_to(&mut totals);
        (books, totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Nothing;
    use wire::LinkType;

    #[test]
    fn why_a_frame_was_dropped_is_said_of_the_last_one() {
        let plain = [
            &[2; 12][..],
            &[8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
            &[0, 53, 4, 0, 0, 8, 0, 0],
        ]
        .concat();
        let mut engine = Engine::new(Config::default());
        let mut dropped = |bytes: &[u8]| {
            let frame = Frame { link: LinkType::ETHERNET, bytes, wire_len: bytes.len() as u32 };
            let Ok(()) = engine.handle_packet(Source::default(), &frame, &mut Nothing);
            engine.take_dropped().is_some()
        };
        assert_eq!([dropped(&plain[..20]), dropped(&plain)], [true, false]);
        // Nor where nobody asked of the one before.
        let frame = Frame { link: LinkType::ETHERNET, bytes: &plain[..20], wire_len: 20 };
        let Ok(()) = engine.handle_packet(Source::default(), &frame, &mut Nothing);
        let frame = Frame { bytes: &plain, ..frame };
        let Ok(()) = engine.handle_packet(Source::default(), &frame, &mut Nothing);
        assert!(engine.take_dropped().is_none());
        assert_eq!((engine.books().read(), engine.books().assigned()), (4, 2));
    }

    /// A sink that fails at what it is told.
    struct Fails {
        at_opened: bool,
    }

    impl Sink for Fails {
        type Handle = ();
        type Error = ();

        fn opened(&mut self, _: &crate::Connection) -> Result<(), ()> {
            if self.at_opened { Err(()) } else { Ok(()) }
        }

        fn data(&mut self, (): (), _: &crate::Connection, _: &crate::Chunk<'_>) -> Result<(), ()> {
            Err(())
        }
    }

    #[test]
    fn a_packet_at_which_the_sink_fails_is_counted_once() {
        // A SYN, and a byte after it, over IPv4.
        let segment = |seq: u8, flags: u8, payload: &[u8]| {
            let len = 40 + payload.len() as u8;
            let ip = [0x45, 0, 0, len, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            let tcp = [4, 0, 0, 80, 0, 0, 0, seq, 0, 0, 0, 9, 0x50, flags, 1, 0, 0, 0, 0, 0];
            [&[2; 12][..], &[8, 0], &ip, &tcp, payload].concat()
        };
        let frames = [segment(1, 2, b""), segment(2, 16, b"a")];
        for at_opened in [true, false] {
            let mut engine = Engine::new(Config::default());
            let told: Vec<bool> = (1..)
                .zip(&frames)
                .map(|(n, bytes)| {
                    let wire_len = bytes.len() as u32;
                    let frame = Frame { link: LinkType::ETHERNET, bytes, wire_len };
                    let source = Source::new(Timestamp::default(), n, 1);
                    engine.handle_packet(source, &frame, &mut Fails { at_opened }).is_ok()
                })
                .collect();
            assert_eq!(told, [!at_opened, false]);
            let books = engine.books();
            assert_eq!((books.read(), books.assigned()), (2, 2));
        }
    }
}
