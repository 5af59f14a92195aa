//! BPF filters: compiled by libpcap for each link type met, run by our own machine.

#[cfg(feature = "libpcap")]
mod bpf;
#[cfg(feature = "libpcap")]
mod compiler;
#[cfg(feature = "libpcap")]
mod loopback;
#[cfg(feature = "libpcap")]
mod with_libpcap;
#[cfg(not(feature = "libpcap"))]
mod without_libpcap;

#[cfg(test)]
#[cfg(feature = "libpcap")]
mod against_libpcap;

#[cfg(feature = "libpcap")]
pub use with_libpcap::Filter;
#[cfg(not(feature = "libpcap"))]
pub use without_libpcap::Filter;

use crate::error::OneLine;
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
