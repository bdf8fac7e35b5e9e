# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of MX records, addresses and names, with a real DNS server. The faults are domains
# of one zone, so that one run sees them all. The check runs before there is a daemon, as nobody.

import pathlib

import pytest

from lab.checking import Checker, finding

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
}

GOOD = ["example.test", "pair.test"]
STAGED = [name for name in ZONE if name.count(".") == 1]
KNOWN = ["alias.test", "best.test", "only.test", "equal.test", "unlisted.test", "null.test",
         "bare.test", "private.test"]


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
    path = ini('[domain "private.test"]\nprimary = 192.0.2.11\n'
               '[milter]\nmy_names = {mx2.example.test, old.stale.test}\n')
    return checker.check("-c", path, *GOOD, *STAGED, *KNOWN, user=NOBODY)


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
        "unlisted.test. 3600 IN MX 20 mx2.example.test.")
    assert "backupmxctl plan unlisted.test" in found["mx-listed", "unlisted.test"]["mend"]

    assert found.severity("mx-best", "best.test") == "error"
    assert "best.test. 3600 IN MX 30 mx2.example.test." in found["mx-best", "best.test"]["mend"]
    assert found.severity("mx-best", "only.test") == "error"
    assert found.severity("mx-best", "equal.test") == "error"
    # with a configured primary mail gets there, but nobody is ever deferred
    assert found.severity("mx-best", "private.test") == "warning"

    assert found.severity("mx-equal", "equal.test") == "warning"
    assert found["mx-equal", "equal.test"]["mend"][-1] == (
        "equal.test. 3600 IN MX 20 mx2.example.test.")
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
    assert 'my_addresses = {"192.0.2.99"}' in found["mx-self", "stale.test"]["mend"]
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
    assert cname["mend"][1] == "cname.test. 3600 IN MX 10 mx1.example.test."
    # another backup's alias is its own business
    assert found.severity("mx-cname", "backups.test") == "ok"

    literals = found.all("mx-literal", "literal.test")
    assert [one["severity"] for one in literals] == ["error", "error"]
    assert "192.0.2.11" in literals[1]["observed"]
    assert "mx10.literal.test. 3600 IN A 192.0.2.10" in literals[0]["mend"]

    assert found.severity("mx-address", "bald.test") == "error"
    assert "NXDOMAIN" in found["mx-address", "bald.test"]["observed"]
    assert found.severity("mx-address", "half.test") == "warning"
