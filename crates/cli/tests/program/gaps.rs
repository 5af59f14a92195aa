//! How missing bytes show in raw output, and where they are told of besides.

use crate::common::*;
use crate::stories::{CLIENT, SERVER, WEB, WEB_SWAPPED, lossy};

#[test]
fn a_file_holds_captured_bytes_only() {
    let place = Place::with(lossy().pcap());
    assert_eq!(place.only("").1, "?helloworld");
    assert_eq!(place.only("--gap skip").1, "?helloworld");
}

#[test]
fn markers_and_zeros_come_when_asked_for() {
    let place = Place::with(lossy().pcap());
    assert_eq!(place.only("--gap marker").1, "?hello[6 bytes missing]world");
    assert_eq!(place.only("--gap zero").1, "?hello\0\0\0\0\0\0world");
    let sides = place.out("-s --gap marker");
    assert_eq!(sides[&format!("{WEB}.txt")], "?");
    assert_eq!(sides[&format!("{WEB_SWAPPED}.txt")], "hello[6 bytes missing]world");
    assert_eq!(place.shown("--gap marker"), "?hello[6 bytes missing]world");
    assert_eq!(place.shown("--gap zero"), "?hello\0\0\0\0\0\0world");
    assert_eq!(place.shown(""), "?helloworld");
}

#[test]
fn a_long_gap_of_zeros_takes_no_room() {
    let (c, s) = (CLIENT, SERVER);
    let far = 1 + (32 << 20);
    let frames = [
        tcp(c, s, SYN, 0, 0, ""),
        tcp(s, c, SYN | ACK, 5000, 1, ""),
        tcp(c, s, ACK, far, 5001, "end"),
        tcp(s, c, ACK, 5001, far + 3, ""),
        tcp(s, c, ACK, 5001, far + 3, ""),
    ];
    let place = Place::with(Capture::all(frames, 9).pcap());
    place.run("-q -r a.pcap -o out --gap zero").says_nothing();
    let name = place.names("out").remove(0);
    let path = place.path(&format!("out/{name}"));
    let about = std::fs::metadata(&path).expect("it was just listed");
    assert_eq!(about.len(), (32 << 20) + 3);
    assert!(std::fs::read(&path).expect("it is there").ends_with(b"\0end"));
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        assert!(about.blocks() * 512 < 1 << 20, "{} blocks", about.blocks());
    }
}

#[test]
fn what_the_snap_length_cut_is_a_gap() {
    // 14 + 20 + 8 bytes of headers, then 4 of 10 bytes captured.
    let place = Place::with(
        Capture::new()
            .at("9.0", udp("10.0.0.1:1", "10.0.0.2:2", "0123456789"))
            .snapped(46)
            .at("9.1", udp("10.0.0.1:1", "10.0.0.2:2", "next"))
            .pcap(),
    );
    assert_eq!(place.only("").1, "0123next");
    assert_eq!(place.only("--gap marker").1, "0123[6 bytes missing]next");
    let expected = lines(&[
        r#"{"side":"0","time":{"abs":"9.000000","conn":"0.000000"},"size":"4","data":"0123","data_hex":"30313233","packet":"1","offset":"0"}"#,
        r#"{"side":"0","time":{"abs":"9.000000","conn":"0.000000"},"size":"0","data":"","data_hex":"","missing":"6","packet":"1","offset":"4"}"#,
        r#"{"side":"0","time":{"abs":"9.100000","conn":"0.100000"},"size":"4","data":"next","data_hex":"6E657874","packet":"2","offset":"10"}"#,
    ]);
    assert_eq!(place.only("-j").1, expected);
}

#[test]
fn metadata_and_summary_count_them() {
    let place = Place::with(lossy().pcap());
    let metadata = &place.out("-m")[&format!("{WEB}-metadata.txt")];
    assert!(metadata.contains("\nMissing bytes in side 0:           0\n"), "{metadata}");
    assert!(metadata.contains("\nMissing bytes in side 1:           6\n"), "{metadata}");
    assert!(metadata.contains("\nGaps in side 1:                    1\n"), "{metadata}");
    let summary = place.summary("-r a.pcap");
    assert_eq!((&summary["missing"], &summary["gaps"]), (&6.into(), &1.into()));
    let said = place.run("-r a.pcap --dry-run").ends(0).err;
    assert!(said.contains("\nMissing bytes:                     6\n"), "{said}");
    assert!(said.contains("\nGaps:                              1\n"), "{said}");
}

#[test]
fn a_connection_of_which_nothing_but_a_gap_is_known() {
    let (c, s) = (CLIENT, SERVER);
    // The FIN says that 9 bytes came before it.
    let frames = [
        tcp(c, s, SYN, 1000, 0, ""),
        tcp(s, c, SYN | ACK, 5000, 1001, ""),
        tcp(c, s, FIN | ACK, 1010, 5001, ""),
    ];
    let place = Place::with(Capture::all(frames, 1_563_783_090).pcap());
    assert!(place.out("").is_empty(), "files appear when there is data");
    assert_eq!(
        place.only("-j").1,
        lines(&[
            r#"{"side":"0","time":{"abs":"1563783090.000002","conn":"0.000002"},"size":"0","data":"","data_hex":"","missing":"9","packet":"3","offset":"0"}"#
        ])
    );
    let expected = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"0\",\
                    \"missing\":\"9\",\"offset\":\"0\"}\r\n";
    assert_eq!(place.only("-d").1, expected);
    assert_eq!(place.only("--gap marker").1, "[9 bytes missing]");
}
