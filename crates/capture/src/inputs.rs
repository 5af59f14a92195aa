//! Several captures as one run: in which order they are read.

use crate::ReadError;
use crate::reader::Reader;
use std::borrow::Cow;
use std::io::stdin;
use std::path::{Path, PathBuf};
use wire::Timestamp;

/// In which order captures are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// By the time of their first packets; see [`Inputs::order`].
    #[default]
    FirstPacket,
    /// As given.
    Given,
}

/// One capture to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    number: usize,
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A file that can be opened again: its length in bytes.
    Regular(u64),
    /// A pipe or a device: what is read is gone.
    Stream,
    StandardInput,
    /// Nothing that can be looked at: opening it will tell why.
    Unknown,
}

impl Input {
    fn new(number: usize, path: &Path) -> Self {
        let kind = if path.as_os_str() == "-" {
            Kind::StandardInput
        } else {
            match std::fs::metadata(path) {
                Ok(about) if about.is_file() => Kind::Regular(about.len()),
                Ok(about) if about.is_dir() => Kind::Unknown,
                Ok(_) => Kind::Stream,
                Err(_) => Kind::Unknown,
            }
        };
        Self { number, path: path.to_owned(), kind }
    }

    /// Its number on the command line, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The path as given; `-` is standard input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name for people.
    pub fn name(&self) -> Cow<'_, str> {
        match self.kind {
            Kind::StandardInput => "standard input".into(),
            _ => self.path.to_string_lossy(),
        }
    }

    /// Its length in bytes when it was looked at, where it has one.
    pub fn length(&self) -> Option<u64> {
        match self.kind {
            Kind::Regular(length) => Some(length),
            _ => None,
        }
    }

    /// Opens it and reads its file header.
    ///
    /// # Errors
    /// It cannot be opened, or is no capture.
    pub fn open(&self) -> Result<Reader, ReadError> {
        match self.kind {
            Kind::StandardInput => Reader::from_read("standard input", Box::new(stdin())),
            _ => Reader::open(&self.path),
        }
    }

    /// Where it belongs by the time of its first packet. It is closed again: thousands of inputs must
    /// not be open at once.
    fn place(&self) -> Place {
        match self.kind {
            Kind::Stream | Kind::StandardInput => Place::Kept,
            Kind::Regular(_) | Kind::Unknown => match self.first_packet_time() {
                Some(Some(time)) => Place::At(time.secs(), time.subsec_nanos()),
                Some(None) => Place::Kept,
                None => Place::AtTheEnd,
            },
        }
    }

    /// The time of its first packet, if there is one and if it has one.
    fn first_packet_time(&self) -> Option<Option<Timestamp>> {
        let Kind::Regular(_) = self.kind else { return None };
        let mut reader = Reader::open_with(&self.path, PEEK).ok()?;
        let packet = reader.next_packet().ok()?;
        packet.map(|packet| packet.has_time.then_some(packet.time))
    }
}

/// Where an input belongs among others; what comes first is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    /// Where it was given: it can be read only once, so that it cannot be looked into, or its packets
    /// have no times.
    Kept,
    /// Where its first packet's seconds and nanoseconds say.
    At(i64, u32),
    /// It has no packet, or cannot be read.
    AtTheEnd,
}

/// How much of a file is read at once to find its first packet.
const PEEK: usize = 4096;

/// Why captures cannot be put in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// `-` was given more than once.
    #[error("standard input (-) was given twice; it can be read once")]
    StandardInputTwice,
}

/// Captures in the order in which they are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inputs(Vec<Input>);

impl Inputs {
    /// Puts captures in order. With [`Order::FirstPacket`] standard input, pipes, devices and files
    /// whose packets have no times keep the places where they were given, and files take the others by
    /// the time of their first packets: equal times as given, and at the end, as given, those that have
    /// no packet or cannot be read.
    ///
    /// # Errors
    /// Standard input is given twice.
    pub fn order(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        order: Order,
    ) -> Result<Self, InputsError> {
        let inputs = paths.into_iter().enumerate();
        let inputs: Vec<_> =
            inputs.map(|(index, path)| Input::new(index + 1, path.as_ref())).collect();
        if inputs.iter().filter(|input| input.kind == Kind::StandardInput).count() > 1 {
            return Err(InputsError::StandardInputTwice);
        }
        if order == Order::Given || inputs.len() < 2 {
            return Ok(Self(inputs));
        }
        let placed = inputs.into_iter().map(|input| (input.place(), input));
        let (kept, mut moved): (Vec<_>, Vec<_>) = placed.partition(|(at, _)| *at == Place::Kept);
        moved.sort_by_key(|(at, input)| (*at, input.number));
        let (mut kept, mut moved) = (kept.into_iter().peekable(), moved.into_iter());
        let count = kept.len() + moved.len();
        let next = |number: usize| {
            let here = kept.next_if(|(_, input)| input.number == number);
            here.or_else(|| moved.next()).map(|(_, input)| input)
        };
        Ok(Self((1..=count).filter_map(next).collect()))
    }

    /// How many bytes all files have together; `None` where one is a pipe or device.
    pub fn length(&self) -> Option<u64> {
        self.0.iter().try_fold(0_u64, |sum, input| match input.kind {
            Kind::Unknown => Some(sum),
            _ => input.length().map(|length| sum.saturating_add(length)),
        })
    }

    /// The captures in the order in which they are read.
    pub fn iter(&self) -> std::slice::Iter<'_, Input> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Inputs {
    type Item = &'a Input;
    type IntoIter = std::slice::Iter<'a, Input>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PcapFile, PcapngFile};
    use std::fs;
    use tempfile::TempDir;

    /// A folder of captures whose first packets were taken at these seconds.
    fn folder(files: &[(&str, u32)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, secs) in files {
            let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
            file.packet(*secs, 500_000, b"first", 5);
            file.packet(1, 0, b"an earlier time later on", 24);
            fs::write(folder.path().join(name), file.bytes()).unwrap();
        }
        folder
    }

    /// The numbers of the inputs in their order.
    fn order(folder: &TempDir, names: &[&str], order: Order) -> Vec<usize> {
        let path = |name: &&str| match *name {
            "-" | "/dev/null" => PathBuf::from(name),
            name => folder.path().join(name),
        };
        let inputs = Inputs::order(names.iter().map(path), order).unwrap();
        inputs.iter().map(Input::number).collect()
    }

    #[test]
    fn files_are_read_by_the_time_of_their_first_packets_ties_as_given() {
        let folder = folder(&[("a", 30), ("b", 10), ("c", 20), ("d", 10)]);
        let names = ["a", "b", "c", "d"];
        assert_eq!(order(&folder, &names, Order::FirstPacket), [2, 4, 3, 1]);
        assert_eq!(order(&folder, &names, Order::Given), [1, 2, 3, 4]);
    }

    #[test]
    fn fractions_of_a_second_count_whatever_the_format() {
        let folder = folder(&[("a", 10)]);
        let mut file = PcapngFile::new(true);
        file.interface(1, 0, &[(9, &[9])]);
        file.block(5, &[0; 9000]);
        file.enhanced(0, 10_499_999_999, b"just before", 11);
        fs::write(folder.path().join("b"), file.bytes()).unwrap();
        assert_eq!(order(&folder, &["a", "b"], Order::FirstPacket), [2, 1]);
    }

    #[test]
    fn what_has_no_packet_or_cannot_be_read_comes_last_as_given() {
        let folder = folder(&[("a", 20), ("b", 10)]);
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::write(folder.path().join("text"), "no capture").unwrap();
        let header = PcapFile::new(0xa1b2_c3d4, false, 1).bytes();
        fs::write(folder.path().join("header"), header).unwrap();
        let names = ["missing", "folder", "a", "text", "header", "b"];
        assert_eq!(order(&folder, &names, Order::FirstPacket), [6, 3, 1, 2, 4, 5]);
        let inputs = Inputs::order([folder.path().join("folder")], Order::FirstPacket).unwrap();
        let error = inputs.iter().next().unwrap().open().unwrap_err();
        assert!(error.is_unreadable());
        assert!(error.to_string().ends_with("folder: is a folder; name the captures in it"));
        let missing = Input::new(1, &folder.path().join("missing")).open().unwrap_err();
        assert!(missing.is_unreadable());
        assert!(missing.to_string().ends_with("missing: no such file; check the name"));
    }

    #[test]
    fn standard_input_and_devices_keep_their_places() {
        let folder = folder(&[("a", 30), ("b", 20), ("c", 10)]);
        let names = ["a", "-", "b", "/dev/null", "c"];
        assert_eq!(order(&folder, &names, Order::FirstPacket), [5, 2, 3, 4, 1]);
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_keeps_its_place_and_is_not_looked_into() {
        let folder = folder(&[("a", 30), ("b", 20)]);
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        // Looking into it would wait for a writer for ever.
        assert_eq!(order(&folder, &["a", "pipe", "b"], Order::FirstPacket), [3, 2, 1]);
        let inputs = Inputs::order([&pipe], Order::FirstPacket).unwrap();
        assert_eq!(inputs.length(), None);

        let mut file = PcapFile::new(0xa1b2_c3d4, false, 1);
        file.packet(1, 0, b"through the pipe", 16);
        let writer = std::thread::spawn(move || fs::write(&pipe, file.bytes()).unwrap());
        let mut reader = inputs.iter().next().unwrap().open().unwrap();
        assert_eq!(reader.next_packet().unwrap().unwrap().bytes, b"through the pipe");
        assert!(reader.next_packet().unwrap().is_none());
        writer.join().unwrap();
    }

    #[test]
    fn standard_input_given_twice_is_an_error() {
        let error = Inputs::order(["-", "a", "-"], Order::Given).unwrap_err();
        assert_eq!(error.to_string(), "standard input (-) was given twice; it can be read once");
    }

    #[test]
    fn lengths_are_summed_for_the_progress_bar() {
        let folder = folder(&[("a", 1), ("b", 2)]);
        let paths = ["a", "missing", "b"].map(|name| folder.path().join(name));
        let inputs = Inputs::order(paths, Order::FirstPacket).unwrap();
        let each = 24 + 16 + 5 + 16 + 24;
        assert_eq!((inputs.length(), inputs.len()), (Some(2 * each), 3));
        assert_eq!(inputs.iter().next().unwrap().length(), Some(each));
        let with_stream = Inputs::order(["-"], Order::FirstPacket).unwrap();
        assert_eq!(with_stream.length(), None);
        assert_eq!(with_stream.iter().next().unwrap().name(), "standard input");
    }
}
