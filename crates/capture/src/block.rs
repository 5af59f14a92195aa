//! A piece of a capture that may be shared among threads.

use std::fmt;
use std::sync::Arc;

/// Bytes of a capture as they were read, in which packets stand.
///
/// A clone keeps them where they are: whoever hands a packet to another thread clones its block and says
/// where in it the packet's bytes are. As long as nobody does, a reader uses one block again and again.
#[derive(Clone)]
pub struct Block(Arc<Vec<u8>>);

impl Block {
    pub(crate) fn new(size: usize) -> Self {
        Self(Arc::new(vec![0; size]))
    }

    /// All bytes; what stands around the packets is of no meaning.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Is it the very same block?
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The bytes to write to, if nobody else has a clone.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut Vec<u8>> {
        Arc::get_mut(&mut self.0)
    }
}

/// Blocks that others had clones of when they were last used here.
///
/// Whoever hands blocks on waits for those who use them, so that there are never many.
#[derive(Default)]
pub(crate) struct Spare(Vec<Block>);

impl Spare {
    /// Keeps a block for a time when nobody else has it.
    pub(crate) fn keep(&mut self, block: Block) {
        self.0.push(block);
    }

    /// A block with room for `least` bytes: one that all have let go of, or a new one of at least `size`.
    pub(crate) fn take(&mut self, least: usize, size: usize) -> Block {
        let is_free = |block: &mut Block| block.get_mut().is_some_and(|b| b.len() >= least);
        match self.0.iter_mut().position(is_free) {
            Some(place) => self.0.swap_remove(place),
            None => Block::new(least.max(size)),
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl AsRef<[u8]> for Block {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.0.len())
    }
}
