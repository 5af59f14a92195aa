//! A classic BPF machine (McCanne and Jacobson, "The BSD Packet Filter", 1993; instruction codes as
//! in libpcap's `pcap/bpf.h`), safe by construction.
//!
//! libpcap's own machine is not used because the `pcap` crate calls it with the captured length as
//! the length on the wire, which makes `greater`, `less` and `len` wrong for snapped packets.
//! A program is checked once, when it is built: it has known instructions only, jumps stay inside, and
//! it ends with a return. libpcap makes jumps backwards for one thing, `protochain`, which walks from
//! header to header; there can be no more of them than the packet has bytes. So running always ends.

/// One instruction as libpcap gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Raw {
    pub(crate) code: u16,
    pub(crate) jump_true: u8,
    pub(crate) jump_false: u8,
    pub(crate) k: u32,
}

/// Why a program is not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("the compiled filter is empty or does not end with a return")]
    NoReturn,
    #[error("instruction {0} of the compiled filter is unknown")]
    Unknown(usize),
    #[error("instruction {0} of the compiled filter jumps outside")]
    Jump(usize),
    #[error("instruction {0} of the compiled filter divides by zero")]
    Division(usize),
    #[error("instruction {0} of the compiled filter uses memory that does not exist")]
    Memory(usize),
}

/// How many bytes a load reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Width {
    Word,
    Half,
    Byte,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sum {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Or,
    And,
    Xor,
    Left,
    Right,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Test {
    Equal,
    Greater,
    AtLeast,
    AnyBit,
}

/// An instruction, decoded. A is the accumulator, X the index register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// A = the packet at k. These three and the tests for a constant are nearly all that filters
    /// do: each is a step of its own, not one more branch inside a step.
    LoadWord(u32),
    LoadHalf(u32),
    LoadByte(u32),
    /// A = the packet at X + k.
    LoadIndexed(Width, u32),
    LoadConstant(u32),
    LoadLength,
    LoadMemory(u8),
    IndexConstant(u32),
    IndexLength,
    IndexMemory(u8),
    /// X = four times the low half of the byte at k: the length of an IPv4 header.
    IndexHeaderLength(u32),
    Store(u8),
    StoreIndex(u8),
    /// A = A and k.
    WithConstant(Sum, u32),
    /// A = A and X.
    WithIndex(Sum),
    Negate,
    Jump(i32),
    IfEqual(u32, u8, u8),
    IfGreater(u32, u8, u8),
    IfAtLeast(u32, u8, u8),
    IfAnyBit(u32, u8, u8),
    IfIndex(Test, u8, u8),
    Return(u32),
    ReturnAccumulator,
    ToIndex,
    FromIndex,
}

/// Words of scratch memory.
const MEMORY: usize = 16;

/// A checked program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program {
    ops: Vec<Op>,
}

impl Program {
    /// Decodes and checks a program.
    pub(crate) fn new(raw: &[Raw]) -> Result<Self, Invalid> {
        let mut ops = Vec::with_capacity(raw.len());
        for (number, instruction) in raw.iter().enumerate() {
            let op = decode(*instruction).ok_or(Invalid::Unknown(number))?;
            check(op, number, raw.len())?;
            ops.push(op);
        }
        match ops.last() {
            Some(Op::Return(_) | Op::ReturnAccumulator) => Ok(Self { ops }),
            _ => Err(Invalid::NoReturn),
        }
    }

    /// The constant of the first test for equality.
    pub(crate) fn first_equal(&self) -> Option<u32> {
        self.ops.iter().find_map(|op| match op {
            Op::IfEqual(k, ..) => Some(*k),
            _ => None,
        })
    }

    /// Does it choose this packet, of `wire_len` bytes on the wire? A load beyond the captured bytes
    /// or a division by zero ends it: no.
    pub(crate) fn matches(&self, bytes: &[u8], wire_len: u32) -> bool {
        self.run(bytes, wire_len).is_some_and(|value| value != 0)
    }

    fn run(&self, bytes: &[u8], wire_len: u32) -> Option<u32> {
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        let mut memory = [0_u32; MEMORY];
        let mut backward = bytes.len();
        loop {
            let op = *self.ops.get(at)?;
            at += 1;
            match op {
                Op::LoadWord(k) => a = load(bytes, Width::Word, k as usize)?,
                Op::LoadHalf(k) => a = load(bytes, Width::Half, k as usize)?,
                Op::LoadByte(k) => a = load(bytes, Width::Byte, k as usize)?,
                Op::LoadIndexed(width, k) => {
                    a = load(bytes, width, (x as usize).checked_add(k as usize)?)?;
                }
                Op::LoadConstant(k) => a = k,
                Op::LoadLength => a = wire_len,
                Op::LoadMemory(k) => a = *memory.get(usize::from(k))?,
                Op::IndexConstant(k) => x = k,
                Op::IndexLength => x = wire_len,
                Op::IndexMemory(k) => x = *memory.get(usize::from(k))?,
                Op::IndexHeaderLength(k) => x = u32::from(bytes.get(k as usize)? & 0xf) << 2,
                Op::Store(k) => *memory.get_mut(usize::from(k))? = a,
                Op::StoreIndex(k) => *memory.get_mut(usize::from(k))? = x,
                Op::WithConstant(sum, k) => a = calculate(sum, a, k)?,
                Op::WithIndex(sum) => a = calculate(sum, a, x)?,
                Op::Negate => a = a.wrapping_neg(),
                Op::Jump(k) => {
                    if k < 0 {
                        backward = backward.checked_sub(1)?;
                    }
                    at = at.checked_add_signed(k as isize)?;
                }
                Op::IfEqual(k, yes, no) => at += pick(a == k, yes, no),
                Op::IfGreater(k, yes, no) => at += pick(a > k, yes, no),
                Op::IfAtLeast(k, yes, no) => at += pick(a >= k, yes, no),
                Op::IfAnyBit(k, yes, no) => at += pick(a & k != 0, yes, no),
                Op::IfIndex(test, yes, no) => at += pick(test.holds(a, x), yes, no),
                Op::Return(k) => return Some(k),
                Op::ReturnAccumulator => return Some(a),
                Op::ToIndex => x = a,
                Op::FromIndex => a = x,
            }
        }
    }
}

fn decode(raw: Raw) -> Option<Op> {
    let Raw { code, jump_true: yes, jump_false: no, k } = raw;
    // A word that no memory has is refused by `check`.
    let word = u8::try_from(k).unwrap_or(u8::MAX);
    Some(match code {
        0x20 => Op::LoadWord(k),
        0x28 => Op::LoadHalf(k),
        0x30 => Op::LoadByte(k),
        0x40 => Op::LoadIndexed(Width::Word, k),
        0x48 => Op::LoadIndexed(Width::Half, k),
        0x50 => Op::LoadIndexed(Width::Byte, k),
        0x00 => Op::LoadConstant(k),
        0x80 => Op::LoadLength,
        0x60 => Op::LoadMemory(word),
        0x01 => Op::IndexConstant(k),
        0x81 => Op::IndexLength,
        0x61 => Op::IndexMemory(word),
        0xb1 => Op::IndexHeaderLength(k),
        0x02 => Op::Store(word),
        0x03 => Op::StoreIndex(word),
        0x84 => Op::Negate,
        0x05 => Op::Jump(k.cast_signed()),
        0x06 => Op::Return(k),
        0x16 => Op::ReturnAccumulator,
        0x07 => Op::ToIndex,
        0x87 => Op::FromIndex,
        0x15 => Op::IfEqual(k, yes, no),
        0x25 => Op::IfGreater(k, yes, no),
        0x35 => Op::IfAtLeast(k, yes, no),
        0x45 => Op::IfAnyBit(k, yes, no),
        // The bit 8 says whether the other operand is X.
        _ => match (code & 0xff07, code & 8 != 0) {
            (0x04, false) => Op::WithConstant(sum(code)?, k),
            (0x04, true) => Op::WithIndex(sum(code)?),
            (0x05, true) => Op::IfIndex(test(code)?, yes, no),
            _ => return None,
        },
    })
}

fn sum(code: u16) -> Option<Sum> {
    Some(match code & 0xf0 {
        0x00 => Sum::Add,
        0x10 => Sum::Subtract,
        0x20 => Sum::Multiply,
        0x30 => Sum::Divide,
        0x40 => Sum::Or,
        0x50 => Sum::And,
        0x60 => Sum::Left,
        0x70 => Sum::Right,
        0x90 => Sum::Modulo,
        0xa0 => Sum::Xor,
        _ => return None,
    })
}

fn test(code: u16) -> Option<Test> {
    Some(match code & 0xf0 {
        0x10 => Test::Equal,
        0x20 => Test::Greater,
        0x30 => Test::AtLeast,
        0x40 => Test::AnyBit,
        _ => return None,
    })
}

/// Refuses what could not run, for instruction `number` of `count`.
fn check(op: Op, number: usize, count: usize) -> Result<(), Invalid> {
    let behind = count - number - 1;
    match op {
        Op::Jump(k)
            if (number + 1).checked_add_signed(k as isize).is_none_or(|target| target >= count) =>
        {
            Err(Invalid::Jump(number))
        }
        Op::IfEqual(_, yes, no)
        | Op::IfGreater(_, yes, no)
        | Op::IfAtLeast(_, yes, no)
        | Op::IfAnyBit(_, yes, no)
        | Op::IfIndex(_, yes, no)
            if usize::from(yes.max(no)) >= behind =>
        {
            Err(Invalid::Jump(number))
        }
        Op::WithConstant(Sum::Divide | Sum::Modulo, 0) => Err(Invalid::Division(number)),
        Op::LoadMemory(word) | Op::IndexMemory(word) | Op::Store(word) | Op::StoreIndex(word)
            if usize::from(word) >= MEMORY =>
        {
            Err(Invalid::Memory(number))
        }
        _ => Ok(()),
    }
}

/// Numbers in a packet are big-endian.
#[inline]
fn load(bytes: &[u8], width: Width, at: usize) -> Option<u32> {
    let rest = bytes.get(at..)?;
    Some(match width {
        Width::Word => u32::from_be_bytes(*rest.first_chunk()?),
        Width::Half => u32::from(u16::from_be_bytes(*rest.first_chunk()?)),
        Width::Byte => u32::from(*rest.first()?),
    })
}

/// Wraps around as C's unsigned numbers do; a shift by 32 or more leaves nothing.
fn calculate(sum: Sum, a: u32, b: u32) -> Option<u32> {
    Some(match sum {
        Sum::Add => a.wrapping_add(b),
        Sum::Subtract => a.wrapping_sub(b),
        Sum::Multiply => a.wrapping_mul(b),
        Sum::Divide => a.checked_div(b)?,
        Sum::Modulo => a.checked_rem(b)?,
        Sum::Or => a | b,
        Sum::And => a & b,
        Sum::Xor => a ^ b,
        Sum::Left => a.checked_shl(b).unwrap_or(0),
        Sum::Right => a.checked_shr(b).unwrap_or(0),
    })
}

impl Test {
    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::AtLeast => a >= b,
            Self::AnyBit => a & b != 0,
        }
    }
}

fn pick(holds: bool, yes: u8, no: u8) -> usize {
    usize::from(if holds { yes } else { no })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Raw {
        Raw { code, jump_true, jump_false, k }
    }

    /// What the instructions leave in A, over the packet 0x45, 1, 2, …, 9 of 1500 bytes.
    fn accumulator(instructions: &[(u16, u32)]) -> Option<u32> {
        let mut program: Vec<Raw> =
            instructions.iter().map(|&(code, k)| raw(code, 0, 0, k)).collect();
        program.push(raw(0x16, 0, 0, 0));
        let program = Program::new(&program).unwrap();
        program.run(&[0x45, 1, 2, 3, 4, 5, 6, 7, 8, 9], 1500)
    }

    #[test]
    fn loads_are_big_endian_and_end_the_program_beyond_the_captured_bytes() {
        assert_eq!(accumulator(&[(0x20, 1)]), Some(0x0102_0304));
        assert_eq!(accumulator(&[(0x28, 8)]), Some(0x0809));
        assert_eq!(accumulator(&[(0x30, 9)]), Some(9));
        for beyond in [(0x20, 7), (0x28, 9), (0x30, 10), (0x20, u32::MAX), (0xb1, 10)] {
            assert_eq!(accumulator(&[beyond]), None, "{beyond:?}");
        }
        assert_eq!(accumulator(&[(0x00, 77)]), Some(77));
        assert_eq!(accumulator(&[(0x80, 0)]), Some(1500));
        assert_eq!(accumulator(&[(0x81, 0), (0x87, 0)]), Some(1500));
        // x = 4 * (0x45 & 15) is beyond the bytes; -18 more does not wrap around into them.
        assert_eq!(accumulator(&[(0xb1, 0), (0x87, 0)]), Some(20));
        assert_eq!(accumulator(&[(0xb1, 0), (0x50, 18_u32.wrapping_neg())]), None);
        assert_eq!(accumulator(&[(0x01, 2), (0x40, 1)]), Some(0x0304_0506));
        assert_eq!(accumulator(&[(0x01, 2), (0x48, 1)]), Some(0x0304));
        assert_eq!(accumulator(&[(0x01, 2), (0x50, 1)]), Some(3));
    }

    #[test]
    fn arithmetic_wraps_and_division_by_zero_ends_the_program() {
        let a = 0x8000_0005;
        for (operation, b, want) in [
            (0x00, 0x8000_0000, Some(5)),
            (0x10, 6, Some(0x7fff_ffff)),
            (0x20, 2, Some(10)),
            (0x30, 5, Some(0x1999_999a)),
            (0x40, 0xf0, Some(0x8000_00f5)),
            (0x50, 4, Some(4)),
            (0x60, 1, Some(10)),
            (0x60, 32, Some(0)),
            (0x70, 31, Some(1)),
            (0x70, 32, Some(0)),
            (0x90, 6, Some(1)),
            (0xa0, 0xf, Some(0x8000_000a)),
        ] {
            assert_eq!(accumulator(&[(0, a), (0x04 | operation, b)]), want, "{operation:x} k");
            let by_index = accumulator(&[(0, a), (0x01, b), (0x0c | operation, 0)]);
            assert_eq!(by_index, want, "{operation:x} x");
        }
        assert_eq!(accumulator(&[(0, 1), (0x3c, 0)]), None, "division by X = 0");
        assert_eq!(accumulator(&[(0, 1), (0x9c, 0)]), None, "modulo X = 0");
        assert_eq!(accumulator(&[(0, 1), (0x84, 0)]), Some(u32::MAX));
    }

    #[test]
    fn memory_keeps_words() {
        let both = [(0, 3), (0x02, 15), (0x01, 4), (0x03, 0), (0, 0), (0x61, 15), (0x60, 0)];
        assert_eq!(accumulator(&both), Some(4));
        assert_eq!(accumulator(&[&both[..], &[(0x87, 0)]].concat()), Some(3));
        assert_eq!(accumulator(&[(0, 8), (0x07, 0), (0, 0), (0x87, 0)]), Some(8));
    }

    #[test]
    fn jumps_go_to_either_side() {
        for (code, a, b, want) in [
            (0x15, 5, 5, true),
            (0x15, 5, 4, false),
            (0x25, 5, 4, true),
            (0x25, 5, 5, false),
            (0x35, 5, 5, true),
            (0x35, 5, 6, false),
            (0x45, 6, 3, true),
            (0x45, 6, 9, false),
        ] {
            for index in [0, 8] {
                let program = Program::new(&[
                    raw(0x00, 0, 0, a),
                    raw(0x01, 0, 0, b),
                    raw(code | index, 1, 2, if index == 0 { b } else { 99 }),
                    raw(0x06, 0, 0, 0),
                    raw(0x05, 0, 0, 1),
                    raw(0x06, 0, 0, 0),
                    raw(0x06, 0, 0, 65535),
                ]);
                // Yes lands on the jump to the last return, no on the one before.
                assert_eq!(program.unwrap().matches(&[], 0), want, "{code:x} {a} {b} {index}");
            }
        }
    }

    #[test]
    fn programs_that_could_not_run_are_refused() {
        let end = raw(0x06, 0, 0, 1);
        assert_eq!(Program::new(&[]), Err(Invalid::NoReturn));
        assert_eq!(Program::new(&[raw(0x30, 0, 0, 0)]), Err(Invalid::NoReturn));
        for unknown in [0xff, 0x10, 0xa4, 0xb4, 0x55, 0x1006] {
            let program = Program::new(&[raw(unknown, 0, 0, 0), end]);
            let want = if unknown == 0xa4 { Ok(()) } else { Err(Invalid::Unknown(0)) };
            assert_eq!(program.map(|_| ()), want, "{unknown:x}");
        }
        assert_eq!(Program::new(&[raw(0x05, 0, 0, 1), end]), Err(Invalid::Jump(0)));
        let back_by_two = 2_u32.wrapping_neg();
        assert_eq!(Program::new(&[raw(0x05, 0, 0, back_by_two), end]), Err(Invalid::Jump(0)));
        assert_eq!(Program::new(&[end, raw(0x15, 0, 1, 0), end]), Err(Invalid::Jump(1)));
        assert_eq!(Program::new(&[raw(0x1d, 1, 0, 0), end]), Err(Invalid::Jump(0)));
        assert_eq!(Program::new(&[raw(0x34, 0, 0, 0), end]), Err(Invalid::Division(0)));
        assert_eq!(Program::new(&[raw(0x94, 0, 0, 0), end]), Err(Invalid::Division(0)));
        for code in [0x60, 0x61, 0x02, 0x03] {
            assert_eq!(Program::new(&[raw(code, 0, 0, 16), end]), Err(Invalid::Memory(0)));
            assert_eq!(Program::new(&[raw(code, 0, 0, 256), end]), Err(Invalid::Memory(0)));
        }
    }

    #[test]
    fn a_loop_ends_with_a_match_or_after_as_many_rounds_as_the_packet_has_bytes() {
        // X counts up until it is the given number.
        let program = |until| {
            Program::new(&[
                raw(0x87, 0, 0, 0),
                raw(0x04, 0, 0, 1),
                raw(0x07, 0, 0, 0),
                raw(0x15, 1, 0, until),
                raw(0x05, 0, 0, 5_u32.wrapping_neg()),
                raw(0x06, 0, 0, 1),
            ])
            .unwrap()
        };
        assert!(program(10).matches(&[0; 9], 0));
        assert!(!program(11).matches(&[0; 9], 0));
        assert!(!program(u32::MAX).matches(&[0; 1500], 0));
    }

    proptest! {
        #[test]
        fn any_program_that_is_accepted_ends(
            program in proptest::collection::vec((0_u16..0xb8, 0_u8..4, 0_u8..4, -9_i32..20), 0..40),
            bytes: Vec<u8>,
            wire_len: u32,
        ) {
            let mut program: Vec<Raw> =
                program.into_iter().map(|(code, yes, no, k)| raw(code, yes, no, k as u32)).collect();
            program.retain(|instruction| decode(*instruction).is_some());
            program.push(raw(0x16, 0, 0, 0));
            if let Ok(program) = Program::new(&program) {
                program.matches(&bytes, wire_len);
            }
        }
    }
}
