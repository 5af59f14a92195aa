//! What can go wrong while reading a capture, each as one line for people.

use crate::window::MAX_RECORD;
use std::fmt;
use std::io::{self, ErrorKind};

/// Why a capture could not be read, or not further.
///
/// Its `Display` is one line: the capture, the byte and the packet where it stopped, the reason, and
/// what to do. The packets before that place have been given and are good.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", OneLine(&.0.name), self.detail())]
pub struct ReadError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    place: Option<(u64, u64)>,
    reason: Reason,
}

impl ReadError {
    /// An error before any header was read.
    pub(crate) fn unreadable(name: &str, reason: Reason) -> Self {
        Self(Box::new(Inner { name: name.to_owned(), place: None, reason }))
    }

    /// An error at a record of a capture whose header was read; `packet` would have been the next.
    pub(crate) fn damaged(name: &str, packet: u64, fault: Fault) -> Self {
        let place = Some((fault.at, packet));
        Self(Box::new(Inner { name: name.to_owned(), place, reason: fault.reason }))
    }

    /// Was nothing readable at all: missing, no permission, a folder, empty, no capture, cut inside
    /// the file header? Else the capture is damaged behind its header, and what came before is good.
    pub fn is_unreadable(&self) -> bool {
        self.0.place.is_none()
    }

    /// The name of the capture, as it was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The same line without the name.
    pub fn detail(&self) -> String {
        match self.0.place {
            Some((offset, packet)) => {
                format!("at byte {offset}, packet {packet}: {}", self.0.reason)
            }
            None => self.0.reason.to_string(),
        }
    }

    /// Where the bad record begins, in bytes; `None` where nothing was readable.
    pub fn offset(&self) -> Option<u64> {
        self.0.place.map(|(offset, _)| offset)
    }

    /// The reason.
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }
}

/// Why reading stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The system would not open it.
    Open(io::Error),
    /// It is a folder.
    Folder,
    /// It has no bytes.
    Empty,
    /// It does not begin as a capture does.
    NotCapture {
        /// Its first bytes, at most four.
        begins: Vec<u8>,
        /// What it seems to be.
        looks_like: Option<&'static str>,
    },
    /// Its file header is cut or of an unknown version.
    Header(String),
    /// The system would not read on.
    Read(io::Error),
    /// The file ends inside a record.
    Cut {
        /// Bytes that the record needs.
        needed: u64,
        /// Bytes of it that are there.
        found: u64,
    },
    /// A record's length cannot be true.
    TooLong {
        /// What it claims, in bytes.
        claimed: u32,
    },
    /// A record contradicts itself or the format.
    Corrupt(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => match error.kind() {
                ErrorKind::NotFound => f.write_str("no such file; check the name"),
                ErrorKind::PermissionDenied => {
                    f.write_str("no permission to read it; check its mode and owner")
                }
                _ => write!(f, "cannot be opened: {error}"),
            },
            Self::Folder => f.write_str("is a folder; name the captures in it"),
            Self::Empty => f.write_str("is empty; a capture has at least a header of 24 bytes"),
            Self::NotCapture { begins, looks_like: None } => {
                f.write_str("is neither pcap nor pcapng (it begins with")?;
                begins.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
                f.write_str("); convert it, for instance with editcap")
            }
            Self::NotCapture { looks_like: Some(kind), .. } => {
                write!(f, "is neither pcap nor pcapng but {kind}")
            }
            Self::Header(what) => write!(f, "{what}; capture or copy it again"),
            Self::Read(error) => write!(f, "cannot be read on: {error}"),
            Self::Cut { needed, found } => {
                write!(f, "the file ends here: {needed} bytes are needed, {found} are left; ")?;
                f.write_str("capture or copy it again")
            }
            Self::TooLong { claimed } => write!(
                f,
                "corrupt: a record of {claimed} bytes, none is longer than {MAX_RECORD}; what follows is lost"
            ),
            Self::Corrupt(what) => write!(f, "corrupt: {what}; what follows is lost"),
        }
    }
}

/// A reason with the byte where its record begins; the reader adds the names.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) reason: Reason,
}

/// A text without anything that would break the line or the terminal it is printed on.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(reason: Reason) -> String {
        let error = ReadError::unreadable("a.pcap", reason);
        assert!(error.is_unreadable() && error.offset().is_none());
        error.to_string()
    }

    fn damaged(reason: Reason) -> String {
        let error = ReadError::damaged("a.pcap", 3, Fault { at: 140, reason });
        assert!(!error.is_unreadable());
        assert_eq!((error.name(), error.offset()), ("a.pcap", Some(140)));
        error.to_string()
    }

    #[test]
    fn each_reason_has_its_line() {
        assert_eq!(
            unreadable(Reason::Open(ErrorKind::NotFound.into())),
            "a.pcap: no such file; check the name"
        );
        assert_eq!(
            unreadable(Reason::Open(ErrorKind::PermissionDenied.into())),
            "a.pcap: no permission to read it; check its mode and owner"
        );
        assert_eq!(
            unreadable(Reason::Open(io::Error::other("too many open files"))),
            "a.pcap: cannot be opened: too many open files"
        );
        assert_eq!(unreadable(Reason::Folder), "a.pcap: is a folder; name the captures in it");
        assert_eq!(
            unreadable(Reason::Empty),
            "a.pcap: is empty; a capture has at least a header of 24 bytes"
        );
        assert_eq!(
            unreadable(Reason::Header("its header is cut".into())),
            "a.pcap: its header is cut; capture or copy it again"
        );
        assert_eq!(
            damaged(Reason::Read(io::Error::other("disk on fire"))),
            "a.pcap: at byte 140, packet 3: cannot be read on: disk on fire"
        );
        assert_eq!(
            damaged(Reason::Cut { needed: 76, found: 20 }),
            "a.pcap: at byte 140, packet 3: the file ends here: 76 bytes are needed, 20 are left; \
             capture or copy it again"
        );
        assert_eq!(
            damaged(Reason::TooLong { claimed: 3_000_000_000 }),
            "a.pcap: at byte 140, packet 3: corrupt: a record of 3000000000 bytes, none is longer \
             than 16777216; what follows is lost"
        );
        assert_eq!(
            damaged(Reason::Corrupt("its lengths disagree".into())),
            "a.pcap: at byte 140, packet 3: corrupt: its lengths disagree; what follows is lost"
        );
    }

    #[test]
    fn what_is_no_capture_is_named_where_its_first_bytes_tell() {
        let begins = vec![0x7f, 0x45, 0x4c, 0x46];
        assert_eq!(
            unreadable(Reason::NotCapture { begins: begins.clone(), looks_like: None }),
            "a.pcap: is neither pcap nor pcapng (it begins with 7f 45 4c 46); convert it, for \
             instance with editcap"
        );
        assert_eq!(
            unreadable(Reason::NotCapture { begins, looks_like: Some("something else") }),
            "a.pcap: is neither pcap nor pcapng but something else"
        );
    }

    #[test]
    fn a_hostile_name_stays_on_one_line() {
        let error = ReadError::unreadable("a\n\x1b[31mb\u{85}.pcap", Reason::Folder);
        assert_eq!(
            error.to_string(),
            "a\\n\\u{1b}[31mb\\u{85}.pcap: is a folder; name the captures in it"
        );
    }
}
