"""Two network namespaces with a cable between them, in which nothing else is said.

Neither end has an address, and IPv6 is off before there is an interface, so that the kernel sends nothing
of its own and answers nothing. Linux, as root, with `ip` (Debian package iproute2).
"""

import json
import os
import shutil
import subprocess
import time
from typing import Dict, List, NamedTuple, Optional

INTERFACE = "cable"  # what both ends are called, each in its namespace
MTU = 9000  # more than the captures' frames have
SILENT = "for each in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e $each ] || echo 1 >$each; done"


class Arrived(NamedTuple):
    """What came out of the cable so far."""

    packets: int
    size: int  # bytes of the frames
    dropped: int  # by the kernel, before anybody could capture them


class Cable:
    """The two namespaces, as long as the context lasts."""

    def __init__(self):
        # By such names the program's tests delete what a process left that is no more.
        self.sender = "pcap2conn-%d-sender" % os.getpid()
        self.receiver = "pcap2conn-%d-receiver" % os.getpid()

    def __enter__(self) -> "Cable":
        try:
            for space in (self.sender, self.receiver):
                ip("netns", "add", space)
                subprocess.run(inside(space, ["sh", "-c", SILENT]), check=True)
            ip("link", "add", INTERFACE, "mtu", str(MTU), "netns", self.sender, "type", "veth",
               "peer", "name", INTERFACE, "mtu", str(MTU), "netns", self.receiver)  # fmt: skip
            for space in (self.sender, self.receiver):
                ip("-n", space, "link", "set", INTERFACE, "arp", "off", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for space in (self.sender, self.receiver):
            subprocess.run(["ip", "netns", "delete", space], stderr=subprocess.DEVNULL)

    def arrived(self) -> Arrived:
        """The counters of the receiver's interface."""
        words = ["ip", "-n", self.receiver, "-json", "-statistics", "link", "show", INTERFACE]
        said = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
        received = json.loads(said)[0]["stats64"]["rx"]
        return Arrived(received["packets"], received["bytes"], received["dropped"])


def ip(*words: str) -> None:
    """Sets something up."""
    subprocess.run(["ip", *words], check=True)


def inside(space: str, words: List[str]) -> List[str]:
    """A command line in a namespace. It does not outlive this program, and keeps its process id."""
    return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", space, *words]


def hindrance(tools: Dict[str, str]) -> Optional[str]:
    """Why there can be no such cable, or what is missing of tools, given with their Debian packages."""
    tools = {"ip": "iproute2", "setpriv": "util-linux", **tools}
    missing = ["%s (Debian package %s)" % each for each in tools.items() if not shutil.which(each[0])]
    if missing:
        return "missing: " + ", ".join(missing)
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with Cable():
            return None
    except subprocess.CalledProcessError as error:
        return "no network namespaces here: %s" % error


def wait_until_captured(process: subprocess.Popen, limit: float = 20) -> None:
    """Waits until a process has a packet socket, or has ended."""
    deadline = time.monotonic() + limit
    while process.poll() is None and not captures(process.pid):
        if time.monotonic() > deadline:
            raise RuntimeError("no capture began: %s" % " ".join(process.args))
        time.sleep(0.05)


def captures(pid: int) -> bool:
    """Is one of its descriptors a packet socket that gets packets? It has a protocol only when its ring is there."""
    try:
        with open("/proc/%d/net/packet" % pid) as sockets:
            # sk RefCnt Type Proto Iface R Rmem User Inode
            rows = [line.split() for line in sockets]
        inodes = {row[-1] for row in rows if row[3] != "0000"}
        folder = "/proc/%d/fd" % pid
        open_now = {os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)}
    except FileNotFoundError:  # closed, or ended, in between
        return False
    return any("socket:[%s]" % inode in open_now for inode in inodes)
