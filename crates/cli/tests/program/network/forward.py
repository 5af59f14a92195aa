"""Forwards frames between two interfaces, not all of them and not in order.

    forward.py lossy LEFT RIGHT                  what port 8000 at the right says suffers
    forward.py mirror LEFT RIGHT MIRROR UP_TO    both get everything; what the mirror gets of it suffers, which gets
                                                 no segment that begins at offset UP_TO or later

Of the segments of a stream, each counted when it is first seen, some are left out, some come after the next three, and
some come twice; the last one, with the FIN, is never left out. When the program's input ends, it tells how many, and
what was never sent.
"""

import select
import socket
import struct
import sys

ALL = 3  # ETH_P_ALL: packet(7)
OUTGOING = 4  # PACKET_OUTGOING
LATE = 3  # so many segments later
SOON = 0.005  # seconds without a frame, after which those that are late come
AT_END = 0.2  # the same, after which none is waited for any more


def interface(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((name, ALL))
    return s


class Segment:
    """What a frame says of a stream from port 8000, if it is a segment of one."""

    def __init__(self, frame):
        kind = frame[12:14]
        if kind == b"\x08\x00" and frame[23] == 6:
            start, end = 14 + 4 * (frame[14] & 15), 14 + int.from_bytes(frame[16:18], "big")
        elif kind == b"\x86\xdd" and frame[20] == 6:
            start, end = 54, 54 + int.from_bytes(frame[18:20], "big")
        else:
            raise ValueError
        port, self.to, self.sequence = struct.unpack_from("!HHI", frame, start)
        if port != 8000:
            raise ValueError
        self.length = end - start - 4 * (frame[start + 12] >> 4)
        self.is_syn, self.is_fin = frame[start + 13] & 2, frame[start + 13] & 1


class Stream:
    def __init__(self, syn):
        self.start = syn.sequence + 1
        self.offsets = {}  # of the segments, in which order they were first seen
        self.sent = []  # to whom it is incomplete
        self.end = 0

    def holes(self):
        """The runs that were never sent."""
        at = 0
        for start, end in sorted(self.sent) + [(self.end, self.end)]:
            if start > at:
                yield at, start - at
            at = max(at, end)


class Trouble:
    """Sends to an interface, but not all, and not in order."""

    def __init__(self, to, never=(), at_first=(), up_to=1 << 32):
        self.to, self.never, self.at_first, self.up_to = to, never, at_first, up_to
        self.streams = {}
        self.late = []  # frames, and how many segments are sent before them
        self.dropped = self.delayed = self.doubled = 0

    def send(self, frame):
        try:
            segment = Segment(frame)
        except ValueError:
            return self.to.send(frame)
        if segment.is_syn:
            self.streams[segment.to] = Stream(segment)
        stream = self.streams.get(segment.to)
        if segment.length == 0 or stream is None:
            return self.to.send(frame)
        offset = (segment.sequence - stream.start) & 0xFFFFFFFF
        stream.end = max(stream.end, offset + segment.length)
        is_first = offset not in stream.offsets
        turn = stream.offsets.setdefault(offset, len(stream.offsets)) % 16
        is_dropped = offset >= self.up_to or turn in self.never or (is_first and turn in self.at_first)
        if is_dropped and not segment.is_fin:
            self.dropped += 1
            return
        stream.sent.append((offset, offset + segment.length))
        if turn == 9 and is_first:
            self.delayed += 1
            self.late.append([frame, LATE])
            return
        self.to.send(frame)
        if turn == 13 and is_first:
            self.doubled += 1
            self.to.send(frame)
        for late in self.late:
            late[1] -= 1
        while self.late and self.late[0][1] <= 0:
            self.to.send(self.late.pop(0)[0])

    def send_late(self):
        while self.late:
            self.to.send(self.late.pop(0)[0])


def forward(what, left, right, *rest):
    left, right = interface(left), interface(right)
    if what == "lossy":
        trouble = Trouble(left, at_first=(5, 6))
        outputs = {left: [right], right: [trouble]}
    else:
        trouble = Trouble(interface(rest[0]), never=(0, 5, 6), up_to=int(rest[1]))
        outputs = {left: [right, trouble], right: [left, trouble]}
    print("forwarding")
    sources, quiet = [left, right, sys.stdin], SOON
    while True:
        ready, _, _ = select.select(sources, [], [], quiet)
        if not ready:
            trouble.send_late()
            if sys.stdin not in sources:
                break
        if sys.stdin in ready:
            # What ended the last connection may still stand in the queues, or be on its way.
            ready.remove(sys.stdin)
            sources.remove(sys.stdin)
            quiet = AT_END
        for source in ready:
            frame, (_, _, kind, *_) = source.recvfrom(65536)
            if kind != OUTGOING:
                for output in outputs[source]:
                    output.send(frame)
    print("dropped", trouble.dropped)
    print("delayed", trouble.delayed)
    print("doubled", trouble.doubled)
    for stream in trouble.streams.values():
        for offset, length in stream.holes():
            print("hole", offset, length)


if __name__ == "__main__":
    forward(*sys.argv[1:])
