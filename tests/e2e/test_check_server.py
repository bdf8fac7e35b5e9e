# SPDX-License-Identifier: BSD-2-Clause
#
# check --server: a backup MX seen from outside, by a host that it doesn't know. A good one is this
# lab's backup; a sloppy one is a Postfix that relays for the domains and asks nobody.

import re

import pytest

from lab.checking import Checker, finding
from peers.certificates import Authority

GOOD = "mx2.example.test"
SLOPPY = "mx.foreign.test"


@pytest.fixture(scope="module")
def checker(lab):
    certificate = Authority(lab.scratch / "authority").issue(GOOD)
    lab.backup.reconfigure(smtpd_tls_security_level="may", smtpd_tls_cert_file=certificate.certificate,
                           smtpd_tls_key_file=certificate.key)
    lab.foreign.reconfigure(relay_domains="sloppy.test, unlisted.test")
    lab.dns.change({"sloppy.test": [("MX", "10 mx1.example.test."), ("MX", f"20 {SLOPPY}.")]})
    lab.milter.wait_for_state("example.test", "up")
    return Checker(lab.client)


def sessions(postfix):
    """What each SMTP session came to, by Postfix's log."""
    return re.findall(r"disconnect from \S+ (ehlo=.*)", postfix.log_text())


@finding("server-listed", "server-answers", "server-invented", "server-defers", present=False)
def test_a_good_backup(lab, checker):
    before = len(sessions(lab.backup))
    found = checker.check("--server", GOOD, "--to", "alice@Example.test", "example.test", "pair.test")
    assert found.exit == 0
    assert set(found.problems()) == set()
    assert {one["id"] for one in found.list} == {
        "server-listed", "server-answers", "server-invented", "server-defers"}
    assert found["server-listed", "example.test"]["observed"] == (
        "mx2.example.test is listed (20), behind mx1.example.test (10)")
    for address in ("[192.0.2.20]:25", "[2001:db8::20]:25"):
        assert "mx2.example.test answers; TLSv1.3" in found["server-answers", address]["observed"]
    assert found.severity("server-invented", "pair.test") == "ok"
    defers = found["server-defers", "example.test"]
    assert defers["severity"] == "ok"
    assert defers["observed"].startswith("<alice@example.test> is put off: 451 ")
    assert found["server-defers", "pair.test"]["unseen"]
    # one session for each address, one of them with the questions; nothing was sent
    new = sessions(lab.backup)[before:]
    assert len(new) == 2
    assert all("quit=1" in one and "data" not in one for one in new), new
    assert [one for one in new if "mail=3" in one and re.search(r"rcpt=\S*3 ", one)], new


@finding("server-listed", "server-answers", "server-invented", "server-defers", present=True)
def test_a_sloppy_backup(lab, checker):
    found = checker.check("--server", SLOPPY, "--to", "alice@sloppy.test", "sloppy.test",
                          "unlisted.test")
    assert found.exit == 1
    assert found.severity("server-listed", "sloppy.test") == "ok"
    unlisted = found["server-listed", "unlisted.test"]
    assert unlisted["severity"] == "error"
    assert unlisted["mend"] == ["unlisted.test. 300 IN MX 20 mx.foreign.test."]
    answers = found["server-answers", "[192.0.2.40]:25"]
    assert answers["severity"] == "warning"
    assert "doesn't offer STARTTLS" in answers["observed"]
    for domain in ("sloppy.test", "unlisted.test"):
        assert found.severity("server-invented", domain) == "error"
    defers = found["server-defers", "sloppy.test"]
    assert defers["severity"] == "warning"
    assert "while a better host answers: 250" in defers["observed"]

    # in an outage it has to take that mail
    lab.primary.stop()
    try:
        found = checker.check("--server", SLOPPY, "--to", "alice@sloppy.test", "sloppy.test")
    finally:
        lab.primary.start()
        lab.primary.wait_up()
    assert found["server-defers", "sloppy.test"]["unseen"]


def test_no_backup_at_all(lab, checker):
    # it doesn't relay for the domain, which Postfix says by a 4xx
    for to in (["--to", "alice@example.test"], []):
        found = checker.check("--server", SLOPPY, *to, "example.test")
        assert found.severity("server-defers") == "error"
        assert re.search("is refused: 454 .*Relay access denied", found["server-defers"]["observed"])
        assert found["server-invented"]["unseen"]
    # it refuses somebody who exists
    found = checker.check("--server", "mx1.example.test", "--to", "nobody@example.test",
                          "example.test")
    assert found.severity("server-defers") == "error"
    assert found.severity("server-invented") == "ok"
    # the best host is no backup
    found = checker.check("--server", GOOD, "best.test", "null.test", "bare.test", "nowhere.test")
    assert [found.severity("server-listed", domain)
            for domain in ("best.test", "null.test", "bare.test", "nowhere.test")] == ["error"] * 4
    assert "is the best MX host itself" in found["server-listed", "best.test"]["observed"]
    assert "best.test. 300 IN MX 30 mx2.example.test." in found["server-listed", "best.test"]["mend"]
    assert "NXDOMAIN" in found["server-listed", "nowhere.test"]["observed"]


def test_nobody_answers(lab, checker):
    found = checker.check("--server", "client.test", "example.test")
    assert [one["severity"] for one in found.all("server-answers")] == ["error", "error"]
    assert "refused" in found["server-answers"]["observed"]
    assert found["server-invented"]["unseen"]
    found = checker.check("--server", "192.0.2.32", "example.test")
    assert found["server-answers", "[192.0.2.32]:25"]["severity"] == "error"
    found = checker.check("--server", "nowhere.test", "example.test")
    assert "NXDOMAIN" in found["server-answers", "nowhere.test"]["observed"]


def test_arguments(checker):
    for arguments, says in (
        (["--server", GOOD], "--server needs the domains"),
        (["--server", "two words", "example.test"], '"two words" is no host name'),
        (["--to", "alice@example.test", "example.test"], "--to is of use with --server only"),
        (["--server", GOOD, "--to", "alice", "example.test"], '"alice" is no address'),
        (["--server", GOOD, "--to", "alice@second.test", "example.test"],
         "<alice@second.test> is in none of the domains"),
    ):
        done = checker.run("check", *arguments)
        assert done.returncode == 2 and says in done.stderr, done
    done = checker.run("check", "--server", "192.0.2.20", "example.test")
    assert done.returncode == 0 and "A backup MX seen from outside" in done.stdout
    assert "daemon" not in done.stdout
