//! Networks that lose, delay and repeat, and captures that do not see all.

use super::http::{get, serve};
use super::{Chunk, bytes, chunks, files, in_names, said, script, summary};
use crate::common::{Capturing, Detour, Running, has, skipped};

const BODY: usize = 1_000_000;

/// Both ends send frames that are no larger than those of a network. `None` where that may not be, which was said.
fn detour() -> Option<Detour> {
    if !has(&["python3", "curl", "ethtool"]) {
        return None;
    }
    let detour = Detour::new()?;
    for space in [&detour.pair.left, &detour.pair.right] {
        space.without_offloads("v0").map_err(skipped).ok()?;
    }
    Some(detour)
}

/// The number after a word that the forwarding program has said at its end.
fn number(words: &str, wanted: &str) -> usize {
    let number = words.lines().find_map(|line| line.strip_prefix(wanted)?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("{wanted}: {words}"))
}

/// The stream that the client gets of the server, header and all; and the last words of the forwarding program.
fn conversation(detour: &Detour, forwarding: Running, server: &str) -> (Vec<u8>, String) {
    let pair = &detour.pair;
    let served = [("file".to_owned(), bytes(BODY))].into();
    let _server = serve(&pair.right, server, &served);
    let mut got = get(&pair.left, server, &served);
    (got.remove("file").unwrap(), forwarding.ends_well())
}

#[test]
fn what_a_network_lost_delayed_and_repeated_leaves_no_trace_in_the_bytes() {
    let Some(detour) = detour() else { return };
    for (client, server) in detour.pair.addresses() {
        let line = format!("{} lossy f0 f1", script("forward.py"));
        let forwarding = detour.middle.serving(&line, "forwarding");
        let options = "-i v0 -s --summary-json summary.json";
        let filter = "tcp port 8000";
        let Some(capturing) = Capturing::start_in(&detour.pair.left, options, filter) else {
            return;
        };
        let (stream, words) = conversation(&detour, forwarding, server);
        let [dropped, delayed, doubled] =
            ["dropped", "delayed", "doubled"].map(|what| number(&words, what));
        assert!(dropped > 50 && delayed > 20 && doubled > 20, "{words}");
        let (place, said) = capturing.stop(0);
        let files = files(&place);
        let served = format!("TCP-{}.8000-{}.", in_names(server), in_names(client));
        let (_, got) = files.iter().find(|(name, _)| name.starts_with(&served)).unwrap();
        assert!(*got == stream, "{} bytes of {}: {said}", got.len(), stream.len());
        let summary = summary(&place);
        let count = |what: &str| summary[what].as_u64().unwrap() as usize;
        assert_eq!((count("missing"), count("gaps"), count("conflicting")), (0, 0, 0));
        assert!(count("out_of_order") >= (dropped / 2).max(delayed), "{summary} {words}");
        assert!(count("retransmitted") >= doubled, "{summary} {words}");
    }
}

/// Walks over what a side said: nothing comes twice, and nothing is left out that is not called missing. The gaps,
/// those beside each other as one.
fn gaps(chunks: &[Chunk], side: usize) -> Vec<(usize, usize)> {
    let (mut at, mut gaps) = (0, Vec::<(usize, usize)>::new());
    for chunk in chunks.iter().filter(|chunk| chunk.side == side) {
        assert_eq!(chunk.offset, at, "{chunk:?}");
        at += chunk.bytes.len() + chunk.missing;
        match gaps.last_mut() {
            _ if chunk.missing == 0 => {}
            Some((offset, len)) if *offset + *len == chunk.offset => *len += chunk.missing,
            _ => gaps.push((chunk.offset, chunk.missing)),
        }
    }
    gaps
}

/// What stands in a file for so many missing bytes.
type Fill = fn(usize) -> Vec<u8>;

/// A stream with its holes filled.
fn filled(stream: &[u8], holes: &[(usize, usize)], fill: Fill) -> Vec<u8> {
    let (mut filled, mut at) = (Vec::new(), 0);
    for &(offset, len) in holes {
        filled.extend(&stream[at..offset]);
        filled.extend(fill(len));
        at = offset + len;
    }
    filled.extend(&stream[at..]);
    filled
}

#[test]
fn what_a_mirror_did_not_get_is_missing_where_it_was() {
    let Some(detour) = detour() else { return };
    for (client, server) in detour.pair.addresses() {
        // Of the last segments none but the one with the FIN, and of those before some.
        let line = format!("{} mirror f0 f1 m0 {}", script("forward.py"), BODY - 5000);
        let forwarding = detour.middle.serving(&line, "forwarding");
        let start = |options: &str| {
            Capturing::start_in(&detour.middle, &format!("-i m1 {options}"), "tcp port 8000")
        };
        let Some(json) = start("-j -m --summary-json summary.json") else { return };
        let Some(skip) = start("-s") else { return };
        let Some(zero) = start("-s --gap zero") else { return };
        let Some(marker) = start("-s --gap marker") else { return };
        let (stream, words) = conversation(&detour, forwarding, server);
        let holes: Vec<(usize, usize)> = words
            .lines()
            .filter_map(|line| line.strip_prefix("hole ")?.split_once(' '))
            .map(|(offset, len)| (offset.parse().unwrap(), len.parse().unwrap()))
            .collect();
        assert!(holes.len() > 50, "{words}");
        let (first, last) = (holes[0], holes[holes.len() - 1]);
        assert!(first.0 == 0 && last.0 + last.1 > BODY - 2000, "{holes:?}");
        // As chunks.
        let (place, said_at_end) = json.stop(0);
        let out = files(&place);
        let end = |name: &&String| name.ends_with(".8000.json");
        let chunks = chunks(&out[out.keys().find(end).unwrap()]);
        assert_eq!(gaps(&chunks, 1), holes, "{said_at_end}");
        assert_eq!(gaps(&chunks, 0), []);
        assert!(said(&chunks, 1) == filled(&stream, &holes, |_| Vec::new()));
        // As counts.
        let missing: usize = holes.iter().map(|(_, len)| len).sum();
        let metadata = out.iter().find(|(name, _)| name.ends_with("-metadata.json")).unwrap().1;
        let metadata: serde_json::Value = serde_json::from_slice(metadata).unwrap();
        let side = &metadata["side_1_packets"];
        assert_eq!(side["missing"], missing.to_string(), "{metadata}");
        let lines = chunks.iter().filter(|chunk| chunk.missing > 0).count();
        assert_eq!(side["gaps"], lines.to_string(), "{metadata}");
        assert_eq!(metadata["ended"], "FIN");
        // As files.
        let ways: [(Capturing, Fill); 3] = [
            (skip, |_| Vec::new()),
            (zero, |len| vec![0; len]),
            (marker, |len| format!("[{len} bytes missing]").into_bytes()),
        ];
        let served = format!("TCP-{}.8000-{}.", in_names(server), in_names(client));
        for (number, (capturing, fill)) in ways.into_iter().enumerate() {
            let (place, _) = capturing.stop(0);
            let files = files(&place);
            let (_, got) = files.iter().find(|(name, _)| name.starts_with(&served)).unwrap();
            assert!(*got == filled(&stream, &holes, fill), "way {number}");
        }
    }
}
