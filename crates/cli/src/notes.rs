//! What is said to people while a run goes on.

use crate::progress::Progress;
use capture::Packet;
use std::collections::HashSet;
use std::fmt::Display;
use wire::LinkType;

/// Of so many link types of an input it is said that they cannot be used: a hostile one has 65 536.
const LINK_TYPES_SAID: usize = 8;

/// Lines on standard error, and whether anything went wrong.
#[derive(Debug)]
pub(crate) struct Notes {
    progress: Progress,
    verbose: bool,
    /// Something that was asked for could not be read.
    incomplete: bool,
    /// Something that was asked for could not be written.
    failed: bool,
    /// What was said of an input's link types; each is said once.
    said: HashSet<(usize, Option<LinkType>)>,
}

impl Notes {
    pub(crate) fn new(progress: Progress, verbose: bool) -> Self {
        Self { progress, verbose, incomplete: false, failed: false, said: HashSet::new() }
    }

    /// Was something that was asked for not read?
    pub(crate) fn incomplete(&self) -> bool {
        self.incomplete
    }

    /// Was something that was asked for not written?
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Notes of another thread, that it can take along.
    pub(crate) fn beside(&self) -> Self {
        Self::new(Progress::none(), self.verbose)
    }

    /// That thread is done.
    pub(crate) fn join(&mut self, other: &Self) {
        self.incomplete |= other.incomplete;
        self.failed |= other.failed;
    }

    pub(crate) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// An input is missing or damaged.
    pub(crate) fn problem(&mut self, problem: impl Display) {
        self.incomplete = true;
        self.progress.line(&format!("pcap2conn: {problem}"));
    }

    /// Something could not be written, beside the connections.
    pub(crate) fn failure(&mut self, failure: impl Display) {
        self.failed = true;
        self.progress.line(&format!("pcap2conn: {failure}"));
    }

    /// How it goes.
    pub(crate) fn statistics(&self, line: &str) {
        self.progress.line(&format!("pcap2conn: {line}"));
    }

    /// Something is not as it was asked for, and nothing is lost by it.
    pub(crate) fn warning(&mut self, warning: impl Display) {
        self.progress.line(&format!("pcap2conn: {warning}"));
    }

    /// The packets of a link type of an input cannot be used, `None` for an unknown interface. `why`
    /// is said for the first one.
    pub(crate) fn unusable(
        &mut self,
        input: usize,
        link: Option<LinkType>,
        why: impl FnOnce() -> String,
    ) {
        let of_input = self.said.iter().filter(|(number, _)| *number == input).count();
        if of_input > LINK_TYPES_SAID || !self.said.insert((input, link)) {
            self.incomplete = true;
        } else if of_input == LINK_TYPES_SAID {
            self.problem(
                "further link types of the same input are not told; the summary counts them",
            );
        } else {
            self.problem(why());
        }
    }

    /// A packet is of a link type that nobody knows, or of an interface that its file does not describe.
    pub(crate) fn unknown_link(&mut self, input: usize, name: &str, packet: &Packet<'_>) {
        let number = packet.number;
        self.unusable(input, packet.link, || match packet.link {
            Some(link) => format!(
                "{name}: packet {number}: link type {link} is not known; its packets are set aside"
            ),
            None => format!(
                "{name}: packet {number}: the file does not describe its interface {}; such packets \
                 are set aside",
                packet.interface
            ),
        });
    }

    /// The filter has no meaning for a packet.
    pub(crate) fn filter_undefined(
        &mut self,
        input: usize,
        name: &str,
        number: u64,
        link: LinkType,
    ) {
        self.unusable(input, Some(link), || {
            format!(
                "{name}: packet {number}: the filter has no meaning for link type {link}; \
                 packets of this type are set aside"
            )
        });
    }

    /// Something that is said when asked for.
    pub(crate) fn detail(&self, detail: impl FnOnce() -> String) {
        if self.verbose {
            self.progress.line(&format!("pcap2conn: {}", detail()));
        }
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }
}
