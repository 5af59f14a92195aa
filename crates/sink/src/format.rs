//! Chunks and gaps as bytes of a file or the console.

use crate::escape::{push_escaped, push_hex};
use crate::text::{push_quoted, push_u64};
use crate::time::{push_since, push_time};
use flow::{Chunk, Gap, Side, Source};
use wire::Timestamp;

/// How chunks are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// The bytes, nothing in between.
    #[default]
    Raw,
    /// A header line before each chunk's bytes.
    Headers,
    /// One JSON object a line for each chunk.
    Json,
}

/// How missing bytes show in raw output. Headers and JSON lines always tell of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GapStyle {
    /// Not at all: a file holds captured bytes only.
    #[default]
    Skip,
    /// As `[N bytes missing]`, in the middle of the bytes as the classic program has it.
    Marker,
    /// As zero bytes, at most 1 GiB for each gap.
    Zero,
}

/// No gap becomes more zero bytes than this: a few forged packets can claim gaps of a gibibyte each.
const MAX_ZEROS: u64 = 1 << 30;

/// What a gap becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GapBytes {
    /// Nothing.
    None,
    /// Bytes that [`Formatter::push_gap`] appends.
    Record,
    /// So many zero bytes.
    Zeros(u64),
}

/// Writes chunks and gaps in one format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Formatter {
    pub(crate) format: Format,
    pub(crate) gap: GapStyle,
    /// Does a line name the input its packet came from?
    pub(crate) several_inputs: bool,
}

impl Formatter {
    /// Appends a chunk. `first` is the time of the connection's first packet; `name` is the
    /// connection's, where lines of several connections share a stream.
    pub(crate) fn push_chunk(
        &self,
        out: &mut Vec<u8>,
        first: Timestamp,
        chunk: &Chunk<'_>,
        name: Option<&[u8]>,
    ) {
        let size = chunk.bytes.len() as u64;
        match self.format {
            Format::Raw => out.extend_from_slice(chunk.bytes),
            Format::Headers => {
                push_header(out, chunk.side, size);
                out.extend_from_slice(b"}\r\n");
                out.extend_from_slice(chunk.bytes);
            }
            Format::Json => {
                // Text and its digits; what needs escapes makes the buffer grow further.
                out.reserve(chunk.bytes.len().saturating_mul(3).saturating_add(256));
                push_json_start(out, chunk.side, chunk.source.time, first, size);
                push_escaped(out, chunk.bytes);
                out.extend_from_slice(b"\",\"data_hex\":\"");
                push_hex(out, chunk.bytes);
                out.extend_from_slice(b"\",");
                self.push_json_end(out, &chunk.source, chunk.offset, name);
            }
        }
    }

    /// What `gap` becomes.
    pub(crate) fn gap_bytes(&self, gap: &Gap) -> GapBytes {
        match (self.format, self.gap) {
            (Format::Raw, GapStyle::Skip) => GapBytes::None,
            (Format::Raw, GapStyle::Zero) => GapBytes::Zeros(gap.len.min(MAX_ZEROS)),
            _ => GapBytes::Record,
        }
    }

    /// Appends a gap that is a record: a line of its own, or the marker.
    pub(crate) fn push_gap(
        &self,
        out: &mut Vec<u8>,
        first: Timestamp,
        gap: &Gap,
        name: Option<&[u8]>,
    ) {
        match self.format {
            Format::Raw => {
                out.push(b'[');
                push_u64(out, gap.len);
                out.extend_from_slice(b" bytes missing]");
            }
            Format::Headers => {
                push_header(out, gap.side, 0);
                out.push(b',');
                push_quoted(out, "missing", gap.len);
                out.push(b',');
                push_quoted(out, "offset", gap.offset);
                out.extend_from_slice(b"}\r\n");
            }
            Format::Json => {
                push_json_start(out, gap.side, gap.source.time, first, 0);
                out.extend_from_slice(b"\",\"data_hex\":\"\",");
                push_quoted(out, "missing", gap.len);
                out.push(b',');
                self.push_json_end(out, &gap.source, gap.offset, name);
            }
        }
    }

    /// Appends what comes after the data, with the line's end.
    fn push_json_end(&self, out: &mut Vec<u8>, source: &Source, offset: u64, name: Option<&[u8]>) {
        push_quoted(out, "packet", source.number());
        out.push(b',');
        push_quoted(out, "offset", offset);
        if self.several_inputs {
            out.push(b',');
            push_quoted(out, "file", u64::from(source.file()));
        }
        if let Some(name) = name {
            out.extend_from_slice(b",\"connection\":\"");
            out.extend_from_slice(name);
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
    }
}

fn side_digit(side: Side) -> u8 {
    match side {
        Side::Zero => b'0',
        Side::One => b'1',
    }
}

/// Appends a header line up to its size, the brace left open.
fn push_header(out: &mut Vec<u8>, side: Side, size: u64) {
    out.extend_from_slice(b"\r\n{\"_\":\"--------------------\",\"side\":\"");
    out.push(side_digit(side));
    out.extend_from_slice(b"\",");
    push_quoted(out, "size", size);
}

/// Appends a JSON line up to the quote that opens the data.
fn push_json_start(out: &mut Vec<u8>, side: Side, time: Timestamp, first: Timestamp, size: u64) {
    out.extend_from_slice(b"{\"side\":\"");
    out.push(side_digit(side));
    out.extend_from_slice(b"\",\"time\":{\"abs\":\"");
    push_time(out, time);
    out.extend_from_slice(b"\",\"conn\":\"");
    push_since(out, time, first);
    out.extend_from_slice(b"\"},");
    push_quoted(out, "size", size);
    out.extend_from_slice(b",\"data\":\"");
}

/// How much room a JSON line will need, from what those before it needed: four to nine bytes for each of its
/// chunk, which nobody knows without looking at them all.
#[derive(Debug)]
pub(crate) struct LineRoom {
    /// Eighths of a byte of lines for each byte of chunks.
    eighths: usize,
}

impl Default for LineRoom {
    fn default() -> Self {
        Self { eighths: Self::LEAST }
    }
}

impl LineRoom {
    /// What is around text and digits, at most.
    const AROUND: usize = 256;

    /// A character and two digits for each byte.
    const LEAST: usize = 3 * 8;

    /// For the line of a chunk of so many bytes. It may turn out to be too little.
    pub(crate) fn of(&self, chunk: usize) -> usize {
        (chunk.saturating_mul(self.eighths) / 8).saturating_add(Self::AROUND)
    }

    /// The line of a chunk of so many bytes had this length.
    pub(crate) fn note(&mut self, chunk: usize, line: usize) {
        let needed = line.saturating_sub(Self::AROUND).saturating_mul(8) / chunk.max(1) + 1;
        // Longer lines count at once, shorter ones little by little.
        self.eighths = needed.max(self.eighths - self.eighths / 16).max(Self::LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{chunk, gap, source};
    use proptest::prelude::*;

    fn formatter(format: Format) -> Formatter {
        Formatter { format, gap: GapStyle::Skip, several_inputs: false }
    }

    fn first() -> Timestamp {
        Timestamp::new(1_563_783_090, 564_270_000)
    }

    fn chunk_as(f: &Formatter, chunk: &Chunk<'_>, name: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        f.push_chunk(&mut out, first(), chunk, name);
        String::from_utf8(out).unwrap()
    }

    fn gap_as(f: &Formatter, gap: &Gap, name: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        f.push_gap(&mut out, first(), gap, name);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_room_for_lines_follows_what_they_need() {
        let mut room = LineRoom::default();
        assert_eq!(room.of(100), 300 + LineRoom::AROUND);
        room.note(1000, 8200);
        assert!((8200..8500).contains(&room.of(1000)), "{}", room.of(1000));
        (0..100).for_each(|_| room.note(1000, 3100));
        assert!((3100..3900).contains(&room.of(1000)), "{}", room.of(1000));
        room.note(0, 10);
        assert!(room.of(usize::MAX) > room.of(1000));
    }

    #[test]
    fn a_json_line_has_the_classic_keys_then_ours() {
        let ls = chunk(Side::Zero, 0, b"ls\n", source(1_563_783_092, 387_930, 12));
        assert_eq!(
            chunk_as(&formatter(Format::Json), &ls, None),
            "{\"side\":\"0\",\"time\":{\"abs\":\"1563783092.387930\",\"conn\":\"1.823660\"},\
             \"size\":\"3\",\"data\":\"ls\\n\",\"data_hex\":\"6C730A\",\"packet\":\"12\",\"offset\":\"0\"}\n"
        );
    }

    #[test]
    fn several_inputs_and_the_console_add_their_keys_last() {
        let mut f = formatter(Format::Json);
        f.several_inputs = true;
        let mut from = source(1_563_783_090, 564_270, 3);
        from = Source::new(from.time, from.number(), 2);
        assert_eq!(
            chunk_as(&f, &chunk(Side::One, 77, b"\xFF", from), Some(b"NAME_2")),
            "{\"side\":\"1\",\"time\":{\"abs\":\"1563783090.564270\",\"conn\":\"0.000000\"},\
             \"size\":\"1\",\"data\":\"\\u00FF\",\"data_hex\":\"FF\",\"packet\":\"3\",\"offset\":\"77\",\
             \"file\":\"2\",\"connection\":\"NAME_2\"}\n"
        );
    }

    #[test]
    fn fine_clocks_show_nine_decimals() {
        let mut from = source(0, 0, 4);
        from.time = Timestamp::fine(1_563_783_090, 1);
        let line = chunk_as(&formatter(Format::Json), &chunk(Side::Zero, 0, b"x", from), None);
        assert!(
            line.contains(r#""time":{"abs":"1563783090.000000001","conn":"-0.564269999"}"#),
            "{line}"
        );
    }

    #[test]
    fn a_gap_is_a_json_line_without_data() {
        let g = gap(Side::Zero, 1420, 2840, source(1_563_783_092, 0, 41));
        assert_eq!(
            gap_as(&formatter(Format::Json), &g, None),
            "{\"side\":\"0\",\"time\":{\"abs\":\"1563783092.000000\",\"conn\":\"1.435730\"},\
             \"size\":\"0\",\"data\":\"\",\"data_hex\":\"\",\"missing\":\"2840\",\"packet\":\"41\",\
             \"offset\":\"1420\"}\n"
        );
    }

    #[test]
    fn headers_stand_before_chunks_and_for_gaps() {
        let f = formatter(Format::Headers);
        assert_eq!(
            chunk_as(&f, &chunk(Side::One, 5, b"GET", source(0, 0, 1)), None),
            "\r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\nGET"
        );
        assert_eq!(
            gap_as(&f, &gap(Side::Zero, 1420, 9, source(0, 0, 1)), None),
            "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"0\",\"missing\":\"9\",\"offset\":\"1420\"}\r\n"
        );
    }

    #[test]
    fn raw_output_shows_gaps_only_when_asked() {
        let mut f = formatter(Format::Raw);
        let g = gap(Side::Zero, 0, 1420, source(0, 0, 1));
        assert_eq!(chunk_as(&f, &chunk(Side::Zero, 0, b"a\nb", source(0, 0, 1)), None), "a\nb");
        assert_eq!(f.gap_bytes(&g), GapBytes::None);
        f.gap = GapStyle::Marker;
        assert_eq!(f.gap_bytes(&g), GapBytes::Record);
        assert_eq!(gap_as(&f, &g, None), "[1420 bytes missing]");
        f.gap = GapStyle::Zero;
        assert_eq!(f.gap_bytes(&g), GapBytes::Zeros(1420));
        let huge = gap(Side::Zero, 0, u64::MAX, source(0, 0, 1));
        assert_eq!(f.gap_bytes(&huge), GapBytes::Zeros(1 << 30));
    }

    #[test]
    fn records_take_no_heed_of_how_raw_gaps_look() {
        let g = gap(Side::Zero, 0, 5, source(0, 0, 1));
        for format in [Format::Headers, Format::Json] {
            for style in [GapStyle::Skip, GapStyle::Marker, GapStyle::Zero] {
                let f = Formatter { gap: style, ..formatter(format) };
                assert_eq!(f.gap_bytes(&g), GapBytes::Record);
                assert_eq!(gap_as(&f, &g, None), gap_as(&formatter(format), &g, None));
            }
        }
    }

    proptest! {
        #[test]
        fn every_line_is_json_and_tells_what_it_was_made_of(
            bytes in proptest::collection::vec(any::<u8>(), 1..300),
            secs in any::<i64>(), nanos in 0u32..1_000_000_000, number in 0..=Source::MAX_NUMBER,
            offset in any::<u64>(), file in 0..=Source::MAX_FILE, fine in any::<bool>(),
        ) {
            let time = if fine { Timestamp::fine(secs, nanos) } else { Timestamp::new(secs, nanos) };
            let source = Source::new(time, number, file);
            let f = Formatter { several_inputs: true, ..formatter(Format::Json) };
            let line = chunk_as(&f, &chunk(Side::One, offset, &bytes, source), Some(b"N"));
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.is_ascii());
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(json["side"].as_str(), Some("1"));
            prop_assert_eq!(json["size"].as_str().unwrap(), bytes.len().to_string());
            prop_assert_eq!(json["packet"].as_str().unwrap(), number.to_string());
            prop_assert_eq!(json["offset"].as_str().unwrap(), offset.to_string());
            prop_assert_eq!(json["file"].as_str().unwrap(), file.to_string());
            prop_assert_eq!(const_hex::decode(json["data_hex"].as_str().unwrap()).unwrap(), &bytes[..]);
            let text: Vec<u32> = json["data"].as_str().unwrap().chars().map(u32::from).collect();
            let expected: Vec<u32> = bytes.iter().map(|&b| u32::from(b)).collect();
            prop_assert_eq!(text, expected);
        }
    }
}
