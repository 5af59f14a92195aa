//! The filter of a build without libpcap: it says so.

use super::{FilterError, Verdict};
use wire::LinkType;

/// A filter expression in the syntax of `pcap-filter(7)`, which this build cannot compile.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: String,
}

impl Filter {
    /// A filter that [`check`](Self::check) refuses.
    pub fn new(expression: &str) -> Self {
        Self { expression: expression.to_owned() }
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Tells that this build has no libpcap.
    ///
    /// # Errors
    /// Always.
    pub fn check(&mut self, _: LinkType) -> Result<(), FilterError> {
        Err(FilterError::NoLibpcap { expression: self.expression.clone() })
    }

    /// Every packet is [`Verdict::Undefined`].
    pub fn matches(&mut self, _: LinkType, _: &[u8], _: u32) -> Verdict {
        Verdict::Undefined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_how_to_get_one() {
        let mut filter = Filter::new("tcp");
        let error = filter.check(LinkType::ETHERNET).unwrap_err();
        assert_eq!(
            error.to_string(),
            "filter 'tcp': this build has no libpcap; build it with the feature `libpcap`"
        );
        assert_eq!(filter.matches(LinkType::ETHERNET, &[0; 60], 60), Verdict::Undefined);
    }
}
