//! Connections with a file for each side, and what becomes of drafts.

use super::draft::{Draft, Entry};
use super::name::ConnectionName;
use crate::{Recording, Transport};
use flow::Side;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// One connection: a draft, and the other side's, if that has a file of its own.
pub(super) struct Whole {
    pub(super) draft: Draft,
    other: Option<Draft>,
}

/// Finds the two files of a connection that was written with a file for each side: both in a folder, named
/// alike but for their ends, which are swapped, one with records of side 0 alone and the other of side 1.
/// The connection then stands where the first of them did.
pub(super) fn join(drafts: Vec<Draft>) -> Vec<Whole> {
    let mut partners = partners(&drafts);
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut wholes = Vec::with_capacity(drafts.len());
    for index in 0..drafts.len() {
        let Some(draft) = drafts[index].take() else { continue };
        let partner = partners.remove(&index);
        let other = partner.and_then(|other| drafts.get_mut(other)).and_then(Option::take);
        let is_one = other.is_some() && draft.only_side() == Some(Side::One);
        wholes.push(match (is_one, other) {
            (true, Some(zero)) => Whole { draft: zero, other: Some(draft) },
            (_, other) => Whole { draft, other },
        });
    }
    wholes
}

/// For each draft that has a partner, which one that is.
fn partners(drafts: &[Draft]) -> HashMap<usize, usize> {
    let of_side = |side| {
        let keys =
            drafts.iter().enumerate().filter(move |(_, draft)| draft.only_side() == Some(side));
        keys.filter_map(|(index, draft)| Some((index, key(draft)?)))
    };
    let mut zeros: HashMap<Key<'_>, VecDeque<usize>> = HashMap::new();
    for (zero, key) in of_side(Side::Zero) {
        zeros.entry(key).or_default().push_back(zero);
    }
    let mut partners = HashMap::new();
    for (one, (folder, name)) in of_side(Side::One) {
        // A dump that was given twice is joined twice.
        let same = zeros.get_mut(&(folder, name.swapped()));
        if let Some(zero) = same.and_then(VecDeque::pop_front) {
            partners.extend([(zero, one), (one, zero)]);
        }
    }
    partners
}

/// The folder of a file and its name. No records that stand among those of other connections have one.
type Key<'a> = (&'a Path, ConnectionName);

fn key(draft: &Draft) -> Option<Key<'_>> {
    draft.origin.folder.as_deref().zip(draft.parts.clone())
}

impl Whole {
    /// The recording, with no more memory than it needs.
    pub(super) fn into_recording(self, transport: Transport) -> Recording {
        let Self { draft, other } = self;
        let other = other.as_ref();
        let later = other.map_or(0, |other| other.clock.later_than(&draft.clock));
        let earlier = other.filter(|_| later < 0).unwrap_or(&draft);
        let began = earlier.clock.began().or(other.and_then(|other| other.clock.began()));
        let mut recording =
            Recording::new(draft.name.clone(), transport).between(draft.ends()).since(began);
        let count = |of: fn(&Draft) -> usize| of(&draft).saturating_add(other.map_or(0, of));
        recording.reserve(count(|draft| draft.entries.len()), count(|draft| draft.bytes.len()));
        let mut zero = Cursor::new(&draft, 0_i64.saturating_sub(later.min(0)));
        let Some(other) = other else {
            zero.take_all(&mut recording);
            return recording;
        };
        let mut one = Cursor::new(other, later.max(0));
        let by_packet = zero.has_packets() && one.has_packets();
        while !(zero.entries.is_empty() && one.entries.is_empty()) {
            let first = if one.goes_before(&zero, by_packet) { &mut one } else { &mut zero };
            first.take(&mut recording);
        }
        recording
    }
}

/// What is left of a draft.
struct Cursor<'a> {
    entries: &'a [Entry],
    bytes: &'a [u8],
    shift: i64,
}

impl<'a> Cursor<'a> {
    /// All of a draft, its times so many nanoseconds later.
    fn new(draft: &'a Draft, shift: i64) -> Self {
        Self { entries: &draft.entries, bytes: &draft.bytes, shift }
    }

    fn has_packets(&self) -> bool {
        self.entries.iter().all(|entry| entry.has_packet)
    }

    /// Moves all entries to the recording. What waited behind a gap goes back to where its packet came.
    fn take_all(&mut self, recording: &mut Recording) {
        let one_file =
            |entry: &Entry| Some(entry.file) == self.entries.first().map(|first| first.file);
        let by_packet = recording.transport() == Transport::Tcp
            && self.entries.iter().all(|entry| entry.has_packet && one_file(entry));
        let mut captured = Vec::new();
        while let Some(entry) = self.entries.first() {
            let packet = i64::try_from(entry.packet).unwrap_or(i64::MAX);
            let before = recording.events().len();
            self.take(recording);
            if by_packet && recording.events().len() > before {
                captured.push(packet);
            }
        }
        if by_packet {
            recording.settle_order_by(captured);
        }
    }

    /// Moves the next entry to the recording; `false` at the end.
    fn take(&mut self, recording: &mut Recording) -> bool {
        let Some((entry, rest)) = self.entries.split_first() else { return false };
        let (bytes, later) = self.bytes.split_at_checked(entry.len).unwrap_or((self.bytes, &[]));
        let at = entry.at.saturating_add(self.shift);
        if entry.missing > 0 {
            recording.push_gap(entry.side, at, entry.missing, entry.same_packet);
        } else if entry.len > 0 || recording.transport() == Transport::Udp {
            recording.push_data(entry.side, at, bytes);
        }
        (self.entries, self.bytes) = (rest, later);
        true
    }

    /// Was the next entry delivered before that of `other`? Side 0 goes first where nobody can tell.
    ///
    /// Bytes that waited for others have an earlier packet, and so follow them at once.
    fn goes_before(&self, other: &Self, by_packet: bool) -> bool {
        let (Some(ours), Some(theirs)) = (self.entries.first(), other.entries.first()) else {
            return other.entries.is_empty();
        };
        // Packets are counted in each file anew, and files are read in any order.
        if by_packet && ours.file == theirs.file {
            // What a packet's acknowledgement releases comes before what the packet carries.
            let place = |entry: &Entry| (entry.packet, entry.missing == 0);
            return place(ours) < place(theirs);
        }
        let at = |entry: &Entry, cursor: &Self| entry.at.saturating_add(cursor.shift);
        at(ours, self) < at(theirs, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;
    use crate::dump::samples::draft;
    use wire::Timestamp;

    const ZERO: &str = "20261123153736-TCP-192.0.2.10.42850-192.0.2.20.23";
    const ONE: &str = "20261123153736-TCP-192.0.2.20.23-192.0.2.10.42850";

    /// The recordings of files with these names and records.
    fn recordings(files: &[(&str, &[&str])]) -> Vec<Recording> {
        let drafts = files.iter().map(|(name, lines)| draft(name, lines).unwrap()).collect();
        join(drafts).into_iter().map(|whole| whole.into_recording(Transport::Tcp)).collect()
    }

    /// What was said, `>` by side 0 and `<` by side 1, `N` for N missing bytes.
    fn shown(recording: &Recording) -> String {
        let show = |event: &crate::Event| {
            let arrow = [">", "<"][event.side.index()];
            match event.what {
                What::Data { start, len, .. } => {
                    let bytes = &recording.bytes()[start..start + len];
                    format!("{arrow}{}", String::from_utf8_lossy(bytes))
                }
                What::Gap(missing) => format!("{arrow}{missing}"),
                What::Finish(_) => panic!("no dump has that"),
            }
        };
        recording.events().iter().map(show).collect()
    }

    #[test]
    fn two_files_of_a_connection_are_joined_by_packet() {
        let zero: &[&str] = &[
            r#"{"side":0,"data":"b","packet":12,"time":{"abs":9,"conn":5}}"#,
            r#"{"side":0,"data":"d","packet":14,"time":{"abs":9,"conn":5}}"#,
        ];
        let one: &[&str] = &[
            r#"{"side":1,"data":"a","packet":2,"time":{"abs":9,"conn":5}}"#,
            r#"{"side":1,"data":"c","packet":13,"time":{"abs":9,"conn":5}}"#,
            r#"{"side":1,"data":"e","packet":15,"time":{"abs":9,"conn":5}}"#,
        ];
        for files in [[(ZERO, zero), (ONE, one)], [(ONE, one), (ZERO, zero)]] {
            let [recording] = &recordings(&files)[..] else { panic!("not joined") };
            assert_eq!(shown(recording), "<a>b<c>d<e");
            assert_eq!(recording.name(), ZERO);
            assert_eq!(recording.ends().unwrap()[1].port, 23);
            assert_eq!(recording.began(), Some(Timestamp::new(4, 0)));
        }
    }

    #[test]
    fn bytes_that_waited_come_with_what_they_waited_for() {
        let zero: &[&str] =
            &[r#"{"side":0,"data":"b","packet":8}"#, r#"{"side":0,"data":"d","packet":9}"#];
        let one: &[&str] = &[
            r#"{"side":1,"data":"a","packet":1}"#,
            r#"{"side":1,"missing":3,"packet":9}"#,
            r#"{"side":1,"data":"c","packet":7}"#,
            r#"{"side":1,"data":"e","packet":10}"#,
        ];
        // Packet 9 says that side 0 has the three bytes, and carries d.
        let [recording] = &recordings(&[(ZERO, zero), (ONE, one)])[..] else {
            panic!("not joined")
        };
        assert_eq!(shown(recording), "<a>b<3<c>d<e");
    }

    #[test]
    fn of_several_inputs_each_counts_its_packets() {
        let zero: &[&str] = &[
            r#"{"side":0,"data":"a","file":2,"packet":90,"time":{"abs":1}}"#,
            r#"{"side":0,"data":"d","file":1,"packet":2,"time":{"abs":5}}"#,
        ];
        let one: &[&str] = &[
            r#"{"side":1,"data":"b","file":2,"packet":91,"time":{"abs":1}}"#,
            r#"{"side":1,"data":"c","file":1,"packet":1,"time":{"abs":5}}"#,
        ];
        let [recording] = &recordings(&[(ZERO, zero), (ONE, one)])[..] else {
            panic!("not joined")
        };
        assert_eq!(shown(recording), ">a<b<c>d");
    }

    #[test]
    fn without_packets_time_tells_the_order() {
        let zero: &[&str] = &[
            r#"{"side":0,"data":"b","time":{"abs":102.5,"conn":7}}"#,
            r#"{"side":0,"data":"c","time":{"abs":103,"conn":7}}"#,
        ];
        let one: &[&str] = &[
            r#"{"side":1,"data":"a","time":{"abs":101,"conn":9}}"#,
            r#"{"side":1,"data":"d","time":{"abs":103,"conn":9}}"#,
            r#"{"side":1,"data":"e","time":{"abs":104,"conn":9}}"#,
        ];
        let [recording] = &recordings(&[(ZERO, zero), (ONE, one)])[..] else {
            panic!("not joined")
        };
        assert_eq!(shown(recording), "<a>b>c<d<e");
        // Each file counts from its own first record; the recording from the earlier.
        let at: Vec<i64> = recording.events().iter().map(|event| event.at / 100_000_000).collect();
        assert_eq!(at, [0, 15, 20, 20, 30]);
        assert_eq!(recording.began(), Some(Timestamp::new(101, 0)));
    }

    #[test]
    fn others_stay_as_they_are() {
        let zero: &[&str] = &[r#"{"side":0,"data":"a"}"#];
        let one: &[&str] = &[r#"{"side":1,"data":"b"}"#];
        let both: &[&str] = &[r#"{"side":0,"data":"a"}"#, r#"{"side":1,"data":"b"}"#];
        let second = format!("{ONE}_2");
        for files in [
            &[(ZERO, zero), (second.as_str(), one)][..],
            &[(ZERO, zero), (ONE, both)],
            &[(ZERO, zero), (ONE, zero)],
            &[(ZERO, zero), (ZERO, one)],
            &[("x", zero), ("x", one)],
        ] {
            let recordings = recordings(files);
            let names: Vec<_> = recordings.iter().map(Recording::name).collect();
            assert_eq!(names, [files[0].0, files[1].0]);
        }
        // Alone, it is what it says it is.
        assert_eq!(shown(&recordings(&[(ONE, one)])[0]), "<b");
        // A file that was given twice is two connections.
        let twice = recordings(&[(ZERO, zero), (ZERO, zero), (ONE, one)]);
        assert_eq!(twice.iter().map(shown).collect::<Vec<_>>(), [">a<b", ">a"]);
        let twice = recordings(&[(ZERO, zero), (ONE, one), (ONE, one), (ZERO, zero)]);
        assert_eq!(twice.iter().map(shown).collect::<Vec<_>>(), [">a<b", ">a<b"]);
    }

    #[test]
    fn files_of_two_folders_are_two_connections() {
        let zero = draft(ZERO, &[r#"{"side":0,"data":"a"}"#]).unwrap();
        let mut one = draft(ONE, &[r#"{"side":1,"data":"b"}"#]).unwrap();
        one.origin.folder = Some("other".into());
        assert_eq!(join(vec![zero, one]).len(), 2);
    }

    #[test]
    fn an_empty_record_is_a_datagram_but_nothing_in_a_stream() {
        let lines = [
            r#"{"side":0,"data":"","packet":1}"#,
            r#"{"side":0,"missing":4,"packet":1}"#,
            r#"{"side":1,"data":"","packet":2}"#,
        ];
        let events = |transport| {
            let [whole] = &mut join(vec![draft("a", &lines).unwrap()])[..] else { panic!("one") };
            let empty = draft("a", &[]).unwrap();
            let draft = std::mem::replace(&mut whole.draft, empty);
            let recording = Whole { draft, other: None }.into_recording(transport);
            recording.events().iter().map(|event| event.what).collect::<Vec<_>>()
        };
        assert_eq!(events(Transport::Tcp), [What::Gap(4)]);
        let datagram = |cut| What::Data { start: 0, len: 0, cut };
        assert_eq!(events(Transport::Udp), [datagram(4), datagram(0)]);
    }
}
