# SPDX-License-Identifier: BSD-2-Clause
#
# Names and addresses that others chose come to stand in the lines that check tells root to paste.
# Each of these lines is given to a shell here: it must not do anything that the name says.

import re
import shlex
import struct
import subprocess

import pytest

MARK = "pwned"                      # a file that the names would have a shell write
LABELS = [label % MARK for label in (
    "$(>%s)", "`>%s`", "x|>%s|y", "x;>%s;y", "x&>%s&y", "a'>%s;'b", 'a">%s;"b', ">%s", "x\n>%s\ny",
    "'$(>%s)'", "\\';>%s;\\'", "{x,>%s}", "x >%s", "-f%s")]
ODD = ["\x1b[2J\x1b]0;x\a", "%s%n%x", "\0", "\r", "ü", "\xff\xfe", "*", "#x", "~root", "!!", "\\", "\t"]


def name(*labels):
    """On the wire; a label's characters are bytes."""
    raw = [label.encode("latin-1") for label in labels]
    return b"".join(bytes([len(label)]) + label for label in raw) + b"\0"


def mx(preference, *labels):
    return struct.pack("!H", preference) + name(*labels)


class World:
    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder
        self.daemon = lab.daemon()

    def check(self, *domains, daemon=None):
        """The findings; whatever is said is valid JSON, or text without control characters."""
        daemon = daemon or self.daemon
        where = ["-c", daemon.ini_path, "check", *domains]
        code, _, parsed = daemon.ctl("--json", *where, timeout=60)
        assert code in (0, 1) and parsed
        found = parsed["findings"]
        _, text, _ = daemon.ctl(*where, timeout=60)
        assert text and not re.search(r"[^\n\x20-\x7e]", text), text
        for line in [line for one in found for line in one["mend"]]:
            assert all(" " <= c <= "~" for c in line), line
            assert line.startswith("# ") or self.harmless(line), line
        return found

    def harmless(self, line):
        """A shell that finds no program runs it, and writes nothing."""
        if ">>" in line or "</" in line:            # those of ours that write files
            return not any(odd in line for odd in (MARK, "odd"))
        subprocess.run(["/bin/sh", "-c", line], cwd=self.folder, env={"PATH": "/nonexistent"},
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
        return not list(self.folder.iterdir())


@pytest.fixture(scope="module", name="world")
def make_world(module_lab, tmp_path_factory):
    return World(module_lab, tmp_path_factory.mktemp("pasted"))


def test_the_trap_works(world):
    """Pasted as they are, such names do it."""
    world.harmless("dig +trace x|>%s|y.test. A" % MARK)
    written = list(world.folder.iterdir())
    assert [path.name for path in written] == [MARK]
    written[0].unlink()


@pytest.mark.parametrize("fault", [None, "SERVFAIL"])
def test_mx_targets(world, fault):
    dns = world.lab.dns
    labels = LABELS + ODD
    dns.set("zone.test", "MX", [mx(10 + i, label, "odd", "test")
                                for i, label in enumerate(labels)] + [(99, "mx2.example.net")])
    dns.fail_all(None)
    if fault:
        dns.fail_all(fault)
        for kept in ("zone.test", "mx2.example.net"):
            dns.fail(kept, "", None)
    try:
        found = world.check("zone.test")
    finally:
        dns.fail_all(None)
    faulty = [one for one in found if one["id"] == "mx-address" and one["severity"] != "ok"]
    assert len(faulty) >= len(labels), found
    assert sum("dig +trace" in line for one in faulty for line in one["mend"]) == (
        len(labels) if fault else 0)


def test_aliases_and_our_own_address(world):
    """A CNAME's target, and an MX target that has an address of this host: who may say that the
    certificate of this host is to be for it?"""
    dns = world.lab.dns
    for i, label in enumerate(LABELS[:8]):
        dns.set("al%d.test" % i, "MX", [(10, "alias.al%d.test" % i), mx(20, label, "own", "test")])
        dns.set("alias.al%d.test" % i, "CNAME", [label.replace(".", "") + ".odd.test"])
        dns.set("%s.own.test" % label.lower(), "A", ["127.0.0.1"])
        dns.set("_mta-sts.al%d.test" % i, "TXT", [b"\x0dv=STSv1; id=1"])
    found = world.check(*["al%d.test" % i for i in range(8)])
    assert {one["subject"] for one in found if one["id"] == "mx-cname"
            and one["severity"] == "warning"} == {"al%d.test" % i for i in range(8)}


def test_one_name_too_long_hides_no_other(world):
    """Each of its bytes takes four to be shown."""
    world.lab.dns.set("long.test", "MX", [mx(10, "\xff" * 63, "\xfe" * 63, "test"),
                                          (20, "mx2.example.net")])
    found = world.check("long.test")
    lookup, = [one for one in found if one["id"] == "mx-lookup"]
    assert lookup["observed"] == "2 MX records are found"


def test_an_alias_to_nothing(world):
    world.lab.dns.set("dangling.test", "MX", [(10, "here.dangling.test"), (20, "mx2.example.net")])
    world.lab.dns.set("here.dangling.test", "CNAME", ["nowhere.dangling.test"])
    found = world.check("dangling.test")
    said = [one["observed"] for one in found if one["id"] == "mx-address"]
    assert any(line.endswith("has no address: it is an alias (CNAME) that leads to no such record")
               for line in said), said


def test_a_remembered_recipient(world):
    """Whoever fills the memory, or writes to a catch-all domain that ends, chooses the address."""
    locals_ = ["`>%s`" % MARK, "$(>%s)" % MARK, "x|>%s|y" % MARK, "-x", "--force", "it's", "{a,b}"]
    locals_ = [re.sub("[(>),]", "=", local) for local in locals_]   # not without quotes
    domains = {"canary%d.test" % i: local for i, local in enumerate(locals_)}
    for domain in domains:
        world.lab.primary(domain, other_recipients="550 5.1.1 <{rcpt}>: User unknown")
    daemon = world.lab.daemon(domains=list(domains))
    users = world.folder.parent / "users"
    users.write_text("".join("%s@%s\n" % (local, domain) for domain, local in domains.items()))
    assert daemon.ctl("recipients", "import", str(users))[0] == 0
    found = world.check(*domains, daemon=daemon)
    for domain, local in domains.items():
        canary, = [one for one in found if one["id"] == "canary" and one["subject"] == domain]
        command, = [line for line in canary["mend"] if line.startswith("backupmxctl")]
        assert shlex.split(command) == ["backupmxctl", "recipients", "forget"] + (
            ["--"] if local[0] == "-" else []) + ["%s@%s" % (local, domain)]
        assert daemon.ctl(*shlex.split(command)[1:])[0] == 0


def test_thousands_of_addresses(world):
    """A zone can't have this host connect to all that it names."""
    dns = world.lab.dns
    dns.mx("many.test", *((i, "h%d.many.test" % i) for i in range(1, 41)), (60, "mx2.example.net"))
    for i in range(1, 41):
        dns.host("h%d.many.test" % i, "127.77.1.%d" % i)
    endpoints = [one for one in world.check("many.test")
                 if one["id"] == "primary-connect" and "[127.77." in one["subject"]]
    left, = [one for one in world.check("many.test")
             if one["id"] == "primary-connect" and one["subject"] == "many.test"]
    assert len(endpoints) == 32 and left["unseen"]
    assert left["observed"] == "of the 40 addresses of its hosts only the first 32 are asked"
