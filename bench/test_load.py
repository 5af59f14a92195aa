"""Tests of what load.py understands of others' words, and of how it searches."""

import os
import tempfile
import unittest

import rates
import replay
from compare import Difference, compare
from receivers import Seen, read_report, read_summary, read_tcpdump

REPLAYED = """Actual: 1512678 packets (720800502 bytes) sent in 1.70 seconds
Rated: 422893806.0 Bps, 3383.15 Mbps, 887488.50 pps
Statistics for network device: cable
	Successful packets:        1512678
	Failed packets:            %d
	Truncated packets:         0
"""


class Replay(unittest.TestCase):
    def test_the_time_is_taken_from_the_rate(self):
        sent = replay.read(REPLAYED % 0)
        self.assertEqual((sent.packets, sent.size), (1512678, 720800502))
        self.assertAlmostEqual(sent.seconds, 1.70445, 5)
        self.assertAlmostEqual(sent.mbit, 3383.15, 2)

    def test_packets_that_were_not_sent_are_an_error(self):
        for said in (REPLAYED % 3, "no such interface"):
            with self.assertRaises(RuntimeError):
                replay.read(said)


class Receivers(unittest.TestCase):
    def test_tcpdump(self):
        said = "%s packets captured\n12 packets received by filter\n5 packets dropped by kernel\n%s"
        self.assertEqual(read_tcpdump(said % (7, "")), Seen(7, 5, None))
        self.assertEqual(read_tcpdump(said % (7, "2 packets dropped by interface\n")), Seen(7, 7, None))

    def test_tcpdump_with_one_packet(self):
        said = "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n"
        self.assertEqual(read_tcpdump(said), Seen(1, 0, None))

    def test_tcpflow_is_compared_with_the_file(self):
        report = "<total_flows>16</total_flows>\n<total_packets>745920</total_packets>"
        self.assertEqual(read_report(report, 745925), Seen(745920, 5, 8))
        self.assertEqual(read_report(report, 745920), Seen(745920, 0, 8))

    def test_the_summary(self):
        rings = [
            {"packets": 9, "status": "complete", "dropped": {"kernel": 0, "interface": 0}},
            {"packets": 5, "status": "eth0: lost 7", "dropped": {"kernel": 4, "interface": 3}},
        ]
        for inputs, seen in ((rings[:1], Seen(9, 0, 4)), (rings, Seen(14, 7, 4))):
            self.assertEqual(read_summary({"inputs": inputs, "connections": {"total": 4}}), seen)

    def test_a_capture_that_broke_off_is_an_error(self):
        broken = {"packets": 9, "status": "eth0: ended", "dropped": {"kernel": 0, "interface": 0}}
        with self.assertRaises(RuntimeError):
            read_summary({"inputs": [broken], "connections": {"total": 4}})


class Search(unittest.TestCase):
    STEPS = rates.Steps(lowest=100, ratio=2, halvings=2)

    def search(self, bearable, possible=10_000, steps=STEPS):
        """Searches where packets are lost above one rate, and another is all that can be sent; what was
        tried, and the rate that was found."""
        tried = []

        def run(rate):
            tried.append(rate)
            reached = min(rate or possible, possible)
            return rates.Run(reached, reached <= bearable, None)

        best = rates.search(run, steps)
        return tried, best and best.rate

    def test_rates_rise_and_are_halved(self):
        self.assertEqual(self.search(720), ([100, 200, 400, 800, 600, 700], 700))
        self.assertEqual(self.search(420), ([100, 200, 400, 800, 600, 500], 400))

    def test_it_may_be_that_no_rate_is_bearable(self):
        self.assertEqual(self.search(50), ([100], None))

    def test_at_the_limit_of_the_sender_it_ends(self):
        self.assertEqual(self.search(1000, possible=300), ([100, 200, 400, None], 300))

    def test_a_loss_at_top_speed_leaves_the_rate_before(self):
        def run(rate):
            return rates.Run(min(rate, 310), True, None) if rate else rates.Run(330, False, None)

        self.assertEqual(rates.search(run, self.STEPS).rate, 310)


class Compare(unittest.TestCase):
    def test_names_and_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second = (os.path.join(folder, name) for name in "ab")
            write(first, {"x": "1", "y": "2", "p": ""})
            write(second, {"x": "1", "y": "3", "q": ""})
            difference = compare(first, second)
            self.assertEqual(difference, Difference(1, ["y"], ["p"], ["q"]))
            self.assertEqual(
                str(difference),
                "1 files are the same; "
                "1 differ (y), 1 are only in the first (p), 1 are only in the second (q)",
            )
            self.assertEqual(str(compare(first, first)), "all 3 files are the same")


def write(folder, files):
    """Makes a folder with files of these names and texts."""
    os.mkdir(folder)
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as stream:
            stream.write(text)


if __name__ == "__main__":
    unittest.main()
