//! Reading captures, one after the other, a stretch at a time.

use super::{Origin, Progressed, Run};
use crate::workers::{Demand, Halted, Workers};
use anyhow::Context;
use capture::{Input, Inputs, Reader};
use sink::Disk;

/// How many packets pass at least between two looks at the progress bar.
const LOOK_EVERY: u64 = 8192;

/// A turn ends after so many bytes: enough that the others have something to do when it ends, few enough that what was
/// read first is still in the cache of whoever has read it. (0.75, 1.5 and 2 MiB are alike.)
const TURN: u64 = 1 << 20;

/// Whoever reads goes on for so long after somebody had nothing to do: then it is reading that all wait for, and crews
/// stay where they are. With a usual turn, two workers took 8 % more of a dry run.
const LONG_TURN: u64 = 4 * TURN;

/// Where the reading of captures stands.
struct Reading<'a> {
    /// Those to come.
    files: std::slice::Iter<'a, Input>,
    open: Option<Open<'a>>,
    /// What became of the others.
    inputs: Vec<(Origin<'a>, Progressed)>,
}

/// A capture that is being read.
struct Open<'a> {
    input: Origin<'a>,
    /// Is it a pipe, or something else that others write to?
    streams: bool,
    reader: Reader,
    /// After so many packets the progress is shown.
    look_at: u64,
    problem: Option<String>,
}

impl<'a> Run<'a> {
    /// Reads the inputs in order, until workers halt. `false` where the filter is wrong: then nothing was
    /// created.
    pub(super) fn read_all(
        &mut self,
        files: &'a Inputs,
        inputs: &mut Vec<(Origin<'a>, Progressed)>,
    ) -> anyhow::Result<bool> {
        let mut reading = Reading { files: files.iter(), open: None, inputs: Vec::new() };
        let is_right = self.begin(&mut reading)?;
        if is_right && self.workers.is_some() {
            match self.workers.as_ref().and_then(Workers::by_turns) {
                Some(turns) => {
                    turns.work(|| self.read_turn(&mut reading)).context("cannot start a thread")?
                }
                None => while self.read_some(&mut reading) {},
            }
        }
        self.note_unread(&mut reading);
        inputs.append(&mut reading.inputs);
        Ok(is_right)
    }

    /// A signal came before the last inputs were opened.
    fn note_unread(&mut self, reading: &mut Reading<'a>) {
        let Some(first) = reading.files.as_slice().first().filter(|_| self.stop.is_wanted()) else {
            return;
        };
        let (name, left) = (first.name(), reading.files.len());
        self.notes
            .problem(format_args!("stopped by a signal before {name}: inputs not read: {left}"));
        for input in reading.files.by_ref() {
            let problem = Some("not read: stopped by a signal".to_owned());
            reading
                .inputs
                .push((Origin::of(input), Progressed { problem, ..Progressed::default() }));
        }
    }

    /// Opens inputs up to the first that is readable, and starts workers for it. `false` where the filter is wrong.
    fn begin(&mut self, reading: &mut Reading<'a>) -> anyhow::Result<bool> {
        while self.open_next(reading) {
            if let Some(open) = &mut reading.open {
                // Asking waits for the first packet, on a pipe.
                let link = self.filter.as_ref().and_then(|_| open.reader.link_hint());
                if !self.filter_is_right(link) {
                    return Ok(false);
                }
                self.workers = Workers::start(self.config)?;
                self.note_time_zone();
                self.note_reading(reading);
                return Ok(true);
            }
        }
        Ok(self.stop.is_wanted() || self.filter_is_right(None))
    }

    /// Opens the next input, or says why it cannot be; `false` where there is none, or none is wanted.
    fn open_next(&mut self, reading: &mut Reading<'a>) -> bool {
        let Some(input) = reading.files.next() else { return false };
        let streams = input.length().is_none();
        // It may be long until a pipe is opened: what came before is not held back.
        if streams && self.workers.as_mut().is_some_and(|workers| workers.flush() == Err(Halted)) {
            return false;
        }
        let origin = Origin::of(input);
        match input.open() {
            Ok(reader) => {
                let (input, look_at) = (origin, LOOK_EVERY);
                reading.open = Some(Open { input, streams, reader, look_at, problem: None });
                // Before there are workers, the filter may be wrong.
                if self.workers.is_some() {
                    self.note_reading(reading);
                }
                true
            }
            Err(error) => {
                self.notes.problem(&error);
                let problem = Some(error.detail());
                reading.inputs.push((origin, Progressed { problem, ..Progressed::default() }));
                !self.stop.is_wanted()
            }
        }
    }

    fn note_reading(&self, reading: &Reading<'_>) {
        if let Some(Open { input: Origin { number, name, .. }, .. }) = &reading.open {
            self.notes.detail(|| format!("reading {name} as input {number}"));
        }
    }

    /// Reads for a while; `false` where nothing more is to be read.
    fn read_turn(&mut self, reading: &mut Reading<'a>) -> bool {
        let mut until = self.bytes_read(reading) + TURN;
        let mut more = true;
        while more && self.bytes_read(reading) < until {
            more = self.read_some(reading);
            match self.workers.as_mut().map_or(Demand::Satisfied, Workers::take_demand) {
                Demand::Usual => {}
                Demand::Urgent => until = self.bytes_read(reading) + LONG_TURN,
                Demand::Satisfied => break,
            }
        }
        if let Some(workers) = &mut self.workers {
            workers.end_turn(more);
        }
        more
    }

    /// How many bytes of all inputs were read.
    fn bytes_read(&self, reading: &Reading<'_>) -> u64 {
        self.done + reading.open.as_ref().map_or(0, |open| open.reader.bytes_read())
    }

    /// Reads packets, or opens the next input; `false` where nothing more is to be read.
    fn read_some(&mut self, reading: &mut Reading<'a>) -> bool {
        let Some(open) = &mut reading.open else { return self.open_next(reading) };
        let read = self.read(open);
        if read == Ok(true) {
            return true;
        }
        if let Some(Open { input, reader, problem, .. }) = reading.open.take() {
            let (packets, bytes) = (reader.packets(), reader.bytes_read());
            self.done += bytes;
            let became = Progressed { readable: true, packets, bytes, problem, dropped: None };
            reading.inputs.push((input, became));
        }
        read.is_ok() && !self.stop.is_wanted()
    }

    /// Reads a stretch of an input; `false` at its end, or where it is damaged.
    #[inline(never)]
    fn read(&mut self, open: &mut Open<'a>) -> Result<bool, Halted> {
        let Open { input, streams, reader, look_at, problem } = open;
        if *streams && !reader.has_next() {
            // The next packet may be long in coming.
            self.workers.as_mut().map_or(Ok(()), Workers::flush)?;
        }
        match reader.stretch() {
            Ok(Some((first, mut stretch))) => {
                self.take(input, &first)?;
                loop {
                    self.take_usual(input, &mut stretch)?;
                    let Some(packet) = stretch.next() else { break };
                    self.take(input, &packet)?;
                }
            }
            Ok(None) => return Ok(false),
            Err(error) => {
                self.notes.problem(&error);
                *problem = Some(error.detail());
                return Ok(false);
            }
        }
        if !*streams && reader.packets() < *look_at {
            return Ok(true);
        }
        if self.stop.is_wanted() {
            let stopped = format!("stopped by a signal after packet {}", reader.packets());
            self.notes.problem(format_args!("{}: {stopped}", input.name));
            *problem = Some(stopped);
            return Ok(false);
        }
        if reader.packets() >= *look_at {
            *look_at = reader.packets() + LOOK_EVERY;
            if self.config.output.disk.as_ref().is_some_and(Disk::is_full) {
                *problem =
                    Some(format!("stopped after packet {}: the disk is full", reader.packets()));
                return Err(Halted);
            }
            let bytes = self.done + reader.bytes_read();
            let connections = self.workers.as_ref().map_or(0, Workers::connections);
            self.notes.progress().show(bytes, connections);
        }
        Ok(true)
    }
}
