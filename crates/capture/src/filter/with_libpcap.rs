//! The filter of a build with libpcap.

use super::bpf::Program;
use super::loopback::Families;
use super::{FilterError, Verdict, compiler};
use std::collections::HashMap;
use wire::LinkType;

/// A filter expression in the syntax of `pcap-filter(7)`.
///
/// It is compiled when a link type is first met, and once for each.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: String,
    compiled: Vec<(LinkType, Compiled)>,
    /// Where each link type stands in `compiled`.
    places: HashMap<LinkType, usize>,
    /// The place asked last: nearly always the one asked next.
    last: usize,
}

/// The expression for one link type.
#[derive(Clone, Debug)]
enum Compiled {
    Program(Program),
    /// For loopback frames, whose address families first get libpcap's values.
    Loopback(Program, Families),
    /// libpcap has found that no packet of this link type can match.
    Never,
    Undefined,
}

/// Why the compiler gave no program.
pub(super) enum Refusal {
    /// libpcap has found that no packet can match.
    RejectsAll(String),
    Message(String),
}

impl Filter {
    /// A filter that is not compiled yet: [`check`](Self::check) tells whether it can be.
    pub fn new(expression: &str) -> Self {
        let expression = expression.to_owned();
        Self { expression, compiled: Vec::new(), places: HashMap::new(), last: 0 }
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Compiles the expression for `link`, the link type of the first input.
    ///
    /// # Errors
    /// It is wrong, has no meaning for this link type, or can match no packet of it.
    pub fn check(&mut self, link: LinkType) -> Result<(), FilterError> {
        let expression = self.expression.clone();
        match compile(&self.expression, link) {
            Ok(_) => Ok(()),
            Err(Refusal::RejectsAll(message) | Refusal::Message(message)) => {
                Err(FilterError::Compile { expression, link, message })
            }
        }
    }

    /// Judges a packet of which `bytes` were captured and which had `wire_len` bytes on the wire.
    #[inline]
    pub fn matches(&mut self, link: LinkType, bytes: &[u8], wire_len: u32) -> Verdict {
        let matched = match self.compiled_for(link) {
            Compiled::Program(program) => program.matches(bytes, wire_len),
            Compiled::Loopback(program, families) => match families.translate(bytes) {
                Some(frame) => program.matches(frame, wire_len),
                None => program.matches(bytes, wire_len),
            },
            Compiled::Never => false,
            Compiled::Undefined => return Verdict::Undefined,
        };
        if matched { Verdict::Match } else { Verdict::NoMatch }
    }

    #[inline]
    fn compiled_for(&mut self, link: LinkType) -> &mut Compiled {
        if self.compiled.get(self.last).is_none_or(|last| last.0 != link) {
            self.turn_to(link);
        }
        &mut self.compiled[self.last].1
    }

    /// Makes `last` the place of `link`, compiling the expression where that is new.
    #[cold]
    fn turn_to(&mut self, link: LinkType) {
        let Self { expression, compiled, places, last } = self;
        *last = *places.entry(link).or_insert_with(|| {
            let program = compile(expression, link).unwrap_or_else(|refusal| match refusal {
                Refusal::RejectsAll(_) => Compiled::Never,
                Refusal::Message(_) => Compiled::Undefined,
            });
            compiled.push((link, program));
            compiled.len() - 1
        });
    }
}

fn compile(expression: &str, link: LinkType) -> Result<Compiled, Refusal> {
    let program = compiler::compile(expression, link)?;
    if matches!(link, LinkType::NULL | LinkType::LOOP) {
        let family = |name| compiler::compile(name, link).ok()?.first_equal();
        if let (Some(ipv4), Some(ipv6)) = (family("ip"), family("ip6")) {
            let families = Families::new(ipv4, ipv6);
            return Ok(Compiled::Loopback(program, families));
        }
    }
    Ok(Compiled::Program(program))
}
