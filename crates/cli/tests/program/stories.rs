//! Conversations that several tests look at.

use crate::common::{ACK, Capture, FIN, SYN, arp, tcp, udp};

pub(crate) const CLIENT: &str = "10.0.0.2:40000";
pub(crate) const SERVER: &str = "10.0.0.1:80";

/// What the files of [`web`] are called.
pub(crate) const WEB: &str = "20190722081130-TCP-10.0.0.2.40000-10.0.0.1.80";
/// Side 1's with `-s`.
pub(crate) const WEB_SWAPPED: &str = "20190722081130-TCP-10.0.0.1.80-10.0.0.2.40000";

/// A request of 7 bytes, an answer in two segments of 4 and 3 bytes, and a farewell.
pub(crate) fn web() -> Capture {
    let (c, s) = (CLIENT, SERVER);
    Capture::new()
        .at("1563783090.564270", tcp(c, s, SYN, 1000, 0, ""))
        .at("1563783090.564300", tcp(s, c, SYN | ACK, 5000, 1001, ""))
        .at("1563783090.564310", tcp(c, s, ACK, 1001, 5001, ""))
        .at("1563783092.387930", tcp(c, s, ACK, 1001, 5001, "GET /\r\n"))
        .at("1563783092.400000", tcp(s, c, ACK, 5001, 1008, "200 "))
        .at("1563783092.400001", tcp(s, c, ACK, 5005, 1008, "OK\n"))
        .at("1563783093.000000", tcp(c, s, FIN | ACK, 1008, 5008, ""))
        .at("1563783093.000100", tcp(s, c, FIN | ACK, 5008, 1009, ""))
        .at("1563783093.000200", tcp(c, s, ACK, 1009, 5009, ""))
}

/// The answer is `hello`, 6 bytes that nobody captured, and `world`.
pub(crate) fn lossy() -> Capture {
    let (c, s) = (CLIENT, SERVER);
    Capture::new()
        .at("1563783090.564270", tcp(c, s, SYN, 1000, 0, ""))
        .at("1563783090.564300", tcp(s, c, SYN | ACK, 5000, 1001, ""))
        .at("1563783090.564310", tcp(c, s, ACK, 1001, 5001, ""))
        .at("1563783091.000000", tcp(c, s, ACK, 1001, 5001, "?"))
        .at("1563783092.000000", tcp(s, c, ACK, 5001, 1002, "hello"))
        .at("1563783092.000002", tcp(s, c, ACK, 5012, 1002, "world"))
        .at("1563783093.000000", tcp(c, s, ACK, 1002, 5017, ""))
}

/// A request and its answer over UDP in the middle of [`web`], and an ARP packet.
pub(crate) fn web_and_dns() -> Capture {
    let mut capture = web();
    let dns = Capture::new()
        .at("1563783092.390000", udp("10.0.0.2:5353", "10.0.0.9:53", "who?"))
        .at("1563783092.395000", arp())
        .at("1563783092.400000", udp("10.0.0.9:53", "10.0.0.2:5353", "me"));
    let late = capture.packets.split_off(4);
    let (first, rest) = (dns.packets[..2].to_vec(), dns.packets[2..].to_vec());
    capture.packets.extend(first);
    capture.packets.push(late[0].clone());
    capture.packets.extend(rest);
    capture.packets.extend(late[1..].iter().cloned());
    capture
}

/// The name of the UDP connection in [`web_and_dns`].
pub(crate) const DNS: &str = "20190722081132-UDP-10.0.0.2.5353-10.0.0.9.53";

/// A connection of each of `ports`, from 10.0.0.2 to 10.0.0.1:80, all open at once and speaking in
/// turns: `request PORT`, `answer PORT` and a second time.
pub(crate) fn crowd(ports: std::ops::Range<u16>) -> Capture {
    let client = |port: u16| format!("10.0.0.2:{port}");
    let mut frames = Vec::new();
    for port in ports.clone() {
        frames.push(tcp(&client(port), SERVER, SYN, 0, 0, ""));
        frames.push(tcp(SERVER, &client(port), SYN | ACK, 0, 1, ""));
    }
    let (mut sent, mut answered) = (1, 1);
    for round in 0..2 {
        for port in ports.clone() {
            let (ask, answer) = (format!("request {port:05} "), format!("answer {port:05} "));
            frames.push(tcp(&client(port), SERVER, ACK, sent, answered, &ask));
            let acked = sent + ask.len() as u32;
            frames.push(tcp(SERVER, &client(port), ACK, answered, acked, &answer));
        }
        if round == 0 {
            (sent, answered) = (sent + 14, answered + 13);
        }
    }
    Capture::all(frames, 1_563_783_090)
}
