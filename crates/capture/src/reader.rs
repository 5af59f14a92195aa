//! One capture, record by record.

use crate::error::{Fault, ReadError, Reason};
use crate::format::{AtHand, Format, Record};
use crate::window::{WINDOW, Window};
use crate::{Block, Packet};
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
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        Ok(Some(self.record.packet(self.window.block(), self.packets)))
    }

    /// The next packet, and those behind it that were read together with it; `None` where there is none. Nothing more is
    /// read for them: their block stays as it is. What is not taken out of a stretch comes again. Behind its last one
    /// there may be another packet with its stretch.
    ///
    /// This is for a program whose packets must go fast. To be asked for each takes 40 instructions more.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline(always)]
    pub fn stretch(&mut self) -> Result<Option<(Packet<'_>, Stretch<'_>)>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let Self { window, format, record, packets, .. } = self;
        let end = window.position() + window.bytes().len() as u64;
        let (block, start, unread_end) = window.parts();
        let first = record.packet(block, *packets);
        let (rest, number) = (&block.bytes()[*start..unread_end], *packets);
        let stretch = Stretch { rest, number, end, block, format, start, unread_end, packets };
        Ok(Some((first, stretch)))
    }

    /// Gives all packets that are left to `take`, as long as it wants more.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    pub fn for_each(
        &mut self,
        mut take: impl FnMut(&Packet<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        while let Some((first, mut stretch)) = self.stretch()? {
            if take(&first).is_break() || stretch.any(|packet| take(&packet).is_break()) {
                break;
            }
        }
        Ok(())
    }

    /// Goes on to the next packet; `false` at the end.
    #[inline(never)]
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

/// Packets that were read together.
///
/// It has all that a packet needs, so that it can be in registers.
pub struct Stretch<'a> {
    /// What stands behind the packets that were given.
    rest: &'a [u8],
    /// How many packets of the capture were given.
    number: u64,
    /// Where what was read ends in the file.
    end: u64,
    block: &'a Block,
    format: &'a mut Format,
    /// Where the reader goes on in the block, where the block's unread bytes end, and how many packets it gave.
    start: &'a mut usize,
    unread_end: usize,
    packets: &'a mut u64,
}

/// What stands behind a packet of a stretch.
#[derive(Debug)]
pub struct Ahead<'a> {
    bytes: &'a [u8],
    /// The length of the packet's header.
    header: usize,
}

impl<'a> Ahead<'a> {
    /// Where the packet that comes next probably begins, for a guess at what it is: its bytes, if its header is as long as
    /// the one before, and those behind them.
    #[inline(always)]
    pub fn upcoming(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.header..)
    }
}

impl<'a> Stretch<'a> {
    /// How many packets of the capture were given.
    pub fn packets(&self) -> u64 {
        self.number
    }

    /// The next packet, which is not given yet, and what stands behind it.
    #[inline(always)]
    pub fn look(&mut self) -> Option<(Packet<'a>, Ahead<'a>)> {
        let offset = self.end - self.rest.len() as u64;
        let found = self.format.at_hand(self.rest)?;
        let AtHand { link, interface, time, has_time, bytes, wire_len, rest, header } = found;
        let (number, block) = (self.number + 1, self.block);
        let packet =
            Packet { link, interface, time, has_time, bytes, wire_len, number, offset, block };
        Some((packet, Ahead { bytes: rest, header }))
    }

    /// The packet that was looked at is given: what comes next is `ahead`.
    #[inline(always)]
    pub fn go_on(&mut self, ahead: Ahead<'a>) {
        (self.rest, self.number) = (ahead.bytes, self.number + 1);
    }
}

impl<'a> Iterator for Stretch<'a> {
    type Item = Packet<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, ahead) = self.look()?;
        self.go_on(ahead);
        Some(packet)
    }
}

impl Drop for Stretch<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.packets = self.number;
        *self.start = self.unread_end - self.rest.len();
    }
}

impl Record {
    /// What it describes, which stands in `block` and is the capture's packet with this number.
    fn packet<'a>(&self, block: &'a Block, number: u64) -> Packet<'a> {
        let Self { link, interface, has_time, wire_len, offset, .. } = *self;
        let bytes = &block.bytes()[self.bytes.start..self.bytes.end];
        let time = self.time.again();
        Packet { link, interface, time, has_time, bytes, wire_len, number, offset, block }
    }
}

impl fmt::Debug for Stretch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stretch").field("number", &self.number).finish_non_exhaustive()
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
