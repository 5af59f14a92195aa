//! One capture, record by record.

use crate::Packet;
use crate::error::{Fault, ReadError, Reason};
use crate::format::{Format, Record};
use crate::window::{WINDOW, Window};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use wire::LinkType;

/// Reads one capture, pcap or pcapng, from a file, a pipe or anything else that gives bytes.
///
/// Memory is one window of 256 KiB, which grows to the longest record met, at most 16 MiB.
pub struct Reader {
    name: String,
    window: Window,
    format: Format,
    /// The last packet's record.
    record: Record,
    /// How many packets were given.
    packets: u64,
    /// Met while looking ahead; told when the next packet is asked for.
    pending: Option<Fault>,
    finished: bool,
}

impl Reader {
    /// Opens a file, named pipe or device and reads its file header.
    ///
    /// # Errors
    /// It cannot be opened, or is no capture: [`ReadError::is_unreadable`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Self::open_with(path.as_ref(), WINDOW)
    }

    pub(crate) fn open_with(path: &Path, window: usize) -> Result<Self, ReadError> {
        let name = path.to_string_lossy();
        let unreadable = |reason| ReadError::unreadable(&name, reason);
        let file = File::open(path).map_err(|error| unreadable(Reason::Open(error)))?;
        if file.metadata().is_ok_and(|about| about.is_dir()) {
            return Err(unreadable(Reason::Folder));
        }
        Self::new(&name, Box::new(file), window)
    }

    /// Reads the file header of a capture that comes out of `source`; `name` is for messages.
    ///
    /// # Errors
    /// It is no capture: [`ReadError::is_unreadable`].
    pub fn from_read(name: &str, source: Box<dyn Read + Send>) -> Result<Self, ReadError> {
        Self::new(name, source, WINDOW)
    }

    fn new(name: &str, source: Box<dyn Read + Send>, window: usize) -> Result<Self, ReadError> {
        let mut window = Window::new(source, window);
        let format = Format::read_header(&mut window)
            .map_err(|reason| ReadError::unreadable(name, reason))?;
        let name = name.to_owned();
        let record = Record::default();
        Ok(Self { name, window, format, record, packets: 0, pending: None, finished: false })
    }

    /// The next packet, `None` at the end.
    ///
    /// # Errors
    /// The file ends inside a record or is damaged. The packets before are good; after an error
    /// there are no more: `Ok(None)`.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let (record, block) = (&self.record, self.window.block());
        Ok(Some(Packet {
            link: record.link,
            interface: record.interface,
            time: record.time.again(),
            has_time: record.has_time,
            bytes: &block.bytes()[record.bytes.start..record.bytes.end],
            wire_len: record.wire_len,
            number: self.packets,
            offset: record.offset,
            block,
        }))
    }

    /// Gives all packets that are left to `take`, as long as it wants more.
    ///
    /// A program whose packets must go fast calls [`Self::next_packet`] at one place only, and this everywhere else: what
    /// is called at two places is not compiled into either, which costs 5 % of all instructions.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline(never)]
    pub fn for_each(
        &mut self,
        take: &mut dyn FnMut(&Packet<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        while let Some(packet) = self.next_packet()? {
            if take(&packet).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on to the next packet; `false` at the end.
    #[inline]
    fn advance(&mut self) -> Result<bool, ReadError> {
        if self.finished {
            return Ok(false);
        }
        let fault = match self.pending.take() {
            Some(fault) => fault,
            None => match self.format.next(&mut self.window, &mut self.record) {
                Ok(true) => {
                    self.packets += 1;
                    return Ok(true);
                }
                Ok(false) => {
                    self.finished = true;
                    return Ok(false);
                }
                Err(fault) => fault,
            },
        };
        self.finished = true;
        Err(ReadError::damaged(&self.name, self.packets + 1, fault))
    }

    /// The link type of the next packet, or where there is none, of the first interface known:
    /// what a filter is compiled for before the first packet is read. It reads ahead up to that
    /// packet, and on a pipe waits for it.
    pub fn link_hint(&mut self) -> Option<LinkType> {
        if self.pending.is_none() && !self.finished {
            match self.format.next_link(&mut self.window) {
                Ok(link) => return link,
                Err(fault) => self.pending = Some(fault),
            }
        }
        self.format.first_link()
    }

    /// Will the next packet be given without waiting for the source? It may say no where there is one.
    pub fn has_next(&self) -> bool {
        self.format.has_next(&self.window)
    }

    /// How many bytes of the source the packets up to now took, headers included.
    pub fn bytes_read(&self) -> u64 {
        self.window.position()
    }

    /// How many packets were given.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .field("packets", &self.packets)
            .field("bytes_read", &self.bytes_read())
            .finish_non_exhaustive()
    }
}
