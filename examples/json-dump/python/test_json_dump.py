"""Tests of the dump reader and of the replay server: `python3 -m unittest` in this folder.

The dumps stand here literally, in this program's form and in the classic one. Two classes use what
is not part of the project: the program itself (environment variable PCAP2CONN) and a folder of
classic dumps; without them they say that they are skipped, and why.
"""

import glob
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, HERE)

import json_dump_parser as parser  # noqa: E402
import json_dump_replay_tcp_server as replay  # noqa: E402

CLASSIC_DUMPS = os.path.join(ROOT, os.pardir, "shared", "classic-output")

OURS = (
    b'{"side":"1","time":{"abs":"1563783092.000001","conn":"-0.000002"},"size":"2","data":"$ ",'
    b'"data_hex":"2420","packet":"4","offset":"0"}\n'
    b'{"side":"0","time":{"abs":"1563783092.387930","conn":"1.823660"},"size":"3","data":"ls\\n",'
    b'"data_hex":"6C730A","packet":"12","offset":"0"}\n'
    b'{"side":"1","time":{"abs":"1563783092.387930123","conn":"1.823660456"},"size":"8",'
    b'"data":"\\u0000\\u00FF\\"\\\\\\b\\f\\r\\t","data_hex":"00FF225C080C0D09","packet":"13","offset":"2"}\n'
    b'{"side":"1","time":{"abs":"1563783093.000000","conn":"2.435730"},"size":"5","data":"done\\n",'
    b'"data_hex":"646F6E650A","packet":"14","offset":"10"}\n'
    b'{"side":"0","time":{"abs":"1563783094.000000","conn":"3.435730"},"size":"5","data":"exit\\n",'
    b'"data_hex":"657869740A","packet":"15","offset":"3"}\n'
)
GAP = (
    b'{"side":"1","time":{"abs":"5.000000","conn":"1.000000"},"size":"2","data":"ab","data_hex":"6162",'
    b'"packet":"4","offset":"0"}\n'
    b'{"side":"1","time":{"abs":"6.000000","conn":"2.000000"},"size":"0","data":"","data_hex":"",'
    b'"missing":"3","packet":"9","offset":"2"}\n'
    b'{"side":"1","time":{"abs":"6.000000","conn":"2.000000"},"size":"1","data":"f","data_hex":"66",'
    b'"packet":"7","offset":"5"}\n'
)
CLASSIC = (
    b'{"side":"0","time":{"abs":"1563783092.38793","conn":"3.82366"},"size":"3","data":"ls\\n",'
    b'"data_hex":"6C730A"}\r\n'
    b'{"side":"1","time":{"abs":"0.00000","conn":"-1563783088.56427"},"size":"21",'
    b'"data":"[1420 bytes missing]!","data_hex":"5B31343230206279746573206D697373696E675D21"}\r\n'
)


def records(dump, **options):
    return list(parser.read_lines(io.BytesIO(dump), "dump", **options))


def line(**changed):  # values are JSON text
    """A good line with some values changed or, with None, left out."""
    fields = {
        "side": '"0"',
        "time": '{"abs":"1.000000","conn":"0.000000"}',
        "size": '"2"',
        "data": '"hi"',
        "data_hex": '"6869"',
    }
    fields.update(changed)
    inside = ",".join('"%s":%s' % (k, v) for k, v in fields.items() if v is not None)
    return ("{" + inside + "}\n").encode()


class Reading(unittest.TestCase):
    def test_our_lines_give_bytes_times_and_places(self):
        got = records(OURS)
        self.assertEqual([r.side for r in got], [1, 0, 1, 1, 0])
        self.assertEqual(got[2].data, b'\x00\xff"\\\b\f\r\t')
        self.assertEqual(got[1].abs_ns, 1563783092_387930_000)
        self.assertEqual(got[2].abs_ns, 1563783092_387930_123)
        self.assertEqual([r.conn_ns for r in got[:2]], [-2_000, 1_823_660_000])
        self.assertEqual([(r.packet, r.offset, r.line) for r in got[2:4]], [(13, 2, 3), (14, 10, 4)])
        self.assertIsNone(got[0].file)
        self.assertIsNone(got[0].connection)

    def test_a_gap_has_a_length_and_no_bytes(self):
        got = records(GAP)
        places = [(r.missing, r.offset, r.data) for r in got]
        self.assertEqual(places, [(0, 0, b"ab"), (3, 2, b""), (0, 5, b"f")])

    def test_files_and_connections_are_told_where_written(self):
        got = records(line(file='"2"', connection='"20190722081130-TCP-a.1-b.23"'))
        self.assertEqual((got[0].file, got[0].connection), (2, "20190722081130-TCP-a.1-b.23"))

    def test_metadata_lines_of_the_console_are_passed_over(self):
        metadata = b'{"connection":"x","metadata":{"total":{"bytes":"2"}}}\n'
        self.assertEqual([r.line for r in records(line() + metadata + line())], [1, 3])

    def test_classic_lines_have_no_place_and_five_decimals(self):
        got = records(CLASSIC[: CLASSIC.index(b"\r\n") + 2])
        self.assertEqual(got[0].data, b"ls\n")
        self.assertEqual((got[0].abs_ns, got[0].conn_ns), (1563783092_387930_000, 3_823_660_000))
        self.assertEqual((got[0].packet, got[0].offset), (None, None))

    def test_classic_gap_text_becomes_a_gap(self):
        got = records(CLASSIC)
        parts = [(r.side, r.missing, r.data) for r in got]
        self.assertEqual(parts, [(0, 0, b"ls\n"), (1, 1420, b""), (1, 0, b"!")])

    def test_classic_gap_text_stays_data_when_asked_and_in_our_dumps(self):
        self.assertEqual(records(CLASSIC, classic_gaps=False)[1].data, b"[1420 bytes missing]!")
        text = "[7 bytes missing]"
        ours = line(size='"17"', data='"%s"' % text, data_hex='"%s"' % text.encode().hex(), offset='"0"')
        self.assertEqual(records(ours)[0].data, text.encode())

    def test_an_empty_dump_has_no_records(self):
        self.assertEqual(records(b""), [])

    def test_each_bad_line_has_its_reason(self):
        for bad, reason in [
            (b"\n", "no JSON object"),
            (b"{", "no JSON object"),
            (b"[]\n", "a JSON object is needed"),
            (b"\xff\n", "byte 1 is not ASCII"),
            (b"[" * 100000 + b"\n", "no"),
            (line(side=None), "side is missing"),
            (line(side='"2"'), "side is 2"),
            (line(side="0"), "side is no string"),
            (line(time=None), "time is missing"),
            (line(time='{"abs":"1.0"}'), "conn is missing"),
            (line(time='{"abs":"yesterday","conn":"0.0"}'), "time.abs is no time"),
            (line(size='"3"'), "size is 3, but data_hex has 2 bytes"),
            (line(size='"-2"'), "size is no number"),
            (line(data_hex='"686"'), "data_hex is no hex"),
            (line(data_hex='"68zz"'), "data_hex is no hex"),
            (line(data='"ho"'), "data and data_hex differ"),
            (line(data='"h\\u0169"'), "data and data_hex differ"),
            (line(data_hex=None), "data_hex is missing"),
            (line(missing='"4"'), "both missing and data"),
            (line(packet='"x"'), "packet is no number"),
        ]:
            with self.subTest(bad=bad[:60]):
                with self.assertRaises(parser.DumpError) as raised:
                    records(line() + bad)
                self.assertEqual((raised.exception.name, raised.exception.line), ("dump", 2))
                self.assertIn(reason, raised.exception.reason)
                self.assertTrue(str(raised.exception).startswith("dump:2: "))


class WithFiles(unittest.TestCase):
    """Tests that need dumps on disk and the programs run as programs."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.clients = []

    def dump(self, content):
        path = os.path.join(self.folder, "dump.json")
        with open(path, "wb") as stream:
            stream.write(content)
        return path

    def run_program(self, name, *arguments, stdin=b""):
        command = [sys.executable, os.path.join(HERE, name), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


class Transcript(WithFiles):
    PROGRAM = "json_dump_parser.py"

    def test_shows_both_sides_line_by_line(self):
        status, out, err = self.run_program(self.PROGRAM, self.dump(OURS))
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            out,
            "--- side 1, -0.000002 s, 2 bytes, packet 4, offset 0\n< $ \n"
            "--- side 0, +1.823660 s, 3 bytes, packet 12, offset 0\n> ls\n"
            '--- side 1, +1.823660 s, 8 bytes, packet 13, offset 2\n< \\x00\\xFF"\\\\\\x08\\x0C\\x0D\\t\n'
            "--- side 1, +2.435730 s, 5 bytes, packet 14, offset 10\n< done\n"
            "--- side 0, +3.435730 s, 5 bytes, packet 15, offset 3\n> exit\n",
        )

    def test_shows_gaps_and_reads_standard_input(self):
        status, out, _ = self.run_program(self.PROGRAM, "-", stdin=GAP)
        self.assertEqual(status, 0)
        self.assertIn("\n--- side 1, +2.000000 s, 3 bytes missing, packet 9, offset 2\n", out)

    def test_a_bad_line_is_named_and_gives_1(self):
        path = self.dump(OURS + b"oops\n")
        status, out, err = self.run_program(self.PROGRAM, path)
        self.assertEqual(status, 1)
        self.assertIn("> exit\n", out)
        self.assertIn("%s:6: no JSON object" % path, err)

    def test_a_missing_file_gives_1_and_the_next_is_still_read(self):
        none = os.path.join(self.folder, "none")
        status, out, err = self.run_program(self.PROGRAM, none, self.dump(OURS))
        self.assertEqual(status, 1)
        self.assertIn("none: ", err)
        self.assertIn("> exit\n", out)

    def test_wrong_usage_gives_2(self):
        self.assertEqual(self.run_program(self.PROGRAM)[0], 2)

    def test_a_closed_pipe_ends_quietly(self):
        path = self.dump(OURS * 20000)
        program = subprocess.Popen(
            [sys.executable, os.path.join(HERE, self.PROGRAM), path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        program.stdout.readline()
        program.stdout.close()
        err = program.stderr.read()
        program.stderr.close()
        self.assertEqual((program.wait(60), err), (0, b""))


class Serving(WithFiles):
    """The server as a program on a free port, and clients with real sockets."""

    PROGRAM = "json_dump_replay_tcp_server.py"

    def serve(self, path, *arguments):
        server = subprocess.Popen(
            [sys.executable, os.path.join(HERE, self.PROGRAM), path, *arguments], stderr=subprocess.PIPE
        )
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait, 60)
        self.addCleanup(server.kill)
        first = server.stderr.readline().decode()
        self.assertIn("listening on ", first)
        return server, int(first.split(" port ")[1].split()[0])

    def connect(self, port, family=socket.AF_INET):
        client = socket.create_connection(("127.0.0.1" if family == socket.AF_INET else "::1", port), 20)
        self.addCleanup(client.close)
        self.clients.append(client)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def read(self, client, count):
        got = b""
        while len(got) < count:
            piece = client.recv(count - len(got))
            self.assertTrue(piece, "the server closed after %d of %d bytes: %r" % (len(got), count, got))
            got += piece
        return got

    def ended(self, server):
        """Exit status and what was said of a server started with --once; the clients hang up first."""
        for client in self.clients:
            client.close()
        return server.wait(60), server.stderr.read().decode()

    def play_back(self, path, side=1):
        """Plays a dump against a client that cuts its writes at odd places; both ends compare."""
        turns = replay.load(path, side)
        server, port = self.serve(path, str(side), "0", "--once")
        client = self.connect(port)
        for turn in turns:
            if turn.ours:
                self.assertEqual(self.read(client, len(turn.data)), turn.data)
            else:
                for start in range(0, len(turn.data), 700):
                    client.sendall(turn.data[start : start + 700])
        client.close()
        status, said = self.ended(server)
        self.assertEqual(status, 0, said)
        self.assertNotIn("differs", said)
        return turns


class Replay(Serving):
    """What a play does, on dumps that stand above."""

    def test_plays_the_server_in_the_recorded_order(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once")
        client = self.connect(port)
        self.assertEqual(self.read(client, 2), b"$ ")
        client.sendall(b"ls\n")
        self.assertEqual(self.read(client, 13), b'\x00\xff"\\\b\f\r\tdone\n')
        client.sendall(b"exit\n")
        self.assertEqual(client.recv(1), b"")
        status, said = self.ended(server)
        self.assertEqual(status, 0)
        self.assertIn("end of the dump; 15 bytes sent, 8 received", said)
        self.assertNotIn("differs", said)

    def test_split_writes_are_awaited_and_nothing_is_said_too_early(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once")
        client = self.connect(port)
        self.assertEqual(self.read(client, 2), b"$ ")
        for byte in (b"l", b"s"):
            client.sendall(byte)
            client.settimeout(0.2)
            with self.assertRaises(socket.timeout):
                client.recv(1)
        client.settimeout(20)
        client.sendall(b"\n")
        self.assertEqual(self.read(client, 13)[-5:], b"done\n")
        for byte in (b"e", b"x", b"i", b"t", b"\n"):
            time.sleep(0.02)
            client.sendall(byte)
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(self.ended(server)[0], 0)

    def test_merged_writes_do_not_desynchronise(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once")
        client = self.connect(port)
        client.sendall(b"ls\nexit\nand more")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read(client, 15), b'$ \x00\xff"\\\b\f\r\tdone\n')
        status, said = self.ended(server)
        self.assertEqual(status, 0)
        self.assertIn("15 bytes sent, 8 received", said)

    def test_plays_side_0_too(self):
        server, port = self.serve(self.dump(OURS), "0", "0", "--once")
        client = self.connect(port)
        client.sendall(b"$ ")
        self.assertEqual(self.read(client, 3), b"ls\n")
        client.sendall(b'\x00\xff"\\\b\f\r\tdone\n')
        self.assertEqual(self.read(client, 5), b"exit\n")
        self.assertEqual(self.ended(server)[0], 0)

    def test_serves_clients_until_interrupted(self):
        server, port = self.serve(self.dump(OURS), "1", "0")
        for _ in range(3):
            client = self.connect(port)
            client.sendall(b"ls\nexit\n")
            self.assertEqual(len(self.read(client, 15)), 15)
            client.close()
        server.send_signal(signal.SIGINT)
        self.assertEqual(server.wait(60), 0)

    def test_other_bytes_are_reported_and_the_play_goes_on(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once")
        client = self.connect(port)
        client.sendall(b"ls\nexat\n")
        self.read(client, 15)
        client.close()
        status, said = self.ended(server)
        self.assertEqual(status, 0)
        self.assertIn("differs from the recorded bytes from offset 5 on", said)

    def test_a_client_that_leaves_early_gives_4(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once")
        client = self.connect(port)
        client.sendall(b"l")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read(client, 2), b"$ ")
        status, said = self.ended(server)
        self.assertEqual(status, 4)
        self.assertIn("stopped early: closed the connection; 2 bytes sent, 0 received", said)

    def test_a_silent_client_is_given_up_when_asked(self):
        server, port = self.serve(self.dump(OURS), "1", "0", "--once", "--timeout", "0.2")
        client = self.connect(port)
        self.assertEqual(self.read(client, 2), b"$ ")
        self.assertEqual(client.recv(1), b"")
        status, said = self.ended(server)
        self.assertEqual(status, 4)
        self.assertIn("silent for 0.2 s", said)

    def test_two_that_write_before_they_read_do_not_block_each_other(self):
        # 16 MB each way, more than the kernel's buffers: the server has to take while it gives.
        size = 1 << 20
        big = b"".join(
            line(side='"%d"' % side, size='"%d"' % size, data=None, data_hex='"%s"' % (digit * size))
            for side, digit in ((1, "31"), (0, "30"))
            for _ in range(16)
        )
        server, port = self.serve(self.dump(big), "1", "0", "--once")
        client = self.connect(port)
        writer = threading.Thread(target=client.sendall, args=(b"0" * (16 * size),))
        writer.start()
        writer.join(30)
        self.assertFalse(writer.is_alive(), "the server did not take the client's bytes while sending")
        self.assertEqual(self.read(client, 16 * size), b"1" * (16 * size))
        status, said = self.ended(server)
        self.assertEqual(status, 0)
        self.assertNotIn("differs", said)

    def test_a_dump_with_gaps_is_refused(self):
        for dump, place in ((GAP, "line 2: 3 bytes of side 1"), (CLASSIC, "line 2: 1420 bytes of side 1")):
            status, _, err = self.run_program(self.PROGRAM, self.dump(dump), "1", "0")
            self.assertEqual(status, 1)
            self.assertIn(place, err)
            self.assertIn("--gaps", err)

    def test_gaps_are_zeros_or_nothing_when_asked(self):
        for gaps, expected in (("zero", b"ab\0\0\0f"), ("skip", b"abf")):
            server, port = self.serve(self.dump(GAP), "1", "0", "--once", "--gaps", gaps)
            client = self.connect(port)
            self.assertEqual(self.read(client, len(expected)), expected)
            self.assertEqual(client.recv(1), b"")
            client.close()
            self.assertEqual(self.ended(server)[0], 0)

    def test_a_gap_of_the_client_is_awaited_as_zero(self):
        server, port = self.serve(self.dump(GAP), "0", "0", "--once", "--gaps", "zero")
        client = self.connect(port)
        client.sendall(b"abcdef")
        self.assertEqual(client.recv(1), b"")
        status, said = self.ended(server)
        self.assertEqual(status, 0)
        self.assertIn("0 bytes sent, 6 received", said)
        self.assertNotIn("differs", said)

    def test_console_dumps_need_a_choice(self):
        one = line(side='"1"', connection='"a"')
        two = line(side='"1"', connection='"b"', data='"ho"', data_hex='"686F"')
        dump = self.dump(one + two)
        status, _, err = self.run_program(self.PROGRAM, dump, "1", "0")
        self.assertEqual(status, 1)
        self.assertIn("--connection", err)
        server, port = self.serve(dump, "1", "0", "--once", "--connection", "b")
        self.assertEqual(self.read(self.connect(port), 2), b"ho")

    def test_bad_dumps_and_usage_have_their_exit_status(self):
        bad = self.dump(OURS + b"{}\n")
        for arguments, status, text in [
            ((bad, "1", "0"), 1, ":6: side is missing"),
            ((os.path.join(self.folder, "none"), "1", "0"), 1, "none: "),
            ((os.devnull, "1", "0"), 1, "no data in it"),
            ((bad, "2", "0"), 2, "invalid choice"),
            ((bad, "1", "70000"), 2, "70000"),
            ((), 2, "usage"),
        ]:
            got, _, err = self.run_program(self.PROGRAM, *arguments)
            self.assertEqual(got, status, err)
            self.assertIn(text, err)

    def test_the_port_is_81_unless_given(self):
        options = replay.arguments_parser().parse_args(["dump"])
        self.assertEqual((options.side, options.port, options.host), (1, 81, "127.0.0.1"))

    def test_a_port_in_use_is_named(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = str(other.getsockname()[1])
            status, _, err = self.run_program(self.PROGRAM, self.dump(OURS), "1", port)
        self.assertEqual(status, 1)
        self.assertIn("port %s: " % port, err)


class ClassicDumps(Serving):
    """Dumps that the classic program wrote, where that folder lies beside the project."""

    def setUp(self):
        super().setUp()
        found = glob.glob(os.path.join(CLASSIC_DUMPS, "*", "json", "*.json"))
        self.dumps = sorted(path for path in found if not path.endswith("-metadata.json"))
        if not self.dumps:
            self.skipTest("no classic dumps at ../shared/classic-output")

    def test_all_are_read_and_agree_with_their_metadata(self):
        for path in self.dumps:
            with self.subTest(path=path), open(path[: -len(".json")] + "-metadata.json") as metadata:
                size = sum(len(r.data) for r in parser.read_dump(path, classic_gaps=False))
                self.assertIn('"total": {"bytes":"%d"' % size, metadata.read())

    def test_whole_ones_play_and_gaps_are_refused(self):
        refused = 0
        for path in self.dumps:
            with self.subTest(path=path):
                try:
                    self.play_back(path)
                except replay.Refused:
                    refused += 1
        self.assertEqual(refused, sum("/gap/json/" in path for path in self.dumps))


class OurDumps(Serving):
    """Dumps that the program makes of the captures in examples/captures (see PCAP2CONN)."""

    def setUp(self):
        super().setUp()
        program = os.environ.get("PCAP2CONN")
        if not program:
            self.skipTest("PCAP2CONN does not name the program")
        self.program = os.path.abspath(program)

    def dumps_of(self, capture):
        """The dumps that the program writes for a capture."""
        path = os.path.join(ROOT, "examples", "captures", capture)
        out = os.path.join(self.folder, "out")
        command = [self.program, "-q", "-r", path, "-j", "-o", out]
        subprocess.run(command, check=True, timeout=60, env=dict(os.environ, TZ="UTC"))
        return sorted(glob.glob(os.path.join(out, "*.json")))

    def sizes(self, path):
        got = [0, 0]
        for record in parser.read_dump(path):
            self.assertEqual(record.offset, got[record.side])
            got[record.side] += len(record.data) + record.missing
        return tuple(got)

    def test_the_telnet_session_is_read_and_played(self):
        (dump,) = self.dumps_of("telnet.pcapng")
        self.assertEqual(self.sizes(dump), TELNET)
        turns = self.play_back(dump)
        self.assertTrue(turns[0].data.startswith(b"sh: 0: can't access tty"))
        self.assertEqual(turns[1].data, b"ls\n")
        self.assertEqual(turns[-1], replay.Turn(False, b"exit\n", 0))

    def test_http_is_read_and_played(self):
        dumps = self.dumps_of("http.pcap")
        self.assertEqual(sorted(map(self.sizes, dumps)), HTTP)
        for dump in dumps:
            self.play_back(dump)

    def test_redis_over_ipv6_is_read_and_played_both_ways(self):
        (dump,) = [path for path in self.dumps_of("redis-ipv6.pcap") if "-TCP-" in path]
        self.assertEqual(self.sizes(dump), REDIS)
        self.play_back(dump, side=1)
        self.play_back(dump, side=0)

    def test_dns_has_its_fragments_joined_and_nine_decimals(self):
        dumps = self.dumps_of("dns.pcap")
        self.assertEqual(sum("-TCP-" in path for path in dumps), 1)
        udp = [path for path in dumps if "-UDP-" in path]
        self.assertEqual(len(udp), 6)
        answers = [[r.data for r in parser.read_dump(path) if r.side == 1] for path in udp]
        self.assertEqual(max(len(data) for (data,) in answers), DNS_BIG)
        with open(udp[0], "rb") as stream:
            self.assertRegex(stream.read(), rb'"abs":"[0-9]+\.[0-9]{9}"')


# Bytes of side 0 and side 1 in the captures, counted by tshark (tcp.len, udp.length).
TELNET = (116, 6458)
HTTP = [(81, 475), (159, 24426)]
REDIS = (4155, 4167)
DNS_BIG = 2245

if __name__ == "__main__":
    unittest.main()
