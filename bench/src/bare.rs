//! `bare`: what merely reading a capture, or writing files, costs on this machine. None of the
//! program's own code is in it, so that it is a measure for all of it.
//!
//! ```text
//! bare walk CAPTURE        reads it in pieces of 256 KiB and walks the headers of its records
//! bare follow CAPTURE      the same, and follows TCP connections as far as any program must (`follow.rs`)
//! bare list FOLDER         the files in FOLDER, a line `SIZE NAME` each
//! bare write LIST FOLDER   for each line: open, write that many bytes from memory, close
//! ```
//!
//! All in one thread. `write` reads the list as it goes, which is 0.5 % of its time.

mod follow;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use follow::Follower;

/// As the program reads.
const PIECE: usize = 256 << 10;
/// Larger files are written in pieces of this many bytes.
const CONTENT: usize = 1 << 20;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// What was typed.
#[derive(Parser)]
#[command(version, about = "Bare loops over files, to compare with")]
enum Loop {
    /// Walk the headers of a pcap file's records
    Walk { capture: PathBuf },
    /// Walk them, and follow TCP connections without putting anything in order
    Follow {
        capture: PathBuf,
        /// Connections that are over and remembered
        #[arg(long, value_name = "N", default_value_t = 65_536)]
        remembered: usize,
    },
    /// List the files of a folder with their sizes
    List { folder: PathBuf },
    /// Write files of the sizes and names in a list
    Write { list: PathBuf, folder: PathBuf },
}

fn main() -> Result<()> {
    match Loop::parse() {
        Loop::Walk { capture } => {
            let file = File::open(&capture).with_context(|| named(&capture))?;
            let (packets, bytes) = walk(file, |_, _| {}).with_context(|| named(&capture))?;
            writeln!(stdout(), "{packets} packets, {bytes} bytes captured")?;
        }
        Loop::Follow { capture, remembered } => {
            let file = File::open(&capture).with_context(|| named(&capture))?;
            let mut follower = Follower::new(remembered);
            let take = |time, frame: &[u8]| follower.take(time, frame);
            let (packets, _) = walk(file, take).with_context(|| named(&capture))?;
            let Follower { opened, bytes, longest, .. } = follower;
            writeln!(
                stdout(),
                "{packets} packets, {opened} connections, {bytes} bytes in order, the longest took {longest}"
            )?;
        }
        Loop::List { folder } => {
            list(&folder, &mut BufWriter::new(stdout())).with_context(|| named(&folder))?;
        }
        Loop::Write { list, folder } => {
            let lines = File::open(&list).with_context(|| named(&list))?;
            let files = write(BufReader::with_capacity(PIECE, lines), &folder)?;
            writeln!(stdout(), "{files} files")?;
        }
    }
    Ok(())
}

fn named(path: &Path) -> String {
    path.display().to_string()
}

/// Packets, and bytes captured. Each is given with its time, of whatever unit.
fn walk(mut file: impl Read, mut take: impl FnMut(u64, &[u8])) -> Result<(u64, u64)> {
    let mut header = [0; FILE_HEADER];
    file.read_exact(&mut header)?;
    let magic = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    ensure!(matches!(magic, 0xA1B2_C3D4 | 0xA1B2_3C4D), "no little-endian pcap");

    // Twice a piece: what is left of the one before stands in front of the next.
    let mut buffer = vec![0; 2 * PIECE];
    let (mut begin, mut end) = (0, 0);
    let (mut packets, mut bytes) = (0, 0);
    loop {
        while let Some(length) = record(&buffer[begin..end]) {
            let (header, frame) = buffer[begin..begin + length].split_at(RECORD_HEADER);
            let time = header.first_chunk().map_or(0, |time| u64::from_le_bytes(*time));
            take(time.rotate_left(32), frame);
            begin += length;
            packets += 1;
            bytes += (length - RECORD_HEADER) as u64;
        }
        ensure!(end - begin < PIECE, "packet {} is too long", packets + 1);
        buffer.copy_within(begin..end, 0);
        (begin, end) = (0, end - begin);
        let read = file.read(&mut buffer[end..end + PIECE])?;
        if read == 0 {
            ensure!(end == 0, "packet {} is cut", packets + 1);
            return Ok((packets, bytes));
        }
        end += read;
    }
}

/// Bytes of the record that begins here, if it is whole.
fn record(here: &[u8]) -> Option<usize> {
    let length = here.get(8..12)?.first_chunk()?;
    let length = RECORD_HEADER + u32::from_le_bytes(*length) as usize;
    (length <= here.len()).then_some(length)
}

fn list(folder: &Path, out: &mut impl Write) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            writeln!(out, "{} {}", metadata.len(), entry.file_name().display())?;
        }
    }
    out.flush()
}

/// Writes the files; how many there were.
fn write(mut lines: impl BufRead, folder: &Path) -> Result<u64> {
    // Names are looked up from the folder on, which is the shortest way.
    std::env::set_current_dir(folder).with_context(|| named(folder))?;
    let content = vec![b'x'; CONTENT];
    let mut files = 0;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let parts = line.trim_end_matches('\n').split_once(' ');
        let (size, name) = parts.with_context(|| format!("line {}: no name", files + 1))?;
        let mut left: usize =
            size.parse().with_context(|| format!("line {}: no size", files + 1))?;
        let mut file = File::create(name).with_context(|| name.to_owned())?;
        while left > 0 {
            let piece = left.min(CONTENT);
            file.write_all(&content[..piece]).with_context(|| name.to_owned())?;
            left -= piece;
        }
        files += 1;
        line.clear();
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture whose packets have these lengths.
    fn capture(lengths: &[u32]) -> Vec<u8> {
        let mut capture = [&0xA1B2_C3D4_u32.to_le_bytes()[..], &[0; 20]].concat();
        for length in lengths {
            capture.extend([0; 8]);
            capture.extend(length.to_le_bytes());
            capture.extend(length.to_le_bytes());
            capture.extend(vec![0xFF; *length as usize]);
        }
        capture
    }

    #[test]
    fn packets_are_counted_wherever_pieces_end() {
        assert_eq!(walk(&*capture(&[]), |_, _| {}).unwrap(), (0, 0));
        // The lengths are odd, so headers and packets meet the ends of pieces at any byte.
        let lengths: Vec<u32> = (0..3000).map(|i| i % 1501).collect();
        let bytes: u32 = lengths.iter().sum();
        assert_eq!(walk(&*capture(&lengths), |_, _| {}).unwrap(), (3000, u64::from(bytes)));
    }

    #[test]
    fn what_is_no_capture_is_refused() {
        assert!(walk(&*vec![0; 100], |_, _| {}).is_err());
        assert!(
            walk(&capture(&[70])[..90], |_, _| {})
                .unwrap_err()
                .to_string()
                .contains("packet 1 is cut")
        );
        let long = capture(&[PIECE as u32]);
        assert!(walk(&*long, |_, _| {}).unwrap_err().to_string().contains("packet 1 is too long"));
    }

    #[test]
    fn what_was_listed_is_written_again() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, size) in [("empty", 0), ("small one", 700), ("large", CONTENT + 1)] {
            fs::write(from.path().join(name), vec![1; size]).unwrap();
        }
        fs::create_dir(from.path().join("folder")).unwrap();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        list(from.path(), &mut first).unwrap();
        assert_eq!(write(&*first, to.path()).unwrap(), 3);
        list(to.path(), &mut again).unwrap();
        let sorted = |lines: &[u8]| {
            let mut lines: Vec<_> =
                lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&first), sorted(&again));
        assert!(write(&b"7\n"[..], to.path()).unwrap_err().to_string().contains("line 1"));
    }
}
