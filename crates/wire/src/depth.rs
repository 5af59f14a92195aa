//! How deep headers stand in one another.

use crate::Dropped;
#[cfg(test)]
use crate::MAX_HEADERS;

/// How many more tags, labels and extension headers a frame may have.
///
/// It bounds the recursion of the link layers, each of which can carry some of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Depth(usize);

impl Depth {
    /// The usual allowance of a frame of which nothing was read yet.
    #[cfg(test)]
    pub(crate) const FULL: Self = Self(MAX_HEADERS);

    /// An allowance of this many headers.
    #[inline]
    pub(crate) fn of(headers: usize) -> Self {
        Self(headers)
    }

    /// What is left after one more header.
    #[inline]
    pub(crate) fn deeper(self) -> Result<Self, Dropped> {
        self.0.checked_sub(1).map(Self).ok_or(Dropped::TooDeep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_headers_as_allowed_and_not_one_more() {
        let mut depth = Depth::FULL;
        for _ in 0..MAX_HEADERS {
            depth = depth.deeper().unwrap();
        }
        assert_eq!(depth.deeper().unwrap_err(), Dropped::TooDeep);
    }
}
