//! How many bytes wait to be written, and of how many files, before the first are.
//!
//! Most connections that have been silent for a while say no more: to write what they have while it is still in a
//! near cache costs less than to fetch it from memory later (1.35 million of DNS by two workers: 8.1 s with 32 MiB
//! each, 7.1 s with 4; in another run 7.7 s with 4 and 6.5 s with 1). Of small files a near cache has room for few, since what is
//! known of each takes as much as its bytes: 4.8 s with as many as 2 MiB hold, 4.45 with 1024 of them. Where
//! connections do go on, to write them early costs an open, a write and a close each time. So little waits at first,
//! and more, from then on, where more than one in eight goes on.

/// So many bytes wait at first.
const AT_FIRST: usize = 2 << 20;

/// Where fewer bytes wait than may, so many of these are allowed for each file.
const FOR_A_FILE: usize = AT_FIRST / 1024;

/// Of so many files that were written and closed...
const WRITTEN: u32 = 4096;

/// ...so many may be opened again.
const GO_ON: u32 = WRITTEN / 8;

/// How many bytes may wait.
pub(crate) struct Allowance {
    most: usize,
    now: usize,
    written: u32,
    went_on: u32,
}

impl Allowance {
    /// One that never exceeds `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, now: most.min(AT_FIRST), written: 0, went_on: 0 }
    }

    /// How many bytes may wait now.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.now
    }

    /// Of how many files bytes may wait now.
    #[inline]
    pub(crate) fn files(&self) -> usize {
        if self.now < self.most { self.now / FOR_A_FILE } else { usize::MAX }
    }

    /// A file was written and closed, for whatever reason: what goes on is compared with what all costs.
    pub(crate) fn note_written(&mut self) {
        self.written += 1;
        if self.written >= WRITTEN {
            (self.written, self.went_on) = (0, 0);
        }
    }

    /// One that was has more to write.
    pub(crate) fn note_going_on(&mut self) {
        self.went_on += 1;
        if self.went_on >= GO_ON {
            self.now = self.now.saturating_mul(2).min(self.most);
            (self.written, self.went_on) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_waits_where_connections_go_on_up_to_the_most() {
        let mut allowance = Allowance::new(10 << 20);
        let mut most = Vec::new();
        let mut files = Vec::new();
        for written in 0..10 * WRITTEN {
            allowance.note_written();
            if written % 7 == 0 {
                allowance.note_going_on();
            }
            most.push(allowance.bytes() >> 20);
            files.push(allowance.files());
        }
        most.dedup();
        files.dedup();
        assert_eq!((most, files), (vec![2, 4, 8, 10], vec![1024, 2048, 4096, usize::MAX]));
    }

    #[test]
    fn little_waits_where_few_go_on() {
        let mut allowance = Allowance::new(10 << 20);
        for written in 0..100 * WRITTEN {
            allowance.note_written();
            if written % 9 == 0 {
                allowance.note_going_on();
            }
        }
        assert_eq!((allowance.bytes(), allowance.files()), (AT_FIRST, 1024));
        let little = Allowance::new(1000);
        assert_eq!((little.bytes(), little.files()), (1000, usize::MAX));
    }

    #[test]
    fn stragglers_of_days_are_not_many() {
        let mut allowance = Allowance::new(10 << 20);
        for day in 0..100 {
            (0..GO_ON / 8).for_each(|_| allowance.note_going_on());
            (0..WRITTEN).for_each(|_| allowance.note_written());
            assert_eq!(allowance.bytes(), AT_FIRST, "day {day}");
        }
    }
}
