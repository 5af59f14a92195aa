"""Tests of how check.py reads what the program wrote, and of what it calls a difference."""

import json
import os
import tempfile
import unittest

import check
from check import Conversation, Job, Tally, conversations, difference, shares, turns


def line(side, text, **more):
    return {"side": str(side), "data_hex": text.encode().hex(), **more}


def said(*parts, missing=0, first=1, ended="FIN"):
    """A conversation; each part is a side and its words."""
    return Conversation([(side, text.encode()) for side, text in parts], missing, first, ended)


class Reading(unittest.TestCase):
    def test_a_turn_is_an_unbroken_run_of_one_side(self):
        lines = [line(0, "a"), line(0, "b"), line(1, "c"), line(1, ""), line(1, "d"), line(0, "e")]
        self.assertEqual(turns(lines), ([(0, b"ab"), (1, b"cd"), (0, b"e")], 0))

    def test_missing_bytes_are_counted(self):
        lines = [line(0, "a"), line(0, "", missing="7"), line(1, "b"), line(1, "", missing=2)]
        self.assertEqual(turns(lines), ([(0, b"a"), (1, b"b")], 9))

    def test_connections_come_in_the_order_of_first_packets(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, "a-TCP", "TCP", 9, [line(0, "x")])
            write(folder, "b-TCP", "TCP", 3, None)
            write(folder, "c-UDP", "UDP", 1, [line(0, "y")])
            found = conversations(folder)
        self.assertEqual(list(found), ["b-TCP", "a-TCP"])
        self.assertEqual(found["a-TCP"], said((0, "x"), first=9))
        self.assertEqual(found["b-TCP"], said(first=3))

    def test_names_tell_the_port(self):
        for end in ("", "_2"):
            name = "20260102030405-TCP-127.0.0.1.40001-127.0.0.1.10007" + end
            self.assertEqual(check.PORT.search(name).group(1), "10007")

    def test_long_lists_are_shared_out(self):
        self.assertEqual(shares(["a", "b", "c"], 2), [["a", "b"], ["c"]])


class Comparing(unittest.TestCase):
    RECORDED = said((0, "GET"), (1, "OK"))

    def test_the_same_is_no_difference(self):
        self.assertIsNone(difference(self.RECORDED, said((0, "GET"), (1, "OK"), first=8)))

    def test_every_difference_is_one(self):
        for played in (
            said((0, "GET"), (1, "KO")),
            said((0, "GET"), (0, "OK")),
            said((1, "OK"), (0, "GET")),
            said((0, "GET")),
            said((0, "GET"), (1, "OK"), (0, "x")),
            said((0, "G"), (1, "O"), (0, "ET"), (1, "K")),
            said((0, "GET"), (1, "OK"), missing=1),
        ):
            self.assertIsNotNone(difference(self.RECORDED, played), played)

    def test_it_says_where(self):
        wrong = difference(self.RECORDED, said((0, "GET"), (1, "OX")))
        self.assertEqual(
            wrong,
            "turn 2: recorded are 2 bytes of side 1, played were 2 of side 1, the first 1 the same",
        )


class Tallying(unittest.TestCase):
    JOB = Job("x.pcap", [], ["a", "b"], 10000, "capture")

    def tally(self, *played, ended=("FIN", "RST")):
        """What is said of two connections that were recorded, and those that were played."""
        recorded = {name: said((0, name), ended=end) for name, end in zip("ab", ended)}
        tally = Tally()
        tally.compare(self.JOB, recorded, list(played))
        return tally

    def test_all_right(self):
        tally = self.tally(said((0, "a")), said((0, "b"), first=4, ended="RST"))
        self.assertEqual((tally.wrong, tally.right["capture"], tally.other_ends), ([], 2, []))
        self.assertEqual(tally.endings_text(), "1 of 1 FIN and 1 of 1 RST")

    def test_one_that_is_missing_is_a_difference(self):
        tally = self.tally(said((0, "a")))
        wrong = ["2 connections are recorded, 1 were made", "b: it was not played"]
        self.assertEqual(tally.wrong, ["x.pcap (capture): " + each for each in wrong])
        self.assertEqual((tally.judged["capture"], tally.right["capture"]), (2, 1))

    def test_one_too_many_is_a_difference(self):
        tally = self.tally(said((0, "a")), said((0, "b")), said())
        self.assertEqual(tally.wrong, ["x.pcap (capture): 2 connections are recorded, 3 were made"])

    def test_another_order_is_a_difference(self):
        self.assertEqual(len(self.tally(said((0, "b")), said((0, "a"))).wrong), 2)

    def test_other_endings_are_counted(self):
        tally = self.tally(said((0, "a")), said((0, "b"), first=4))
        self.assertEqual(tally.wrong, [])
        self.assertEqual(tally.other_ends, ["x.pcap: b: RST was recorded, FIN played"])
        self.assertEqual(tally.endings_text(), "1 of 1 FIN and 0 of 1 RST")


def write(folder, name, protocol, first, lines):
    """A connection's files, as the program writes them."""
    metadata = {"protocol": protocol, "first_packet": {"packet": str(first)}, "ended": "FIN"}
    with open(os.path.join(folder, name + "-metadata.json"), "w", encoding="utf-8") as stream:
        json.dump(metadata, stream)
    if lines is not None:
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(each) + "\n" for each in lines)


if __name__ == "__main__":
    unittest.main()
