"""Ends of connections for tests of live capture.

    peer.py echo ADDRESS PORT                      sends back what it gets, over TCP and UDP
    peer.py many ADDRESS PORT CONNECTIONS SIZE     opens all at once; for each line of its input, each says SIZE bytes

Byte k of what connection i says is (31 * i + k + k // 251) % 256.
"""

import selectors
import socket
import struct
import sys


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(address, port):
    selector = selectors.DefaultSelector()
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.bind((address, port))
    listener = socket.socket(family(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    for server in udp, listener:
        selector.register(server, selectors.EVENT_READ)
    print("serving")
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
            elif key.fileobj is udp:
                udp.sendto(*udp.recvfrom(65536))
            elif data := key.fileobj.recv(65536):
                key.fileobj.sendall(data)
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def said(connection, start, size):
    return bytes((31 * connection + k + k // 251) % 256 for k in range(start, start + size))


def receive(peer, size):
    got = b""
    while len(got) < size and (data := peer.recv(65536)):
        got += data
    return got


def many(address, port, connections, size):
    peers = [socket.create_connection((address, port), 20) for _ in range(connections)]
    ports = [str(peer.getsockname()[1]) for peer in peers]
    print("ports", *ports)
    start = 0
    for _ in sys.stdin:
        words = [said(i, start, size) for i in range(connections)]
        # All speak before the first one listens.
        for peer, data in zip(peers, words):
            peer.sendall(data)
        for peer, data in zip(peers, words):
            if receive(peer, size) != data:
                sys.exit("it came back otherwise")
        start += size
        print("said", start)
    for peer in peers:
        peer.shutdown(socket.SHUT_WR)
    for peer in peers:
        # The other end closes too.
        receive(peer, 1)


def send(address, port, text):
    peer = socket.socket(family(address), socket.SOCK_DGRAM)
    peer.settimeout(20)
    peer.connect((address, port))
    peer.send(text.encode())
    print(peer.recv(65536).decode())


def tag(interface, port, vlan, text):
    udp = struct.pack("!HHHH", 7777, port, 8 + len(text), 0) + text.encode()
    ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    tag = struct.pack("!HH", 0x8100, int(vlan))
    frame = b"\xff" * 6 + b"\x02" + bytes(5) + tag + b"\x08\x00" + ip + udp
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface, 0))
        s.send(frame)


if __name__ == "__main__":
    what, address, port, *rest = sys.argv[1:]
    if what == "echo":
        echo(address, int(port))
    elif what == "many":
        many(address, int(port), *map(int, rest))
    elif what == "tag":
        tag(address, int(port), *rest)
    else:
        send(address, int(port), *rest)
