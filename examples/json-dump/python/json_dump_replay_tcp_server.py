#!/usr/bin/env python3
"""Plays one side of a recorded connection as a TCP server.

    json_dump_replay_tcp_server.py DUMP [SIDE] [PORT]

DUMP is a file of JSON lines from `pcap2conn -j` (or the classic program). SIDE is the side to play:
1, the server, unless given. PORT is 81 unless given, 0 takes a free one; the address is 127.0.0.1
unless --host says otherwise.

For each client, the dump is gone through in its order. What the played side said is sent, all of it.
Where the other side spoke, as many bytes are awaited as it said then, however the client's writes
and the network cut or join them; what comes early is kept for later. Differences from the recorded
bytes are reported once a client and do not stop the play.

A dump with gaps cannot be played faithfully and is refused. With --gaps zero, missing bytes are sent
as zero bytes, and awaited from the client; with --gaps skip, they are neither sent nor awaited.

Exit status: 0 after an interrupt or a complete play with --once, 1 the dump or the address cannot be
used, 2 usage, 4 with --once, the client left, or was silent too long, before the end.

Python 3.8 or newer, standard library only.
"""

import argparse
import select
import socket
import sys
import time
from typing import List, NamedTuple, Optional

from json_dump_parser import DumpError, read_dump

PIECE = 1 << 16  # bytes moved at a time
LINGER = 2.0  # seconds the client has to close after the last byte


class Turn(NamedTuple):
    """A run of one side's bytes. `fill` > 0 stands for that many bytes nobody captured."""

    ours: bool
    data: bytes
    fill: int


class Refused(Exception):
    """Why a dump cannot be played."""


class Left(Exception):
    """The client closed, broke off or was silent before the play was over."""


def load(path: str, side: int, gaps: str = "refuse", connection: Optional[str] = None) -> List[Turn]:
    """The dump at `path` as turns; neighbours of one side are joined. Raises `Refused`, `DumpError`."""
    turns: List[Turn] = []
    parts: List[bytes] = []
    names = set()

    def end_run() -> None:
        if parts:
            turns.append(Turn(ours, b"".join(parts), 0))
            parts.clear()

    ours = False
    for record in read_dump(path):
        names.add(record.connection)
        if connection is not None and record.connection != connection:
            continue
        if record.missing and gaps == "refuse":
            raise Refused(
                "line %d: %d bytes of side %d were not captured; --gaps zero or --gaps skip plays "
                "the dump all the same" % (record.line, record.missing, record.side)
            )
        if (record.side == side) != ours:
            end_run()
            ours = record.side == side
        if record.missing and gaps == "zero":
            end_run()
            turns.append(Turn(ours, b"", record.missing))
        elif record.data:
            parts.append(record.data)
    end_run()
    if connection is None and len(names) > 1:
        known = "\n  ".join(sorted(str(name) for name in names)[:10])
        advice = "choose one with --connection:\n  " + known
        raise Refused("%d connections in it; %s" % (len(names), advice))
    if not turns:
        raise Refused("no data in it" if connection is None else "no data of %s in it" % connection)
    return turns


class Play:
    """One client's run through the turns. Sending never waits for the client to stop sending: two
    programs that both write before they read would wait for each other for ever."""

    def __init__(self, client: socket.socket, turns: List[Turn], timeout: float):
        self.client, self.turns, self.timeout = client, turns, timeout
        self.early = bytearray()  # received, not yet awaited
        self.wanted = sum(t.fill or len(t.data) for t in turns if not t.ours)  # not yet received
        self.sent = self.received = 0
        self.difference: Optional[int] = None  # stream offset of the first byte unlike the recorded
        self.over = False  # the client closed its direction

    def run(self) -> None:
        """Raises `Left` when the client goes before the end."""
        self.client.setblocking(False)
        for turn in self.turns:
            for piece in _pieces(turn):
                if turn.ours:
                    self._send(piece)
                else:
                    self._await(piece, known=not turn.fill)

    def _wait(self, to_send: bool) -> bool:
        """Sleeps until something can be done; receives what came. True when sending is possible."""
        # What the dump has no more room for stays in the kernel, so memory is bounded by the dump.
        listen = [self.client] if self.wanted and not self.over else []
        speak = [self.client] if to_send else []
        readable, writable, _ = select.select(listen, speak, [], self.timeout or None)
        if not readable and not writable:
            raise Left("silent for %g s" % self.timeout)
        if readable:
            try:
                piece = self.client.recv(min(PIECE, self.wanted))
            except BlockingIOError:
                return bool(writable)
            except OSError as error:
                raise Left(error.strerror) from None
            self.over = not piece
            self.wanted -= len(piece)
            self.early += piece
        return bool(writable)

    def _send(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            if not self._wait(to_send=True):
                continue
            try:
                count = self.client.send(rest)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Left(error.strerror) from None
            rest = rest[count:]
            self.sent += count

    def _await(self, piece: bytes, known: bool) -> None:
        while len(self.early) < len(piece):
            if self.over:
                raise Left("closed the connection")
            self._wait(to_send=False)
        got = bytes(self.early[: len(piece)])
        del self.early[: len(piece)]
        if known and self.difference is None and got != piece:
            first = next(i for i in range(len(got)) if got[i] != piece[i])
            self.difference = self.received + first
        self.received += len(got)

    def finish(self) -> None:
        """Lets the last bytes arrive: closing with unread input would reset the connection."""
        try:
            self.client.shutdown(socket.SHUT_WR)
            end = time.monotonic() + LINGER
            while not self.over:
                left = end - time.monotonic()
                if left <= 0 or not select.select([self.client], [], [], left)[0]:
                    break
                self.over = not self.client.recv(PIECE)
        except OSError:
            pass  # the client has gone, which is what was waited for


def _pieces(turn: Turn):
    """The turn's bytes, a bounded number at a time, so that a huge gap costs no memory."""
    length = turn.fill or len(turn.data)
    for start in range(0, length, PIECE):
        size = min(PIECE, length - start)
        yield bytes(size) if turn.fill else turn.data[start : start + size]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def serve_one(server: socket.socket, turns: List[Turn], timeout: float) -> bool:
    """Waits for a client and plays to it; true when the play came to its end."""
    client, address = server.accept()
    name = "%s port %d" % address[:2]
    with client:
        say("%s: connected" % name)
        play = Play(client, turns, timeout)
        try:
            play.run()
            play.finish()
            left = None
        except Left as reason:
            left = str(reason)
    if play.difference is not None:
        say("%s: differs from the recorded bytes from offset %d on" % (name, play.difference))
    end = "end of the dump" if left is None else "stopped early: " + left
    say("%s: %s; %d bytes sent, %d received" % (name, end, play.sent, play.received))
    return left is None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `OSError` when the address cannot be had."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    server = socket.socket(family, kind, protocol)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Plays one side of a connection that pcap2conn -j recorded as a TCP server.",
        epilog="Exit status: 0 interrupted, or complete with --once; 1 dump or address unusable; "
        "2 usage; 4 the client of --once left early.",
    )
    add = parser.add_argument
    add("dump", help="file of JSON lines; - is standard input")
    side = "side to play (default 1, the server)"
    add("side", nargs="?", type=int, choices=(0, 1), default=1, help=side)
    add("port", nargs="?", type=int, default=81, help="port to listen on (default 81; 0: a free one)")
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add("--once", action="store_true", help="end after the first client")
    add(
        "--gaps",
        choices=("refuse", "zero", "skip"),
        default="refuse",
        help="what to do with bytes that were not captured (default refuse)",
    )
    add("--connection", metavar="NAME", help="which connection, for a dump of console output")
    add(
        "--timeout",
        type=float,
        default=0,
        metavar="SECONDS",
        help="give up on a client that is silent for so long (default 0: never)",
    )
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    parser = arguments_parser()
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error("PORT is %d, not 0 to 65535" % options.port)
    if not 0 <= options.timeout <= 1e6:
        parser.error("--timeout is not 0 to 1000000 seconds")
    try:
        turns = load(options.dump, options.side, options.gaps, options.connection)
    except DumpError as error:
        return _fail(parser, str(error))
    except Refused as error:
        return _fail(parser, "%s: %s" % (options.dump, error))
    except OSError as error:
        return _fail(parser, "%s: %s" % (options.dump, error.strerror))
    try:
        server = listen(options.host, options.port)
    except PermissionError as error:
        advice = "ports below 1024 may need root; give another: DUMP SIDE PORT"
        return _fail(parser, "port %d: %s (%s)" % (options.port, error.strerror, advice))
    except OSError as error:
        return _fail(parser, "%s port %d: %s" % (options.host, options.port, error.strerror))
    with server:
        say("listening on %s port %d as side %d" % (server.getsockname()[:2] + (options.side,)))
        try:
            while True:
                complete = serve_one(server, turns, options.timeout)
                if options.once:
                    return 0 if complete else 4
        except KeyboardInterrupt:
            say("interrupted")
            return 0


def _fail(parser: argparse.ArgumentParser, text: str) -> int:
    say("%s: %s" % (parser.prog, text))
    return 1


if __name__ == "__main__":
    sys.exit(main())
