//! `-d`: a header before each chunk.

use crate::common::*;
use crate::stories::{WEB, WEB_SWAPPED, lossy, web};

#[test]
fn a_header_stands_before_each_chunk() {
    let place = Place::with(web().pcap());
    let expected = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"7\"}\r\n\
                    GET /\r\n\
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"4\"}\r\n\
                    200 \
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\n\
                    OK\n";
    assert_eq!(place.only("-d"), (format!("{WEB}.txt"), expected.into()));
    assert_eq!(place.only("--chunks-header").1, expected);
}

#[test]
fn with_s_each_file_has_the_headers_of_its_side() {
    let files = Place::with(web().pcap()).out("-sd");
    assert_eq!(
        files[&format!("{WEB}.txt")],
        "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"7\"}\r\nGET /\r\n"
    );
    assert_eq!(
        files[&format!("{WEB_SWAPPED}.txt")],
        "\r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"4\"}\r\n200 \
         \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\nOK\n"
    );
}

#[test]
fn a_gap_is_such_a_line_however_raw_gaps_are_shown() {
    let place = Place::with(lossy().pcap());
    let expected = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"1\"}\r\n\
                    ?\
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"5\"}\r\n\
                    hello\
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"0\",\
                    \"missing\":\"6\",\"offset\":\"5\"}\r\n\
                    \r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"5\"}\r\n\
                    world";
    for gap in ["", "--gap skip", "--gap marker", "--gap zero"] {
        assert_eq!(place.only(&format!("-d {gap}")).1, expected, "{gap}");
    }
}
