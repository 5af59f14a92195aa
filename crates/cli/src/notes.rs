//! What is said to people while a run goes on.

use crate::progress::Progress;
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
    /// What was said of an input's link types; each is said once.
    said: HashSet<(usize, Option<LinkType>)>,
}

impl Notes {
    pub(crate) fn new(progress: Progress, verbose: bool) -> Self {
        Self { progress, verbose, incomplete: false, said: HashSet::new() }
    }

    /// Was something that was asked for not read?
    pub(crate) fn incomplete(&self) -> bool {
        self.incomplete
    }

    pub(crate) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// An input is missing or damaged.
    pub(crate) fn problem(&mut self, problem: impl Display) {
        self.incomplete = true;
        self.progress.line(&format!("pcap2conn: {problem}"));
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
