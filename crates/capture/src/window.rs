//! One refillable buffer over a byte source: records are borrowed from it, never copied out.
//!
//! Plain `read(2)` into one buffer was measured against `mmap` for a header walk of a page-cached
//! file: 8–11 against 5–7 GB/s; and a file that shrinks under `mmap` kills the process.

use crate::Block;
use crate::block::Spare;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// The longest record that is believed, in bytes. IP ends at 64 KiB and a BIG TCP segment at 512 KiB,
/// USB transfers and log records go beyond; no known writer passes a few MiB. A length above this is
/// damage, and the buffer never grows further.
pub(crate) const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// How much is read at once. It fits the second-level cache, so that bytes are still near when the
/// decoder looks at them; 256 KiB to 1 MiB measured alike.
pub(crate) const WINDOW: usize = 256 * 1024;

/// A part of the source's bytes, with where they stand in it.
pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    block: Block,
    /// Blocks that others had clones of when this window left them.
    left: Spare,
    /// Where unread bytes begin and end in the block.
    start: usize,
    end: usize,
    /// Where the block's first byte stands in the source.
    base: u64,
    /// How much is read at once.
    chunk: usize,
    finished: bool,
}

impl Window {
    /// A window of `chunk` bytes that nothing was read into yet.
    pub(crate) fn new(source: Box<dyn Read + Send>, chunk: usize) -> Self {
        let (block, left) = (Block::new(chunk), Spare::default());
        Self { source, block, left, start: 0, end: 0, base: 0, chunk, finished: false }
    }

    /// How many bytes of the source were consumed: the position of the next one.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The bytes that were read and not consumed.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.block.bytes()[self.start..self.end]
    }

    /// Makes at least `wanted` bytes available; `false` when the source ends before that.
    ///
    /// The caller bounds `wanted`: the buffer grows to it. No more is waited for than `wanted`, so
    /// that a packet out of a slow pipe is given as soon as it is whole.
    #[inline]
    pub(crate) fn need(&mut self, wanted: usize) -> io::Result<bool> {
        if self.end - self.start >= wanted { Ok(true) } else { self.refill(wanted) }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, wanted: usize) -> io::Result<bool> {
        let size = wanted.max(self.chunk);
        let buffer = self.bring_to_front();
        if buffer.len() < wanted {
            buffer.resize(size, 0);
        }
        while self.end < wanted {
            if self.read_some()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves the unread bytes to the front of a block that nobody else has: this one, or another.
    fn bring_to_front(&mut self) -> &mut Vec<u8> {
        let unread = self.start..self.end;
        self.base += self.start as u64;
        (self.start, self.end) = (0, unread.len());
        if self.block.get_mut().is_none() {
            let mut next = self.left.take(unread.len(), self.chunk);
            if let Some(buffer) = next.get_mut() {
                buffer[..unread.len()].copy_from_slice(&self.block.bytes()[unread.clone()]);
            }
            self.left.keep(std::mem::replace(&mut self.block, next));
            return self.block.get_mut().expect("it was just taken by nobody else");
        }
        let buffer = self.block.get_mut().expect("nobody else has it: that was just asked");
        buffer.copy_within(unread, 0);
        buffer
    }

    /// One read behind the bytes there are; 0 at the end of the source, and ever after.
    fn read_some(&mut self) -> io::Result<usize> {
        while !self.finished {
            // A buffer that one huge record has grown is not filled whole again: it would no
            // longer fit the cache.
            let Some(buffer) = self.block.get_mut() else {
                self.bring_to_front();
                continue;
            };
            let room = buffer.len().min(self.end + self.chunk);
            match self.source.read(&mut buffer[self.end..room]) {
                Ok(0) => self.finished = true,
                Ok(read) => {
                    // `Read` is a safe trait: its answer may be wrong.
                    let read = read.min(room - self.end);
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// Takes `length` bytes, which [`need`](Self::need) has made available; where they stand in the
    /// [block](Self::block).
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Range<usize> {
        let start = self.start;
        self.start = (start + length).min(self.end);
        start..self.start
    }

    /// The block, and where its unread bytes begin and end: they can be [taken](Self::take) by moving the beginning.
    pub(crate) fn parts(&mut self) -> (&Block, &mut usize, usize) {
        (&self.block, &mut self.start, self.end)
    }

    /// [Takes](Self::take) bytes, and gives them.
    pub(crate) fn take_bytes(&mut self, length: usize) -> &[u8] {
        let taken = self.take(length);
        &self.block.bytes()[taken]
    }

    /// The block that was read last.
    #[inline]
    pub(crate) fn block(&self) -> &Block {
        &self.block
    }

    /// Passes over `length` bytes without holding them; returns how many there were.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        loop {
            let held = self.end - self.start;
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(held);
            self.start += step;
            left -= step as u64;
            if left == 0 {
                return Ok(length);
            }
            self.base += self.end as u64;
            (self.start, self.end) = (0, 0);
            if self.read_some()? == 0 {
                return Ok(length - left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Trickle;

    fn numbered(chunk: usize) -> Window {
        let bytes: Vec<u8> = (0..=255).collect();
        Window::new(Box::new(io::Cursor::new(bytes)), chunk)
    }

    #[test]
    fn the_tail_moves_to_the_front_and_positions_stay() {
        let mut window = numbered(10);
        assert!(window.need(7).unwrap());
        assert_eq!(window.take_bytes(7), [0, 1, 2, 3, 4, 5, 6]);
        assert!(window.need(10).unwrap());
        assert_eq!(window.position(), 7);
        assert_eq!(window.bytes(), [7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    }

    #[test]
    fn a_record_larger_than_the_window_makes_it_grow_to_the_record_only() {
        let mut window = numbered(10);
        assert!(window.need(100).unwrap());
        assert_eq!((window.bytes().len(), window.block.bytes().len()), (100, 100));
        assert_eq!(window.take_bytes(100)[99], 99);
    }

    #[test]
    fn a_source_that_ends_keeps_what_is_left() {
        let mut window = numbered(10);
        assert_eq!(window.skip(250).unwrap(), 250);
        assert!(!window.need(7).unwrap());
        assert_eq!(window.bytes(), [250, 251, 252, 253, 254, 255]);
        assert!(!window.need(7).unwrap(), "also when asked again");
    }

    #[test]
    fn skipping_past_the_end_says_how_much_there_was() {
        let mut window = numbered(10);
        assert!(window.need(3).unwrap());
        assert_eq!(window.skip(u64::MAX).unwrap(), 256);
        assert_eq!(window.position(), 256);
    }

    #[test]
    fn nothing_is_waited_for_beyond_what_is_needed() {
        let mut window = Window::new(Box::new(Trickle::new(vec![1, 2, 3])), 10);
        assert!(window.need(2).unwrap());
        assert_eq!(window.bytes(), [1, 2]);
    }

    #[test]
    fn an_interrupted_read_is_repeated_and_another_error_is_told() {
        struct Fails(Vec<ErrorKind>);
        impl Read for Fails {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer[0] = 9;
                self.0.pop().map_or(Ok(1), |kind| Err(kind.into()))
            }
        }
        let kinds = vec![ErrorKind::Interrupted, ErrorKind::Interrupted];
        let mut window = Window::new(Box::new(Fails(kinds)), 10);
        assert!(window.need(1).unwrap());
        let mut window = Window::new(Box::new(Fails(vec![ErrorKind::Other])), 10);
        assert_eq!(window.need(1).unwrap_err().kind(), ErrorKind::Other);
    }

    #[test]
    fn a_block_that_somebody_has_keeps_its_bytes_and_is_used_again_later() {
        let mut window = numbered(10);
        let mut kept = Vec::new();
        for n in 0..25 {
            assert!(window.need(10).unwrap());
            assert_eq!(window.take_bytes(10)[0], n * 10);
            kept.push((window.block().clone(), n));
            // Three are in use at a time.
            if kept.len() > 3 {
                let (block, n) = kept.remove(0);
                assert!(block.bytes().starts_with(&[n * 10, n * 10 + 1]));
            }
        }
        assert!(window.left.len() <= 4, "{}", window.left.len());
        assert_eq!(window.position(), 250);
        drop(kept);
        // Alone again, it stays with one.
        let before = window.block.clone();
        assert!(!window.need(10).unwrap());
        assert!(!window.block.is(&before));
    }
}
