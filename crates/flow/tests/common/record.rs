//! Running captures through an engine, and what came out.

use super::talk::{A, B, Packet, Talk, What};
use super::{frame, invariants};
use flow::{
    Began, Books, Census, Chunk, Config, Conflict, Connection, End, EndFlag, Ended, Endpoint,
    Engine, Gap, Limit, Reason, Report, Side, SideStats, Sink, Source, Totals,
};
use std::convert::Infallible;
use std::net::IpAddr;
use wire::{Frame, LinkType, Timestamp, VlanIds};

/// When something was heard that came at the end of the input.
pub(crate) const END: u64 = u64::MAX;

/// What a sink was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Opened,
    Data { side: usize, offset: u64, bytes: Vec<u8>, source: Source },
    Gap { side: usize, offset: u64, len: u64, source: Source },
    Conflict { side: usize, source: Source },
    Ended { side: usize, flag: EndFlag, source: Source },
    Settled,
    Closed(Box<Report>),
}

/// What a sink was told of one connection, when packet `at` was handled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Heard {
    pub(crate) connection: usize,
    pub(crate) at: u64,
    pub(crate) event: Event,
}

/// A sink that keeps everything.
#[derive(Default)]
pub(crate) struct Recorder {
    opened: usize,
    at: u64,
    heard: Vec<Heard>,
    ends: Vec<[Endpoint; 2]>,
}

impl Recorder {
    fn hear(&mut self, connection: usize, event: Event) -> Result<(), Infallible> {
        self.heard.push(Heard { connection, at: self.at, event });
        Ok(())
    }

    /// The sides must not change once bytes went out.
    fn check_ends(&mut self, handle: usize, ends: [Endpoint; 2]) {
        if self.ends[handle] == ends {
            return;
        }
        let out = |h: &Heard| matches!(h.event, Event::Data { .. } | Event::Gap { .. });
        let spoken = self.heard.iter().any(|h| h.connection == handle && out(h));
        assert!(!spoken, "sides changed after the first bytes");
        for heard in self.heard.iter_mut().filter(|heard| heard.connection == handle) {
            if let Event::Ended { side, .. } = &mut heard.event {
                *side = 1 - *side;
            }
        }
        self.ends[handle] = ends;
    }
}

/// Side 0's end, then side 1's.
fn ends(of: &Connection) -> [Endpoint; 2] {
    Side::BOTH.map(|side| of.end(side))
}

impl Sink for Recorder {
    type Handle = usize;
    type Error = Infallible;

    fn opened(&mut self, connection: &Connection) -> Result<usize, Infallible> {
        assert_eq!(connection.first().number(), self.at, "opened by the packet that is handled");
        let handle = self.opened;
        self.opened += 1;
        self.ends.push(ends(connection));
        self.hear(handle, Event::Opened)?;
        Ok(handle)
    }

    fn data(
        &mut self,
        handle: usize,
        of: &Connection,
        chunk: &Chunk<'_>,
    ) -> Result<(), Infallible> {
        self.check_ends(handle, ends(of));
        let &Chunk { side, offset, bytes, source } = chunk;
        let (side, bytes) = (side.index(), bytes.to_vec());
        self.hear(handle, Event::Data { side, offset, bytes, source })
    }

    fn gap(&mut self, handle: usize, of: &Connection, gap: &Gap) -> Result<(), Infallible> {
        self.check_ends(handle, ends(of));
        let &Gap { side, offset, len, source } = gap;
        self.hear(handle, Event::Gap { side: side.index(), offset, len, source })
    }

    fn conflict(
        &mut self,
        handle: usize,
        _: &Connection,
        conflict: &Conflict,
    ) -> Result<(), Infallible> {
        let &Conflict { side, source } = conflict;
        self.hear(handle, Event::Conflict { side: side.index(), source })
    }

    fn ended(&mut self, handle: usize, of: &Connection, end: &End) -> Result<(), Infallible> {
        self.check_ends(handle, ends(of));
        let &End { side, flag, source } = end;
        self.hear(handle, Event::Ended { side: side.index(), flag, source })
    }

    fn settled(&mut self, handle: usize, _: &Connection) -> Result<(), Infallible> {
        self.hear(handle, Event::Settled)
    }

    fn closed(&mut self, handle: usize, report: &Report) -> Result<(), Infallible> {
        self.check_ends(handle, report.ends);
        self.hear(handle, Event::Closed(Box::new(*report)))
    }
}

/// One connection, as the events tell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Conversation {
    /// Is A side 0?
    pub(crate) a_opened: bool,
    pub(crate) began: Began,
    pub(crate) ended: Ended,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) vlans: VlanIds,
    /// The packet that ended it, [`END`] for the end of the input.
    pub(crate) closed_at: u64,
    /// By side, as reported.
    pub(crate) sides: [SideStats; 2],
    /// By end, A first.
    pub(crate) stats: [SideStats; 2],
    pub(crate) heard: Vec<Heard>,
}

impl Conversation {
    /// The side that end A or B is.
    fn side(&self, end: usize) -> usize {
        if self.a_opened { end } else { 1 - end }
    }

    /// What an end sent, gaps as `[length]`.
    pub(crate) fn text(&self, end: usize) -> String {
        let side = self.side(end);
        let mut text = String::new();
        for heard in &self.heard {
            match &heard.event {
                Event::Data { side: s, bytes, .. } if *s == side => {
                    text += &String::from_utf8_lossy(bytes);
                }
                Event::Gap { side: s, len, .. } if *s == side => text += &format!("[{len}]"),
                _ => {}
            }
        }
        text
    }

    /// The captured bytes of an end.
    pub(crate) fn bytes(&self, end: usize) -> Vec<u8> {
        let side = self.side(end);
        let mut all = Vec::new();
        for heard in &self.heard {
            match &heard.event {
                Event::Data { side: s, bytes, .. } if *s == side => all.extend(bytes),
                _ => {}
            }
        }
        all
    }

    /// Offset and length of the gaps of an end.
    pub(crate) fn gaps(&self, end: usize) -> Vec<(u64, u64)> {
        let side = self.side(end);
        let gap = |heard: &Heard| match heard.event {
            Event::Gap { side: s, offset, len, .. } if s == side => Some((offset, len)),
            _ => None,
        };
        self.heard.iter().filter_map(gap).collect()
    }

    /// All that went out, in the order in which it came: the packet that was handled (`end` for the end of
    /// the input), who sent it, and what: `3 A GET`, `end B [7]`.
    pub(crate) fn story(&self) -> Vec<String> {
        self.tell(|event| !matches!(event, Event::Ended { .. }))
    }

    /// The same with FIN and RST, and the packet that brought them: `4 A FIN of 3`.
    pub(crate) fn whole_story(&self) -> Vec<String> {
        self.tell(|_| true)
    }

    fn tell(&self, of: impl Fn(&Event) -> bool) -> Vec<String> {
        let name = |side: usize| if side == self.side(A) { "A" } else { "B" };
        let when = |at: u64| if at == END { "end".to_string() } else { at.to_string() };
        let line = |heard: &Heard| {
            let what = match &heard.event {
                Event::Data { side, bytes, .. } => {
                    format!("{} {}", name(*side), String::from_utf8_lossy(bytes))
                }
                Event::Gap { side, len, .. } => format!("{} [{len}]", name(*side)),
                Event::Conflict { side, .. } => format!("{} conflict", name(*side)),
                Event::Ended { side, flag, source } => {
                    let flag = if *flag == EndFlag::Fin { "FIN" } else { "RST" };
                    format!("{} {flag} of {}", name(*side), source.number())
                }
                Event::Settled => "settled".to_string(),
                Event::Opened | Event::Closed(_) => return None,
            };
            Some(format!("{} {what}", when(heard.at)))
        };
        self.heard.iter().filter(|heard| of(&heard.event)).filter_map(line).collect()
    }

    /// Was an end's FIN told behind everything else of it? `None` where none was told.
    pub(crate) fn ends_with_fin(&self, end: usize) -> Option<bool> {
        let of = self.side(end);
        let fins = self.heard.iter().rev().filter_map(|heard| match &heard.event {
            Event::Ended { side, flag: EndFlag::Fin, .. } if *side == of => Some(true),
            Event::Data { side, .. } | Event::Gap { side, .. } if *side == of => Some(false),
            _ => None,
        });
        let fins: Vec<bool> = fins.collect();
        fins.contains(&true).then(|| fins[0])
    }

    /// When the first gap came.
    pub(crate) fn first_gap(&self) -> Option<u64> {
        let gap = |heard: &&Heard| matches!(heard.event, Event::Gap { .. });
        self.heard.iter().find(gap).map(|heard| heard.at)
    }

    /// When an end's first bytes came out.
    pub(crate) fn first_data(&self, end: usize) -> Option<u64> {
        let side = self.side(end);
        let data = |heard: &&Heard| matches!(heard.event, Event::Data { side: s, .. } if s == side);
        self.heard.iter().find(data).map(|heard| heard.at)
    }
}

/// What became of a capture, addresses left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// In the order in which they were opened.
    pub(crate) connections: Vec<Conversation>,
    pub(crate) books: Books,
    pub(crate) totals: Totals,
}

impl Outcome {
    /// The only connection.
    pub(crate) fn only(&self) -> &Conversation {
        let [only] = &self.connections[..] else {
            panic!("one connection, not {}: {:#?}", self.connections.len(), self.texts())
        };
        only
    }

    /// What both ends of each connection sent, A first.
    pub(crate) fn texts(&self) -> Vec<[String; 2]> {
        self.connections.iter().map(|c| [A, B].map(|end| c.text(end))).collect()
    }

    pub(crate) fn limit(&self, limit: Limit) -> u64 {
        self.totals.limits[limit as usize]
    }

    pub(crate) fn set_aside(&self, reason: Reason) -> u64 {
        self.books.set_aside(reason)
    }
}

/// Everything that one run said.
pub(crate) struct Played {
    pub(crate) heard: Vec<Heard>,
    pub(crate) books: Books,
    pub(crate) totals: Totals,
    /// The most connections that were held after any packet.
    pub(crate) most_connections: usize,
    pub(crate) packets: u64,
    /// The numbers of what was no packet, but the time.
    pub(crate) ticks: Vec<u64>,
    /// The numbers of those that may hold a SYN.
    pub(crate) syns: Vec<u64>,
    /// Of the moment before the end.
    pub(crate) census: Census,
}

/// Runs a capture between two addresses, and checks what holds in every run.
pub(crate) fn play(packets: &[Packet], addrs: [IpAddr; 2], config: Config) -> Played {
    let mut engine = Engine::new(config);
    let mut sink = Recorder::default();
    let (mut most_connections, mut ticks, mut syns) = (0, Vec::new(), Vec::new());
    for (i, packet) in packets.iter().enumerate() {
        let (secs, nanos) = packet.time;
        let (time, number) = (Timestamp::new(secs, nanos), i as u64 + 1);
        sink.at = number;
        if let What::Tick = packet.what {
            engine.handle_timeout(time, &mut sink).expect("Infallible has no value");
            ticks.push(number);
            continue;
        }
        if packet.may_open() {
            syns.push(number);
        }
        let mut bytes = packet.frame(addrs);
        let link = packet.link();
        let shortest = if link == LinkType::ETHERNET { frame::SHORTEST } else { 0 };
        let wire_len = bytes.len().max(shortest) as u32;
        match packet.cut {
            0 => bytes.resize(wire_len as usize, 0xee),
            n => bytes.truncate(bytes.len() - n),
        }
        let frame = Frame { link, bytes: &bytes, wire_len };
        let source = Source::new(time, number, 1);
        engine.handle_packet(source, &frame, &mut sink).expect("Infallible has no value");
        most_connections = most_connections.max(engine.connections());
    }
    let census = engine.census();
    invariants::check_census(&engine, &sink.heard);
    sink.at = END;
    engine.finish(&mut sink).expect("Infallible has no value");
    assert_eq!(engine.connections(), 0, "connections are left after the end");
    let Recorder { heard, .. } = sink;
    let (books, totals) = (engine.books(), engine.totals());
    let packets = (packets.len() - ticks.len()) as u64;
    let played = Played { heard, books, totals, most_connections, packets, ticks, syns, census };
    invariants::check(&played, &config);
    played
}

impl Played {
    /// The same without addresses. `a` is A's address.
    pub(crate) fn outcome(self, a: IpAddr) -> Outcome {
        let count = self.heard.iter().map(|h| h.connection + 1).max().unwrap_or(0);
        let mut heard: Vec<Vec<Heard>> = vec![Vec::new(); count];
        for h in self.heard {
            heard[h.connection].push(h);
        }
        let connections = heard.into_iter().map(|heard| conversation(heard, a)).collect();
        Outcome { connections, books: self.books, totals: self.totals }
    }
}

/// Takes the addresses out of what was heard of one connection.
fn conversation(mut heard: Vec<Heard>, a: IpAddr) -> Conversation {
    let Some(Heard { event: Event::Closed(report), at: closed_at, .. }) = heard.pop() else {
        panic!("the last event closes the connection");
    };
    let Report { vlans, ends, first, last, began, ended, sides, .. } = *report;
    let a_opened = ends[0].addr == a && (ends[1].addr != a || ends[0].port != 80);
    let stats = if a_opened { sides } else { [sides[1], sides[0]] };
    let (first, last) = (first.number(), last.number());
    Conversation { a_opened, began, ended, first, last, vlans, closed_at, sides, stats, heard }
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn v6(last: u16) -> IpAddr {
    IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])
}

impl Talk {
    /// What becomes of it with the options that the program has when none is given.
    pub(crate) fn run(&self) -> Outcome {
        self.run_with(Config::default())
    }

    /// What becomes of it, which must be the same for IPv4 and IPv6, whichever end has the lower
    /// address (rule 2), in engines whose tables are seeded differently (rule 14), and whether connections
    /// sleep between their packets or not.
    pub(crate) fn run_with(&self, config: Config) -> Outcome {
        let outcome = self.run_once(config);
        for [a, b] in [[v4(2), v4(1)], [v6(1), v6(2)], [v6(2), v6(1)]] {
            let other = play(&self.packets, [a, b], config).outcome(a);
            assert_eq!(outcome, other, "A is {a}, B is {b}");
        }
        let asleep = self.run_once(Config { awake: 0, ..config });
        assert_eq!(outcome, asleep, "connections sleep between their packets");
        outcome
    }

    /// The same with one pair of addresses: for what depends on the shard.
    pub(crate) fn run_once(&self, config: Config) -> Outcome {
        play(&self.packets, [v4(1), v4(2)], config).outcome(v4(1))
    }
}
