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
