//! Where frames come from: captures in the pcap and pcapng formats, from files and pipes, and the
//! filter that chooses among them.
//!
//! A [`Reader`] gives the packets of one capture, each a slice borrowed from its one buffer:
//! nothing is allocated or copied for a packet. [`Inputs`] puts several captures in the order of
//! their first packets. A [`Filter`] is a BPF expression, compiled by libpcap and run here. This
//! crate never looks into a packet and knows nothing of connections; and no input makes it panic or
//! hold more than a bounded buffer.
//!
//! ```
//! use capture::Reader;
//!
//! // A pcap file of raw IP (link type 101) with one packet of two bytes.
//! let mut file = Vec::new();
//! file.extend(0xa1b2_c3d4_u32.to_le_bytes());
//! file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0]);
//! file.extend([9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 40, 0, 0, 0]); // 9.000001 s, 2 bytes of 40
//! file.extend([0x45, 0]);
//!
//! let mut reader = Reader::from_read("example", Box::new(std::io::Cursor::new(file)))?;
//! while let Some(packet) = reader.next_packet()? {
//!     assert_eq!((packet.number, packet.bytes, packet.wire_len), (1, &[0x45, 0][..], 40));
//!     assert_eq!((packet.time.secs(), packet.time.subsec_nanos()), (9, 1000));
//! }
//! # Ok::<(), capture::ReadError>(())
//! ```
#![deny(unsafe_code)]

mod block;
mod error;
mod filter;
mod format;
mod inputs;
mod live;
#[cfg(test)]
mod oracle;
mod packet;
mod reader;
mod record;
#[cfg(test)]
mod testing;
mod window;

pub use block::Block;
pub use error::{ReadError, Reason};
pub use filter::{Filter, FilterError, Verdict};
pub use inputs::{Input, Inputs, InputsError, Order};
pub use live::{HANDED_OVER, Interface, Live, LiveConfig, LiveError, LiveStats, interfaces};
pub use packet::Packet;
pub use reader::{Ahead, Reader, Stretch};
pub use record::{Failed, RecordConfig, RecordError, Recorder, Rotation};
