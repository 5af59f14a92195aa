//! The compiler of filter expressions: libpcap's, through the `pcap` crate.

use super::bpf::{Program, Raw};
use super::with_libpcap::Refusal;
use ::pcap::{BpfInstruction, Capture, Error, Linktype};
use wire::LinkType;

/// What libpcap says of an expression that is false for every packet of a link type.
const REJECTS_ALL: &str = "expression rejects all packets";

/// Compiles an expression for one link type.
pub(super) fn compile(expression: &str, link: LinkType) -> Result<Program, Refusal> {
    let handle = Capture::dead(Linktype(dlt(link))).map_err(refuse)?;
    let compiled = handle.compile(expression, true).map_err(refuse)?;
    let program: Option<Vec<Raw>> = compiled.get_instructions().iter().map(raw).collect();
    let program =
        program.ok_or_else(|| Refusal::Message("libpcap's program is not readable".into()))?;
    Program::new(&program).map_err(|invalid| Refusal::Message(invalid.to_string()))
}

fn refuse(error: Error) -> Refusal {
    match error {
        Error::PcapError(message) if message == REJECTS_ALL => Refusal::RejectsAll(message),
        Error::PcapError(message) => Refusal::Message(message),
        other => Refusal::Message(other.to_string()),
    }
}

/// The crate hides an instruction's fields, but prints all four in decimal.
fn raw(instruction: &BpfInstruction) -> Option<Raw> {
    let text = instruction.to_string();
    let mut numbers = text.split(' ').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let code = u16::try_from(next()?).ok()?;
    let jump_true = u8::try_from(next()?).ok()?;
    let jump_false = u8::try_from(next()?).ok()?;
    Some(Raw { code, jump_true, jump_false, k: next()? })
}

/// The number that libpcap calls this link type on the system it runs on. All others are the same
/// (<https://www.tcpdump.org/linktypes.html>, and libpcap's `pcap/dlt.h`).
pub(super) fn dlt(link: LinkType) -> i32 {
    match link {
        // On OpenBSD 12 is its loopback.
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD => {
            if cfg!(target_os = "openbsd") { 14 } else { 12 }
        }
        LinkType::LOOP if cfg!(target_os = "openbsd") => 12,
        // ATM with LLC (RFC 2684), and Classical IP over ATM.
        LinkType(100) => 11,
        LinkType(106) => 19,
        LinkType(other) => i32::from(other),
    }
}
