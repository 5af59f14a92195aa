//! What metadata tells of a connection, in a file beside the dump or in a line of it.

use super::error::Reason;
use super::name::Protocol;
use super::value::{is_object, string};
use flow::Endpoint;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Longest metadata file: 1 MiB. pcap2conn writes 2 KiB.
const LONGEST: usize = 1 << 20;

/// What is known of a connection. The classic program's metadata tells nothing of this.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Metadata {
    pub(super) protocol: Option<Protocol>,
    /// Side 0 first.
    pub(super) ends: Option<[Endpoint; 2]>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    protocol: Option<&'a RawValue>,
    #[serde(borrow)]
    side_0_end: Option<&'a RawValue>,
    #[serde(borrow)]
    side_1_end: Option<&'a RawValue>,
}

impl Metadata {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When it is none, or protocol and ends are no strings.
    pub(super) fn parse(json: &str) -> Result<Self, Reason> {
        if !is_object(json) {
            return Err(Reason::wrong("metadata", "object", json));
        }
        let keys: Keys<'_> = serde_json::from_str(json)?;
        let protocol = keys.protocol.map(|value| string("protocol", value)).transpose()?;
        let zero = keys.side_0_end.map(|value| string("side_0_end", value)).transpose()?;
        let one = keys.side_1_end.map(|value| string("side_1_end", value)).transpose()?;
        let ends = zero.as_deref().and_then(end).zip(one.as_deref().and_then(end));
        Ok(Self {
            protocol: protocol.as_deref().map(Protocol::named),
            ends: ends.map(|(zero, one)| [zero, one]),
        })
    }

    /// Reads a metadata file, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be read or understood.
    pub(super) fn beside(path: &Path) -> Result<Self, Reason> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        file.take(LONGEST as u64 + 1).read_to_end(&mut text)?;
        if text.len() > LONGEST {
            return Err(Reason::LongMetadata(LONGEST >> 20));
        }
        let text =
            std::str::from_utf8(&text).map_err(|bad| Reason::NotUtf8(bad.valid_up_to() + 1))?;
        Self::parse(text.trim_ascii())
    }
}

/// `10.0.0.1:80`, `[::1]:80`, or an address alone, of protocols without ports.
fn end(text: &str) -> Option<Endpoint> {
    let with_port = text.parse::<SocketAddr>().map(|end| (end.ip(), end.port()));
    let (addr, port) = with_port.or_else(|_| text.parse::<IpAddr>().map(|addr| (addr, 0))).ok()?;
    Some(Endpoint { addr, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    const OURS: &str = r#"{
	"total": {"bytes":"6574","packets":"25","messages":"14"},
	"protocol":"TCP",
	"side_0_end":"192.0.2.10:42850",
	"side_1_end":"[2001:db8::1]:23",
	"began":"SYN seen"
}
"#;

    fn told_by(content: &[u8]) -> Result<Metadata, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-metadata.json");
        std::fs::write(&path, content).unwrap();
        Metadata::beside(&path).map_err(|reason| reason.to_string())
    }

    #[test]
    fn metadata_tells_protocol_and_ends() {
        let metadata = told_by(OURS.as_bytes()).unwrap();
        assert_eq!(metadata.protocol, Some(Protocol::Known(Transport::Tcp)));
        let [zero, one] = metadata.ends.unwrap();
        assert_eq!((zero.addr.to_string(), zero.port), ("192.0.2.10".into(), 42850));
        assert_eq!((one.addr.to_string(), one.port), ("2001:db8::1".into(), 23));
        let icmp = r#"{"protocol":"IPV6-ICMP","side_0_end":"fe80::1","side_1_end":"ff02::1"}"#;
        let icmp = Metadata::parse(icmp).unwrap();
        assert_eq!(icmp.protocol, Some(Protocol::Other("IPV6-ICMP".into())));
        assert_eq!(icmp.ends.unwrap()[0].port, 0);
    }

    #[test]
    fn classic_metadata_and_none_tell_nothing() {
        let classic = b"{\r\n\t\"total\": {\"bytes\":\"8548\"},\r\n\t\"side_0\":{}\r\n}\r\n";
        assert_eq!(told_by(classic), Ok(Metadata::default()));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Metadata::beside(&folder.path().join("none")).unwrap(), Metadata::default());
        let odd = Metadata::parse(r#"{"side_0_end":"here","side_1_end":"10.0.0.1:1"}"#).unwrap();
        assert_eq!(odd, Metadata::default());
    }

    #[test]
    fn broken_metadata_says_what_is_wrong() {
        let long = " ".repeat((1 << 20) + 1);
        for (content, reason) in [
            (&b""[..], "metadata is no object: "),
            (b"[]", "metadata is no object: []"),
            (b"{\"protocol\":6}", "protocol is no string: 6"),
            (b"{\"side_1_end\":6}", "side_1_end is no string: 6"),
            (b"{\"protocol\":\"TCP\"", "no JSON: EOF while parsing an object at column 17"),
            (b"{\"protocol\":\"\xFF\"}", "byte 14 is not UTF-8"),
            (long.as_bytes(), "the file is longer than 1 MiB, and no metadata"),
        ] {
            assert_eq!(told_by(content), Err(reason.to_owned()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn metadata_that_cannot_be_read_is_no_missing_metadata() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Metadata::beside(folder.path()), Err(Reason::Io(_))));
    }
}
