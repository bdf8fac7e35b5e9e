# SPDX-License-Identifier: BSD-2-Clause
#
# A name server that takes updates (BIND's named), and a host that looks at it: all that the tests
# of `backupmxctl plan` need of a lab. Each zone is one that a test may change; the root holds the
# rest.

import subprocess
import tempfile
from contextlib import ExitStack, contextmanager

from peers.waiting import eventually

from . import network
from .dns import ADDRESS, ZONE_HEAD
from .host import Host, run_quietly

KEY = "hmac-sha256:update:bGFib3JhdG9yeS1rZXktb2YtdGhlLXRlc3RzLW9ubHk="

CONFIGURATION = """\
options {
	directory "%(folder)s";
	listen-on { any; };
	listen-on-v6 { any; };
	pid-file none;
	session-keyfile none;
	recursion no;
	dnssec-validation no;
	empty-zones-enable no;
	notify no;
	check-names primary ignore;
	check-integrity no;
};
controls { };
key "update" { algorithm %(algorithm)s; secret "%(secret)s"; };
zone "." { type primary; file "root.zone"; };
"""


class Bind:
    """zones: {name: lines}, each with $TTL 3600, SOA and NS before them; root: lines of the root;
    servers: {zone: its NS} where it isn't this one."""

    def __init__(self, host, zones, root, servers):
        self.host = host
        self.folder = host.scratch / "named"
        self.folder.mkdir()
        algorithm, _, secret = KEY.split(":")
        text = CONFIGURATION % {"folder": self.folder, "algorithm": algorithm, "secret": secret}
        (self.folder / "root.zone").write_text(ZONE_HEAD + root)
        for name, lines in zones.items():
            text += (f'zone "{name}" {{ type primary; file "{name}.zone"; '
                     "allow-update { key update; }; };\n")
            (self.folder / f"{name}.zone").write_text(
                zone_head(name, servers.get(name, "dns.test.")) + lines)
        (self.folder / "named.conf").write_text(text)

    def start(self):
        with open(self.folder / "log", "wb") as log:
            self.process = self.host.start(
                ["named", "-g", "-n", "1", "-U", "1", "-c", self.folder / "named.conf"],
                stdout=log, stderr=log)
        eventually(lambda: self.host.accepts(53, ADDRESS) and self.ask("dns.test", "A"), 20,
                   lambda: "named answers\n" + (self.folder / "log").read_text())

    def ask(self, name, kind):
        """The answers as dig shows them: "TTL VALUE", sorted."""
        found = self.host.run(["dig", "+noall", "+answer", "+time=2", f"@{ADDRESS}", name, kind])
        return sorted(f"{ttl} {value}" for _, ttl, _, _, value in (
            line.split(None, 4) for line in found.splitlines() if not line.startswith(";")))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def zone_head(name, server="dns.test."):
    return (f"$ORIGIN {name}.\n$TTL 3600\n@ SOA dns.test. postmaster.test. 1 3600 600 86400 60\n"
            f"@ NS {server}\n")


class PlanLab:
    def __init__(self, folder, stack, zones, root, servers):
        self.zones = zones
        hosts = [Host(folder, name, fqdn) for name, fqdn in (
            ("switch", "switch"), ("dns", "dns.test"), ("backup", "mx2.example.test"))]
        for host in hosts:
            stack.callback(host.close)
        for host in hosts:
            host.wait_up()
        switch, self.dns_host, self.backup_host = hosts
        network.connect(switch, [self.dns_host, self.backup_host])
        for host in (self.dns_host, self.backup_host):
            host.write("/etc/resolv.conf", f"nameserver {ADDRESS}\n")
            host.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.dns = Bind(self.dns_host, zones, root, servers)
        self.dns.start()
        stack.callback(self.dns.stop)

    def zone_of(self, name):
        return next(zone for zone in self.zones if f".{name}".endswith(f".{zone}"))

    def nsupdate(self, commands):
        """What came of it: a CompletedProcess."""
        return subprocess.run(self.backup_host.command(["nsupdate", "-y", KEY]), input=commands,
                              text=True, capture_output=True, timeout=60, check=False)

    def zone_is_valid(self, name, lines):
        """named-checkzone's word on a zone of these lines."""
        path = self.dns.folder / "checked.zone"
        path.write_text(zone_head(name) + lines)
        run_quietly(["named-checkzone", "-k", "ignore", "-i", "local", name, str(path)])


@contextmanager
def plan_lab(zones, root, servers):
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(
            prefix="backupmx-lab-", dir="/tmp", ignore_cleanup_errors=True))
        yield PlanLab(folder, stack, zones, root, servers)
