//! A run over captures: packets from the inputs through the filter and the engine to the output.

mod reading;

use crate::config::{Config, From};
use crate::notes::Notes;
use crate::progress::{Progress, say};
use crate::stop::Stop;
use crate::workers::{Counted, Crew, Done, Halted, Workers};
use crate::{FAILED, INCOMPLETE, USAGE};
use anyhow::Context;
use capture::{Filter, Input, LiveStats, Packet, Recorder, Stretch, Verdict};
use flow::{Arrival, Books, InFile, Intake, Reason, Source, Totals};
pub(crate) use sink::Dropped;
use sink::{Disk, InputSummary, SinkError, Summary};
use std::borrow::Cow;
use std::io::{self, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use wire::{Frame, LinkType, Timestamp};

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// Everything was read.
    Complete,
    /// Something was read, but not everything.
    Incomplete,
    /// No input could be read.
    Nothing,
    /// Something beside the connections could not be written; that was said.
    Unwritten,
    /// The filter is wrong; that was said.
    Filter,
}

impl std::convert::From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Complete => Self::SUCCESS,
            Status::Incomplete => Self::from(INCOMPLETE),
            Status::Nothing | Status::Unwritten => Self::from(FAILED),
            Status::Filter => Self::from(USAGE),
        }
    }
}

/// An input, as messages and the summary name it.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) number: usize,
    pub(crate) name: Cow<'a, str>,
    pub(crate) path: &'a Path,
}

impl<'a> Origin<'a> {
    fn of(input: &'a Input) -> Self {
        Self { number: input.number(), name: input.name(), path: input.path() }
    }
}

/// What became of an input.
#[derive(Debug, Default)]
pub(crate) struct Progressed {
    pub(crate) readable: bool,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) problem: Option<String>,
    /// Of a live capture.
    pub(crate) dropped: Option<Dropped>,
}

/// Reads all inputs and writes what is in them.
///
/// # Errors
/// Output failed.
pub(crate) fn run(config: &Config) -> anyhow::Result<Status> {
    let started = Instant::now();
    if let Some(path) = &config.summary_json {
        check_summary_path(path, config)?;
    }
    let stop = Stop::watch().context("cannot watch for signals")?;
    let length = match &config.from {
        From::Files(inputs) => inputs.length(),
        From::Interface(_) => None,
    };
    let progress = Progress::new(length, config.quiet, config.output.console);
    let mut run = Run {
        config,
        intake: Intake::new(&config.engine),
        workers: None,
        // The kernel applies that of a live capture.
        filter: match &config.from {
            From::Files(_) => config.filter.as_deref().map(Filter::new),
            From::Interface(_) => None,
        },
        notes: Notes::new(progress, config.verbose),
        done: 0,
        clock: Timestamp::default(),
        stop,
        beside: None,
        recording: None,
    };
    let mut inputs = Vec::new();
    let filter_is_right = match &config.from {
        From::Files(files) => run.read_all(files, &mut inputs)?,
        From::Interface(live) => run.capture(live, &mut inputs)?,
    };
    let sums = run.finish();
    if let Some(disk) = config.output.disk.as_ref().filter(|disk| disk.is_full()) {
        let left_out = disk.counts().left_out;
        run.notes.problem(format_args!(
            "--max-disk: the disk that files may take is full; {left_out} bytes of connections were not \
             written: give more, or --when-full drop-oldest"
        ));
    }
    run.finish_recording();
    run.notes.progress().finish();
    if !filter_is_right {
        return Ok(Status::Filter);
    }
    let closed = sums.written.as_ref().is_err_and(SinkError::is_closed_pipe);
    let status = run.report(&sums, inputs, started, !config.quiet && !closed);
    match (sums.written, status) {
        // Whoever read the console has had enough.
        (Err(_), Ok(_)) if closed && !run.notes.failed() => Ok(Status::Complete),
        (Ok(()), status) => status,
        (Err(_), status) if closed => status,
        (Err(error), status) => {
            if let Err(also) = status {
                run.notes.failure(format_args!("{also:#}"));
            }
            Err(error.into())
        }
    }
}

/// Hours of work are not to end with a path that could never be written.
fn check_summary_path(path: &Path, config: &Config) -> anyhow::Result<()> {
    let output = &config.output;
    if matches!(&config.from, From::Interface(live) if live.privileges.root.is_some()) {
        // It is another path then, which is made before.
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() {
        anyhow::bail!("cannot write {}: it is a folder", path.display());
    }
    // The output directory is there by then, if files are written.
    let will_be = |folder: &Path| output.writes_files() && output.dir.starts_with(folder);
    if folder.is_some_and(|folder| !folder.is_dir() && !will_be(folder)) {
        anyhow::bail!("cannot write {}: there is no such folder", path.display());
    }
    Ok(())
}

/// Writes the summary; `-` is standard output.
fn write_summary(path: &Path, json: &str) -> io::Result<()> {
    if path.as_os_str() == "-" {
        return match stdout().write_all(json.as_bytes()) {
            // Whoever reads it has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        };
    }
    std::fs::write(path, json)
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) config: &'a Config,
    intake: Intake,
    /// There are none before an input turned out to be readable.
    pub(crate) workers: Option<Workers>,
    filter: Option<Filter>,
    pub(crate) notes: Notes,
    /// Bytes of the inputs that were read to their end.
    done: u64,
    /// The time of the last packet that had one: packets without take it.
    pub(crate) clock: Timestamp,
    pub(crate) stop: Stop,
    /// What others counted, in threads of their own.
    beside: Option<(Books, Totals)>,
    /// A recording that is to be ended, and what the kernel says of the capture.
    pub(crate) recording: Option<(Recorder, LiveStats)>,
}

impl<'a> Run<'a> {
    /// From now on, it takes in a part of the packets.
    pub(crate) fn share_intake(&mut self, part: usize, of: usize) {
        self.intake = Intake::part(&self.config.engine, part as u64, of as u64);
    }

    /// Another one for another part of the packets, in a thread of its own.
    pub(crate) fn beside(&self, workers: Workers, part: usize, of: usize) -> Self {
        Self {
            config: self.config,
            intake: Intake::part(&self.config.engine, part as u64, of as u64),
            workers: Some(workers),
            filter: None,
            notes: self.notes.beside(),
            done: 0,
            clock: Timestamp::default(),
            stop: self.stop.clone(),
            beside: None,
            recording: None,
        }
    }

    /// That one is done: what it has counted goes here.
    pub(crate) fn join(&mut self, mut other: Self) {
        // The last way in is this one's.
        let Done { books, totals, .. } = other.finish();
        let joined = self.beside.get_or_insert_default();
        joined.0 += &books;
        joined.1 += &totals;
        self.notes.join(&other.notes);
    }

    /// What was counted before datagrams came to the workers.
    pub(crate) fn counted_by_intake(&self) -> Counted {
        let mut counted = Counted { books: self.intake.books().clone(), ..Counted::default() };
        self.intake.add_to(&mut counted.totals);
        counted
    }

    /// The input has ended: what became of everything.
    fn finish(&mut self) -> Done {
        self.intake.finish();
        let mut done = match self.workers.take() {
            Some(workers) => workers.finish(),
            None => Done { books: Books::default(), totals: Totals::default(), written: Ok(()) },
        };
        done.books += self.intake.books();
        self.intake.add_to(&mut done.totals);
        if let Some((books, totals)) = &self.beside {
            done.books += books;
            done.totals += totals;
        }
        done
    }

    /// Connections are written: ends the recording, if there is one.
    fn finish_recording(&mut self) {
        if let Some((recorder, stats)) = self.recording.take()
            && let Err(error) = recorder.finish(stats)
        {
            self.notes.failure(format_args!("{:#}", anyhow::Error::from(error)));
        }
    }

    /// Says so where names cannot have local times.
    pub(crate) fn note_time_zone(&mut self) {
        if !self.config.quiet
            && !self.config.output.utc
            && let Some(problem) = sink::time_zone_problem()
        {
            self.notes.warning(problem);
        }
    }

    /// Compiles the filter for the first input, before anything is created. Packets of a link type that
    /// is not known never come to the filter, so that says nothing against it.
    fn filter_is_right(&mut self, link: Option<LinkType>) -> bool {
        let Some(filter) = &mut self.filter else { return true };
        let link = link.filter(|link| link.is_known()).unwrap_or(LinkType::ETHERNET);
        match filter.check(link) {
            Ok(()) => true,
            Err(error) => {
                self.notes.problem(error);
                false
            }
        }
    }

    /// Takes packets to the workers as long as they are plain ones that go the usual way, and need not be asked about
    /// anything. What is not stays.
    #[inline(always)]
    fn take_usual(&mut self, input: &Origin<'_>, stretch: &mut Stretch<'_>) -> Result<(), Halted> {
        let (intake, clock) = (&mut self.intake, &mut self.clock);
        match &mut self.workers {
            Some(Workers::Here(crew)) if self.filter.is_none() => {
                follow_usual(crew, intake, clock, file(input), stretch)
            }
            Some(Workers::Threads(threads)) if self.filter.is_none() => {
                while let Some((packet, ahead)) = stretch.look() {
                    let Some(arrival) = plain(intake, clock, input, &packet) else { break };
                    stretch.go_on(ahead);
                    threads.take(&arrival, packet.block)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes one packet through the filter and the intake to the workers.
    pub(crate) fn take(&mut self, input: &Origin<'_>, packet: &Packet<'_>) -> Result<(), Halted> {
        if let (Some(workers), None) = (&mut self.workers, &self.filter)
            && let Some(arrival) = plain(&mut self.intake, &mut self.clock, input, packet)
        {
            return workers.take(&arrival, packet.block);
        }
        self.take_any(input, &packet.again())
    }

    /// The same for one that is not plain, or is to be filtered, or has no time.
    #[inline(never)]
    fn take_any(&mut self, input: &Origin<'_>, packet: &Packet<'_>) -> Result<(), Halted> {
        let Some(link) = packet.link.filter(|link| link.is_known()) else {
            self.set_aside_unknown(input, packet);
            return Ok(());
        };
        if self.filter.is_some() && !self.passes(input, packet, link) {
            return Ok(());
        }
        if packet.has_time {
            self.clock = packet.time;
        }
        let source = source(input, packet, self.clock);
        let Some(workers) = &mut self.workers else { return Ok(()) };
        if (self.filter.is_some() || !packet.has_time)
            && let Some(arrival) = self.intake.plain(source, &frame(packet, link))
        {
            return workers.take(&arrival, packet.block);
        }
        let take = |arrival: &Arrival<'_>| workers.take(arrival, packet.block);
        self.intake.handle(source, &frame(packet, link), take)?;
        if self.notes.is_verbose()
            && let Some(dropped) = self.intake.take_dropped()
        {
            let (name, number) = (&input.name, packet.number);
            self.notes.detail(|| format!("{name}: packet {number}: {dropped}"));
        }
        Ok(())
    }

    /// Does the filter let a packet pass? If not, it is set aside.
    fn passes(&mut self, input: &Origin<'_>, packet: &Packet<'_>, link: LinkType) -> bool {
        let Some(filter) = &mut self.filter else { return true };
        match filter.matches(link, packet.bytes, packet.wire_len) {
            Verdict::Match => true,
            Verdict::NoMatch => {
                self.intake.set_aside(Reason::Filtered);
                false
            }
            Verdict::Undefined => {
                self.intake.set_aside(Reason::FilterUndefined);
                self.notes.filter_undefined(input.number, &input.name, packet.number, link);
                false
            }
        }
    }

    /// A packet whose link type nobody knows.
    fn set_aside_unknown(&mut self, input: &Origin<'_>, packet: &Packet<'_>) {
        let reason = match packet.link {
            Some(_) => Reason::UnknownLink,
            None => Reason::UnknownInterface,
        };
        self.intake.set_aside(reason);
        self.notes.unknown_link(input.number, &input.name, packet);
    }

    /// Says what the run did.
    fn report(
        &self,
        sums: &Done,
        mut inputs: Vec<(Origin<'a>, Progressed)>,
        started: Instant,
        aloud: bool,
    ) -> anyhow::Result<Status> {
        inputs.sort_by_key(|(input, _)| input.number);
        let listed: Vec<InputSummary<'_>> = inputs
            .iter()
            .map(|(input, became)| InputSummary {
                number: u32::try_from(input.number).unwrap_or(u32::MAX),
                path: input.path,
                packets: became.packets,
                bytes: became.bytes,
                problem: became.problem.as_deref(),
                dropped: became.dropped,
            })
            .collect();
        let summary = Summary {
            books: &sums.books,
            totals: &sums.totals,
            inputs: &listed,
            elapsed: started.elapsed(),
            disk: self.config.output.disk.as_ref().map(Disk::counts),
        };
        let readable = inputs.iter().any(|(_, became)| became.readable);
        if readable && aloud {
            say(format_args!("{}", summary.text()));
        }
        if let Some(path) = &self.config.summary_json {
            write_summary(path, &summary.json())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(match readable {
            false => Status::Nothing,
            true if self.notes.failed() => Status::Unwritten,
            true if self.notes.incomplete() => Status::Incomplete,
            true => Status::Complete,
        })
    }
}

/// Follows the connections of plain packets that go the usual way. What is not stays.
///
/// It has nothing in hand that another way would need: a packet that goes one is read anew. With all ways in one, each
/// packet took 80 instructions more.
#[inline(always)]
fn follow_usual(
    crew: &mut Crew,
    intake: &mut Intake,
    clock: &mut Timestamp,
    file: InFile,
    stretch: &mut Stretch<'_>,
) -> Result<(), Halted> {
    let (before, mut messages) = (stretch.packets(), 0);
    let mut followed = Ok(());
    while let Some((packet, ahead)) = stretch.look() {
        if let Some(upcoming) = ahead.upcoming() {
            crew.foresee(upcoming);
        }
        let Some(link) = packet.link.filter(|_| packet.has_time) else { break };
        let source = file.packet(packet.time.again(), packet.number);
        let (n, frame) = (stretch.packets() - before, frame(&packet, link));
        let taken = if let Some(plain) = wire::decode_plain_tcp(&frame) {
            crew.take_usual(&intake.plain_after(n, source, &plain))
        } else if let Some(plain) = wire::decode_plain_udp(&frame) {
            messages += 1;
            crew.take(&intake.plain_after(n, source, &plain)).map(|()| true)
        } else {
            break;
        };
        if taken == Ok(false) {
            break;
        }
        *clock = packet.time.again();
        stretch.go_on(ahead);
        if let Err(halted) = taken {
            followed = Err(halted);
            break;
        }
    }
    let packets = stretch.packets() - before;
    intake.count_plain(packets);
    crew.count_usual(packets - messages);
    followed
}

/// The datagram of a plain packet, which has a time.
#[inline(always)]
fn plain<'p>(
    intake: &mut Intake,
    clock: &mut Timestamp,
    input: &Origin<'_>,
    packet: &Packet<'p>,
) -> Option<Arrival<'p>> {
    let link = packet.link.filter(|_| packet.has_time)?;
    let source = source(input, packet, packet.time.again());
    let arrival = intake.plain(source, &frame(packet, link))?;
    *clock = packet.time.again();
    Some(arrival)
}

/// An input, as its packets name it.
#[inline(always)]
fn file(input: &Origin<'_>) -> InFile {
    InFile::new(u32::try_from(input.number).unwrap_or(u32::MAX))
}

/// Where what a packet brings comes from.
#[inline(always)]
fn source(input: &Origin<'_>, packet: &Packet<'_>, time: Timestamp) -> Source {
    file(input).packet(time, packet.number)
}

/// What is to be decoded of a packet.
#[inline(always)]
fn frame<'a>(packet: &Packet<'a>, link: LinkType) -> Frame<'a> {
    Frame { link, bytes: packet.bytes, wire_len: packet.wire_len }
}
