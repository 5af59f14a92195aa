"""Tests of what soak.py makes of its samples."""

import unittest

from samples import NAME, NAMES, Sample, at, growth, read_status, slope

STATUS = """Name:	pcap2conn
VmPeak:	  221968 kB
VmHWM:	   84300 kB
VmRSS:	   80000 kB
RssAnon:	   12000 kB
RssFile:	    4000 kB
Threads:	3
"""


def sample(seconds: float, packets: int, own: int) -> Sample:
    return Sample(seconds, packets, 0, 0, own, 1, 0)


class Samples(unittest.TestCase):
    def test_a_process_is_read(self):
        self.assertEqual(read_status(STATUS), (80000 * 1024, 84300 * 1024, 12000 * 1024, 3))

    def test_a_line_has_its_slope(self):
        self.assertAlmostEqual(slope([(x, 5 + 8 * x) for x in range(10)]), 8)
        self.assertAlmostEqual(slope([(0, 0), (1, 2), (2, 1), (3, 3)]), 0.8)

    def test_what_does_not_vary_has_none(self):
        for points in ([], [(1, 1)], [(1, 1), (1, 5)], [(1, 3), (2, 3)]):
            self.assertEqual(slope(points), 0)

    def test_growth_is_counted_after_the_warm_up(self):
        warming = [sample(x, 30 * x, 1000 * x) for x in range(5)]
        after = [sample(x, 30 * x, 4000 + 80 * x) for x in range(5, 21)]
        grown = growth(warming + after, 200, 1)
        self.assertAlmostEqual(grown.each, 8)
        self.assertAlmostEqual(grown.in_all, 8 * 150)
        self.assertAlmostEqual(grown.names, NAME * 150)

    def test_names_are_known_up_to_a_number(self):
        samples = [sample(x, x, 0) for x in range(11)]
        self.assertAlmostEqual(growth(samples, 10 * NAMES, 4).names, NAME * NAMES)
        self.assertAlmostEqual(growth(samples, 10 * NAMES, 1).names, 0)

    def test_samples_are_found_by_time(self):
        samples = [sample(x, 0, x) for x in range(101)]
        self.assertEqual([at(samples, part).own for part in (0.1, 0.5, 1)], [10, 50, 100])


if __name__ == "__main__":
    unittest.main()
