//! One capture, record by record.

use crate::Packet;
use crate::error::{Fault, ReadError, Reason};
use crate::format::{AtHand, Format, Record};
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
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, ReadError> {
        Ok(if self.advance()? { Some(self.packet()) } else { None })
    }

    /// Gives the next packet to `take`, and then those behind it that were read together with it, as long as it
    /// wants more. `Continue(false)` where there is none. Nothing is read before all are given: their block stays
    /// as it is.
    ///
    /// This is for a program whose packets must go fast. To be asked for each takes 40 instructions more.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline(always)]
    pub fn give_some<B>(
        &mut self,
        mut take: impl FnMut(&Packet<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, bool>, ReadError> {
        if !self.advance()? {
            return Ok(ControlFlow::Continue(false));
        }
        let mut packet = self.packet();
        let (window, mut number) = (&self.window, self.packets);
        let (block, mut rest) = (window.block(), window.bytes());
        let end = window.position() + rest.len() as u64;
        let flow = loop {
            let flow = take(&packet);
            if flow.is_break() {
                break flow.map_continue(|()| true);
            }
            let offset = end - rest.len() as u64;
            let Some(found) = self.format.at_hand(rest) else { break ControlFlow::Continue(true) };
            (rest, number) = (found.rest, number + 1);
            let AtHand { link, interface, time, has_time, wire_len, bytes, .. } = found;
            packet =
                Packet { link, interface, time, has_time, bytes, wire_len, number, offset, block };
        };
        let left = rest.len();
        self.packets = number;
        self.window.leave(left);
        Ok(flow)
    }

    /// Gives all packets that are left to `take`, as long as it wants more.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    pub fn for_each(
        &mut self,
        take: &mut dyn FnMut(&Packet<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        while let ControlFlow::Continue(true) = self.give_some(&mut *take)? {}
        Ok(())
    }

    /// The packet that was [gone on to](Self::advance).
    #[inline(always)]
    fn packet(&self) -> Packet<'_> {
        let (record, block) = (&self.record, self.window.block());
        Packet {
            link: record.link,
            interface: record.interface,
            time: record.time.again(),
            has_time: record.has_time,
            bytes: &block.bytes()[record.bytes.start..record.bytes.end],
            wire_len: record.wire_len,
            number: self.packets,
            offset: record.offset,
            block,
        }
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

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .field("packets", &self.packets)
            .field("bytes_read", &self.bytes_read())
            .finish_non_exhaustive()
    }
}
