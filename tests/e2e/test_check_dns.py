# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of MX records, addresses and names, with a real DNS server. The faults are domains
# of one zone, so that one run sees them all. The check runs before there is a daemon, as nobody.

import pathlib
import re

import pytest

from lab.checking import Checker, Findings, finding
from lab.dns import Dns

MILTER_SETTINGS = None

OURS = "mx2.example.test."
NOBODY = 65534

ZONE = {
    "gone.test": None,
    "mixed.test": [("MX", "0 ."), ("MX", "10 mx1.example.test."), ("MX", f"20 {OURS}")],
    # better entries that are this host, or say so
    "moved.test": [("MX", "10 mx1.moved.test."), ("MX", f"20 {OURS}")],
    "mx1.moved.test": [("A", "192.0.2.20")],
    "stale.test": [("MX", "10 mx1.example.test."), ("MX", "20 old.stale.test.")],
    "old.stale.test": [("A", "192.0.2.99")],
    "named.test": [("MX", "10 mx1.example.test."), ("MX", f"20 {OURS}"),
                   ("MX", "30 old.stale.test.")],
    "twice.test": [("MX", "10 mx1.example.test."), ("MX", "15 mx1.example.test."),
                   ("MX", f"20 {OURS}")],
    "same.test": [("MX", "10 mx1.example.test."), ("MX", "15 also.same.test."),
                  ("MX", f"20 {OURS}")],
    "also.same.test": [("A", "192.0.2.10")],
    "backups.test": [("MX", "10 mx1.example.test."), ("MX", f"20 {OURS}"),
                     ("MX", "20 mx.foreign.test."), ("MX", "30 alias.backups.test.")],
    "alias.backups.test": [("CNAME", "mx.foreign.test.")],
    "cname.test": [("MX", "10 mx1.cname.test."), ("MX", f"20 {OURS}")],
    "mx1.cname.test": [("CNAME", "mx1.example.test.")],
    "literal.test": [("MX", "10 192.0.2.10."), ("MX", r"15 192\.0\.2\.11."), ("MX", f"20 {OURS}")],
    "bald.test": [("MX", "10 mx1.bald.test."), ("MX", f"20 {OURS}")],
    "half.test": [("MX", "5 mx1.bald.test."), ("MX", "10 mx1.example.test."),
                  ("MX", f"20 {OURS}")],
    # lifetimes
    "brief.test": [("60 MX", "10 mx1.brief.test."), ("60 MX", f"20 {OURS}")],
    "mx1.brief.test": [("299 A", "198.51.100.1"), ("300 AAAA", "2001:db8:1::1")],
    "long.test": [("86401 MX", "10 mx1.long.test."), ("86401 MX", f"20 {OURS}")],
    "mx1.long.test": [("86400 A", "198.51.100.1")],
    "theirs.test": [("MX", "10 mx1.brief.test."), ("MX", f"20 {OURS}")],
    # families and networks; nobody can be reached in them
    "far.test": [("MX", "10 mx1.far.test."), ("MX", f"20 {OURS}")],
    "mx1.far.test": [("A", "203.0.113.1"), ("AAAA", "2001:db8:1::1")],
    "four.test": [("MX", "10 mx1.far.test."), ("MX", "20 four.four.test.")],
    "four.four.test": [("A", "192.0.2.20")],
    "sixth.test": [("MX", "10 mx1.far.test."), ("MX", "20 six.sixth.test.")],
    "six.sixth.test": [("AAAA", "2001:db8::20")],
    "tunnel.test": [("MX", "10 mx1.tunnel.test."), ("MX", f"20 {OURS}")],
    "mx1.tunnel.test": [("A", "10.1.2.9"), ("AAAA", "2001:db8:1::1")],
    # names of addresses that are ours by configuration
    "8.100.51.198.in-addr.arpa": [("PTR", "mx.foreign.test.")],
    "9.100.51.198.in-addr.arpa": [("PTR", "nine.test."), ("PTR", "mx.foreign.test.")],
    "nine.test": [("A", "198.51.100.9")],
}

GOOD = ["example.test", "pair.test"]
STAGED = [name for name in ZONE if name.count(".") == 1 and name != "nine.test"]
KNOWN = ["alias.test", "best.test", "only.test", "equal.test", "unlisted.test", "null.test",
         "bare.test", "private.test", "second.test", "six.test"]

INI = """\
[milter]
my_names = {mx2.example.test, old.stale.test}
my_addresses = {198.51.100.7, 198.51.100.8, 198.51.100.9, 10.1.2.3}
[domain "private.test"]
primary = 192.0.2.11
[domain "best.test"]
helo_name = backup
[domain "only.test"]
helo_name = mx.foreign.test
[domain "equal.test"]
helo_name = nowhere.test
[domain "bare.test"]
helo_name = localhost.localdomain
"""


@pytest.fixture(scope="module")
def checker(lab):
    lab.dns.change(ZONE)
    return Checker(lab.backup_host)


@pytest.fixture(scope="module")
def ini(lab):
    """Settings of this test alone, as the path of a file."""
    def write(text):
        path = pathlib.Path(lab.backup_host.scratch) / "check.ini"
        path.write_text("[dns]\ntimeout = 2s\n" + text)
        path.chmod(0o644)
        return path
    return write


@pytest.fixture(scope="module")
def found(checker, ini):
    """One run over all domains of the zone."""
    return checker.check("-c", ini(INI), *GOOD, *STAGED, *KNOWN, user=NOBODY)


@finding("mx-lookup", "mx-null", "mx-implicit", "mx-listed", "mx-best", "mx-equal", "mx-self",
         "mx-duplicate", "mx-literal", "mx-cname", "mx-address", present=False)
def test_good_domains(found):
    for domain in GOOD:
        for one in found.list:
            if one["id"].startswith("mx-") and one["subject"] == domain:
                assert one["severity"] == "ok" or one["id"] in ("mx-network", "mx-family"), one
    assert found["mx-listed", "pair.test"]["observed"] == (
        "mx2.example.test is this host; all of them: mxa.pair.test (5), mxb.pair.test (10), "
        "mx2.example.test (20)")
    assert found["mx-best", "pair.test"]["observed"] == (
        "mxa.pair.test (5) is better than this host (20)")


@finding("mx-lookup", "mx-null", "mx-implicit", present=True)
def test_no_usable_records(found):
    assert found.exit == 1
    assert found.severity("mx-lookup", "gone.test") == "error"
    assert "NXDOMAIN" in found["mx-lookup", "gone.test"]["observed"]
    assert found.severity("mx-null", "null.test") == "error"
    assert found.severity("mx-null", "mixed.test") == "warning"
    assert '0 "."' in found["mx-null", "mixed.test"]["observed"]
    assert found.severity("mx-best", "mixed.test") == "ok"
    assert found.severity("mx-implicit", "bare.test") == "error"
    assert found["mx-implicit", "bare.test"]["mend"][1:3] == [
        "bare.test. 3600 IN MX 10 bare.test.", "bare.test. 3600 IN MX 20 mx2.example.test."]
    # nothing more is said of them
    for domain in ("gone.test", "null.test", "bare.test"):
        assert not found.all("mx-listed", domain)


@finding("mx-listed", "mx-best", "mx-equal", present=True)
def test_not_a_backups_place(found):
    assert found.severity("mx-listed", "unlisted.test") == "error"
    assert found["mx-listed", "unlisted.test"]["mend"][0] == (
        "unlisted.test. 300 IN MX 20 mx2.example.test.")
    assert "backupmxctl plan unlisted.test" in found["mx-listed", "unlisted.test"]["mend"]

    assert found.severity("mx-best", "best.test") == "error"
    assert "best.test. 300 IN MX 30 mx2.example.test." in found["mx-best", "best.test"]["mend"]
    assert found.severity("mx-best", "only.test") == "error"
    assert found.severity("mx-best", "equal.test") == "error"
    # with a configured primary mail gets there, but nobody is ever deferred
    assert found.severity("mx-best", "private.test") == "warning"

    assert found.severity("mx-equal", "equal.test") == "warning"
    assert found["mx-equal", "equal.test"]["mend"][-1] == (
        "equal.test. 300 IN MX 20 mx2.example.test.")
    # another backup beside us harms nothing
    assert found.severity("mx-equal", "backups.test") == "note"


@finding("mx-self", "mx-duplicate", present=True)
def test_who_is_who(found):
    assert found.severity("mx-self", "alias.test") == "note"
    assert (
        "my_names = {mx2.example.test, old.stale.test, fallback.alias.test}") in found["mx-self", "alias.test"]["mend"]
    # the primary's name leads here
    assert found.severity("mx-self", "moved.test") == "error"
    assert found.severity("mx-best", "moved.test") == "error"
    # a name of ours that leads elsewhere
    assert found.severity("mx-self", "stale.test") == "warning"
    assert (
        'my_addresses = {"198.51.100.7", "198.51.100.8", "198.51.100.9", "10.1.2.3", "192.0.2.99"}') in found["mx-self", "stale.test"]["mend"]
    # two names of ours
    assert [one["severity"] for one in found.all("mx-self", "named.test")] == ["warning"]

    twice = found["mx-duplicate", "twice.test"]
    assert (twice["severity"], twice["observed"]) == (
        "warning", "mx1.example.test is listed twice, with 10 and 15")
    assert twice["mend"] == ["# remove: twice.test. IN MX 15 mx1.example.test."]
    assert found.severity("mx-duplicate", "same.test") == "note"
    assert "192.0.2.10" in found["mx-duplicate", "same.test"]["observed"]


@finding("mx-literal", "mx-cname", "mx-address", present=True)
def test_what_they_name(found):
    cname = found["mx-cname", "cname.test"]
    assert (cname["severity"], cname["observed"]) == (
        "warning", "mx1.cname.test (10) is an alias (CNAME) of mx1.example.test")
    assert cname["mend"][1] == "cname.test. 300 IN MX 10 mx1.example.test."
    # another backup's alias is its own business
    assert found.severity("mx-cname", "backups.test") == "ok"

    literals = found.all("mx-literal", "literal.test")
    assert [one["severity"] for one in literals] == ["error", "error"]
    assert "192.0.2.11" in literals[1]["observed"]
    assert "mx10.literal.test. 3600 IN A 192.0.2.10" in literals[0]["mend"]

    assert found.severity("mx-address", "bald.test") == "error"
    assert "NXDOMAIN" in found["mx-address", "bald.test"]["observed"]
    assert found.severity("mx-address", "half.test") == "warning"


@finding("mx-ttl", "mx-family", "mx-network", present=False)
def test_good_failover(found):
    assert found.severity("mx-ttl", "example.test") == "ok"
    assert found["mx-ttl", "example.test"]["observed"] == (
        "seconds: example.test MX 300, mx1.example.test A 300, mx1.example.test AAAA 300, "
        "mx2.example.test A 300, mx2.example.test AAAA 300")
    assert found.severity("mx-family", "far.test") == "ok"
    assert found.severity("mx-network", "far.test") == "ok"
    # without a primary there is nothing to compare
    assert not found.all("mx-network", "equal.test")


@finding("mx-ttl", "mx-family", "mx-network", present=True)
def test_bad_failover(found):
    brief = found.all("mx-ttl", "brief.test")
    assert [(one["severity"], one["observed"].split(",")[0]) for one in brief] == [
        ("warning", "brief.test MX has a TTL of 60 seconds"),
        ("warning", "mx1.brief.test A has a TTL of 299 seconds")]
    assert brief[0]["mend"] == ["brief.test. 3600 IN MX 10 mx1.brief.test.",
                                "brief.test. 3600 IN MX 20 mx2.example.test."]
    assert brief[1]["mend"] == ["mx1.brief.test. 3600 IN A 198.51.100.1"]
    assert [one["observed"] for one in found.all("mx-ttl", "long.test")] == [
        "long.test MX has a TTL of 86401 seconds, which is more than a day"]
    # somebody else's zone
    assert [one["severity"] for one in found.all("mx-ttl", "theirs.test")] == ["note"]

    assert [(found.severity("mx-family", domain), domain)
            for domain in ("second.test", "six.test", "four.test", "sixth.test")] == [
        ("note", "second.test"), ("warning", "six.test"), ("note", "four.test"),
        ("warning", "sixth.test")]

    assert found.severity("mx-network", "example.test") == "warning"
    assert "192.0.2.0/24" in found["mx-network", "example.test"]["observed"]
    assert "2001:db8::/48" in found["mx-network", "six.test"]["observed"]
    assert found.severity("mx-network", "private.test") == "warning"
    tunnel = found["mx-network", "tunnel.test"]
    assert tunnel["severity"] == "note" and "10.1.2.0/24" in tunnel["observed"]


@finding("host-helo", "host-ptr", present=False)
def test_good_names(found):
    assert found.severity("host-helo", "mx2.example.test") == "ok"
    assert found.severity("host-ptr", "192.0.2.20") == "ok"
    assert found.severity("host-ptr", "2001:db8::20") == "ok"
    # nobody has a name for these
    for address in ("127.0.0.1", "::1", "10.1.2.3"):
        assert not found.all("host-ptr", address)


@finding("host-helo", "host-ptr", present=True)
def test_bad_names(found):
    assert found.severity("host-helo", "backup") == "error"
    assert found.severity("host-helo", "localhost.localdomain") == "error"
    elsewhere = found["host-helo", "mx.foreign.test"]
    assert elsewhere["severity"] == "warning" and "192.0.2.40" in elsewhere["observed"]
    nowhere = found["host-helo", "nowhere.test"]
    assert nowhere["severity"] == "warning" and "NXDOMAIN" in nowhere["observed"]
    assert "nowhere.test. 3600 IN A 192.0.2.20" in nowhere["mend"]

    assert found["host-ptr", "198.51.100.7"]["observed"] == "it has no PTR record"
    assert found["host-ptr", "198.51.100.7"]["mend"][1] == (
        "7.100.51.198.in-addr.arpa. 3600 IN PTR mx2.example.test.")
    assert found["host-ptr", "198.51.100.8"]["observed"] == (
        "its name is mx.foreign.test, which doesn't lead back to it")
    nine = found["host-ptr", "198.51.100.9"]
    assert nine["severity"] == "note" and "nine.test, which leads back" in nine["observed"]


def test_a_family_that_this_host_lacks(lab, checker):
    lab.backup_host.ip("addr del 2001:db8::20/64 dev eth0")
    try:
        found = checker.check("example.test", "six.test")
    finally:
        lab.backup_host.ip("addr add 2001:db8::20/64 dev eth0 nodad")
    published = found["mx-family", "example.test"]
    assert published["severity"] == "warning"
    assert published["mend"] == ["# remove: mx2.example.test. IN AAAA 2001:db8::20"]
    assert found.severity("mx-family", "six.test") == "error"


@pytest.fixture
def cache(lab):
    """A resolver that has kept the records of example.test for a while."""
    aged = {name: [(f"12 {kind}", value) for kind, value in entries]
            for name, entries in lab.dns.records.items() if name.endswith("example.test")}
    server = Dns(lab.foreign_host, aged)
    server.start()
    server.wait_up("192.0.2.40")
    yield "192.0.2.40"
    server.stop()


def test_lifetimes_behind_a_cache(lab, checker, ini, cache):
    path = ini(f"servers = {{{cache}}}\n")
    found = checker.check("-c", path, "example.test")
    assert found.severity("mx-ttl") == "ok"
    assert "mx1.example.test A 300" in found["mx-ttl"]["observed"]

    lab.dns.stop()
    try:
        found = checker.check("-c", path, "example.test")
    finally:
        lab.dns.start()
        lab.dns.wait_up()
    assert all(one["unseen"] for one in found.all("mx-ttl"))
    assert "12" in found["mx-ttl"]["observed"]


def test_dns_that_fails(lab, checker):
    lab.dns.stop()
    try:
        found = checker.check("example.test")
    finally:
        lab.dns.start()
        lab.dns.wait_up()
    assert found.severity("mx-lookup") == "error"
    assert "SERVFAIL" in found["mx-lookup"]["observed"]
    assert found["host-helo"]["unseen"] and found["host-ptr"]["unseen"]


def test_a_host_without_a_full_name(lab, checker):
    """Nothing that is advised holds the name that isn't one."""
    done = lab.backup_host.run(
        ["unshare", "--uts", "sh", "-c", 'hostname backup && exec "$@"', "sh", checker.program,
         *checker.common, "--json", "check", "unlisted.test"], check=False)
    found = Findings(done)
    assert found.severity("host-helo", "backup") == "error"
    assert found.severity("mx-listed") == "error"
    assert not [line for one in found.list for line in one["mend"]
                if re.search(r"\bbackup\.(\s|$)", line)]


def zone_entries(findings, keep=()):
    """The zone lines among the mends, as the lab's DNS takes them."""
    entries = {}
    for line in [*keep, *(line for one in findings for line in one["mend"])]:
        match = re.fullmatch(r"(\S+)\. (\d+) IN (\S+) (.*)", line)
        if match:
            name, ttl, kind, value = match.groups()
            entries.setdefault(name, []).append((f"{ttl} {kind}", value))
    return entries


def test_the_advice_mends_it(lab, checker):
    """The zone lines as they are given, in place of the records that they are about."""
    found = checker.check("unlisted.test", "bare.test", "best.test", "cname.test", "brief.test")
    primary = "{}. 300 IN MX 10 mx1.example.test."
    lab.dns.change(zone_entries(found.all("mx-listed", "unlisted.test"),
                                keep=[primary.format("unlisted.test")]))
    bare = zone_entries(found.all("mx-implicit", "bare.test"))
    bare["bare.test"] += lab.dns.records["bare.test"]
    lab.dns.change(bare)
    lab.dns.change(zone_entries(found.all("mx-best", "best.test"),
                                keep=[primary.format("best.test")]))
    lab.dns.change(zone_entries(found.all("mx-cname", "cname.test"),
                                keep=[f"cname.test. 300 IN MX 20 {OURS}"]))
    brief = zone_entries(found.all("mx-ttl", "brief.test"))
    brief["mx1.brief.test"].append(("AAAA", "2001:db8:1::1"))
    lab.dns.change(brief)

    found = checker.check("unlisted.test", "bare.test", "best.test", "cname.test", "brief.test")
    left = {(one["id"], one["subject"]) for one in found.list
            if one["id"].startswith("mx-") and one["severity"] in ("warning", "error")}
    assert {key for key in left if key[0] != "mx-network"} == set()
    assert found["mx-best", "bare.test"]["observed"] == (
        "bare.test (10) is better than this host (20)")
