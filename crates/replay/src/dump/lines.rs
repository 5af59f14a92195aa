//! Lines of a file, never more than one of them in memory.

use super::error::Reason;
use std::io::{BufRead, Read};

/// Longest line in bytes, its end not counted: 64 MiB. The longest chunk that pcap2conn writes, a datagram
/// put together from fragments, takes half a mebibyte.
pub(super) const LONGEST: usize = 64 << 20;

/// What some editors begin a file with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads line by line.
pub(super) struct Lines<R> {
    reader: R,
    longest: usize,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self { reader, longest, line: Vec::new(), number: 0 }
    }

    /// The number of the line that could not be read; from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank, without blanks around it, and its number. `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read, and for a line that is too long.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, Reason> {
        loop {
            self.number = self.number.saturating_add(1);
            if !self.read()? {
                return Ok(None);
            }
            let start =
                if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
            if !self.line[start..].trim_ascii().is_empty() {
                return Ok(Some((self.number, self.line[start..].trim_ascii())));
            }
        }
    }

    fn read(&mut self) -> Result<bool, Reason> {
        self.line.clear();
        let most = self.longest.saturating_add(1);
        let mut bounded = self.reader.by_ref().take(most as u64);
        bounded.read_until(b'\n', &mut self.line)?;
        if self.line.len() == most && self.line.last() != Some(&b'\n') {
            return Err(Reason::LongLine(self.longest >> 20));
        }
        Ok(!self.line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::new(text, 8);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            all.push((number, line.to_vec()));
        }
        all
    }

    #[test]
    fn lines_end_in_lf_or_cr_lf_and_the_last_need_not() {
        let expected: [(u64, Vec<u8>); 3] = [(1, b"a".into()), (2, b"b".into()), (3, b"c".into())];
        assert_eq!(lines(b"a\nb\r\nc"), expected);
        assert_eq!(lines(b"a\nb\r\nc\r\n"), expected);
    }

    #[test]
    fn blank_lines_count_but_are_passed_over() {
        assert_eq!(lines(b"\n \t\r\n\na\n\n"), [(4, b"a".to_vec())]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b" "), []);
    }

    #[test]
    fn a_byte_order_mark_may_stand_at_the_start_only() {
        assert_eq!(lines(b"\xEF\xBB\xBFa\n"), [(1, b"a".to_vec())]);
        assert_eq!(lines(b"\xEF\xBB\xBF\nb"), [(2, b"b".to_vec())]);
        assert_eq!(
            lines(b"a\n\xEF\xBB\xBFb"),
            [(1, b"a".to_vec()), (2, b"\xEF\xBB\xBFb".to_vec())]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_not_read_to_its_end() {
        assert_eq!(
            lines(b"12345678\n12345678"),
            [(1, b"12345678".into()), (2, b"12345678".into())]
        );
        for text in ["x\n123456789", "x\n123456789\n", "x\n1234567890123456789\n"] {
            let mut lines = Lines::new(text.as_bytes(), 8);
            lines.next().unwrap();
            let error = lines.next().unwrap_err().at("a", 2);
            assert_eq!(error.to_string(), "a:2: the line is longer than 0 MiB");
            assert_eq!((lines.line.len(), lines.number()), (9, 2));
        }
    }
}
