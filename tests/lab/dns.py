# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's DNS: one nsd with one zone, the root, that holds every name there is. What isn't in it
# does not exist, and is told so at once: no lookup of any program ever leaves the lab or hangs.

import ipaddress
import signal
import socket
import subprocess

from peers.waiting import eventually

ADDRESS = "192.0.2.53"

ZONE_HEAD = """\
$TTL 300
. SOA dns.test. postmaster.test. 1 3600 600 86400 60
. NS dns.test.
dns.test. A 192.0.2.53
dns.test. AAAA 2001:db8::53
"""

# name -> list of (type, value). We are mx2.example.test; the primary host is all the others.
RECORDS = {
    # The domain of the story.
    "example.test": [("MX", "10 mx1.example.test."), ("MX", "20 mx2.example.test.")],
    "mx1.example.test": [("A", "192.0.2.10"), ("AAAA", "2001:db8::10")],
    "mx2.example.test": [("A", "192.0.2.20"), ("AAAA", "2001:db8::20")],
    # One primary of its own, so that its outage is its own.
    "second.test": [("MX", "10 mx1.second.test."), ("MX", "20 mx2.example.test.")],
    "mx1.second.test": [("A", "192.0.2.11")],
    # Two primaries.
    "pair.test": [("MX", "5 mxa.pair.test."), ("MX", "10 mxb.pair.test."),
                  ("MX", "20 mx2.example.test.")],
    "mxa.pair.test": [("A", "192.0.2.12")],
    "mxb.pair.test": [("A", "192.0.2.13")],
    # A primary with IPv6 only.
    "six.test": [("MX", "10 mx1.six.test."), ("MX", "20 mx2.example.test.")],
    "mx1.six.test": [("AAAA", "2001:db8::14")],
    # A primary that hangs whenever a test says so.
    "hung.test": [("MX", "10 mx1.hung.test."), ("MX", "20 mx2.example.test.")],
    "mx1.hung.test": [("A", "192.0.2.15")],
    # We are found by our address, under a name that we don't know as ours.
    "alias.test": [("MX", "10 mx1.example.test."), ("MX", "20 fallback.alias.test.")],
    "fallback.alias.test": [("A", "192.0.2.20")],
    # The primary takes any local part.
    "catchall.test": [("MX", "10 mx1.example.test."), ("MX", "20 mx2.example.test.")],
    # There is no better MX than us: nobody may ever be told to go to it.
    "best.test": [("MX", "10 mx2.example.test."), ("MX", "20 mx1.example.test.")],
    "only.test": [("MX", "10 mx2.example.test.")],
    "equal.test": [("MX", "10 mx1.example.test."), ("MX", "10 mx2.example.test.")],
    "unlisted.test": [("MX", "10 mx1.example.test.")],
    "null.test": [("MX", "0 .")],
    "bare.test": [("A", "192.0.2.10")],
    # Ours with a `primary` in the configuration, whatever the MX records say.
    "private.test": [("MX", "10 mx2.example.test.")],
    # Senders go to one host, our MTA delivers to another.
    "split.test": [("MX", "10 mx1.split.test."), ("MX", "20 mx2.example.test.")],
    "mx1.split.test": [("A", "192.0.2.16")],
    # Our MTA has a transport of its own for these: a next hop is not a primary.
    "hop.test": [("MX", "10 mx1.example.test."), ("MX", "20 mx2.example.test.")],
    "onlyhop.test": [("MX", "10 mx2.example.test.")],
    # Not ours at all.
    "foreign.test": [("MX", "10 mx.foreign.test.")],
    "mx.foreign.test": [("A", "192.0.2.40"), ("AAAA", "2001:db8::40")],
    "sender.test": [("MX", "10 mx.foreign.test.")],
    "client.test": [("A", "192.0.2.30"), ("AAAA", "2001:db8::30")],
}

# Domains our backup MTA relays: all that some MX record gives it, and some that none does.
RELAYED = [
    "example.test", "second.test", "pair.test", "six.test", "hung.test", "alias.test",
    "catchall.test", "best.test", "only.test", "equal.test", "unlisted.test", "null.test",
    "bare.test", "private.test", "split.test", "hop.test", "onlyhop.test",
]


def zone_text(records):
    lines = [ZONE_HEAD]
    for name, entries in records.items():
        for kind, value in entries:
            lines.append(f"{name}. {kind} {value}")
            if kind in ("A", "AAAA") and name.startswith(("mx", "client")):
                lines.append(f"{ipaddress.ip_address(value).reverse_pointer}. PTR {name}.")
    return "\n".join(dict.fromkeys(lines)) + "\n"


class Dns:
    def __init__(self, host, records):
        self.host = host
        self.records = dict(records)
        self.folder = host.scratch / "nsd"
        self.folder.mkdir()
        self.zone_file = self.folder / "root.zone"
        self.log = self.folder / "nsd.log"
        (self.folder / "nsd.conf").write_text(f"""\
server:
    ip-address: 0.0.0.0
    ip-address: ::0
    server-count: 1
    username: ""
    database: ""
    zonesdir: "{self.folder}"
    pidfile: ""
    logfile: "{self.log}"
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    hide-version: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "{self.zone_file}"
""")
        self.version = 0
        self._write()

    def _write(self):
        self.version += 1
        self.zone_file.write_text(zone_text(self.records) + f"version.test. A {self._mark()}\n")

    def _mark(self):
        """An address that stands for the zone's version."""
        return ipaddress.ip_address(self.version)

    def _serves_version(self):
        """Has the server read what was written last?"""
        question = bytes.fromhex("0001 0000 0001 0000 0000 0000") + b"\7version\4test\0\0\1\0\1"
        with self.host.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.sendto(question, (ADDRESS, 53))
            try:
                return self._mark().packed in client.recv(4096)
            except OSError:
                return False

    def start(self):
        self.process = self.host.start(
            ["nsd", "-d", "-c", self.folder / "nsd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_up(self, address=ADDRESS):
        eventually(lambda: self.host.accepts(53, address), 10, lambda: "nsd answers\n" + (
            self.log.read_text() if self.log.exists() else "(no log)"))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def change(self, changes):
        """Sets records by name; None takes a name away. The server has read them on return."""
        for name, entries in changes.items():
            if entries is None:
                self.records.pop(name, None)
            else:
                self.records[name] = entries
        self._write()
        self.process.send_signal(signal.SIGHUP)
        eventually(self._serves_version, 10, lambda: f"the new zone\n{self.log.read_text()}")
