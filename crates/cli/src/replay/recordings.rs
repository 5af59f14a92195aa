//! Recordings out of what was named: dumps, or captures.

use super::args::Args;
use super::plan::{self, Chosen, Numbered};
use crate::notes::Notes;
use crate::stop::Stop;
use capture::{Filter, Inputs, Order, Packet, Reader, Verdict};
use flow::Source;
use replay::{DumpOptions, Taker, Transport};
use std::ops::ControlFlow;
use wire::{Frame, LinkType, Timestamp};

/// Why nothing is played.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The filter is wrong; that was said.
    Filter,
    /// Something else.
    Because(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Because(error.into())
    }
}

/// Reads captures, and takes the connections out that are wanted.
pub(crate) fn of_captures(
    args: &Args,
    chosen: &Chosen,
    notes: &mut Notes,
    stop: &Stop,
) -> Result<Vec<Numbered>, Refused> {
    let inputs = Inputs::order(&args.input_file, Order::FirstPacket)?;
    let mut taking = Taking {
        taker: Taker::new(chosen.wanted.clone(), chosen.transport, args.utc, chosen.memory),
        filter: args.filter.as_deref().map(Filter::new),
        clock: Timestamp::default(),
    };
    let mut readable = false;
    for input in &inputs {
        let mut reader = match input.open() {
            Ok(reader) => reader,
            Err(error) => {
                notes.problem(error);
                continue;
            }
        };
        if !readable {
            // For link types that come later, it is compiled when they do.
            taking.check_filter(reader.link_hint(), notes)?;
            readable = true;
        }
        let number = u32::try_from(input.number()).unwrap_or(u32::MAX);
        taking.read(&mut reader, number, &input.name(), notes, stop)?;
    }
    if !readable {
        taking.check_filter(None, notes)?;
        return Err(Refused::Because(Said.into()));
    }
    taking.finish(notes)
}

/// It was said why.
#[derive(Debug, thiserror::Error)]
#[error("nothing could be read")]
pub(crate) struct Said;

/// How many packets pass between two looks at whether to stop.
const LOOK_EVERY: u64 = 8192;

/// Connections being taken out of captures.
struct Taking {
    taker: Taker,
    filter: Option<Filter>,
    clock: Timestamp,
}

impl Taking {
    fn check_filter(&mut self, link: Option<LinkType>, notes: &mut Notes) -> Result<(), Refused> {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        let link = link.filter(|link| link.is_known()).unwrap_or(LinkType::ETHERNET);
        filter.check(link).map_err(|error| {
            notes.problem(error);
            Refused::Filter
        })
    }

    fn read(
        &mut self,
        reader: &mut Reader,
        file: u32,
        name: &str,
        notes: &mut Notes,
        stop: &Stop,
    ) -> Result<(), Refused> {
        let mut refused = None;
        let read = reader.for_each(|packet| {
            let stopped = packet.number.is_multiple_of(LOOK_EVERY) && stop.is_wanted();
            let taken = match stopped {
                true => Err(Refused::Because(anyhow::anyhow!("stopped by a signal"))),
                false => self.take(packet, file, name, notes),
            };
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(why) => {
                    refused = Some(why);
                    ControlFlow::Break(())
                }
            }
        });
        if let Err(error) = read {
            notes.problem(error);
        }
        refused.map_or(Ok(()), Err)
    }

    fn take(
        &mut self,
        packet: &Packet<'_>,
        file: u32,
        name: &str,
        notes: &mut Notes,
    ) -> Result<(), Refused> {
        let Some(link) = packet.link.filter(|link| link.is_known()) else {
            notes.unknown_link(file as usize, name, packet);
            return Ok(());
        };
        match self.filter.as_mut().map(|it| it.matches(link, packet.bytes, packet.wire_len)) {
            None | Some(Verdict::Match) => {}
            Some(Verdict::NoMatch) => return Ok(()),
            Some(Verdict::Undefined) => {
                notes.filter_undefined(file as usize, name, packet.number, link);
                return Ok(());
            }
        }
        if packet.has_time {
            self.clock = packet.time;
        }
        let source = Source::new(self.clock, packet.number, file);
        let frame = Frame { link, bytes: packet.bytes, wire_len: packet.wire_len };
        Ok(self.taker.handle_packet(source, &frame)?)
    }

    fn finish(self, notes: &mut Notes) -> Result<Vec<Numbered>, Refused> {
        let (recordings, others) = self.taker.finish()?;
        if others > 0 {
            notes.warning(format_args!(
                "{others} connections are neither TCP nor UDP, and are not played"
            ));
        }
        Ok(recordings)
    }
}

/// Reads dumps, and takes the connections that are wanted.
pub(crate) fn of_dumps(
    args: &Args,
    chosen: &Chosen,
    notes: &mut Notes,
) -> Result<Vec<Numbered>, Refused> {
    let options = DumpOptions { transport: chosen.transport, most: chosen.memory };
    let dumps = replay::read_dumps(&args.dumps, &options)?;
    let left_out = || dumps.left_out.iter().filter(|left_out| !left_out.by_choice);
    let many = left_out().count();
    for left_out in left_out().take(NAMED) {
        notes.warning(format_args!("{left_out}; left out"));
    }
    if many > NAMED {
        notes.warning(format_args!("{} more connections are left out", many - NAMED));
    }
    let numbered = dumps.numbers.into_iter().zip(dumps.recordings);
    Ok(numbered.filter(|(number, it)| plan::is_wanted(chosen, *number, it.name())).collect())
}

/// So many connections that are left out are named.
const NAMED: usize = 10;

/// Leaves out what is datagrams, of which none has anything: neither side can begin.
pub(crate) fn with_turns(mut recordings: Vec<Numbered>, notes: &mut Notes) -> Vec<Numbered> {
    let before = recordings.len();
    recordings.retain(|(_, recording)| {
        recording.transport() == Transport::Tcp || !recording.events().is_empty()
    });
    let empty = before - recordings.len();
    if empty > 0 {
        notes.warning(format_args!("{empty} UDP connections have no payload, and are not played"));
    }
    recordings
}
