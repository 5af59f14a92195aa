//! Captures by libpcap.

use super::{HANDED_OVER, Interface, LiveConfig, LiveError, LiveStats, os};
use crate::block::Spare;
use crate::{Block, Packet};
use pcap::{Active, Capture, Device, Linktype, Precision};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};
use wire::{LinkType, Timestamp};

/// How long the kernel may keep packets of a block that is not full, and how long is waited for the next.
const WAIT: Duration = Duration::from_millis(100);

/// So many packets are taken out of the ring at once. With the longest that there are, 64 KiB, that is 16 MiB.
const AT_ONCE: usize = 256;

/// A block of packets is as large as one of a file.
const BLOCK: usize = 256 << 10;

/// So long after several rings began, a packet from before may still be in one of them.
const BEGINS: Duration = Duration::from_secs(1);

/// The pseudo-interface that captures from all others (`pcap(3pcap)`).
const ANY: &str = "any";

/// The interfaces of this machine.
///
/// # Errors
/// libpcap's own.
pub fn interfaces() -> Result<Vec<Interface>, LiveError> {
    let devices = Device::list().map_err(|error| LiveError::List { message: error.to_string() })?;
    Ok(devices.into_iter().map(Interface::from).collect())
}

impl From<Device> for Interface {
    fn from(device: Device) -> Self {
        let Device { name, desc, addresses, flags } = device;
        Self {
            name,
            description: desc,
            addresses: addresses.into_iter().map(|address| address.addr).collect(),
            up: flags.is_up(),
            running: flags.is_running(),
            loopback: flags.is_loopback(),
            wireless: flags.is_wireless(),
        }
    }
}

/// A capture from an interface.
///
/// Packets are copied out of the kernel's ring into blocks, so that the ring is free again at once, and
/// threads can share them.
pub struct Live {
    capture: Capture<Active>,
    name: String,
    link: LinkType,
    /// The blocks of the packets that were taken out of the ring last.
    blocks: Vec<Block>,
    spare: Spare,
    /// Those of the packets that were not given yet.
    waiting: VecDeque<Waiting>,
    packets: u64,
    counted: Counted,
    lost: os::InterfaceDrops,
    /// The interface's number.
    index: Option<i32>,
    /// Packets from before this time are left out, as long as any can be there.
    begins: Option<(Timestamp, Instant)>,
    /// Since when there is nothing more to capture.
    over_since: Option<Instant>,
}

/// A packet that was copied.
struct Waiting {
    /// The number of its block.
    block: usize,
    bytes: Range<usize>,
    wire_len: u32,
    time: Timestamp,
}

impl Live {
    /// Opens the interface and begins to capture.
    ///
    /// # Errors
    /// It is not there, or may not be captured from, or the filter is wrong.
    pub fn open(config: &LiveConfig) -> Result<Self, LiveError> {
        let name = &config.interface;
        let failed = |error| open_error(name, &error);
        let integer = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let mut capture = Capture::from_device(&name[..])
            .map_err(failed)?
            .snaplen(integer(config.snap_length))
            .buffer_size(integer(config.buffer_size))
            .promisc(config.promiscuous && name != ANY)
            .timeout(WAIT.as_millis() as i32)
            .precision(Precision::Nano)
            .open()
            .map_err(failed)?;
        if name == ANY {
            // It names the interface of each packet; where libpcap does not know it, the older one stays.
            let _ = capture.set_datalink(Linktype::LINUX_SLL2);
        }
        if let Some(expression) = &config.filter {
            capture.filter(expression, true).map_err(|error| LiveError::Filter {
                interface: name.clone(),
                expression: expression.clone(),
                message: message(&error),
            })?;
        }
        let link = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        let capture = capture.setnonblock().map_err(failed)?;
        Ok(Self {
            index: os::index(&capture, name).ok(),
            capture,
            name: name.clone(),
            link,
            blocks: Vec::new(),
            spare: Spare::default(),
            waiting: VecDeque::with_capacity(AT_ONCE),
            packets: 0,
            counted: Counted::default(),
            lost: os::InterfaceDrops::of(name),
            begins: None,
            over_since: None,
        })
    }

    /// Opens the interface several times: the kernel shares its packets out among the captures, those of a
    /// connection to the same one. Fragments and tunnels are shared out by their outermost headers.
    ///
    /// # Errors
    /// As of [`Self::open`]; and only Linux can do that.
    pub fn open_rings(config: &LiveConfig, rings: usize) -> Result<Vec<Self>, LiveError> {
        let mut all =
            (0..rings.max(1)).map(|_| Self::open(config)).collect::<Result<Vec<_>, _>>()?;
        if all.len() > 1 {
            let captures: Vec<_> = all.iter().map(|live| &live.capture).collect();
            os::share_out(&captures).map_err(|error| LiveError::Open {
                interface: config.interface.clone(),
                message: format!("packets are not shared out among {rings} rings: {error}"),
            })?;
            // Until then each had all packets.
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let now = Timestamp::fine(secs, now.subsec_nanos());
            let until = Instant::now() + BEGINS;
            all.iter_mut().for_each(|live| live.begins = Some((now.again(), until)));
        }
        Ok(all)
    }

    /// What the first byte of packets is.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// The next packet; `None` where there was none for a while.
    ///
    /// # Errors
    /// The interface went away, and all packets before that were given.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, LiveError> {
        if self.waiting.is_empty() && self.take_some()? == 0 {
            os::wait(&self.capture, WAIT).map_err(|error| self.ended(error.to_string()))?;
            if self.take_some()? == 0 {
                self.look_whether_up()?;
            }
        }
        let Some(Waiting { block, bytes, wire_len, time }) = self.waiting.pop_front() else {
            return Ok(None);
        };
        self.packets += 1;
        let block = &self.blocks[block];
        Ok(Some(Packet {
            link: Some(self.link),
            interface: 0,
            time,
            has_time: true,
            bytes: &block.bytes()[bytes],
            wire_len,
            number: self.packets,
            offset: 0,
            block,
        }))
    }

    /// Was a packet taken out of the ring that was not given yet?
    pub fn has_next(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What the kernel says of the capture so far.
    pub fn stats(&mut self) -> LiveStats {
        if let Ok(stat) = self.capture.stats() {
            self.counted.add(&stat);
        }
        let sums = self.counted.sums;
        let dropped_by_interface = self.lost.count(sums.dropped_by_interface);
        LiveStats { dropped_by_interface, ..sums }
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many packets were given.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Takes packets out of the ring, when all that were taken before are given; how many.
    fn take_some(&mut self) -> Result<usize, LiveError> {
        if self.begins.as_ref().is_some_and(|&(_, until)| Instant::now() > until) {
            // From here on, an earlier time is that of a clock that was set back.
            self.begins = None;
        }
        let Self { capture, blocks, spare, waiting, begins, .. } = self;
        blocks.drain(..).for_each(|block| spare.keep(block));
        let mut used = 0;
        let taken = capture.dispatch(Some(AT_ONCE), |packet| {
            // The "microseconds" are nanoseconds: that was asked for.
            let nanos = u32::try_from(packet.header.ts.tv_usec).unwrap_or_default();
            let time = Timestamp::fine(packet.header.ts.tv_sec, nanos);
            if begins.as_ref().is_some_and(|(begins, _)| time.nanos_since(begins.again()) < 0) {
                return;
            }
            let len = packet.data.len();
            if blocks.last().is_none_or(|block| block.bytes().len() - used < len) {
                blocks.push(spare.take(len, BLOCK));
                used = 0;
            }
            let bytes = used..used + len;
            used = bytes.end;
            // It was taken as one that nobody else has.
            let Some(room) = blocks.last_mut().and_then(Block::get_mut) else { return };
            room[bytes.clone()].copy_from_slice(packet.data);
            let wire_len = packet.header.len.max(len as u32);
            waiting.push_back(Waiting { block: blocks.len() - 1, bytes, wire_len, time });
        });
        match taken {
            Ok(taken) => {
                if taken > 0 {
                    self.over_since = None;
                }
                Ok(taken)
            }
            Err(_) if !self.is_over() => Ok(0),
            Err(error) => Err(self.ended(message(&error))),
        }
    }

    /// Whoever waits for an interface that is down waits for somebody else.
    fn look_whether_up(&mut self) -> Result<(), LiveError> {
        // Where it is away altogether, libpcap says so.
        if self.name == ANY {
            return Ok(());
        }
        let index = os::index(&self.capture, &self.name).ok();
        if index.is_some() && index != self.index && self.is_over() {
            return Err(self.ended("the interface was replaced by another one of its name".into()));
        }
        match os::is_up(&self.capture, &self.name) {
            _ if index != self.index => {}
            Ok(true) => self.over_since = None,
            Ok(false) if self.is_over() => {
                return Err(self.ended("the interface went down".into()));
            }
            Ok(false) | Err(_) => {}
        }
        Ok(())
    }

    /// There is nothing more to capture, but what came before is in a block that the kernel will hand over. Has
    /// it?
    fn is_over(&mut self) -> bool {
        self.over_since.get_or_insert_with(Instant::now).elapsed() >= HANDED_OVER
    }

    fn ended(&self, message: String) -> LiveError {
        LiveError::Ended { interface: self.name.clone(), message }
    }
}

/// What libpcap says.
fn message(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(message) => message.clone(),
        other => other.to_string(),
    }
}

/// Why an interface could not be opened.
fn open_error(interface: &str, error: &pcap::Error) -> LiveError {
    let (interface, message) = (interface.to_owned(), message(error));
    let lower = message.to_lowercase();
    // libpcap has a code for it, which the crate does not pass on.
    if lower.contains("not permitted") || lower.contains("permission") {
        let program = std::env::current_exe().unwrap_or_else(|_| "pcap2conn".into());
        return LiveError::Permission { interface, program: program.display().to_string() };
    }
    LiveError::Open { interface, message }
}

/// Sums of the kernel's counts, which have 32 bits and begin anew when they are full.
#[derive(Debug, Default)]
struct Counted {
    last: [u32; 3],
    sums: LiveStats,
}

impl Counted {
    fn add(&mut self, stat: &pcap::Stat) {
        let now = [stat.received, stat.dropped, stat.if_dropped];
        let LiveStats { received, dropped, dropped_by_interface } = &mut self.sums;
        for ((sum, now), last) in
            [received, dropped, dropped_by_interface].into_iter().zip(now).zip(&mut self.last)
        {
            *sum += u64::from(now.wrapping_sub(std::mem::replace(last, now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_they_are_full() {
        let mut counted = Counted::default();
        let stat = |received, dropped| pcap::Stat { received, dropped, if_dropped: 0 };
        for (received, dropped) in [(5, 0), (u32::MAX - 1, 7), (3, 7)] {
            counted.add(&stat(received, dropped));
        }
        let want = LiveStats { received: (1 << 32) + 3, dropped: 7, dropped_by_interface: 0 };
        assert_eq!(counted.sums, want);
    }

    #[test]
    fn this_machine_has_an_interface_that_leads_back_to_it() {
        let all = interfaces().unwrap();
        let loopback =
            all.iter().find(|interface| interface.loopback).expect("every system has one");
        assert!(loopback.up && loopback.addresses.iter().any(|address| address.is_loopback()));
        assert_eq!(Interface::find("127.0.0.1", &all), Ok(loopback));
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let config = LiveConfig {
            interface: "no such".into(),
            snap_length: 100,
            buffer_size: 1 << 20,
            promiscuous: false,
            filter: None,
        };
        let Err(error) = Live::open(&config) else { panic!("there is no such interface") };
        assert!(error.to_string().starts_with("no such: "), "{error}");
    }
}
