#!/usr/bin/env python3
"""Reads the JSON lines that `pcap2conn -j` writes, and prints them as a transcript.

As a module::

    from json_dump_parser import read_dump
    for record in read_dump("20261123153737-TCP-192.0.2.10.42850-192.0.2.20.23.json"):
        if record.missing:
            print("side", record.side, "lacks", record.missing, "bytes")
        else:
            handle(record.side, record.data)

As a program::

    json_dump_parser.py DUMP...         (- is standard input)

One line of a dump is one JSON object whose values are strings:

    {"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"3",
     "data":"ls\\n","data_hex":"6C730A","packet":"12","offset":"0"}

`data` has one character a byte (U+0000 to U+00FF), `data_hex` the same bytes in hex. A gap is a line
of size 0 with the key `missing`, the number of bytes that were not captured. `file` counts the
inputs from 1 where there were several, `connection` names the connection in console output.

The classic program's dumps are read as well. They differ: lines end in CR LF, times have five
decimals, `packet` and `offset` are not there, and a gap stands as the text `[N bytes missing]` at
the beginning of the data that follows it; such a line is read as a gap and then the data.

Python 3.8 or newer, standard library only. Memory: one line at a time.
"""

import argparse
import binascii
import json
import os
import re
import sys
from typing import BinaryIO, Iterator, List, NamedTuple, Optional

_INTEGER = re.compile(r"[0-9]{1,20}")
_TIME = re.compile(r"(-?)([0-9]{1,20})(?:\.([0-9]{1,9}))?")
_CLASSIC_GAP = re.compile(rb"\[([0-9]{1,10}) bytes missing\]")


class DumpError(ValueError):
    """A line that is no record. Its text reads `FILE:LINE: reason`."""

    def __init__(self, name: str, line: int, reason: str):
        super().__init__("%s:%d: %s" % (name, line, reason))
        self.name, self.line, self.reason = name, line, reason


class Record(NamedTuple):
    """A chunk of bytes from one side, or a gap in what it sent (`missing` > 0, no data)."""

    side: int  # 0 opened the connection, 1 answered
    data: bytes
    missing: int  # bytes not captured at this place; 0 for a chunk
    abs_ns: int  # capture time, nanoseconds since 1970-01-01 UTC
    conn_ns: int  # nanoseconds since the connection's first packet; may be negative
    packet: Optional[int]  # number of the packet in its file, from 1; None in classic dumps
    offset: Optional[int]  # of the first byte, in the side's stream; None in classic dumps
    file: Optional[int]  # which input, from 1; None when there was one
    connection: Optional[str]  # name of the connection; None when the dump has one
    line: int  # of the dump, from 1


def read_dump(path: str, classic_gaps: bool = True) -> Iterator[Record]:
    """Yields the records of the file at `path` (`-`: standard input) in their order.

    With `classic_gaps` false, `[N bytes missing]` in a classic dump stays part of the data. Raises
    `DumpError` at the first bad line (the records before it have been yielded), `OSError` when the
    file cannot be read.
    """
    if path == "-":
        yield from read_lines(sys.stdin.buffer, "standard input", classic_gaps)
        return
    with open(path, "rb") as stream:
        yield from read_lines(stream, path, classic_gaps)


def read_lines(stream: BinaryIO, name: str, classic_gaps: bool = True) -> Iterator[Record]:
    """As `read_dump`, from an open binary file; `name` stands for it in errors."""
    for number, raw in enumerate(stream, 1):
        try:
            # Whatever is not ASCII in a dump was put there by something else.
            fields = json.loads(raw.decode("ascii"))
            if isinstance(fields, dict) and "metadata" in fields and "side" not in fields:
                continue  # the line that -c -j -m ends a connection with
            record = _record(fields, number)
        except UnicodeDecodeError as error:
            raise DumpError(name, number, "byte %d is not ASCII" % (error.start + 1)) from None
        except json.JSONDecodeError as error:
            reason = "no JSON object: %s at column %d" % (error.msg, error.colno)
            raise DumpError(name, number, reason) from None
        except RecursionError:
            raise DumpError(name, number, "no record: nested too deeply") from None
        except ValueError as error:
            raise DumpError(name, number, str(error)) from None
        gap = _CLASSIC_GAP.match(record.data) if classic_gaps and record.offset is None else None
        if gap and int(gap.group(1)):
            yield record._replace(data=b"", missing=int(gap.group(1)))
            record = record._replace(data=record.data[gap.end() :])
            if not record.data:
                continue
        yield record


def _record(fields: object, line: int) -> Record:
    """The record that one line's JSON value stands for; `ValueError` says why there is none."""
    if not isinstance(fields, dict):
        raise ValueError("no record: a JSON object is needed")
    side = _integer(fields, "side")
    if side not in (0, 1):
        raise ValueError("side is %d, neither 0 nor 1" % side)
    time = fields.get("time")
    if not isinstance(time, dict):
        raise ValueError("time is missing or no object")
    missing = _integer(fields, "missing", 0)
    data = _data(fields)
    if missing and data:
        raise ValueError("both missing and data")
    return Record(
        side=side,
        data=data,
        missing=missing,
        abs_ns=_nanoseconds(time, "abs"),
        conn_ns=_nanoseconds(time, "conn"),
        packet=_integer(fields, "packet", None),
        offset=_integer(fields, "offset", None),
        file=_integer(fields, "file", None),
        connection=_text(fields, "connection") if "connection" in fields else None,
        line=line,
    )


_REQUIRED = object()


def _text(fields: dict, key: str) -> str:
    if key not in fields:
        raise ValueError("%s is missing" % key)
    if not isinstance(fields[key], str):
        raise ValueError("%s is no string" % key)
    return fields[key]


def _integer(fields: dict, key: str, absent=_REQUIRED):
    if key not in fields and absent is not _REQUIRED:
        return absent
    text = _text(fields, key)
    if not _INTEGER.fullmatch(text):
        raise ValueError("%s is no number: %.40r" % (key, text))
    return int(text)


def _nanoseconds(time: dict, key: str) -> int:
    text = _text(time, key)
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError("time.%s is no time in seconds: %.40r" % (key, text))
    sign, seconds, decimals = match.groups()
    value = int(seconds) * 10**9 + int((decimals or "").ljust(9, "0"))
    return -value if sign else value


def _data(fields: dict) -> bytes:
    """The line's bytes; `size`, `data` and `data_hex` have to agree about them."""
    try:
        data = binascii.unhexlify(_text(fields, "data_hex"))
    except binascii.Error as error:
        raise ValueError("data_hex is no hex: %s" % error) from None
    size = _integer(fields, "size")
    if size != len(data):
        raise ValueError("size is %d, but data_hex has %d bytes" % (size, len(data)))
    if "data" in fields and _text(fields, "data") != data.decode("latin-1"):
        raise ValueError("data and data_hex differ")
    return data


_SHOWN = [chr(b) if 32 <= b < 127 else "\\x%02X" % b for b in range(256)]
_SHOWN[ord("\t")], _SHOWN[ord("\\")] = "\\t", "\\\\"


def _lines(data: bytes) -> Iterator[str]:
    """The data as lines of text; what is not printable ASCII is escaped."""
    for line in data.split(b"\n"):
        if line.endswith(b"\r"):
            line = line[:-1]
        yield "".join(_SHOWN[byte] for byte in line)


def transcript(record: Record) -> Iterator[str]:
    """A heading with side, time, place and size, then the data, each line behind the side's arrow."""
    arrow = "<" if record.side else ">"
    if record.missing:
        what = "%d bytes missing" % record.missing
    else:
        what = "%d byte%s" % (len(record.data), "" if len(record.data) == 1 else "s")
    micros = abs(record.conn_ns) // 1000
    clock = "%s%d.%06d s" % ("-" if record.conn_ns < 0 else "+", micros // 10**6, micros % 10**6)
    heading = ["side %d" % record.side, clock, what]
    for key in ("file", "packet", "offset"):
        value = getattr(record, key)
        if value is not None:
            heading.append("%s %d" % (key, value))
    if record.connection is not None:
        heading.append(next(_lines(record.connection.encode("utf-8", "replace"))))
    yield "--- " + ", ".join(heading)
    lines: List[str] = list(_lines(record.data)) if record.data else []
    if lines and not lines[-1]:
        lines.pop()  # the data ended with a line end
    for line in lines:
        yield "%s %s" % (arrow, line)


def main(arguments: Optional[List[str]] = None) -> int:
    """Exit status: 0 all read, 1 a file could not be read or has a bad line, 2 usage."""
    parser = argparse.ArgumentParser(
        description="Prints the JSON lines that pcap2conn -j writes as a transcript: "
        "> is the side that opened the connection, < the one that answered."
    )
    parser.add_argument("dump", nargs="+", help="file of JSON lines; - is standard input")
    options = parser.parse_args(arguments)
    status = 0
    try:
        for path in options.dump:
            try:
                for record in read_dump(path):
                    print("\n".join(transcript(record)))
            except DumpError as error:
                print("%s: %s" % (parser.prog, error), file=sys.stderr)
                status = 1
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                print("%s: %s: %s" % (parser.prog, path, error.strerror), file=sys.stderr)
                status = 1
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep the interpreter from flushing once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


if __name__ == "__main__":
    sys.exit(main())
