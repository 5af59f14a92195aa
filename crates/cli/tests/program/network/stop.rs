//! How a capture ends when it is asked to.

use super::{bytes, files};
use crate::common::{Capturing, wait_until};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{TryRecvError, channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

#[test]
fn what_came_just_before_the_signal_is_written() {
    let (receiver, sender) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (receiver, sender) = (receiver.unwrap(), sender.unwrap());
    let to = receiver.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let filter = format!("udp port {} or tcp port {}", to.port(), server.port());
    // Whoever runs this may ignore SIGHUP, and what it starts does too.
    let hangup = (!ignores_hangup()).then_some(Signal::HUP);
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT].into_iter().chain(hangup) {
        let Some(capturing) = Capturing::start("-i lo -s", &filter) else { return };
        let mut client = TcpStream::connect(server).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        client.write_all(b"neither is this one closed").unwrap();
        let body = bytes(1_000_000);
        let (from, sent) = (accepted.local_addr().unwrap(), body.clone());
        let writer = spawn(move || accepted.write_all(&sent).map(|()| accepted));
        client.read_exact(&mut vec![0; body.len()]).unwrap();
        let _open = writer.join().unwrap().unwrap();
        (0..100).for_each(|n| assert_eq!(sender.send_to(&[n; 200], to).unwrap(), 200));
        capturing.running.signal(signal);
        let (place, said) = capturing.ends(0);
        let files = files(&place);
        let datagrams = files.iter().find(|(name, _)| name.starts_with("UDP-"));
        let (_, datagrams) = datagrams.unwrap_or_else(|| panic!("{:?}: {said}", files.keys()));
        let sent: Vec<u8> = (0..100).flat_map(|n| [n; 200]).collect();
        assert_eq!(datagrams.len(), sent.len(), "{signal:?}: {said}");
        assert!(*datagrams == sent);
        let start = format!("TCP-127.0.0.1.{}-", from.port());
        let (_, served) = files.iter().find(|(name, _)| name.starts_with(&start)).unwrap();
        assert!(*served == body, "{} bytes: {said}", served.len());
    }
}

#[test]
fn what_goes_on_does_not_keep_it_from_stopping() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    let filter = format!("udp port {}", to.port());
    let Some(capturing) = Capturing::start("-i lo -s", &filter) else { return };
    let (wanted, is_wanted) = channel::<()>();
    let sender = spawn(move || {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        while is_wanted.try_recv() != Err(TryRecvError::Disconnected) {
            sender.send_to(b"on and on ", to).unwrap();
        }
    });
    capturing.wait_for(".txt", |bytes| !bytes.is_empty());
    let (place, _) = capturing.stop(0);
    drop(wanted);
    sender.join().unwrap();
    let (_, said) = files(&place).pop_first().unwrap();
    assert!(said.chunks(10).all(|text| text == b"on and on "));
}

#[test]
fn a_second_signal_ends_at_once_what_cannot_write() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let filter = format!("tcp port {}", server.port());
    let Some(mut capturing) = Capturing::start("-i lo -c", &filter) else { return };
    let mut client = TcpStream::connect(server).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    // Many small pieces, of which nobody reads one.
    let reader = spawn(move || std::io::copy(&mut { accepted }, &mut std::io::sink()));
    let piece = bytes(4000);
    let waits =
        |capturing: &Capturing| rustix::io::ioctl_fionread(capturing.running.unread()).unwrap();
    wait_until("the pipe is full", || {
        client.write_all(&piece).unwrap();
        waits(&capturing) >= 60_000
    });
    client.write_all(&bytes(1_000_000)).unwrap();
    drop(client);
    reader.join().unwrap().unwrap();
    capturing.running.signal(Signal::INT);
    // That cannot be waited for: nothing happens.
    sleep(Duration::from_millis(300));
    assert_eq!(capturing.running.has_ended(), None, "it holds what it could not write");
    capturing.running.signal(Signal::INT);
    capturing.ends(130);
}

fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}
