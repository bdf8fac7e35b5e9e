# SPDX-License-Identifier: BSD-2-Clause
#
# A primary that greets with 5xx is down, and Postfix waits for a better day; Sendmail bounces at
# once what it has for it. So Sendmail's senders are told to come again, for as long as that is what
# the primary says, and not longer.

import itertools

import pytest

from peers.loglines import fields
from peers.smtp_server import SILENCE
from peers.waiting import eventually

GREETING = "554 5.3.2 no service today"
SICK = (451, "4.3.0", "primary MX is not in order, try again later")
NOT_KNOWN_YET = (451, "4.4.1",
                 "primary MX is unreachable and this recipient is not known here yet")


def said(daemon, profile, local, domain):
    reply = daemon.milter(profile).rcpt("<%s@%s>" % (local, domain))
    if reply.action == "continue":
        return "taken"
    return reply.code, reply.xcode, reply.text.split(">: ")[-1].rsplit(" (id ")[0]


def ask(daemon, profile, local, domain):
    """What is said, and the fields of the line that says so."""
    mark = daemon.mark()
    reply = said(daemon, profile, local, domain)
    line = daemon.wait_for_log(r"action=\S+ .*to=<%s@%s> " % (local, domain), 5, mark).string
    return reply, fields(line)


def wait_said(daemon, wanted, domain):
    """Sendmail's senders hear that, once a probe has seen what the primary does now."""
    eventually(lambda: said(daemon, "sendmail", "alice", domain) == wanted, 10, lambda: (
        "%r: %r" % (wanted, said(daemon, "sendmail", "alice", domain))))


def known(lab, domain, servers, ini=()):
    """A daemon that knows who is there, and then the primary turns all away."""
    daemon = lab.daemon(*ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    daemon.learn("alice@" + domain, "nobody@" + domain)
    for server in servers:
        server.script.banner = GREETING
    daemon.wait_for_state(domain, "down")
    return daemon


def test_only_sendmails_senders_are_put_off(lab):
    server = lab.primary("away.test", recipients={"alice": "250 ok"})
    daemon = known(lab, "away.test", [server])
    assert daemon.status("away.test")["reason"] == "banner-5xx"
    assert said(daemon, "postfix", "alice", "away.test") == "taken"
    assert daemon.explain("alice@away.test")["row"] == 5
    for local in ("alice", "new"):
        reply, line = ask(daemon, "sendmail", local, "away.test")
        assert reply == SICK
        assert (line["row"], line["reason"], line["state"]) == ("4", "primary-sick", "down")
    # that the domain isn't up takes nothing from what is known of it
    assert said(daemon, "sendmail", "nobody", "away.test")[:2] == (550, "5.1.1")
    # what is explained is what the MTA that asked last would hear
    explained = daemon.explain("alice@away.test")
    assert (explained["row"], explained["code"], explained["state"]) == (4, 451, "down")
    assert explained["inputs"]["would_bounce"] is True
    assert "Sendmail would bounce" in " ".join(
        daemon.ctl_process("explain", "alice@away.test").stdout.split())


def test_only_while_it_is_so(lab):
    server = lab.primary("away.test", recipients={"alice": "250 ok"})
    daemon = known(lab, "away.test", [server])
    wait_said(daemon, SICK, "away.test")
    server.stop()
    wait_said(daemon, "taken", "away.test")
    assert said(daemon, "sendmail", "new", "away.test") == NOT_KNOWN_YET
    server.start()
    wait_said(daemon, SICK, "away.test")
    # until the first probe of a new process is over, what was remembered holds
    server.script.banner = SILENCE
    daemon.restart()
    assert said(daemon, "sendmail", "alice", "away.test") == SICK
    wait_said(daemon, "taken", "away.test")
    server.script.banner = GREETING
    wait_said(daemon, SICK, "away.test")
    server.script.banner = "421 4.3.2 come back later"
    wait_said(daemon, "taken", "away.test")
    assert daemon.status("away.test")["state"] == "down"


def test_one_good_probe_does_not_end_it(lab):
    """It takes two to be up (rise), and that one in between says nothing of the next delivery."""
    server = lab.primary("away.test", recipients={"alice": "250 ok"})
    daemon = known(lab, "away.test", [server], [{"probe": {"rise": 2}}])
    turns = itertools.count()
    server.script.banner = lambda session, argument: (
        "220 {name} ESMTP" if next(turns) % 2 else GREETING)
    mark = daemon.mark()
    heard = set()

    def seen_both():
        heard.add(said(daemon, "sendmail", "alice", "away.test"))
        return len(daemon.log_lines(r"probe: address=\S+ result=ok", mark)) >= 2
    eventually(seen_both, 20, "two good probes, never two in a row", pause=0.1)
    assert heard == {SICK}
    assert daemon.status("away.test")["state"] == "down"


def test_forced_down(lab):
    """Somebody works on it: what counts is whether it turns mail away while they do."""
    server = lab.primary("away.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon(domains=["away.test"])
    daemon.wait_for_state("away.test", "up")
    daemon.learn("alice@away.test")
    assert daemon.ctl_process("force", "away.test", "down").returncode == 0
    assert said(daemon, "sendmail", "alice", "away.test") == "taken"
    server.script.banner = GREETING
    wait_said(daemon, SICK, "away.test")
    assert daemon.status("away.test")["state"] == "forced-down"


@pytest.mark.parametrize("other", ["gone", "421 4.3.2 come back later"])
def test_one_of_two_hosts(lab, other):
    """Sendmail goes from one to the next, and believes the last that answered."""
    first = lab.primary("two.test", recipients={"alice": "250 ok"})
    second = lab.server("mx0.two.test", recipients={"alice": "250 ok"})
    lab.dns.mx("two.test", (5, "mx0.two.test"), (10, "mx1.two.test"), (20, "mx2.example.net"))
    daemon = lab.daemon(domains=["two.test"])
    daemon.wait_for_state("two.test", "up")
    daemon.learn("alice@two.test")
    if other == "gone":
        second.stop()
    else:
        second.script.banner = other
    first.script.banner = GREETING
    daemon.wait_for_state("two.test", "down")
    wait_said(daemon, SICK, "two.test")
    assert said(daemon, "postfix", "alice", "two.test") == "taken"
