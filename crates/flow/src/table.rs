//! The connections of a shard, by key and by age.
//!
//! Each has a slot of 40 bytes, by whose number it is known. What else there is of it is kept beside, awake or asleep: awake
//! as the engine works with it, 128 bytes or, of TCP, 192 among those of other shards (`lives.rs`), and 264 beside where it
//! is told in full; asleep in a fixed shape of 64 bytes where it is an ordinary TCP connection that is over (`short.rs`),
//! else in the fewest bytes that it can be put down in, 23 to 64 in an ordinary capture (`entry.rs`, `tcp/asleep.rs`). It
//! comes back as it was, so that nothing but memory hangs on which of them sleep.

mod ages;

use crate::FlowKey;
use crate::cells::Cells;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::index::{KeyIndex, Keys};
use crate::key::KeyRef;
use crate::lists::{Lists, NONE};
use crate::lives::{Live, Lives, place_of};
use crate::paged::Paged;
use crate::short::Short;
use crate::slot::{Aged, List, Place, Slot};
use crate::tcp::{Full, State, Tcp};
use crate::varint::{Reader, Writer};
use wire::protocol;

/// How many connections are found without a look into the table of keys.
const RECENT: usize = 128;

/// A connection that packets came for, as far as can be told without looking at it: its slot is as a rule in no near
/// cache.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// Half of the fixed hash of its key.
    mark: u32,
    index: u32,
}

impl Recent {
    const NONE: Self = Self { mark: 0, index: NONE };

    fn new(hash: u64, index: u32) -> Self {
        Self { mark: (hash >> 32) as u32, index }
    }

    /// The slot of a connection of a key with this fixed hash, if there is one: nearly always of that key.
    #[inline(always)]
    fn of(self, hash: u64) -> Option<u32> {
        (self.mark == (hash >> 32) as u32 && self.index != NONE).then_some(self.index)
    }
}

/// A connection of messages that is awake. Two cache lines that are neighbours: anywhere else it would be in three, and
/// many processors fetch the other one of two along with one.
#[derive(Debug)]
#[repr(align(128))]
struct Message<H>(Entry<H>);

/// What a connection still has to say when it is closed.
pub(crate) enum Last<T> {
    /// Nothing: it was made of messages.
    Message,
    /// Nothing: its ends said all.
    Settled { syn_seen: bool },
    /// What TCP finds missing.
    Tcp(T),
}

impl Last<State> {
    /// The same, to change.
    pub(crate) fn as_mut(&mut self) -> Last<&mut State> {
        match self {
            Self::Message => Last::Message,
            &mut Self::Settled { syn_seen } => Last::Settled { syn_seen },
            Self::Tcp(tcp) => Last::Tcp(tcp),
        }
    }
}

/// Connections in a slab, found by key, ordered by activity. Those of TCP that are awake stand among those of other
/// shards ([`Lives`]), which whoever calls has beside.
///
/// What is needed to open and to close one comes first, in few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Table<H> {
    lists: Lists,
    /// How many of TCP are active. Nobody keeps them in order while nobody asks for it.
    active: usize,
    slots: Paged<Slot<H>>,
    /// The newest connection of each key.
    keys: KeyIndex,
    /// So many active connections may be awake.
    most_awake: usize,
    /// Those that packets came for, by the fixed hash of their keys: the newest of each.
    ///
    /// Those that go stay: the key tells whose they are.
    recent: [Recent; RECENT],
    shorts: Paged<Short>,
    asleep: Cells,
    messages: Paged<Message<H>>,
    /// Where connections are put down on their way to a cell.
    scratch: Vec<u8>,
    /// Those of TCP that were active at some moment, and when they had been so, the least recently active last. What was
    /// active again since then is not it any more.
    by_age: Vec<(u64, u32)>,
    /// That moment, by the clock.
    sorted_at: u64,
}

impl<H> Table<H> {
    /// An empty one in which so many active connections may be awake.
    pub(crate) fn new(most_awake: usize) -> Self {
        Self {
            lists: Lists::default(),
            active: 0,
            most_awake,
            slots: Paged::default(),
            messages: Paged::default(),
            recent: [Recent::NONE; RECENT],
            shorts: Paged::default(),
            asleep: Cells::default(),
            keys: KeyIndex::default(),
            scratch: Vec::new(),
            by_age: Vec::new(),
            sorted_at: 0,
        }
    }
}

/// What is to be fetched, long before it is asked for: of millions of connections, hardly anything is in a near
/// cache.
impl<H: Copy> Table<H> {
    /// A connection of this key may be opened.
    #[inline]
    pub(crate) fn fetch_key(&self, key: KeyRef<'_>) {
        self.keys.fetch(self.keys.hash(key));
    }

    /// A message may come soon whose key has the [fixed hash](FlowKey::fixed_hash) `hash`.
    #[inline]
    pub(crate) fn fetch_message(&self, key: &FlowKey, hash: u64) {
        match self.recent[place_of::<RECENT>(hash)].of(hash) {
            Some(index) => self.slots.fetch(index),
            None => {
                self.fetch_key(key.view());
                if self.is_crowded() {
                    self.fetch_retiring();
                }
            }
        }
    }

    /// The same, a little later.
    #[inline]
    pub(crate) fn fetch_entry(&self, hash: u64) {
        let recent = self.recent[place_of::<RECENT>(hash)].of(hash);
        if let Some(slot) = recent.and_then(|index| self.slots.get(index))
            && slot.place == Place::Message
        {
            self.messages.fetch(slot.number);
        }
    }

    /// The connection of messages that was least recently active will sleep soon.
    pub(crate) fn fetch_retiring(&self) {
        self.fetch_oldest(Aged::Messages);
    }

    /// The connection at `index` will be closed soon, or sleep, that at `later` after it.
    pub(crate) fn fetch(&self, index: u32, later: u32) {
        self.slots.fetch(later);
        let Some(slot) = self.slots.get(index) else { return };
        match slot.place {
            Place::Short => self.shorts.fetch(slot.number),
            Place::Asleep(class) => self.asleep.fetch(class, slot.number),
            Place::Message => self.messages.fetch(slot.number),
            Place::Tcp => {}
        }
    }

    /// The connection at `index` will be over soon.
    #[inline(always)]
    pub(crate) fn fetch_slot(&self, index: u32) {
        self.slots.fetch(index);
    }

    /// The connection that rests longest will be forgotten soon.
    pub(crate) fn fetch_resting(&self) {
        if let Some(slot) = self.fetch_oldest(Aged::Lingering) {
            self.fetch_key(slot.key.view());
        }
    }

    /// The least recently active connection of a list will leave it soon, and the next one after it.
    fn fetch_oldest(&self, list: Aged) -> Option<&Slot<H>> {
        let oldest = self.lists.oldest(list)?;
        let slot = self.slots.get(oldest)?;
        self.fetch(oldest, slot.links[1]);
        Some(slot)
    }
}

/// Who is awake, and who sleeps.
impl<H: Copy> Table<H> {
    /// The connection at `index`, to change, with its TCP state where it has one; `None` while it sleeps.
    #[inline]
    pub(crate) fn awake<'a>(
        &'a mut self,
        lives: &'a mut Lives<H>,
        index: u32,
    ) -> Option<(&'a mut Entry<H>, Option<&'a mut State>)> {
        let slot = self.slots.get(index)?;
        match slot.place {
            Place::Tcp => {
                let live = lives.get_mut(slot.number)?;
                Some((&mut live.entry, Some(&mut live.tcp)))
            }
            Place::Message => Some((&mut self.messages.get_mut(slot.number)?.0, None)),
            Place::Short | Place::Asleep(_) => None,
        }
    }

    /// Makes a connection, the newest of its key, one of the [recent ones](Lives::recent), if it is the
    /// only one, and awake. One that talks to itself never is: nobody can tell its directions apart.
    pub(crate) fn note_alone(&self, lives: &mut Lives<H>, index: u32, hash: u64) -> bool {
        let Some(slot) = self.slots.get(index) else { return false };
        let can_be =
            slot.place == Place::Tcp && slot.older == NONE && !slot.key.view().ends_are_equal();
        if can_be {
            lives.set_recent(hash, Some(slot.number));
        }
        can_be
    }

    /// The TCP state of the connection at `index`, while it is awake.
    #[inline]
    pub(crate) fn awake_tcp<'a>(&self, lives: &'a Lives<H>, index: u32) -> Option<&'a State> {
        let slot = self.slots.get(index)?;
        match slot.place {
            Place::Tcp => lives.get(slot.number).map(|live| &live.tcp),
            Place::Message | Place::Short | Place::Asleep(_) => None,
        }
    }

    /// The TCP state of the connection at `index`, awake or not.
    pub(crate) fn view<'a>(&self, lives: &'a Lives<H>, index: u32) -> Option<Full<'a>> {
        match self.awake_tcp(lives, index) {
            Some(tcp) => Some(tcp.to_full()),
            None => Some(Full::Made(self.recall(index)?.1?.into_full())),
        }
    }

    /// What is known of a connection that sleeps, which it goes on to do.
    pub(crate) fn recall(&self, index: u32) -> Option<(Entry<H>, Option<State>)> {
        let slot = self.slots.get(index)?;
        if let Some(short) = self.short(slot) {
            return Some((short.entry(slot.key.view(), slot.handle), Some(short.tcp())));
        }
        let (entry, mut bytes) = self.recall_entry(slot)?;
        let tcp = is_tcp(&entry).then(|| State::take(&mut bytes));
        Some((entry, tcp))
    }

    /// Looks at each connection, awake or not, with the list that it is in.
    #[cold]
    pub(crate) fn for_each(
        &self,
        lives: &Lives<H>,
        mut look: impl FnMut(List, &Entry<H>, Option<&State>),
    ) {
        for (index, slot) in self.slots.iter() {
            match slot.place {
                Place::Tcp => {
                    if let Some(live) = lives.get(slot.number) {
                        look(slot.list, &live.entry, Some(&live.tcp));
                    }
                }
                Place::Message => {
                    if let Some(Message(entry)) = self.messages.get(slot.number) {
                        look(slot.list, entry, None);
                    }
                }
                Place::Short | Place::Asleep(_) => {
                    if let Some((entry, tcp)) = self.recall(index) {
                        look(slot.list, &entry, tcp.as_ref());
                    }
                }
            }
        }
    }

    /// What is known of a connection that sleeps, not [in short](Self::short_at), and is to be closed.
    pub(crate) fn recall_last(&self, index: u32) -> Option<(Entry<H>, Last<State>)> {
        let slot = self.slots.get(index)?;
        let (entry, mut bytes) = self.recall_entry(slot)?;
        let last = match Tcp::settled_with_syn(&bytes) {
            _ if !is_tcp(&entry) => Last::Message,
            Some(syn_seen) => Last::Settled { syn_seen },
            None => Last::Tcp(State::take(&mut bytes)),
        };
        Some((entry, last))
    }

    /// What is known of a connection that sleeps in short: an ordinary one, which has said all.
    #[inline(always)]
    pub(crate) fn short_at(&self, index: u32) -> Option<(&Short, &Slot<H>)> {
        let slot = self.slots.get(index)?;
        Some((self.short(slot)?, slot))
    }

    /// What is known of a connection in short.
    #[inline]
    fn short(&self, slot: &Slot<H>) -> Option<&Short> {
        if slot.place == Place::Short { self.shorts.get(slot.number) } else { None }
    }

    /// What is known of a connection that sleeps, not in short, and the bytes that its TCP state takes.
    fn recall_entry(&self, slot: &Slot<H>) -> Option<(Entry<H>, Reader<'_>)> {
        let Place::Asleep(class) = slot.place else { return None };
        let mut bytes = Reader(self.asleep.get(class, slot.number));
        let entry = Entry::take(slot.key.view(), slot.handle, &mut bytes);
        Some((entry, bytes))
    }

    /// Wakes a connection up, if it sleeps. It is to be touched then, or to be removed.
    #[inline]
    pub(crate) fn wake(&mut self, lives: &mut Lives<H>, index: u32) {
        if self.slots.get(index).is_some_and(|slot| slot.place.is_asleep()) {
            self.wake_up(lives, index);
        }
    }

    #[inline(never)]
    fn wake_up(&mut self, lives: &mut Lives<H>, index: u32) {
        let Some((mut entry, tcp)) = self.recall(index) else { return };
        entry.index = index;
        let Some(slot) = self.slots.get_mut(index) else { return };
        match slot.place {
            Place::Asleep(class) => self.asleep.forget(class, slot.number),
            Place::Short => self.shorts.forget(slot.number),
            Place::Message | Place::Tcp => {}
        }
        (slot.place, slot.number) = match tcp {
            Some(tcp) => {
                lives.set_recent(slot.key.view().fixed_hash(), None);
                (Place::Tcp, lives.insert_with(|| Live { entry, tcp }))
            }
            None => (Place::Message, self.messages.insert(Message(entry))),
        };
    }

    /// Lets a connection sleep that is over, if it can in short; does it?
    pub(crate) fn sleep_in_short(&mut self, lives: &mut Lives<H>, index: u32) -> bool {
        let Self { slots, shorts, .. } = self;
        slots.get_mut(index).is_some_and(|slot| put_in_short(slot, lives, shorts))
    }

    /// Lets a connection sleep that is not active, if it can.
    pub(crate) fn sleep(&mut self, lives: &mut Lives<H>, index: u32) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| !slot.list.is_active()) else {
            return;
        };
        match slot.place {
            Place::Message => {
                let Some(Message(entry)) = self.messages.get(slot.number) else { return };
                self.scratch.clear();
                entry.put(&mut Writer(&mut self.scratch));
                self.messages.forget(slot.number);
            }
            Place::Tcp => {
                if put_in_short(slot, lives, &mut self.shorts) {
                    return;
                }
                let live = lives.get(slot.number).filter(|live| live.tcp.can_sleep());
                let Some(Live { entry, tcp, .. }) = live else { return };
                self.scratch.clear();
                let mut out = Writer(&mut self.scratch);
                entry.put(&mut out);
                tcp.put(&mut out);
                lives.forget(slot.number);
            }
            Place::Short | Place::Asleep(_) => return,
        }
        let (class, number) = self.asleep.insert(&self.scratch);
        (slot.place, slot.number) = (Place::Asleep(class), number);
    }
}

impl<H: Copy> Table<H> {
    /// Connections held.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The hash of the key of the connection at `index`.
    fn hash_at(&self, index: u32) -> Option<u64> {
        Some(self.keys.hash(self.slots.get(index)?.key.view()))
    }

    /// The newest connection of the key of a packet, whose [fixed hash](FlowKey::fixed_hash) is `hash`.
    /// Another packet of it is likely to come soon.
    #[inline]
    pub(crate) fn newest_again(&mut self, key: &FlowKey, hash: u64) -> Option<u32> {
        let recent = self.recent[place_of::<RECENT>(hash)].of(hash);
        match recent.and_then(|index| self.slots.get(index)) {
            Some(slot) if slot.key.is(key) => recent,
            _ => self.newest_anew(key, hash),
        }
    }

    #[inline(never)]
    fn newest_anew(&mut self, key: &FlowKey, hash: u64) -> Option<u32> {
        let newest = self.newest(key)?;
        self.recent[place_of::<RECENT>(hash)] = Recent::new(hash, newest);
        Some(newest)
    }

    /// The newest connection of a key.
    pub(crate) fn newest(&self, key: &FlowKey) -> Option<u32> {
        self.keys.find(self.keys.hash(key.view()), has_key(&self.slots, key))
    }

    /// The connection of the same key that was opened before the one at `index`.
    #[inline]
    pub(crate) fn older(&self, index: u32) -> Option<u32> {
        Some(self.slots.get(index)?.older).filter(|&older| older != NONE)
    }

    /// The connections of a key, the newest first.
    pub(crate) fn of_key(&self, key: &FlowKey) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest(key), |&index| self.older(index))
    }

    /// Adds a connection, the newest of its key and the most recently active. Its key is `key`, whose fixed hash is `hash`;
    /// `first` where there is no connection of that key.
    pub(crate) fn insert(
        &mut self,
        lives: &mut Lives<H>,
        connection: Connection,
        (key, hash): (&FlowKey, u64),
        opened: u64,
        handle: H,
        first: bool,
    ) -> u32 {
        let seeded = self.keys.hash(key.view());
        let older = match first {
            true => NONE,
            false => self.keys.take(seeded, has_key(&self.slots, key)).unwrap_or(NONE),
        };
        let (links, list, place) = ([NONE; 2], List::Active, Place::Message);
        let slot = Slot { key: key.view().into(), handle, links, older, number: NONE, place, list };
        let index = self.slots.insert(slot);
        let touched = lives.tick();
        let is_tcp = connection.protocol() == protocol::TCP;
        let entry = || {
            let mut entry = Entry::new(connection, opened, handle);
            (entry.touched, entry.index) = (touched, index);
            entry
        };
        let (place, number) = match is_tcp {
            true => {
                (Place::Tcp, lives.insert_with(|| Live { entry: entry(), tcp: State::default() }))
            }
            false => (Place::Message, self.messages.insert_with(|| Message(entry()))),
        };
        if let Some(slot) = self.slots.get_mut(index) {
            (slot.place, slot.number) = (place, number);
        }
        self.keys.insert(seeded, index, &self.slots);
        self.recent[place_of::<RECENT>(hash)] = Recent::new(hash, index);
        let is_alone = older == NONE && !key.ends_are_equal();
        if is_tcp {
            lives.set_recent(hash, is_alone.then_some(number));
        }
        match place {
            Place::Message => self.lists.push(&mut self.slots, index, Aged::Messages),
            _ => self.active += 1,
        }
        index
    }

    /// Forgets all connections, but for what those of TCP that are awake have among [`Lives`].
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.most_awake);
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, lives: &mut Lives<H>, index: u32) {
        self.leave_list(index);
        self.leave_key(index);
        if let Some(slot) = self.slots.get(index) {
            match slot.place {
                Place::Message => self.messages.forget(slot.number),
                Place::Tcp => lives.forget(slot.number),
                Place::Short => self.shorts.forget(slot.number),
                Place::Asleep(class) => self.asleep.forget(class, slot.number),
            }
        }
        self.slots.forget(index);
    }

    /// All connections in the order of their first packets.
    pub(crate) fn by_first_packet(&self, lives: &Lives<H>) -> Vec<u32> {
        // Four bytes each: this is when a run holds the most. They are in order but for those in slots that
        // were used again.
        let mut all = Vec::with_capacity(self.len());
        let (mut newest, mut in_order) = (None, true);
        for (index, slot) in self.slots.iter() {
            let opened = self.opened_of(lives, slot);
            in_order &= newest <= Some(opened);
            newest = Some(opened);
            all.push(index);
        }
        if !in_order {
            all.sort_by_cached_key(|&index| self.opened(lives, index));
        }
        all
    }

    /// The number of the frame that opened the connection at `index`: each opens one at most.
    pub(crate) fn opened(&self, lives: &Lives<H>, index: u32) -> u64 {
        self.slots.get(index).map_or(u64::MAX, |slot| self.opened_of(lives, slot))
    }

    fn opened_of(&self, lives: &Lives<H>, slot: &Slot<H>) -> u64 {
        let awake = match slot.place {
            Place::Message => self.messages.get(slot.number).map(|message| &message.0),
            Place::Tcp => lives.get(slot.number).map(|live| &live.entry),
            Place::Short => return self.shorts.get(slot.number).map_or(u64::MAX, Short::opened),
            Place::Asleep(class) => {
                let mut bytes = Reader(self.asleep.get(class, slot.number));
                return Entry::<H>::take_opened(&mut bytes);
            }
        };
        awake.map_or(u64::MAX, |entry| entry.opened)
    }

    fn leave_key(&mut self, index: u32) {
        let (Some(slot), Some(hash)) = (self.slots.get(index), self.hash_at(index)) else { return };
        let older = slot.older;
        if self.keys.take(hash, |i| i == index).is_some() {
            if older != NONE {
                self.keys.insert(hash, older, &self.slots);
            }
            return;
        }
        let key = slot.key.get();
        let newer = self.of_key(&key).find(|&i| self.older(i) == Some(index));
        if let Some(newer) = newer.and_then(|newer| self.slots.get_mut(newer)) {
            newer.older = older;
        }
    }
}

/// Lets a connection sleep that is awake, if it is an ordinary one of TCP that is over; does it?
fn put_in_short<H>(slot: &mut Slot<H>, lives: &mut Lives<H>, shorts: &mut Paged<Short>) -> bool {
    if slot.place != Place::Tcp {
        return false;
    }
    let short = lives.get(slot.number).and_then(|live| Short::of(&live.entry, &live.tcp));
    let Some(short) = short else { return false };
    lives.forget(slot.number);
    (slot.place, slot.number) = (Place::Short, shorts.insert(short));
    true
}

/// Has it TCP's state?
fn is_tcp<H>(entry: &Entry<H>) -> bool {
    entry.connection.protocol() == protocol::TCP
}

/// Has a connection this key?
#[inline]
fn has_key<H>(slots: &Paged<Slot<H>>, key: &FlowKey) -> impl Fn(u32) -> bool {
    move |index| slots.get(index).is_some_and(|slot| slot.key.is(key))
}

impl<H> Keys for Paged<Slot<H>> {
    #[inline]
    fn key(&self, number: u32) -> Option<KeyRef<'_>> {
        Some(self.get(number)?.key.view())
    }

    #[inline]
    fn fetch_key(&self, number: u32) {
        self.fetch(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, Source};
    use proptest::prelude::*;

    pub(super) fn connection(protocol: u8, port: u16) -> Connection {
        let end = |port| Endpoint { addr: "10.0.0.1".parse().unwrap(), port };
        let (key, from) = FlowKey::new(protocol, end(port), end(1));
        Connection::new(key, from, Source::default())
    }

    fn tcp(port: u16) -> Connection {
        connection(6, port)
    }

    pub(super) fn add<H: Copy>(
        (table, lives): (&mut Table<H>, &mut Lives<H>),
        new: Connection,
        opened: u64,
        handle: H,
    ) -> u32 {
        let (key, first) = (new.key(), table.newest(&new.key()).is_none());
        table.insert(lives, new, (&key, key.fixed_hash()), opened, handle, first)
    }

    fn of(table: &Table<()>, port: u16) -> Vec<u32> {
        table.of_key(&tcp(port).key()).collect()
    }

    #[test]
    fn connections_of_one_key_are_a_chain_the_newest_first() {
        let (mut table, mut lives) = (Table::new(0), Lives::default());
        let a = add((&mut table, &mut lives), tcp(5), 1, ());
        let other = add((&mut table, &mut lives), tcp(6), 2, ());
        let b = add((&mut table, &mut lives), tcp(5), 3, ());
        let c = add((&mut table, &mut lives), tcp(5), 4, ());
        assert_eq!((of(&table, 5), of(&table, 6)), (vec![c, b, a], vec![other]));
        table.remove(&mut lives, b);
        assert_eq!(of(&table, 5), [c, a]);
        table.remove(&mut lives, c);
        assert_eq!(of(&table, 5), [a]);
        table.remove(&mut lives, a);
        assert_eq!((of(&table, 5), of(&table, 6), table.len()), (vec![], vec![other], 1));
        assert_eq!(add((&mut table, &mut lives), tcp(5), 9, ()), a, "slots are used again");
    }

    /// Keys of TCP that are all recent at the same place.
    fn of_one_place() -> [FlowKey; 3] {
        let place =
            |port: &u16| place_of::<{ crate::lives::RECENT }>(tcp(*port).key().fixed_hash());
        let mut ports = (5..).filter(|port| place(port) == place(&5));
        [(); 3].map(|()| tcp(ports.next().unwrap()).key())
    }

    proptest! {
        /// Whoever is found among the recent ones is the newest of its key, and the only one where that is said; also where
        /// those of two shards take numbers and places in turn.
        #[test]
        fn recent_places_say_nothing_wrong(
            steps in prop::collection::vec((0..7u8, 0..3usize, any::<prop::sample::Index>()), 1..120),
        ) {
            let (mut tables, mut lives) = ([Table::new(0), Table::new(0)], Lives::default());
            let keys = of_one_place();
            let mut known: Vec<(usize, u32)> = Vec::new();
            for (opened, (step, which, chosen)) in (1..).zip(steps) {
                let (shard, key) = (which % 2, keys[which]);
                let chosen = (!known.is_empty()).then(|| chosen.index(known.len()));
                match (step, chosen) {
                    (0 | 1, _) | (_, None) => {
                        let new = Connection::new(key, 0, Source::default());
                        let index = add((&mut tables[shard], &mut lives), new, opened, ());
                        known.push((shard, index));
                    }
                    (2, Some(chosen)) => {
                        let (shard, index) = known.remove(chosen);
                        tables[shard].remove(&mut lives, index);
                    }
                    (3, Some(chosen)) => {
                        let (shard, index) = known[chosen];
                        tables[shard].move_to(index, Aged::Lingering);
                        tables[shard].sleep(&mut lives, index);
                    }
                    (4, Some(chosen)) => {
                        let (shard, index) = known[chosen];
                        tables[shard].wake(&mut lives, index);
                    }
                    _ => if let Some(newest) = tables[shard].newest(&key) {
                        tables[shard].note_alone(&mut lives, newest, key.fixed_hash());
                    }
                }
                for (which, key) in keys.iter().enumerate() {
                    let (table, hash) = (&mut tables[which % 2], key.fixed_hash());
                    let newest = table.newest(key);
                    let alone = lives.recent(key, hash).map(|live| live.entry.index);
                    if let Some(alone) = alone {
                        prop_assert_eq!((Some(alone), table.older(alone)), (newest, None));
                    }
                    prop_assert_eq!(table.newest_again(key, hash), newest);
                }
            }
        }
    }

    #[test]
    fn a_connection_is_among_the_recent_ones_while_no_other_takes_its_place() {
        let (mut table, mut lives) = (Table::new(0), Lives::default());
        let [key, other, _] = of_one_place();
        let is_alone =
            |lives: &mut Lives<()>, key: FlowKey| lives.recent(&key, key.fixed_hash()).is_some();
        let open = |key| Connection::new(key, 0, Source::default());
        let old = add((&mut table, &mut lives), open(key), 1, ());
        assert!(is_alone(&mut lives, key));
        let new = add((&mut table, &mut lives), open(other), 2, ());
        assert!(!is_alone(&mut lives, key) && is_alone(&mut lives, other));
        table.remove(&mut lives, old);
        assert!(is_alone(&mut lives, other));
        table.remove(&mut lives, new);
        assert!(!is_alone(&mut lives, other));
    }

    #[test]
    fn first_packets_give_an_order_over_slots_used_again() {
        let (mut table, mut lives) = (Table::new(0), Lives::default());
        let a = add((&mut table, &mut lives), tcp(5), 10, ());
        let b = add((&mut table, &mut lives), tcp(6), 20, ());
        table.remove(&mut lives, a);
        let c = add((&mut table, &mut lives), tcp(7), 30, ());
        assert!(c < b);
        table.move_to(b, Aged::Lingering);
        table.sleep(&mut lives, b);
        assert_eq!(table.by_first_packet(&lives), [b, c]);
    }

    #[test]
    fn those_that_have_not_spoken_for_long_sleep_and_wake_up_as_they_were() {
        for protocol in [6, 17] {
            let (mut table, mut lives) = (Table::new(0), Lives::default());
            let mut indexes = Vec::new();
            for port in 0..300 {
                let index = add(
                    (&mut table, &mut lives),
                    connection(protocol, port),
                    u64::from(port),
                    port,
                );
                let (entry, _) = table.awake(&mut lives, index).unwrap();
                entry.ledger.add_chunk(1, usize::from(port) + 1);
                indexes.push(index);
            }
            (0..100).for_each(|_| table.retire(&mut lives));
            assert_eq!(
                (table.active + table.count(Aged::Messages), table.count(Aged::Dormant)),
                (200, 100)
            );
            let in_messages_and_tcps = (table.messages.len(), lives.len());
            assert_eq!(in_messages_and_tcps, if protocol == 6 { (0, 200) } else { (200, 0) });
            for (port, &index) in (0..).zip(&indexes) {
                assert_eq!(table.awake(&mut lives, index).is_none(), port < 100);
                assert_eq!(table.opened(&lives, index), u64::from(port));
                assert_eq!(table.newest(&connection(protocol, port).key()), Some(index));
            }
            for (port, &index) in (0..).zip(&indexes) {
                table.wake(&mut lives, index);
                let (entry, tcp) = table.awake(&mut lives, index).unwrap();
                assert_eq!((entry.handle, tcp.is_some()), (port, protocol == 6));
                assert_eq!(entry.ledger.stats(1).bytes, u64::from(port) + 1);
                assert_eq!(entry.connection.key(), connection(protocol, port).key());
                table.touch(&mut lives, index);
            }
            assert_eq!(
                (table.active + table.count(Aged::Messages), table.count(Aged::Dormant)),
                (300, 0)
            );
            table.retire(&mut lives);
            assert_eq!(table.oldest(Aged::Dormant), Some(indexes[0]));
            indexes.into_iter().for_each(|index| table.remove(&mut lives, index));
            assert_eq!((table.len(), table.messages.len(), lives.len()), (0, 0, 0));
            assert_eq!(
                (table.least_recently_active(&mut lives), table.oldest(Aged::Dormant)),
                (None, None)
            );
        }
    }

    #[test]
    fn what_a_connection_takes() {
        // With 64 bytes for what sleeps, 14 at most in the table of keys and 8 of the output (`sink::slots`),
        // a TCP connection that says no more is below 128; one of UDP has 32 less.
        assert_eq!(size_of::<Option<Slot<u32>>>(), 40);
        // An awake one; there are few of them.
        assert_eq!(size_of::<Option<Message<u32>>>(), 128);
        assert_eq!(size_of::<Option<Live<u32>>>(), 192);
    }
}
