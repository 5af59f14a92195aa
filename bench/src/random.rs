//! A small generator of random numbers, the same on every machine and in every release.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and three mixing steps a number.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64-bit number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any 32-bit number.
    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    /// A number from 0 to `end` - 1; 0 when `end` is 0. The bias is below `end` / 2^32.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(end)) >> 32) as u32
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: f64) -> bool {
        // A 53-bit number below 1.
        ((self.next() >> 11) as f64 / (1u64 << 53) as f64) * 100.0 < percent
    }

    /// Printable text.
    pub(crate) fn text(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b' ' + self.below(95) as u8).collect()
    }

    /// Bytes of all values.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A number of an exponential distribution with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        // 53 bits, moved away from 0, whose logarithm is infinite.
        let unit = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        -unit.ln() * mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_sequence() {
        // The reference implementation's first numbers for seed 1234567.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn exponential_numbers_have_their_mean() {
        let mut random = Random::new(7);
        let sum: f64 = (0..100_000).map(|_| random.exponential(50.0)).sum();
        assert!((49.0..51.0).contains(&(sum / 100_000.0)), "mean {}", sum / 100_000.0);
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut random = Random::new(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn chances_are_in_percent() {
        let mut random = Random::new(7);
        let hits = (0..100_000).filter(|_| random.chance(0.5)).count();
        assert!((450..550).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| random.chance(100.0)));
        assert!((0..1000).all(|_| !random.chance(0.0)));
    }
}
