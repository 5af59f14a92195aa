//! The reader against another one, `pcap-parser`, and against damage.

use crate::testing::{Owned, PcapFile, PcapngFile, Trickle, all, read_out, reader};
use crate::{ReadError, Reader};
use pcap_parser::{
    Block, PcapHeader, parse_block_be, parse_block_le, parse_pcap_frame, parse_pcap_frame_be,
    parse_pcap_frame_modified, parse_pcap_header, parse_sectionheaderblock,
};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use wire::{LinkType, Timestamp};

/// What both readers know of a packet.
type Seen = (Option<LinkType>, Timestamp, Vec<u8>, u32);

fn seen(packet: &Owned) -> Seen {
    (packet.link, packet.time.unwrap_or_default(), packet.bytes.clone(), packet.wire_len)
}

/// The packets up to the end or to what `pcap-parser` does not read.
fn by_pcap_parser(bytes: &[u8]) -> Vec<Seen> {
    match parse_pcap_header(bytes) {
        Ok((rest, header)) => pcap_by_pcap_parser(rest, &header),
        Err(_) => pcapng_by_pcap_parser(bytes),
    }
}

fn pcap_by_pcap_parser(mut bytes: &[u8], header: &PcapHeader) -> Vec<Seen> {
    let next = match (header.is_modified_format(), header.is_bigendian()) {
        (true, _) => parse_pcap_frame_modified,
        (false, true) => parse_pcap_frame_be,
        (false, false) => parse_pcap_frame,
    };
    let mut packets = Vec::new();
    while let Ok((rest, packet)) = next(bytes) {
        bytes = rest;
        let (secs, fraction) = (i64::from(packet.ts_sec), packet.ts_usec);
        let time = if header.is_nanosecond_precision() {
            Timestamp::fine(secs, fraction)
        } else {
            Timestamp::new(secs + i64::from(fraction / 1_000_000), fraction % 1_000_000 * 1000)
        };
        let link = LinkType(header.network.0 as u16);
        let wire_len = packet.origlen.max(packet.caplen);
        packets.push((Some(link), time, packet.data.to_vec(), wire_len));
    }
    packets
}

fn pcapng_by_pcap_parser(mut bytes: &[u8]) -> Vec<Seen> {
    let mut packets: Vec<Seen> = Vec::new();
    let mut interfaces: Vec<(LinkType, u32, u128, i64)> = Vec::new();
    let mut big = false;
    loop {
        if let Ok((rest, section)) = parse_sectionheaderblock(bytes) {
            // `test901.pcapng` of the pcapng test suite has one; libpcap and tshark stop there too.
            if section.major_version != 1 {
                return packets;
            }
            (bytes, big) = (rest, section.big_endian());
            interfaces.clear();
            continue;
        }
        let block = if big { parse_block_be(bytes) } else { parse_block_le(bytes) };
        let Ok((rest, block)) = block else { return packets };
        bytes = rest;
        match block {
            Block::InterfaceDescription(found) => interfaces.push((
                LinkType(found.linktype.0 as u16),
                found.snaplen,
                per_second(found.if_tsresol),
                found.ts_offset(),
            )),
            Block::EnhancedPacket(found) => {
                let interface = interfaces.get(found.if_id as usize);
                let (_, _, resolution, offset) =
                    interface.copied().unwrap_or((LinkType::NULL, 0, 1_000_000, 0));
                let ticks = u128::from(found.ts_high) << 32 | u128::from(found.ts_low);
                let nanos = ticks * 1_000_000_000 / resolution;
                let secs = i64::try_from(nanos / 1_000_000_000).unwrap() + offset;
                let nanos = (nanos % 1_000_000_000) as u32;
                let fine = resolution > 1_000_000;
                let time = if fine { Timestamp::fine } else { Timestamp::new }(secs, nanos);
                let data = found.data[..found.caplen as usize].to_vec();
                let wire_len = found.origlen.max(found.caplen);
                packets.push((interface.map(|known| known.0), time, data, wire_len));
            }
            Block::SimplePacket(found) => {
                let time = packets.last().map_or(Timestamp::default(), |packet| packet.1);
                let interface = interfaces.first();
                let limit = interface.map_or(0, |known| known.1);
                let captured = found.origlen.min(if limit == 0 { u32::MAX } else { limit });
                let data = &found.data[..found.data.len().min(captured as usize)];
                packets.push((interface.map(|known| known.0), time, data.to_vec(), found.origlen));
            }
            _ => {}
        }
    }
}

/// `if_tsresol` as ticks in a second. pcap-parser's own function knows no powers of two.
fn per_second(resolution: u8) -> u128 {
    match resolution & 0x7f {
        power if resolution & 0x80 != 0 => 1 << power,
        power => 10_u128.pow(power.into()),
    }
}

/// A packet to be written: interface, seconds, fraction, bytes, how many more on the wire.
type Planned = (u8, u32, u32, Vec<u8>, u32);

fn planned() -> impl Strategy<Value = Vec<Planned>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec((0_u8..4, any::<u32>(), 0_u32..1_000_000, bytes, 0_u32..2000), 0..12)
}

fn pcap_file(magic: u32, big: bool, packets: &[Planned]) -> Vec<u8> {
    let mut file = PcapFile::new(magic, big, 113);
    for (_, secs, fraction, bytes, more) in packets {
        file.packet(*secs, *fraction, bytes, bytes.len() as u32 + more);
    }
    file.bytes()
}

/// Two sections of both byte orders with interfaces of several clocks.
fn pcapng_file(big: bool, packets: &[Planned]) -> Vec<u8> {
    let mut file = PcapngFile::new(big);
    file.interface(1, 0, &[(2, b"eth0"), (9, &[9])]);
    for (number, (interface, secs, fraction, bytes, more)) in packets.iter().enumerate() {
        if number == packets.len() / 2 {
            file.section(!big);
            file.interface(101, 20, &[(1, b"a comment"), (9, &[3])]);
        }
        let wire_len = bytes.len() as u32 + more;
        match interface {
            0 => file.simple(bytes, wire_len),
            1 => file.block(0x0bad_cafe, bytes),
            _ => {
                let ticks = u64::from(*secs) * 1_000_000 + u64::from(*fraction);
                file.enhanced(u32::from(interface - 2), ticks, bytes, wire_len)
            }
        };
    }
    file.bytes()
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0xa1b2_c3d4_u32, 0xa1b2_3c4d, 0xa1b2_cd34, 0]);
    (kind, any::<bool>(), planned()).prop_map(|(magic, big, packets)| {
        if magic == 0 { pcapng_file(big, &packets) } else { pcap_file(magic, big, &packets) }
    })
}

/// All that can be read of a file that may be damaged anywhere.
fn whatever(bytes: Vec<u8>) -> (Vec<Owned>, Option<ReadError>) {
    match Reader::from_read("test", Box::new(std::io::Cursor::new(bytes))) {
        Ok(mut reader) => read_out(&mut reader),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// The same without stretches, with what the error says.
fn one_by_one(bytes: Vec<u8>) -> (Vec<Owned>, Option<String>) {
    let mut packets = Vec::new();
    let read =
        Reader::from_read("test", Box::new(std::io::Cursor::new(bytes))).and_then(|mut r| {
            while let Some(packet) = r.next_packet()? {
                packets.push(packet.into());
            }
            Ok(())
        });
    (packets, read.err().map(|error| error.to_string()))
}

proptest! {
    #[test]
    fn generated_files_give_what_pcap_parser_reads(file in any_file()) {
        let modified_big = file.starts_with(&0xa1b2_cd34_u32.to_be_bytes());
        let packets = all(&mut reader(file.clone()));
        // pcap-parser does not know that one.
        if !modified_big {
            let ours: Vec<_> = packets.iter().map(seen).collect();
            prop_assert_eq!(ours, by_pcap_parser(&file));
        }
        let mut trickle = Reader::from_read("test", Box::new(Trickle::new(file))).unwrap();
        prop_assert_eq!(all(&mut trickle), packets, "a byte at a time");
    }

    #[test]
    fn a_cut_file_gives_every_packet_before_the_cut(file in any_file(), cut: prop::sample::Index) {
        let cut = cut.index(file.len());
        let packets = all(&mut reader(file.clone()));
        let (read, error) = whatever(file[..cut].to_vec());
        // A packet is whole where the next one, or the end, begins within the cut.
        let mut ends: Vec<_> = packets.iter().skip(1).map(|next| next.offset).collect();
        ends.push(file.len() as u64);
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        prop_assert!(read.len() >= whole.min(packets.len()));
        prop_assert_eq!(&packets[..read.len()], &read[..]);
        if let Some(error) = error {
            prop_assert!(!error.to_string().contains('\n'));
            prop_assert!(error.offset().is_none_or(|offset| offset <= cut as u64));
        }
    }

    #[test]
    fn flipped_bytes_never_panic_and_keep_the_packets_before(
        file in any_file(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let packets = all(&mut reader(file.clone()));
        let mut flipped = file;
        let mut first = flipped.len();
        for (place, bits) in flips {
            let place = place.index(flipped.len());
            flipped[place] ^= bits;
            first = first.min(place);
        }
        let (read, error) = whatever(flipped.clone());
        let one_by_one = one_by_one(flipped);
        prop_assert_eq!((&read, error.map(|error| error.to_string())), (&one_by_one.0, one_by_one.1));
        let before = packets.iter().skip(1).filter(|next| next.offset <= first as u64).count();
        // Damage to the file header may leave other packets, or none.
        if before > 0 {
            prop_assert_eq!(&packets[..before], &read[..before.min(read.len())]);
        }
    }

    #[test]
    fn anything_behind_a_magic_number_is_read_without_panic(
        magic in prop::sample::select(vec![0xa1b2_c3d4_u32, 0xa1b2_3c4d, 0xa1b2_cd34, 0x0a0d_0d0a]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        whatever([&magic.to_be_bytes()[..], &bytes].concat());
        whatever([&magic.to_le_bytes()[..], &bytes].concat());
    }
}

/// The captures in a folder and those below it.
fn captures_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures_below(&path, found);
        } else if path
            .extension()
            .is_some_and(|kind| ["pcap", "pcapng", "cap", "dmp"].iter().any(|known| kind == *known))
        {
            found.push(path);
        }
    }
}

#[test]
fn real_captures_give_what_pcap_parser_reads() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: there is no folder {}", corpus.display());
        return;
    }
    let mut captures = Vec::new();
    captures_below(&corpus, &mut captures);
    assert!(!captures.is_empty(), "no captures in {}", corpus.display());
    for path in captures {
        let bytes = std::fs::read(&path).unwrap();
        let (packets, error) = whatever(bytes.clone());
        let ours: Vec<_> = packets.iter().map(seen).collect();
        let theirs = by_pcap_parser(&bytes);
        assert_eq!(ours.len(), theirs.len(), "{}: {error:?}", path.display());
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours, theirs, "{} packet {}", path.display(), number + 1);
        }
        let trickle = Reader::from_read("test", Box::new(Trickle::new(bytes)));
        assert_eq!(trickle.map_or(Vec::new(), |mut slow| read_out(&mut slow).0), packets);
    }
}
