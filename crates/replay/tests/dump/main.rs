//! Dumps, read from outside: written by hand, by the sinks, by the classic program, and by nobody.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail it by panicking")]

mod classic;
mod garbage;
mod written;

use replay::{DumpOptions, Dumps, Event, Recording, Transport, What, read_dumps};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const OPTIONS: DumpOptions = DumpOptions { transport: None, most: 64 << 20 };
const TCP: &str = "20261123153736-TCP-192.0.2.10.42850-192.0.2.20.23";
const UDP: &str = "20261123153736-UDP-192.0.2.10.42850-192.0.2.20.53";
const ICMP: &str = "20261123153736-IPV6-ICMP-fe80__1.0-ff02__1.0";

/// A folder of dumps.
struct Folder(TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Reads files of the folder, or with an empty name the folder.
    fn read(&self, names: &[&str], options: &DumpOptions) -> Result<Dumps, String> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path().join(name)).collect();
        read_dumps(&paths, options)
            .map_err(|error| error.to_string().replace(&format!("{}/", self.path().display()), ""))
    }
}

fn json(name: &str) -> String {
    format!("{name}.json")
}

/// At, side, and what each event was; bytes as text.
fn told(recording: &Recording) -> Vec<(i64, usize, String)> {
    let what = |event: &Event| match event.what {
        What::Data { start, len, cut } => {
            let text = String::from_utf8_lossy(&recording.bytes()[start..start + len]).into_owned();
            if cut > 0 { format!("{text}+{cut}") } else { text }
        }
        What::Gap(missing) => format!("[{missing}]"),
        What::Finish(_) => panic!("no dump has that"),
    };
    recording.events().iter().map(|event| (event.at, event.side.index(), what(event))).collect()
}

fn event(at: i64, side: usize, what: &str) -> (i64, usize, String) {
    (at, side, what.to_owned())
}

#[test]
fn a_dump_of_ours_gives_bytes_times_and_places() {
    let lines = concat!(
        r#"{"side":"1","time":{"abs":"1563783092.000001","conn":"-0.000002"},"size":"2","data":"$ ","data_hex":"2420","packet":"4","offset":"0"}"#,
        "\n",
        r#"{"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"3","data":"ls\n","data_hex":"6C730A","packet":"12","offset":"0"}"#,
        "\n",
        r#"{"side":"1","time":{"abs":"1563783093.000000","conn":"2.435730"},"size":"0","data":"","data_hex":"","missing":"5","packet":"14","offset":"2"}"#,
    );
    let folder = Folder::of(&[(&json(TCP), lines)]);
    let dumps = folder.read(&[""], &OPTIONS).unwrap();
    let [recording] = &dumps.recordings[..] else { panic!("{dumps:?}") };
    let expected =
        [event(-2_000, 1, "$ "), event(1_823_660_000, 0, "ls\n"), event(2_435_730_000, 1, "[5]")];
    assert_eq!(told(recording), expected);
    assert_eq!((recording.name(), recording.transport()), (TCP, Transport::Tcp));
    assert_eq!(recording.ends().unwrap().map(|end| end.port), [42850, 23]);
    assert_eq!(recording.began().unwrap().subsec_nanos(), 3_000);
    assert!(!recording.knows_finishes());
    assert_eq!(dumps.left_out, []);
}

#[test]
fn a_dump_may_be_written_by_hand() {
    let lines = "\u{feff}{\"side\":0,\"data\":\"hello\\r\\n\"}\r\n\r\n{\"side\":1,\"data_hex\":\"4f6b\"}\r\n";
    let folder = Folder::of(&[("my talk.json", lines)]);
    let error = folder.read(&["my talk.json"], &OPTIONS).unwrap_err();
    let reason = "whether it was TCP or UDP is not known: give --tcp or --udp";
    assert_eq!(error, format!("my talk.json: {reason}"));
    let options = DumpOptions { transport: Some(Transport::Udp), ..OPTIONS };
    let dumps = folder.read(&["my talk.json"], &options).unwrap();
    let [recording] = &dumps.recordings[..] else { panic!("{dumps:?}") };
    assert_eq!(told(recording), [event(0, 0, "hello\r\n"), event(0, 1, "Ok")]);
    assert_eq!((recording.name(), recording.transport()), ("my talk", Transport::Udp));
    assert_eq!((recording.ends(), recording.began()), (None, None));
}

#[test]
fn bytes_that_are_missing_from_a_datagram_belong_to_it() {
    let lines = [
        r#"{"side":0,"data":"abc","packet":7,"offset":0}"#,
        r#"{"side":0,"missing":9,"packet":7,"offset":3}"#,
        r#"{"side":0,"missing":5,"packet":8,"offset":12}"#,
        r#"{"side":1,"data":"","packet":9,"offset":0}"#,
        r#"{"side":0,"data":"x","packet":10,"offset":20}"#,
    ];
    let folder = Folder::of(&[(&json(UDP), &lines.join("\n")), (&json(TCP), &lines.join("\n"))]);
    let dumps = folder.read(&[&json(UDP), &json(TCP)], &OPTIONS).unwrap();
    let datagrams = ["abc+9", "+5", "", "+3", "x"];
    let sides = [0, 0, 1, 0, 0];
    let expected: Vec<_> = datagrams.iter().zip(sides).map(|(d, side)| event(0, side, d)).collect();
    assert_eq!(told(&dumps.recordings[0]), expected);
    let stream = ["abc", "[9]", "[5]", "[3]", "x"].map(|what| event(0, 0, what));
    assert_eq!(told(&dumps.recordings[1]), stream);
}

#[test]
fn what_cannot_be_replayed_is_left_out_with_a_reason() {
    let record = r#"{"side":0,"data":"x"}"#;
    let files = [TCP, UDP, ICMP].map(json);
    let folder = Folder::of(&[(&files[0], record), (&files[1], record), (&files[2], record)]);
    let left_out =
        |dumps: Dumps| -> Vec<String> { dumps.left_out.iter().map(ToString::to_string).collect() };
    let icmp = format!("{ICMP}: protocol IPV6-ICMP cannot be replayed: only TCP and UDP can");
    let all = folder.read(&[""], &OPTIONS).unwrap();
    assert_eq!(all.recordings.len(), 2);
    assert_eq!(left_out(all).join("; "), icmp);
    let udp = DumpOptions { transport: Some(Transport::Udp), ..OPTIONS };
    let all = folder.read(&[""], &udp).unwrap();
    assert_eq!((all.recordings.len(), all.recordings[0].name()), (1, UDP));
    let tcp = format!("{TCP}: it is TCP, and UDP was asked for");
    assert_eq!(left_out(all), [icmp.clone(), tcp.clone()]);
    let none = folder.read(&[&files[2], &files[0]], &udp).unwrap_err();
    assert_eq!(none, format!("nothing to replay: {icmp} (and 1 more left out)"));
    let none = folder.read(&[&files[0]], &udp).unwrap_err();
    assert_eq!(none, format!("nothing to replay: {tcp}"));
}

#[test]
fn a_dump_without_records_is_left_out() {
    let folder = Folder::of(&[(&json(TCP), "\n"), (&json(UDP), "{\"side\":1,\"data\":\"x\"}")]);
    let dumps = folder.read(&[""], &OPTIONS).unwrap();
    assert_eq!(dumps.left_out[0].to_string(), format!("{TCP}: it has no records"));
    let error = folder.read(&[&json(TCP)], &OPTIONS).unwrap_err();
    assert_eq!(error, format!("nothing to replay: {TCP}: it has no records"));
}

#[test]
fn an_error_anywhere_leaves_nothing() {
    let good = r#"{"side":0,"data":"x","offset":4}"#;
    let bad = format!("{good}\n{{\"side\":0,\"data\":\"y\",\"offset\":2}}\n");
    let folder = Folder::of(&[(&json(TCP), good), (&json(UDP), &bad)]);
    let error = folder.read(&[""], &OPTIONS).unwrap_err();
    let reason = "offset is 2, but 5 bytes of side 0 came before; take the offset keys out if the dump was edited by hand";
    assert_eq!(error, format!("{UDP}.json:2: {reason}"));
    let error = folder.read(&["none.json"], &OPTIONS).unwrap_err();
    assert!(error.starts_with("none.json: No such file or directory"), "{error}");
    let paths = [PathBuf::from("a\x1b[2J/none")];
    let error = read_dumps(&paths, &OPTIONS).unwrap_err().to_string();
    assert!(error.starts_with("a\\u{1b}[2J/none: "), "{error}");
    assert_eq!(read_dumps(&[], &OPTIONS).unwrap_err().to_string(), "no dump was named");
}

#[test]
fn recordings_of_the_same_name_are_kept() {
    let record = r#"{"side":0,"data":"x"}"#;
    let (one, two) = (format!("0/{TCP}.json"), format!("1/{TCP}.json"));
    let folder = Folder::of(&[(&one, record), (&two, record)]);
    let dumps = folder.read(&[""], &OPTIONS).unwrap();
    assert_eq!(dumps.recordings.iter().map(Recording::name).collect::<Vec<_>>(), [TCP, TCP]);
}

#[test]
fn the_bound_on_memory_holds_for_what_comes_out() {
    let lines: String =
        (0..500).map(|n| format!("{{\"side\":{},\"data\":\"{n}\"}}\n", n % 2)).collect();
    let files: Vec<String> = (2..30).map(|n| format!("{TCP}_{n}.json")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), &lines[..])).collect();
    let folder = Folder::of(&files);
    let least = (1..).find_map(|n| {
        let options = DumpOptions { most: n * 10_000, ..OPTIONS };
        folder.read(&[""], &options).ok().map(|dumps| (options.most, dumps))
    });
    let (most, dumps) = least.unwrap();
    let cost: usize = dumps.recordings.iter().map(Recording::cost).sum();
    assert!(cost <= most && cost > most / 10 * 9, "{cost} of {most}");
}
