//! Connections, addresses, times and ends.

use super::bytes;
use crate::common::{Capturing, Place, skipped};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread::spawn;

#[test]
fn the_bytes_on_disk_are_the_bytes_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let Some(capturing) = Capturing::start("-i lo -s -m", &format!("tcp port {port}")) else {
        return;
    };
    let body = bytes(3_000_000);
    let served = body.clone();
    let server = spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4];
        client.read_exact(&mut request).unwrap();
        client.write_all(&served).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    });
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let from = client.local_addr().unwrap().port();
    client.write_all(b"GET\n").unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == body);
    drop(client);
    server.join().unwrap();
    capturing.wait_for(&format!("TCP-127.0.0.1.{port}-127.0.0.1.{from}.txt"), |b| b == body);
    let (place, said) = capturing.stop(0);
    let files = place.names("out");
    assert_eq!(files.len(), 3, "{files:?}");
    let sent = files.iter().find(|name| name.ends_with(&format!("{from}-127.0.0.1.{port}.txt")));
    assert_eq!(std::fs::read(place.path("out").join(sent.unwrap())).unwrap(), b"GET\n");
    assert!(said.contains("Missing bytes:                     0"), "{said}");
}

#[test]
fn an_address_names_its_interface_and_a_number_of_packets_is_enough() {
    for (address, interface) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "any"), ("::1", "::1")] {
        let Ok(receiver) = UdpSocket::bind((address, 0)) else {
            skipped(format!("no address {address}"));
            continue;
        };
        let port = receiver.local_addr().unwrap().port();
        let arguments = format!("-i {interface} --max-packets 2");
        let Some(capturing) = Capturing::start(&arguments, &format!("udp port {port}")) else {
            return;
        };
        let sender = UdpSocket::bind((address, 0)).unwrap();
        for text in ["question ", "and more"] {
            sender.send_to(text.as_bytes(), (address, port)).unwrap();
        }
        let (place, said) = capturing.ends(0);
        let texts: Vec<String> = place.files("out").into_values().collect();
        assert_eq!(texts, ["question and more"], "{interface}: {said}");
    }
}

#[test]
fn who_is_silent_ends_on_a_silent_link_and_what_waits_is_written() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp, tcp) = (receiver.local_addr().unwrap().port(), listener.local_addr().unwrap().port());
    let filter = format!("udp port {udp} or tcp port {tcp}");
    let arguments = "-i lo -m --udp-timeout 1 --flush-interval 0.5";
    let Some(capturing) = Capturing::start(arguments, &filter) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"x", ("127.0.0.1", udp)).unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    client.write_all(b"still open").unwrap();
    // Neither has another packet.
    capturing.wait_for(&format!("127.0.0.1.{tcp}.txt"), |b| b == b"still open");
    capturing.wait_for(&format!("127.0.0.1.{udp}-metadata.txt"), |b| {
        String::from_utf8_lossy(b).contains("idle")
    });
    assert!(capturing.files(&format!("127.0.0.1.{tcp}-metadata.txt")).is_empty());
    client.write_all(b", and on").unwrap();
    capturing.wait_for(&format!("127.0.0.1.{tcp}.txt"), |b| b == b"still open, and on");
    let (place, _) = capturing.stop(0);
    assert_eq!(place.names("out").len(), 4);
}

#[test]
fn it_stops_after_a_time_or_many_bytes() {
    let Some(capturing) = Capturing::start("-i lo --duration 1", "udp port 9") else { return };
    let (place, said) = capturing.ends(0);
    assert_eq!(place.names("out"), [""; 0], "{said}");
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let filter = format!("udp port {port}");
    let Some(capturing) = Capturing::start("-i lo --max-bytes 142", &filter) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    // 14 bytes of Ethernet, 20 of IP, 8 of UDP and 100.
    sender.send_to(&[b'x'; 100], ("127.0.0.1", port)).unwrap();
    let (place, _) = capturing.ends(0);
    assert_eq!(place.files("out").into_values().collect::<Vec<_>>(), ["x".repeat(100)]);
}

#[test]
fn what_cannot_be_captured_says_why() {
    let place = Place::new();
    let outcome = place.run("-i nosuch0 -o out").ends(1);
    assert!(outcome.err.contains("there is no interface 'nosuch0'; there are: "), "{outcome:?}");
    assert!(outcome.err.contains("lo"), "{outcome:?}");
    assert_eq!(place.names("."), [""; 0]);
    let outcome = place.run("-i lo -o out -e nonsense");
    if outcome.err.contains("CAP_NET_RAW") {
        return skipped(outcome.err.trim());
    }
    assert!(outcome.ends(2).err.contains("lo: filter 'nonsense': "));
    assert_eq!(place.names("."), [""; 0]);
    // Nobody may capture.
    let binary = env!("CARGO_BIN_EXE_pcap2conn");
    let outcome = place.shell(&format!(
        "cp {binary} /tmp/pcap2conn-nobody.$$ && chmod 755 /tmp/pcap2conn-nobody.$$ && \
         setpriv --reuid 65534 --regid 65534 --clear-groups /tmp/pcap2conn-nobody.$$ -i lo -o /tmp; \
         status=$?; rm -f /tmp/pcap2conn-nobody.$$; exit $status"
    ));
    if !outcome.err.contains("pcap2conn: ") {
        return skipped(format!("no way to run as nobody: {}", outcome.err.trim()));
    }
    let said = outcome.ends(1).err;
    assert!(
        said.contains("lo: no permission to capture: the capability CAP_NET_RAW is missing"),
        "{said}"
    );
    assert!(said.contains("sudo setcap cap_net_raw+ep /tmp/pcap2conn-nobody."), "{said}");
}
