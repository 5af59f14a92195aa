//! A real server and a real client of HTTP.

use super::{bytes, chunks, files, in_names, said};
use crate::common::{Capturing, Namespace, Pair, Place, Running, has, skipped};
use std::collections::{BTreeMap, BTreeSet};

/// The longest segment of TCP in an Ethernet frame of 1514 bytes, without options.
const SEGMENT: usize = 1460;

/// Bytes by name.
type Files = BTreeMap<String, Vec<u8>>;

fn served() -> Files {
    let sizes = [0, 1, SEGMENT, 100_000, 3_000_000];
    sizes.into_iter().map(|size| (format!("of-{size}"), bytes(size))).collect()
}

/// A server of files, and their folder.
pub(super) fn serve(space: &Namespace, address: &str, files: &Files) -> (Running, Place) {
    let place = files.iter().fold(Place::new(), |place, (name, bytes)| place.put(name, bytes));
    let folder = place.path(".");
    let server = format!("python3 -u -m http.server --bind {address} 8000 -d {}", folder.display());
    (space.serving(&server, "Serving HTTP"), place)
}

/// What a client got for each of `files`, header and all.
pub(super) fn get(space: &Namespace, address: &str, files: &Files) -> Files {
    let place = Place::new();
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let (folder, names) = (place.path("."), files.keys().cloned().collect::<Vec<_>>().join(","));
    let to = format!("-o {}/#1 http://{host}:8000/{{{names}}}", folder.display());
    space.run(&format!("curl -sS -i --max-time 30 {to}"));
    let got = |(name, bytes): (&String, &Vec<u8>)| {
        let response = std::fs::read(place.path(name)).unwrap();
        assert!(body(&response) == bytes, "{name} came as it was served");
        (name.clone(), response)
    };
    files.iter().map(got).collect()
}

/// What a response has after its header.
fn body(response: &[u8]) -> &[u8] {
    let end = response.windows(4).position(|w| w == b"\r\n\r\n").expect("a header has an end");
    &response[end + 4..]
}

/// What is on disk of each side is what was asked, and the whole response to it.
fn check(files: &Files, (client, server): (&str, &str), got: &Files) {
    let (client, server) = (in_names(client), in_names(server));
    assert_eq!(files.len(), 2 * got.len(), "{:?}", files.keys());
    let mut seen = Vec::new();
    for (name, request) in files {
        let Some(rest) = name.strip_prefix(&format!("TCP-{client}.")) else { continue };
        let port = rest.strip_suffix(&format!("-{server}.8000.txt")).expect("the server's end");
        let request = String::from_utf8_lossy(request);
        let wanted = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(request.ends_with("\r\n\r\n"), "{request}");
        let response = &files[&format!("TCP-{server}.8000-{client}.{port}.txt")];
        assert!(*response == got[wanted], "{wanted} is on disk as it came");
        seen.push(wanted.to_owned());
    }
    seen.sort();
    assert!(seen.iter().eq(got.keys()), "{seen:?}");
}

#[test]
fn bytes_of_a_real_server_come_in_offloaded_segments_and_are_on_disk() {
    if !has(&["python3", "curl"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    let served = served();
    for (client, address) in pair.addresses() {
        let _server = serve(&pair.right, address, &served);
        let filter = "tcp port 8000";
        // On both ends of the cable.
        let Some(raw) = Capturing::start_in(&pair.left, "-i v0 -s", filter) else { return };
        let Some(json) = Capturing::start_in(&pair.right, "-i v0 -j", filter) else { return };
        let got = get(&pair.left, address, &served);
        let (place, summary) = raw.stop(0);
        assert!(summary.contains("Missing bytes:                     0"), "{summary}");
        check(&files(&place), (client, address), &got);
        let (place, _) = json.stop(0);
        let files = files(&place);
        let chunks: Vec<_> = files.values().map(|file| chunks(file)).collect();
        assert!(chunks.iter().flatten().all(|chunk| chunk.missing == 0));
        let longest = chunks.iter().flatten().map(|chunk| chunk.bytes.len()).max();
        assert!(longest > Some(10 * SEGMENT), "{longest:?}: segments are kept whole");
        let responses: BTreeSet<_> = chunks.iter().map(|chunks| said(chunks, 1)).collect();
        assert!(responses == got.into_values().collect());
    }
}

#[test]
fn bytes_of_a_real_server_come_in_small_segments() {
    if !has(&["python3", "curl", "ethtool"]) {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    for space in [&pair.left, &pair.right] {
        if let Err(why) = space.without_offloads("v0") {
            return skipped(why);
        }
    }
    let served = BTreeMap::from([("small".to_owned(), bytes(1_000_000))]);
    for (client, address) in pair.addresses() {
        let _server = serve(&pair.right, address, &served);
        let filter = "tcp port 8000";
        let Some(raw) = Capturing::start_in(&pair.left, "-i v0 -s", filter) else { return };
        let Some(json) = Capturing::start_in(&pair.left, "-i v0 -j", filter) else { return };
        let got = get(&pair.left, address, &served);
        check(&files(&raw.stop(0).0), (client, address), &got);
        let files = files(&json.stop(0).0);
        let chunks: Vec<_> = files.values().flat_map(|file| chunks(file)).collect();
        assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= SEGMENT && chunk.missing == 0));
        assert!(said(&chunks, 1) == got["small"]);
    }
}
