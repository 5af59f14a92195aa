//! What was typed, checked and turned into what the library wants.

use super::args::{self, Args};
use flow::Side;
use replay::{
    Address, Fill, HalfClose, Pace, Recording, Role, Rules, Script, Tls, TlsClient, TlsServer,
    TooMuch, Transport, Trust, Wait, Wanted, What,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A recording, and its number among those of the input.
pub(crate) type Numbered = (u64, Recording);

/// Which connections are to be played.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// All where there are none.
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) transport: Option<Transport>,
    /// Memory that they may take, in bytes.
    pub(crate) memory: usize,
}

/// So many recordings that cannot be played are named.
const NAMED: usize = 10;

/// Nothing waits for longer.
const MOST_SECONDS: f64 = 1e9;

pub(crate) fn chosen(args: &Args) -> Result<Chosen, String> {
    let memory = args.max_memory.checked_mul(1 << 20).filter(|memory| *memory > 0);
    Ok(Chosen {
        wanted: args.connection.iter().map(|text| wanted(text)).collect::<Result<_, _>>()?,
        transport: match (args.tcp, args.udp) {
            (true, _) => Some(Transport::Tcp),
            (_, true) => Some(Transport::Udp),
            _ => None,
        },
        memory: memory.ok_or("--max-memory: at least 1, and what this machine can address")?,
    })
}

/// A number, numbers, or a name. Names begin with a time of 14 digits and have dots.
fn wanted(text: &str) -> Result<Wanted, String> {
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|number| *number > 0);
    let wrong = || format!("--connection {text}: numbers are from 1 on");
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Ok(Wanted::Name(text.trim_end_matches(".json").into()));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from).ok_or_else(wrong)?, number(to).ok_or_else(wrong)?);
    match from > to {
        true => Err(format!("--connection {text}: none is from {from} to {to}")),
        false => Ok(Wanted::Numbers(from..=to)),
    }
}

/// Is this recording among those that are wanted?
pub(crate) fn is_wanted(chosen: &Chosen, number: u64, name: &str) -> bool {
    chosen.wanted.is_empty() || chosen.wanted.iter().any(|wanted| wanted.is(number, name))
}

/// What the peer may do otherwise; a file that cannot be read is said with its name.
pub(crate) fn rules(args: &Args) -> Result<Rules, String> {
    let mut rules = Rules {
        wait: Wait::default(),
        masks: args.mask.clone(),
        ignores: args.ignore.clone(),
        echoes: args.echo.clone(),
        carries: args.carry.clone(),
    };
    for path in &args.rules {
        let text = rules_in(path).map_err(|error| format!("{}: {error}", path.display()))?;
        rules.read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let default = if rules.tolerates() { Wait::Bytes } else { Wait::Length };
    rules.wait = args.wait.clone().unwrap_or(default);
    if rules.tolerates() && !matches!(rules.wait, Wait::Bytes) {
        return Err("masks and what is ignored are for comparing bytes: with --wait bytes".into());
    }
    Ok(rules)
}

/// How many connections there may be at once, if that is said.
pub(crate) fn at_once(args: &Args) -> Result<(), String> {
    match args.at_once {
        Some(0) => Err("--at-once 0: at least 1 is needed".into()),
        _ => Ok(()),
    }
}

pub(crate) fn pace(args: &Args) -> Result<Pace, String> {
    let seconds = |option: &str, seconds: f64| match (0.0..=MOST_SECONDS).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("{option} {seconds}: seconds are needed, up to {MOST_SECONDS}")),
    };
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(format!("--speed {}: more than 0 is needed", args.speed));
    }
    let timeout = seconds("--timeout", args.timeout)?;
    Ok(Pace {
        speed: (!args.no_delay).then_some(args.speed),
        timeout: (args.timeout > 0.0).then_some(timeout.max(Duration::from_nanos(1))),
        linger: seconds("--linger", args.linger)?,
    })
}

/// A file of rules has so many bytes at most.
const MOST_RULES: u64 = 1 << 20;

fn rules_in(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_RULES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST_RULES {
        true => Err(io::Error::other(format!("more than {MOST_RULES} bytes are no rules"))),
        false => Ok(text),
    }
}

pub(crate) fn tls(args: &Args) -> Result<Tls, String> {
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        return Ok(Tls::Server(TlsServer::new(cert, key, &args.tls_alpn)?));
    }
    if !args.tls {
        return match args.tls_alpn.is_empty() {
            true => Ok(Tls::None),
            false => {
                Err("--tls-alpn: there is no TLS without --tls, or --tls-cert and --tls-key".into())
            }
        };
    }
    let name = match (&args.tls_name, &args.connect) {
        (Some(name), _) => name.clone(),
        (None, Some(Address::Ip(address))) => address.ip().to_string(),
        (None, Some(Address::Name(name, _))) => name.clone(),
        (None, _) => "localhost".into(),
    };
    let trust = match &args.tls_ca {
        Some(file) => Trust::File(file),
        None if args.tls_insecure => Trust::All,
        None => Trust::System,
    };
    Ok(Tls::Client(TlsClient::new(&name, trust, &args.tls_alpn)?))
}

/// The side that we are.
fn side(args: &Args) -> Side {
    match (args.side, &args.connect) {
        (Some(0), _) | (None, Some(_)) => Side::Zero,
        _ => Side::One,
    }
}

/// Who is played what.
pub(crate) fn role(args: &Args, rules: Rules, recordings: Vec<Numbered>) -> Result<Role, String> {
    refuse_gaps(args, &recordings)?;
    let (side, rules) = (side(args), Arc::new(rules));
    let fill = match args.fill {
        Some(args::Fill::Skip) => Fill::Skip,
        Some(args::Fill::Zero) | None => Fill::Zero,
    };
    let close = match args.close {
        args::Close::Ours => HalfClose::AfterOurs,
        args::Close::All => HalfClose::AfterAll,
    };
    let script = |recording: Recording| {
        Arc::new(Script::new(Arc::new(recording), side, rules.clone(), fill, close))
    };
    let scripts: Vec<_> = recordings.into_iter().map(|(_, recording)| script(recording)).collect();
    let cost = scripts.iter().map(|script| script.recording().cost() + script.cost());
    if cost.fold(0, usize::saturating_add) > chosen(args)?.memory {
        return Err(TooMuch(args.max_memory).to_string());
    }
    check_datagrams(args, &scripts)?;
    if let Some(address) = &args.connect {
        return Ok(Role::Connect(address.clone(), scripts));
    }
    if let Some(address) = &args.listen {
        return Ok(Role::Listen(vec![(address.clone(), scripts)]));
    }
    let Some(addr) = args.listen_all else {
        return Err("nowhere to play: --listen or --connect".into());
    };
    let mut doors: BTreeMap<u16, Vec<Arc<Script>>> = BTreeMap::new();
    for script in scripts {
        let recording = script.recording();
        let Some(ends) = recording.ends() else {
            return Err(format!(
                "{}: its server's port is not known: --listen ADDR:PORT",
                recording.name()
            ));
        };
        doors.entry(ends[side.index()].port).or_default().push(script);
    }
    let doors =
        doors.into_iter().map(|(port, scripts)| (Address::Ip((addr, port).into()), scripts));
    Ok(Role::Listen(doors.collect()))
}

/// Whoever names a connection means one that is there.
pub(crate) fn all_are_there(chosen: &Chosen, recordings: &[Numbered]) -> Result<(), String> {
    let is_there = |wanted: &&Wanted| {
        recordings.iter().any(|(number, recording)| wanted.is(*number, recording.name()))
    };
    match chosen.wanted.iter().find(|wanted| !is_there(wanted)) {
        Some(wanted) => Err(format!(
            "--connection {wanted}: there is no such connection; --list shows those there are"
        )),
        None => Ok(()),
    }
}

/// Missing bytes are not made up unless told.
fn refuse_gaps(args: &Args, recordings: &[Numbered]) -> Result<(), String> {
    if args.fill.is_some() {
        return Ok(());
    }
    let with_gaps =
        || recordings.iter().filter(|(_, recording)| recording.missing().next().is_some());
    let many = with_gaps().count();
    if many == 0 {
        return Ok(());
    }
    let mut named: Vec<String> = Vec::new();
    for (number, recording) in with_gaps().take(NAMED) {
        let all = recording.missing().count();
        let Some(first) = recording.missing().next() else { continue };
        let more = if all > 1 { format!(" and {} more gaps", all - 1) } else { String::new() };
        named.push(format!(
            "{} ({number}): {} bytes of side {} at offset {}{more}",
            recording.name(),
            first.len,
            first.side.index(),
            first.offset
        ));
    }
    if many > NAMED {
        named.push(format!("and {} more", many - NAMED));
    }
    Err(format!(
        "bytes were not captured: {}; --fill zero or --fill skip plays them all the same, --connection chooses others",
        named.join("; ")
    ))
}

/// What an IPv4 packet has room for beside its headers and UDP's.
const MAX_DATAGRAM: u64 = 65_507;

fn largest_datagram(script: &Script, skipped: bool) -> u64 {
    let ours = script.recording().events().iter().filter(|event| event.side == script.side());
    let size = |what| match what {
        What::Data { len, .. } if skipped => len as u64,
        What::Data { len, cut, .. } => cut.saturating_add(len as u64),
        What::Gap(_) | What::Finish(_) => 0,
    };
    ours.map(|event| size(event.what)).max().unwrap_or(0)
}

/// Datagrams need somebody to send them to, and an IP address.
fn check_datagrams(args: &Args, scripts: &[Arc<Script>]) -> Result<(), String> {
    let is_unix = [&args.listen, &args.connect]
        .iter()
        .any(|address| matches!(address, Some(Address::Unix(_))));
    let is_tls = args.tls || args.tls_cert.is_some();
    for script in scripts.iter().filter(|it| it.recording().transport() == Transport::Udp) {
        let name = script.recording().name();
        if is_unix {
            return Err(format!(
                "{name}: datagrams are not played over unix sockets; --tcp leaves them out"
            ));
        }
        if is_tls {
            return Err(format!("{name}: datagrams are not played in TLS; --tcp leaves them out"));
        }
        if largest_datagram(script, args.fill == Some(args::Fill::Skip)) > MAX_DATAGRAM {
            return Err(format!(
                "{name}: a datagram of more than {MAX_DATAGRAM} bytes cannot be sent"
            ));
        }
        if args.connect.is_some() && !script.speaks_first() {
            return Err(format!(
                "{name}: the peer would speak first, to a port that it cannot know; --side, or --listen, or choose \
                 others (--connection)"
            ));
        }
        if args.connect.is_none() && script.speaks_first() {
            return Err(format!(
                "{name}: our side would speak first, to nobody it knows; --side, or --connect, or choose others \
                 (--connection)"
            ));
        }
    }
    Ok(())
}
