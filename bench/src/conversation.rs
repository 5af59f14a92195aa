//! One HTTP connection, told a packet at a time.

use crate::frame::{ACK, End, FIN, PSH, SEGMENT, SYN, Segment};
use crate::random::Random;

/// Segments that a server sends before the first acknowledgement (RFC 6928).
const FIRST_BURST: usize = 10;
/// Microseconds a full frame takes on a wire of 1 Gbit/s.
const FRAME_TIME: u64 = 12;

/// What the next packet is.
#[derive(Clone, Copy)]
enum Step {
    Syn,
    SynAck,
    Established,
    Request,
    RequestAck,
    /// The server sends its next segment; `burst` more, this one included, before it waits.
    Data {
        burst: usize,
    },
    /// The client acknowledges up to two segments of the burst that ended.
    DataAck,
    ServerFin,
    ClientFin,
    LastAck,
    Done,
}

/// A connection between its first packet and its last.
pub(crate) struct Conversation {
    step: Step,
    client: End,
    server: End,
    /// Initial sequence numbers.
    isn: (u32, u32),
    request: Vec<u8>,
    /// Head of the response; the body follows from the pool.
    head: Vec<u8>,
    body: usize,
    /// Where in the pool the body begins.
    pool_offset: usize,
    /// Bytes of the response sent and acknowledged.
    sent: usize,
    acknowledged: usize,
    burst: usize,
    /// Microseconds from the recording place to the client and back, and the server's thinking.
    round_trip: u64,
    thinking: u64,
    numbers: (u16, u16),
}

impl Conversation {
    /// A new connection with a body of `body` bytes.
    pub(crate) fn new(client: End, server: End, body: usize, random: &mut Random) -> Self {
        let page = random.below(1_000_000);
        let request = format!(
            "GET /articles/{page}.html HTTP/1.1\r\nHost: www{}.example.com\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
             Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\
             Cookie: session={:016x}\r\nConnection: close\r\n\r\n",
            server.address[3],
            random.next()
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: example\r\nDate: Mon, 06 Jul 2026 10:00:00 GMT\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Length: {body}\r\n\
             Cache-Control: max-age=600\r\nConnection: close\r\n\r\n"
        );
        Self {
            step: Step::Syn,
            client,
            server,
            isn: (random.next_u32(), random.next_u32()),
            request: request.into_bytes(),
            head: head.into_bytes(),
            body,
            pool_offset: random.next_u32() as usize,
            sent: 0,
            acknowledged: 0,
            burst: FIRST_BURST,
            round_trip: 2_000 + u64::from(random.below(78_000)),
            thinking: 200 + u64::from(random.below(20_000)),
            numbers: (random.next_u32() as u16, random.next_u32() as u16),
        }
    }

    fn response(&self) -> usize {
        self.head.len() + self.body
    }

    /// The next packet's segment is handed to `emit`, with its payload in `scratch`; returns the
    /// microseconds until the one after it, or nothing when this was the last. `now` is in
    /// microseconds, `pool` is where bodies are cut from.
    pub(crate) fn advance<E>(
        &mut self,
        now: u64,
        pool: &[u8],
        scratch: &mut Vec<u8>,
        emit: impl FnOnce(&Segment<'_>) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        scratch.clear();
        let upload = self.request.len() as u32;
        let (from_client, flags, sequence, acknowledgement) = match self.step {
            Step::Syn => (true, SYN, 0, None),
            Step::SynAck => (false, SYN | ACK, 0, Some(1)),
            Step::Established => (true, ACK, 1, Some(1)),
            Step::Request => {
                scratch.extend_from_slice(&self.request);
                (true, PSH | ACK, 1, Some(1))
            }
            Step::RequestAck => (false, ACK, 1, Some(1 + upload)),
            Step::Data { .. } => {
                let at = 1 + self.sent as u32;
                self.cut(pool, scratch);
                let push = if self.sent == self.response() { PSH } else { 0 };
                (false, ACK | push, at, Some(1 + upload))
            }
            Step::DataAck => {
                self.acknowledged = (self.acknowledged + 2 * SEGMENT).min(self.sent);
                (true, ACK, 1 + upload, Some(1 + self.acknowledged as u32))
            }
            Step::ServerFin => (false, FIN | ACK, 1 + self.response() as u32, Some(1 + upload)),
            Step::ClientFin => (true, FIN | ACK, 1 + upload, Some(2 + self.response() as u32)),
            Step::LastAck => (false, ACK, 2 + self.response() as u32, Some(2 + upload)),
            Step::Done => return Ok(None),
        };
        let milliseconds = (now / 1000) as u32;
        let (from, to, own, peer, number) = if from_client {
            (self.client, self.server, self.isn.0, self.isn.1, &mut self.numbers.0)
        } else {
            (self.server, self.client, self.isn.1, self.isn.0, &mut self.numbers.1)
        };
        *number = number.wrapping_add(1);
        emit(&Segment {
            from,
            to,
            sequence: own.wrapping_add(sequence),
            acknowledgement: acknowledgement.map_or(0, |count| peer.wrapping_add(count)),
            flags,
            number: *number,
            clock: (milliseconds, if acknowledgement.is_some() { milliseconds - 1 } else { 0 }),
            payload: scratch,
        })?;
        Ok(self.turn())
    }

    /// Copies the next segment of the response into `scratch` and counts it as sent.
    fn cut(&mut self, pool: &[u8], scratch: &mut Vec<u8>) {
        let head = self.head.get(self.sent..).unwrap_or(&[]);
        scratch.extend_from_slice(&head[..head.len().min(SEGMENT)]);
        while scratch.len() < SEGMENT && self.sent + scratch.len() < self.response() {
            let in_body = self.sent + scratch.len() - self.head.len();
            let from = &pool[(self.pool_offset + in_body) % pool.len()..];
            let room = (SEGMENT - scratch.len()).min(self.body - in_body);
            scratch.extend_from_slice(&from[..room.min(from.len())]);
        }
        self.sent += scratch.len();
    }

    /// Chooses the next step; the microseconds until it, or nothing at the end.
    fn turn(&mut self) -> Option<u64> {
        let (step, wait) = match self.step {
            Step::Syn => (Step::SynAck, 30),
            Step::SynAck => (Step::Established, self.round_trip),
            Step::Established => (Step::Request, 50),
            Step::Request => (Step::RequestAck, 40),
            Step::RequestAck => (Step::Data { burst: self.burst }, self.thinking),
            Step::Data { burst } if self.sent == self.response() || burst == 1 => {
                (Step::DataAck, self.round_trip)
            }
            Step::Data { burst } => (Step::Data { burst: burst - 1 }, FRAME_TIME),
            Step::DataAck if self.acknowledged < self.sent => (Step::DataAck, 2 * FRAME_TIME),
            Step::DataAck if self.sent < self.response() => {
                self.burst = (self.burst * 2).min(256);
                (Step::Data { burst: self.burst }, FRAME_TIME)
            }
            Step::DataAck => (Step::ServerFin, 100),
            Step::ServerFin => (Step::ClientFin, self.round_trip),
            Step::ClientFin => (Step::LastAck, 30),
            Step::LastAck | Step::Done => {
                self.step = Step::Done;
                return None;
            }
        };
        self.step = step;
        Some(wait)
    }
}
