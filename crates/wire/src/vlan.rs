//! VLAN ids.

use std::fmt;

/// The ids of a frame's VLAN tags (IEEE 802.1Q, 802.1ad), the outermost first.
///
/// The id 0 of a frame that is tagged for its priority alone is none. Of more than
/// [`VlanIds::MAX`] tags, the innermost count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VlanIds(u64);

/// Bits of an id; the number of ids stands above them.
const ID_BITS: u32 = 12;
const ID: u64 = (1 << ID_BITS) - 1;
const COUNT_AT: u32 = 60;

impl VlanIds {
    /// No tag.
    pub const NONE: Self = Self(0);

    /// How many ids are kept. Provider bridges put two on a frame.
    pub const MAX: usize = (COUNT_AT / ID_BITS) as usize;

    /// Were there none?
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// The ids, the outermost first.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        (0..self.count()).rev().map(move |i| (self.0 >> (i * ID_BITS) & ID) as u16)
    }

    /// The same ids in another tag. `id` has 12 bits; those above are left out.
    pub fn within(self, id: u16) -> Self {
        let (id, count) = (u64::from(id) & ID, self.count());
        if id == 0 || count as usize >= Self::MAX {
            return self;
        }
        let ids = self.0 & ((1 << COUNT_AT) - 1) | id << (count * ID_BITS);
        Self(ids | u64::from(count + 1) << COUNT_AT)
    }

    fn count(self) -> u32 {
        (self.0 >> COUNT_AT) as u32
    }
}

/// As `100`, or `100.7` with the outermost first.
impl fmt::Display for VlanIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.iter().enumerate() {
            let dot = if i > 0 { "." } else { "" };
            write!(f, "{dot}{id}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for VlanIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_stands_first() {
        let ids = VlanIds::NONE.within(7).within(100).within(4095);
        assert_eq!(ids.iter().collect::<Vec<u16>>(), [4095, 100, 7]);
        assert_eq!(ids.to_string(), "4095.100.7");
        assert_ne!(ids, VlanIds::NONE.within(100).within(7).within(4095));
    }

    #[test]
    fn a_priority_tag_names_no_vlan() {
        assert!(VlanIds::NONE.within(0).is_empty());
        assert_eq!(VlanIds::NONE.within(7).within(0), VlanIds::NONE.within(7));
        assert_eq!(VlanIds::NONE.to_string(), "");
    }

    #[test]
    fn of_too_many_the_innermost_count() {
        let ids = (1..=9).fold(VlanIds::NONE, VlanIds::within);
        assert_eq!(ids.iter().collect::<Vec<u16>>(), [5, 4, 3, 2, 1]);
    }
}
