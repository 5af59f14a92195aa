//! Capture times as people read them: wall-clock seconds for names, decimals for JSON lines.

use crate::text::push_u64;
use jiff::tz::TimeZone;
use wire::Timestamp;

/// A second of a wall clock: seconds since 1970-01-01 00:00:00 on that clock, from the year 0 to the
/// year 9999.
///
/// Times beyond are moved to the nearest of the two ends: a name has four digits for the year, and
/// a capture may claim any time (a corrupt one often does).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WallSecond(i64);

/// 0000-01-01 00:00:00.
const FIRST: i64 = -62_167_219_200;
/// 9999-12-31 23:59:59.
const LAST: i64 = 253_402_300_799;

/// Turns capture times to the wall clock of a time zone.
///
/// It remembers the offset between the two clock changes around the last time it was asked for: a
/// look-up in the time zone costs a microsecond, and every connection needs one.
pub(crate) struct Clock {
    zone: TimeZone,
    /// Seconds since the epoch in which `offset` holds.
    valid: std::ops::Range<i64>,
    offset: i64,
}

/// Why the local time zone is not known, so that names are in UTC; a line for people.
///
/// Where `TZ` says nothing and the system has no zone, UTC is what it has.
pub fn time_zone_problem() -> Option<String> {
    std::env::var_os("TZ").filter(|zone| !zone.is_empty())?;
    let error = TimeZone::try_system().err()?;
    let error = error.to_string();
    let reason = error.lines().next().unwrap_or_default();
    Some(format!("the local time zone is not known, file names are in UTC: {reason}"))
}

impl Clock {
    /// The clock of this machine; the environment variable `TZ` decides. UTC where nothing is known.
    pub(crate) fn local() -> Self {
        Self::in_zone(TimeZone::system())
    }

    /// UTC.
    pub(crate) fn utc() -> Self {
        Self::in_zone(TimeZone::UTC)
    }

    pub(crate) fn in_zone(zone: TimeZone) -> Self {
        Self { zone, valid: 0..0, offset: 0 }
    }

    /// What the clock shows at `time`.
    pub(crate) fn show(&mut self, time: Timestamp) -> WallSecond {
        if !self.valid.contains(&time.secs()) {
            self.look_up(time.secs());
        }
        WallSecond(time.secs().saturating_add(self.offset).clamp(FIRST, LAST))
    }

    fn look_up(&mut self, secs: i64) {
        use jiff::Timestamp;
        let secs = secs.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let at = Timestamp::from_second(secs).unwrap_or(Timestamp::UNIX_EPOCH);
        // One second later, so that a change at this very second counts as past.
        let after = Timestamp::from_second(secs.saturating_add(1)).unwrap_or(Timestamp::MAX);
        let second = |change: jiff::tz::TimeZoneTransition<'_>| change.timestamp().as_second();
        let from = self.zone.preceding(after).next().map_or(i64::MIN, second);
        let until = self.zone.following(at).next().map_or(i64::MAX, second);
        self.valid = from..until;
        self.offset = i64::from(self.zone.to_offset(at).seconds());
    }
}

impl WallSecond {
    /// A number that is the same for two times only if they are printed alike.
    pub(crate) fn id(self) -> i64 {
        self.0
    }

    /// `YYYYMMDDHHMMSS`.
    pub(crate) fn compact(self) -> [u8; 14] {
        let (date, time) = self.fields();
        let mut text = [b'0'; 14];
        for (digits, n) in text.chunks_exact_mut(2).zip(date.into_iter().chain(time)) {
            digits.copy_from_slice(&two_digits(n));
        }
        text
    }

    /// Appends `YYYY-MM-DD HH:MM:SS`.
    pub(crate) fn push_readable(self, out: &mut Vec<u8>) {
        let ([century, year, month, day], [hour, minute, second]) = self.fields();
        push_two_digits(out, century);
        for (n, after) in [(year, b'-'), (month, b'-'), (day, b' '), (hour, b':'), (minute, b':')] {
            push_two_digits(out, n);
            out.push(after);
        }
        push_two_digits(out, second);
    }

    /// Century, year of the century, month, day; hour, minute, second.
    fn fields(self) -> ([u8; 4], [u8; 3]) {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Years that begin with March end with the leap day, so a day's place in its 400 years (which
        // have 146 097 days) gives year and month without tables. 719 468 days lie between 0000-03-01
        // and 1970-01-01.
        let day = days + 719_468;
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // March to July and August to December have 153 days each: 31, 30, 31, 30, 31.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + next_year;
        let date = [year / 100, year % 100, month, day];
        let time = [second / 3600, second / 60 % 60, second % 60];
        // All below 100: the year is at most 9999.
        (date.map(|n| n as u8), time.map(|n| n as u8))
    }
}

fn two_digits(n: u8) -> [u8; 2] {
    [b'0' + n / 10 % 10, b'0' + n % 10]
}

fn push_two_digits(out: &mut Vec<u8>, n: u8) {
    out.extend_from_slice(&two_digits(n));
}

/// Appends seconds since the epoch: 9 decimals where the interface resolved finer than a
/// microsecond, else 6.
pub(crate) fn push_time(out: &mut Vec<u8>, time: Timestamp) {
    push_difference(out, time, Timestamp::new(0, 0), time.is_fine());
}

/// Appends the seconds from `first` to `time`: 9 decimals where either has them, else 6. Negative
/// where `time` is the earlier one.
///
/// Both are cut to the decimals first, so that the printed times differ by just this.
pub(crate) fn push_since(out: &mut Vec<u8>, time: Timestamp, first: Timestamp) {
    push_difference(out, time, first, time.is_fine() || first.is_fine());
}

fn push_difference(out: &mut Vec<u8>, time: Timestamp, first: Timestamp, fine: bool) {
    let (in_second, nanos) = if fine { (1_000_000_000, 1) } else { (1_000_000, 1_000) };
    let mut secs = i128::from(time.secs()) - i128::from(first.secs());
    let mut parts =
        i64::from(time.subsec_nanos() / nanos) - i64::from(first.subsec_nanos() / nanos);
    // The same sign for both, so that each can be printed without it.
    if secs > 0 && parts < 0 {
        secs -= 1;
        parts += in_second;
    } else if secs < 0 && parts > 0 {
        secs += 1;
        parts -= in_second;
    }
    if secs < 0 || parts < 0 {
        out.push(b'-');
    }
    // The difference of two i64 fits a u64.
    push_u64(out, secs.unsigned_abs() as u64);
    let mut digits = *b".000000000";
    let digits = &mut digits[..if fine { 10 } else { 7 }];
    let mut parts = parts.unsigned_abs();
    for digit in digits[1..].iter_mut().rev() {
        *digit += (parts % 10) as u8;
        parts /= 10;
    }
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compact(clock: &mut Clock, secs: i64) -> String {
        let mut out = Vec::new();
        out.extend_from_slice(&clock.show(Timestamp::new(secs, 0)).compact());
        String::from_utf8(out).unwrap()
    }

    /// New York by rule, so that the test needs no time zone database.
    fn new_york() -> TimeZone {
        TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
    }

    fn printed(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_show_the_wall_clock() {
        assert_eq!(compact(&mut Clock::utc(), 0), "19700101000000");
        assert_eq!(compact(&mut Clock::utc(), 1_563_783_090), "20190722081130");
        let moscow = TimeZone::posix("MSK-3").unwrap();
        assert_eq!(compact(&mut Clock::in_zone(moscow), 1_563_783_090), "20190722111130");
        let mut out = Vec::new();
        Clock::utc().show(Timestamp::new(1_563_783_090, 5)).push_readable(&mut out);
        assert_eq!(out, b"2019-07-22 08:11:30");
    }

    #[test]
    fn the_clock_goes_back_at_the_very_second() {
        // 2024-11-03 06:00:00 UTC: 02:00 EDT becomes 01:00 EST. The packets come in disorder.
        let mut clock = Clock::in_zone(new_york());
        let change = 1_730_613_600;
        assert_eq!(compact(&mut clock, change), "20241103010000");
        assert_eq!(compact(&mut clock, change - 1), "20241103015959");
        assert_eq!(compact(&mut clock, change + 3599), "20241103015959");
        assert_eq!(compact(&mut clock, change - 3600), "20241103010000");
    }

    #[test]
    fn years_without_four_digits_are_moved_to_the_ends() {
        for mut clock in [Clock::utc(), Clock::in_zone(new_york())] {
            assert_eq!(compact(&mut clock, i64::MAX), "99991231235959");
            assert_eq!(compact(&mut clock, i64::MIN), "00000101000000");
        }
        assert_eq!(compact(&mut Clock::utc(), LAST), "99991231235959");
        assert_eq!(compact(&mut Clock::utc(), LAST - 1), "99991231235958");
        assert_eq!(compact(&mut Clock::utc(), LAST + 1), "99991231235959");
        assert_eq!(compact(&mut Clock::utc(), FIRST), "00000101000000");
        assert_eq!(compact(&mut Clock::utc(), FIRST + 1), "00000101000001");
    }

    #[test]
    fn decimals_follow_the_interface() {
        let coarse = Timestamp::new(1_563_783_092, 387_930_000);
        let fine = Timestamp::fine(1_563_783_092, 387_930_001);
        assert_eq!(printed(|out| push_time(out, coarse)), "1563783092.387930");
        assert_eq!(printed(|out| push_time(out, fine)), "1563783092.387930001");
        let first = Timestamp::new(1_563_783_090, 564_270_000);
        assert_eq!(printed(|out| push_since(out, coarse, first)), "1.823660");
        assert_eq!(printed(|out| push_since(out, fine, first)), "1.823660001");
        assert_eq!(printed(|out| push_since(out, first, fine)), "-1.823660001");
        assert_eq!(printed(|out| push_since(out, first, first)), "0.000000");
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        assert_eq!(printed(|out| push_time(out, Timestamp::new(-1, 500_000_000))), "-0.500000");
        assert_eq!(printed(|out| push_time(out, Timestamp::new(-2, 0))), "-2.000000");
        assert_eq!(printed(|out| push_time(out, Timestamp::new(-2, 250_000_000))), "-1.750000");
        let (low, high) = (Timestamp::new(i64::MIN, 0), Timestamp::new(i64::MAX, 999_999_999));
        assert_eq!(printed(|out| push_since(out, high, low)), "18446744073709551615.999999");
        assert_eq!(printed(|out| push_since(out, low, high)), "-18446744073709551615.999999");
    }

    proptest! {
        #[test]
        fn wall_seconds_are_those_of_the_calendar(
            times in proptest::collection::vec(-62_000_000_000i64..253_000_000_000, 1..20),
        ) {
            // One clock for all of them: what it remembers must not leak from one to the next.
            let mut clock = Clock::in_zone(new_york());
            for secs in times {
                let oracle = new_york().to_datetime(jiff::Timestamp::from_second(secs).unwrap());
                prop_assert_eq!(
                    compact(&mut clock, secs),
                    oracle.strftime("%Y%m%d%H%M%S").to_string()
                );
            }
        }

        #[test]
        fn differences_are_exact(a in any::<i64>(), an in 0u32..1_000_000_000, b in any::<i64>(), bn in 0u32..1_000_000_000) {
            let (a, b) = (Timestamp::fine(a, an), Timestamp::fine(b, bn));
            let text = printed(|out| push_since(out, a, b));
            let nanos: i128 = text.replace('.', "").parse().unwrap();
            prop_assert_eq!(nanos, a.nanos_since(b));
            prop_assert_eq!(text.split_once('.').unwrap().1.len(), 9);
        }
    }
}
