//! Times of records.

use super::error::Reason;
use super::value::{is_object, text};
use serde::Deserialize;
use serde_json::value::RawValue;
use wire::Timestamp;

const SECOND: i128 = 1_000_000_000;

/// A time in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seconds {
    /// In nanoseconds, exactly as written.
    pub(super) nanos: i128,
    /// Were there more than six decimals?
    fine: bool,
}

impl Seconds {
    /// Reads up to 20 digits and up to 9 decimals, perhaps behind a sign.
    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !are_digits(whole, 20) || !are_digits(decimals, 9) {
            return None;
        }
        let below = 10_i128.pow(9 - decimals.len() as u32) * decimals.parse::<i128>().ok()?;
        let nanos = sign * (whole.parse::<i128>().ok()? * SECOND + below);
        Some(Self { nanos, fine: decimals.len() > 6 })
    }
}

/// What a record says of its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Times {
    /// Since 1970-01-01 UTC.
    pub(super) abs: Option<Seconds>,
    /// Since the connection's first packet.
    pub(super) conn: Option<Seconds>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    abs: Option<&'a RawValue>,
    #[serde(borrow)]
    conn: Option<&'a RawValue>,
}

impl Times {
    /// Reads a `time`.
    ///
    /// # Errors
    /// When it is no object, or its values are no times in seconds.
    pub(super) fn read(value: &RawValue) -> Result<Self, Reason> {
        let wrong = || Reason::wrong("time", "object of abs and conn", value.get());
        if !is_object(value.get()) {
            return Err(wrong());
        }
        let keys: Keys<'_> = serde_json::from_str(value.get()).map_err(|_| wrong())?;
        Ok(Self { abs: seconds("time.abs", keys.abs)?, conn: seconds("time.conn", keys.conn)? })
    }

    /// The classic program has 0, and a `conn` that is the difference to it, behind a gap.
    fn unless_lost(self) -> Self {
        let zero = self.abs.is_some_and(|abs| abs.nanos == 0);
        let before = self.conn.is_some_and(|conn| conn.nanos < 0);
        if zero && before { Self::default() } else { self }
    }
}

fn seconds(key: &'static str, value: Option<&RawValue>) -> Result<Option<Seconds>, Reason> {
    let Some(value) = value else { return Ok(None) };
    let found = text(value);
    let seconds = found.as_deref().and_then(Seconds::parse);
    let wrong = || Reason::wrong(key, "time in seconds", found.as_deref().unwrap_or(value.get()));
    seconds.map(Some).ok_or_else(wrong)
}

/// Gives the records of a connection their times.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the connection's first packet came, in nanoseconds since 1970, as soon as that is known.
    base: Option<i128>,
    fine: bool,
    last: i64,
}

impl Clock {
    /// Nanoseconds from the connection's first packet to a record that says `times`.
    ///
    /// `conn` counts, except in a `classic` dump, where it is two seconds too large; then, and where there
    /// is `abs` alone, `abs` counts from that of the first record. Records without either have the time of
    /// the one before, and so have those of a classic dump that lost theirs behind a gap. Times that are 292
    /// years or more from the first packet are cut to that.
    pub(super) fn at(&mut self, times: Times, classic: bool) -> i64 {
        let Times { abs, conn } = if classic { times.unless_lost() } else { times };
        let conn = conn.filter(|_| !(classic && abs.is_some())).map(|conn| {
            self.fine |= self.base.is_none() && conn.fine;
            conn.nanos
        });
        if let (Some(abs), None) = (abs, self.base) {
            self.base = Some(abs.nanos - conn.unwrap_or(i128::from(self.last)));
            self.fine |= abs.fine;
        }
        let since = abs.zip(self.base).map(|(abs, base)| abs.nanos - base);
        if let Some(at) = conn.or(since) {
            self.last = cut(at);
        }
        self.last
    }

    /// When the connection's first packet came, if that is known.
    pub(super) fn began(&self) -> Option<Timestamp> {
        let base = self.base?;
        let secs = i64::try_from(base.div_euclid(SECOND)).ok()?;
        let nanos = base.rem_euclid(SECOND) as u32;
        Some(if self.fine { Timestamp::fine(secs, nanos) } else { Timestamp::new(secs, nanos) })
    }

    /// By how many nanoseconds the first packet of `self` came later than that of `other`, as far as known.
    pub(super) fn later_than(&self, other: &Self) -> i64 {
        self.base.zip(other.base).map_or(0, |(ours, theirs)| cut(ours - theirs))
    }
}

fn cut(nanos: i128) -> i64 {
    nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(json: &str) -> Result<Times, Reason> {
        Times::read(&RawValue::from_string(json.to_owned()).unwrap())
    }

    fn read(abs: &str, conn: &str) -> Times {
        let parse = |text: &str| (!text.is_empty()).then(|| Seconds::parse(text).unwrap());
        Times { abs: parse(abs), conn: parse(conn) }
    }

    #[test]
    fn decimals_are_exact_as_strings_and_as_numbers() {
        for (text, nanos) in [
            ("1563783092.387930123", 1_563_783_092_387_930_123),
            ("-0.000002", -2_000),
            ("-1491516381.91579", -1_491_516_381_915_790_000),
            ("0.1", 100_000_000),
            ("7", 7_000_000_000),
            ("99999999999999999999.999999999", 99_999_999_999_999_999_999_999_999_999),
        ] {
            assert_eq!(Seconds::parse(text).unwrap().nanos, nanos);
            for json in [format!("{{\"abs\":{text}}}"), format!("{{\"abs\":\"{text}\"}}")] {
                assert_eq!(times(&json).unwrap().abs.unwrap().nanos, nanos, "{json}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_named() {
        let reason = |json: &str| times(json).unwrap_err().to_string();
        for text in ["", "-", "1.", ".5", "1.0000000001", "+1", "1e3", "--1", "yesterday", "1.-2"] {
            let json = format!("{{\"conn\":\"{text}\"}}");
            assert_eq!(reason(&json), format!("time.conn is no time in seconds: {text}"));
        }
        assert_eq!(reason("{\"abs\":1e9}"), "time.abs is no time in seconds: 1e9");
        assert_eq!(reason("{\"abs\":true}"), "time.abs is no time in seconds: true");
        for json in ["5", "\"5\"", "[\"1\",\"2\"]", "{\"abs\":1,\"abs\":2}"] {
            assert_eq!(reason(json), format!("time is no object of abs and conn: {json}"));
        }
        assert_eq!(times("{\"abs\":null,\"else\":{}}").unwrap(), Times::default());
    }

    #[test]
    fn conn_counts_and_tells_when_the_first_packet_came() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(read("1563783092.000001", "-0.000002"), false), -2_000);
        assert_eq!(clock.at(read("1563783092.387930", "5.5"), false), 5_500_000_000);
        assert_eq!(clock.began(), Some(Timestamp::new(1_563_783_092, 3_000)));
        let mut fine = Clock::default();
        fine.at(read("-1.500000000", "0.250000000"), false);
        assert_eq!(fine.began(), Some(Timestamp::fine(-2, 250_000_000)));
    }

    #[test]
    fn abs_alone_counts_from_the_first_record() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(read("100.5", ""), false), 0);
        assert_eq!(clock.at(read("100.25", ""), false), -250_000_000);
        assert_eq!(clock.at(Times::default(), false), -250_000_000);
        assert_eq!(clock.at(read("101", "9"), false), 9_000_000_000);
        assert_eq!(clock.began(), Some(Timestamp::new(100, 500_000_000)));
    }

    #[test]
    fn without_times_nothing_takes_any() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(Times::default(), false), 0);
        assert_eq!(clock.at(read("", "1"), false), 1_000_000_000);
        assert_eq!(clock.at(Times::default(), false), 1_000_000_000);
        assert_eq!(clock.began(), None);
        // The first absolute time is that of the record before, for want of better.
        assert_eq!(clock.at(read("50", ""), false), 1_000_000_000);
        assert_eq!(clock.began(), Some(Timestamp::new(49, 0)));
    }

    #[test]
    fn a_classic_conn_is_not_believed_unless_it_is_all_there_is() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(read("1491516383.93206", "2.01626"), true), 0);
        assert_eq!(clock.at(read("1491516384.93207", "3.01627"), true), 1_000_010_000);
        assert_eq!(clock.began(), Some(Timestamp::new(1_491_516_383, 932_060_000)));
        assert_eq!(clock.at(read("0.00000", "-1491516381.91579"), true), 1_000_010_000);
        assert_eq!(Clock::default().at(read("", "2.5"), true), 2_500_000_000);
        let mut lost = Clock::default();
        assert_eq!(lost.at(read("0.00000", "-1491516381.91579"), true), 0);
        assert_eq!(lost.at(read("1491516383.93206", "2.01626"), true), 0);
        // Somebody who counts from 0 is believed.
        let mut by_hand = Clock::default();
        assert_eq!(by_hand.at(read("0", ""), true), 0);
        assert_eq!(by_hand.at(read("0.5", ""), true), 500_000_000);
    }

    #[test]
    fn times_without_sense_are_cut() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(read("0", "99999999999999999999"), false), i64::MAX);
        assert_eq!(clock.began(), None);
        assert_eq!(clock.at(read("", "-99999999999999999999"), false), i64::MIN);
    }
}
