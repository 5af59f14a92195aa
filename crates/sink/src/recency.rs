//! Which of many numbered things was used least recently.

/// A list of numbers, the least recently touched first. Every operation takes constant time.
pub(crate) struct Recency {
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    len: usize,
}

#[derive(Clone, Copy)]
struct Link {
    older: u32,
    newer: u32,
}

/// Nothing on this side of the list.
const END: u32 = u32::MAX;
/// Not in the list. No number is as large: see [`crate::slab`].
const OUT: Link = Link { older: END - 1, newer: END - 1 };

impl Default for Recency {
    fn default() -> Self {
        Self { links: Vec::new(), oldest: END, newest: END, len: 0 }
    }
}

impl Recency {
    /// Makes `number` the newest, whether it was in the list or not.
    pub(crate) fn touch(&mut self, number: u32) {
        if self.newest == number {
            return;
        }
        self.remove(number);
        let at = number as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, OUT);
        }
        self.links[at] = Link { older: self.newest, newer: END };
        match self.newest {
            END => self.oldest = number,
            newest => self.links[newest as usize].newer = number,
        }
        self.newest = number;
        self.len += 1;
    }

    /// Takes `number` out if it is in the list.
    pub(crate) fn remove(&mut self, number: u32) {
        let Some(link) = self.links.get_mut(number as usize) else { return };
        let Link { older, newer } = std::mem::replace(link, OUT);
        if older == OUT.older && newer == OUT.newer {
            return;
        }
        match older {
            END => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            END => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        self.len -= 1;
    }

    /// The least recently touched.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != END).then_some(self.oldest)
    }

    /// How many numbers are in the list.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_queue_in_which_a_touch_goes_to_the_back(
            steps in proptest::collection::vec((any::<bool>(), 0u32..8), 0..200),
        ) {
            let (mut recency, mut queue) = (Recency::default(), Vec::new());
            for (touch, number) in steps {
                queue.retain(|&n| n != number);
                if touch {
                    queue.push(number);
                    recency.touch(number);
                } else {
                    recency.remove(number);
                }
                prop_assert_eq!(recency.oldest(), queue.first().copied());
                prop_assert_eq!(recency.len(), queue.len());
            }
            for number in queue {
                prop_assert_eq!(recency.oldest(), Some(number));
                recency.remove(number);
            }
            prop_assert_eq!(recency.oldest(), None);
        }
    }
}
