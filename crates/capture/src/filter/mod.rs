//! BPF filters: compiled by libpcap for each link type met, run by our own machine.

#[cfg(all(test, feature = "libpcap"))]
mod against_libpcap;
mod bpf;
#[cfg(feature = "libpcap")]
mod libpcap;

use crate::error::OneLine;
use bpf::Program;
use std::collections::HashMap;
use wire::LinkType;

/// What a filter says of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The packet is chosen.
    Match,
    /// It is not.
    NoMatch,
    /// The expression has no meaning for this link type (or this build has no libpcap).
    Undefined,
}

/// Why an expression was not compiled. Its `Display` is one line with the expression.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// libpcap's own message.
    #[error("filter '{}' for link type {link}: {}", OneLine(.expression), OneLine(.message))]
    Compile {
        /// What was to be compiled.
        expression: String,
        /// For which link type.
        link: LinkType,
        /// What libpcap says.
        message: String,
    },
    /// This build cannot compile filters.
    #[error(
        "filter '{}': this build has no libpcap; build it with the feature `libpcap`",
        OneLine(.expression)
    )]
    NoLibpcap {
        /// What was to be compiled.
        expression: String,
    },
}

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
#[cfg_attr(not(feature = "libpcap"), expect(dead_code, reason = "nothing is compiled"))]
enum Compiled {
    Program(Program),
    /// For loopback frames, whose address families first get libpcap's values.
    Loopback(Program, Families),
    /// libpcap has found that no packet of this link type can match.
    Never,
    Undefined,
}

/// Why the compiler gave no program.
#[cfg_attr(not(feature = "libpcap"), expect(dead_code, reason = "nothing is compiled"))]
enum Refusal {
    /// libpcap has found that no packet can match.
    RejectsAll(String),
    Message(String),
    #[cfg_attr(feature = "libpcap", expect(dead_code, reason = "it is there"))]
    NoLibpcap,
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
            Err(Refusal::NoLibpcap) => Err(FilterError::NoLibpcap { expression }),
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
                Refusal::Message(_) | Refusal::NoLibpcap => Compiled::Undefined,
            });
            compiled.push((link, program));
            compiled.len() - 1
        });
    }
}

#[cfg(not(feature = "libpcap"))]
fn compile(_: &str, _: LinkType) -> Result<Compiled, Refusal> {
    Err(Refusal::NoLibpcap)
}

#[cfg(feature = "libpcap")]
fn compile(expression: &str, link: LinkType) -> Result<Compiled, Refusal> {
    let program = libpcap::compile(expression, link)?;
    if matches!(link, LinkType::NULL | LinkType::LOOP) {
        let family = |name| libpcap::compile(name, link).ok()?.first_equal();
        if let (Some(ipv4), Some(ipv6)) = (family("ip"), family("ip6")) {
            let families = Families::new(ipv4, ipv6);
            return Ok(Compiled::Loopback(program, families));
        }
    }
    Ok(Compiled::Program(program))
}

/// The first four bytes of a loopback frame as libpcap compiles them into its programs.
///
/// They hold the capturing system's number for the address family, in that system's byte order for
/// `LINKTYPE_NULL`, and IPv6 has another number on each system; libpcap, not knowing the file, takes
/// those of the system it runs on. So the frame's are translated.
#[derive(Clone, Debug)]
struct Families {
    ipv4: [u8; 4],
    ipv6: [u8; 4],
    /// A copy of the frame with the bytes exchanged.
    frame: Vec<u8>,
}

impl Families {
    #[cfg_attr(not(feature = "libpcap"), expect(dead_code, reason = "nothing is compiled"))]
    fn new(ipv4: u32, ipv6: u32) -> Self {
        Self { ipv4: ipv4.to_be_bytes(), ipv6: ipv6.to_be_bytes(), frame: Vec::new() }
    }

    /// The frame with the family exchanged; `None` where it stays as it is.
    fn translate(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        let (&family, rest) = bytes.split_first_chunk::<4>()?;
        let family = match (u32::from_le_bytes(family), u32::from_be_bytes(family)) {
            (2, _) | (_, 2) => self.ipv4,
            // Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
            (10 | 23 | 24 | 28 | 30, _) | (_, 10 | 23 | 24 | 28 | 30) => self.ipv6,
            _ => return None,
        };
        self.frame.clear();
        self.frame.extend_from_slice(&family);
        self.frame.extend_from_slice(rest);
        Some(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_families_of_every_system_become_libpcaps() {
        let mut families = Families::new(0x0200_0000, 0x0a00_0000);
        for (family, want) in [
            (b"\x02\0\0\0", b"\x02\0\0\0"),
            (b"\0\0\0\x02", b"\x02\0\0\0"),
            (b"\x1e\0\0\0", b"\x0a\0\0\0"),
            (b"\0\0\0\x18", b"\x0a\0\0\0"),
            (b"\x1c\0\0\0", b"\x0a\0\0\0"),
            (b"\x17\0\0\0", b"\x0a\0\0\0"),
        ] {
            let frame = [&family[..], b"rest"].concat();
            let translated = families.translate(&frame).unwrap();
            assert_eq!(translated, [&want[..], b"rest"].concat());
        }
        assert_eq!(families.translate(b"\x07\0\0\0rest"), None);
        assert_eq!(families.translate(b"\x02\0\0"), None);
    }

    #[cfg(not(feature = "libpcap"))]
    #[test]
    fn without_libpcap_the_error_says_so() {
        let mut filter = Filter::new("tcp");
        let error = filter.check(LinkType::ETHERNET).unwrap_err();
        assert_eq!(
            error.to_string(),
            "filter 'tcp': this build has no libpcap; build it with the feature `libpcap`"
        );
        assert_eq!(filter.matches(LinkType::ETHERNET, &[0; 60], 60), Verdict::Undefined);
    }
}
