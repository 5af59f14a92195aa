//! Captures of a build without libpcap: it says so.

use super::{Interface, LiveConfig, LiveError, LiveStats};
use crate::Packet;
use wire::LinkType;

/// The interfaces of this machine, which this build cannot find.
///
/// # Errors
/// Always.
pub fn interfaces() -> Result<Vec<Interface>, LiveError> {
    Err(LiveError::NoLibpcap)
}

/// A capture, of which this build has none.
#[derive(Debug)]
pub struct Live(std::convert::Infallible);

impl Live {
    /// Tells that this build has no libpcap.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &LiveConfig) -> Result<Self, LiveError> {
        Err(LiveError::NoLibpcap)
    }

    /// Tells that this build has no libpcap.
    ///
    /// # Errors
    /// Always.
    pub fn open_rings(_: &LiveConfig, _: usize) -> Result<Vec<Self>, LiveError> {
        Err(LiveError::NoLibpcap)
    }

    /// Never called.
    pub fn link(&self) -> LinkType {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, LiveError> {
        match self.0 {}
    }

    /// Never called.
    pub fn has_next(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn stats(&mut self) -> LiveStats {
        match self.0 {}
    }

    /// Never called.
    pub fn name(&self) -> &str {
        match self.0 {}
    }

    /// Never called.
    pub fn packets(&self) -> u64 {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_how_to_get_it() {
        let error = interfaces().unwrap_err().to_string();
        assert!(error.contains("build it with the feature `libpcap`"), "{error}");
    }
}
