#!/usr/bin/env python3
"""Makes a harder capture of an easy one: packets change places, some come twice, some are lost.

    mangle.py IN.pcap OUT.pcap [--seed 1] [--reach 12] [--moved 0.15] [--repeated 0.04]
                               [--no-syn] [--loss 0.01]

IN is a little-endian pcap file with link type Ethernet. A share of the packets comes up to --reach
places late, a share twice. --no-syn leaves out all TCP segments with SYN, --loss a share of those that
carry data. Times stay in order. The same seed gives the same capture.
"""

import argparse
import random
import struct
import sys
from typing import NamedTuple, Optional

MAGICS = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")  # microseconds, nanoseconds
ETHERNET = 1
FIN, SYN, ACK = 0x01, 0x02, 0x10


class Unsuitable(Exception):
    """The file is none that can be mangled."""


class Packet(NamedTuple):
    time: tuple  # seconds, and parts of a second in the file's unit
    wire_len: int
    data: bytes


class Segment(NamedTuple):
    ends: tuple  # ((source address, port), (destination address, port)), addresses as bytes
    seq: int
    flags: int
    payload: bytes  # as far as it was captured
    length: int  # of the payload on the wire


def read(path):
    """The file header and the packets of a pcap file, up to where it is cut."""
    with open(path, "rb") as file:
        raw = file.read()
    if len(raw) < 24 or raw[:4] not in MAGICS:
        raise Unsuitable("no little-endian pcap file")
    if struct.unpack_from("<I", raw, 20)[0] & 0xFFFF != ETHERNET:
        raise Unsuitable("no Ethernet")
    packets, at = [], 24
    while at + 16 <= len(raw):
        seconds, parts, captured, wire = struct.unpack_from("<IIII", raw, at)
        data = raw[at + 16 : at + 16 + captured]
        if len(data) < captured:
            break
        packets.append(Packet((seconds, parts), wire, data))
        at += 16 + captured
    return raw[:24], packets


def write(path, header, packets):
    with open(path, "wb") as file:
        file.write(header)
        for packet in packets:
            sizes = len(packet.data), packet.wire_len
            file.write(struct.pack("<IIII", *packet.time, *sizes) + packet.data)


def segment(frame) -> Optional[Segment]:
    """The TCP segment in an Ethernet frame, if it is whole: no fragment, no tunnel, no IPv6 extension."""
    at = 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind, packet = frame[at : at + 2], frame[at + 2 :]
    if kind == b"\x08\x00" and len(packet) >= 20 and packet[9] == 6:
        total, place = struct.unpack_from(">H2xH", packet, 2)
        total = total or len(packet)  # 0: the network card was yet to cut the segment up
        header = (packet[0] & 0x0F) * 4
        if place & 0x3FFF or total < header:
            return None
        source, target, tcp, size = packet[12:16], packet[16:20], packet[header:], total - header
    elif kind == b"\x86\xdd" and len(packet) >= 40 and packet[6] == 6:
        size = struct.unpack_from(">H", packet, 4)[0] or len(packet) - 40
        source, target, tcp = packet[8:24], packet[24:40], packet[40:]
    else:
        return None
    tcp = tcp[:size]
    if len(tcp) < 20 or size < (tcp[12] >> 4) * 4:
        return None
    ports, seq = struct.unpack_from(">HH", tcp), struct.unpack_from(">I", tcp, 4)[0]
    header = (tcp[12] >> 4) * 4
    ends = ((source, ports[0]), (target, ports[1]))
    return Segment(ends, seq, tcp[13], tcp[header:], size - header)


class Mangling(NamedTuple):
    seed: int = 1
    reach: int = 12
    moved: float = 0.15
    repeated: float = 0.04
    no_syn: bool = False
    loss: float = 0.0


def mangle(packets, how: Mangling):
    """The packets of the harder capture."""
    luck = random.Random(how.seed)
    kept = []
    for packet in packets:
        inner = segment(packet.data)
        if inner and how.no_syn and inner.flags & SYN:
            continue
        if inner and inner.length > 0 and luck.random() < how.loss:
            continue
        kept.append(packet)
        if luck.random() < how.repeated:
            kept.append(packet)
    places = [
        index + luck.random() * how.reach if luck.random() < how.moved else index
        for index in range(len(kept))
    ]
    order = sorted(range(len(kept)), key=lambda index: (places[index], index))
    times = sorted(packet.time for packet in kept)
    return [kept[index]._replace(time=time) for index, time in zip(order, times)]


def add_options(parser):
    defaults = Mangling()
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--reach", type=int, default=defaults.reach)
    parser.add_argument("--moved", type=float, default=defaults.moved)
    parser.add_argument("--repeated", type=float, default=defaults.repeated)
    parser.add_argument("--no-syn", action="store_true")
    parser.add_argument("--loss", type=float, default=defaults.loss)


def chosen(options) -> Mangling:
    return Mangling(**{name: getattr(options, name) for name in Mangling._fields})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    add_options(parser)
    options = parser.parse_args()
    try:
        header, packets = read(options.source)
    except (OSError, Unsuitable) as error:
        sys.exit(f"{options.source}: {error}")
    write(options.target, header, mangle(packets, chosen(options)))


if __name__ == "__main__":
    main()
