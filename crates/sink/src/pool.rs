//! Buffers that are used again.

/// How large a buffer of the pool is, in bytes: most connections that have more than a little to write have
/// less than this.
const SIZE: usize = 8 << 10;

/// Up to this size a buffer is made as large as it must be: millions of connections have no more.
const SMALL: usize = 1 << 10;

/// No buffer is smaller: a question and an answer of DNS have room in it.
const LEAST: usize = 128;

/// How many wait to be used again: 1 MiB.
const MOST: usize = 128;

/// Buffers whose bytes are written. A connection of 6 KB that grows by doubling allocates four times, and
/// copies all it has three times.
#[derive(Default)]
pub(crate) struct Pool(Vec<Vec<u8>>);

impl Pool {
    /// Makes room for `more` bytes behind those of a buffer. It doubles, but not beyond `most`: twice that
    /// for each of many long connections would be memory for nothing.
    pub(crate) fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize, most: usize) {
        if buffer.capacity() - buffer.len() >= more {
            return;
        }
        let needed = buffer.len().saturating_add(more);
        if (SMALL..=SIZE).contains(&needed) {
            let mut larger = self.0.pop().unwrap_or_else(|| Vec::with_capacity(SIZE));
            larger.extend_from_slice(buffer);
            *buffer = larger;
            return;
        }
        let doubled = buffer.capacity().saturating_mul(2).min(most);
        buffer.reserve_exact(needed.max(doubled).max(LEAST) - buffer.len());
    }

    /// Takes a buffer that is used no more.
    pub(crate) fn take_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() == SIZE && self.0.len() < MOST {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_bytes_and_is_used_again() {
        let mut pool = Pool::default();
        let mut buffer = Vec::new();
        pool.make_room(&mut buffer, 300, 1 << 17);
        assert_eq!(buffer.capacity(), 300);
        buffer.extend([7; 300]);
        pool.make_room(&mut buffer, 1460, 1 << 17);
        assert_eq!((buffer.capacity(), &buffer[..]), (SIZE, &[7; 300][..]));
        buffer.extend([8; 1460]);
        let bytes = buffer.as_ptr();
        pool.take_back(buffer);
        let mut other = vec![9; SMALL];
        pool.make_room(&mut other, 1, 1 << 17);
        assert_eq!((other.as_ptr(), &other[..]), (bytes, &[9; SMALL][..]));
    }

    #[test]
    fn long_ones_double_up_to_what_they_are_written_at() {
        let mut pool = Pool::default();
        let mut buffer = Vec::new();
        for (len, capacity) in [(SIZE, SIZE), (SIZE + 1, 2 * SIZE), (20_000, 20_000)] {
            let more = len - buffer.len();
            pool.make_room(&mut buffer, more, 20_000);
            assert_eq!(buffer.capacity(), capacity);
            buffer.resize(len, 1);
        }
        pool.take_back(buffer);
        assert!(pool.0.is_empty(), "only those of one size are kept");
    }

    #[test]
    fn few_wait() {
        let mut pool = Pool::default();
        (0..2 * MOST).for_each(|_| pool.take_back(Vec::with_capacity(SIZE)));
        assert_eq!(pool.0.len(), MOST);
    }
}
