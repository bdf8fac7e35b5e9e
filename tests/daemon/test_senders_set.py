# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P8: "go to the primary" is said only while public MX records give senders a strictly
# better host and our probe finds one of its addresses up. Also: DNS failures keep the last good
# set, over restarts too.

import time

import pytest

from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


P8_DOMAINS = {
    # name: (MX entries, is `primary` configured?)
    "best": ([(10, OUR_NAME), (20, "mx1.{d}")], False),
    "best-primary": ([(10, OUR_NAME), (20, "mx1.{d}")], True),
    "only": ([(10, OUR_NAME)], False),
    "only-primary": ([(10, OUR_NAME)], True),
    "equal": ([(10, OUR_NAME), (10, "mx1.{d}")], False),
    "equal-primary": ([(10, OUR_NAME), (10, "mx1.{d}")], True),
    "unlisted": ([(10, "mx1.{d}"), (20, "mx9.{d}")], False),
    "unlisted-primary": ([(10, "mx1.{d}"), (20, "mx9.{d}")], True),
    "implicit": ([], False),
    "implicit-primary": ([], True),
    "nullmx": ([(0, ".")], False),
    "nullmx-primary": ([(0, ".")], True),
    # the better MX's name isn't ours, but its address is
    "self-by-interface": ([(10, "alias.{d}"), (20, OUR_NAME), (30, "mx1.{d}")], False),
    "self-by-interface-primary": ([(10, "alias.{d}"), (20, OUR_NAME), (30, "mx1.{d}")], True),
    "self-by-nat": ([(10, "nat.{d}"), (20, OUR_NAME)], False),
    "self-by-nat-primary": ([(10, "nat.{d}"), (20, OUR_NAME)], True),
    # listed twice: our lowest preference counts
    "twice": ([(10, OUR_NAME), (15, "mx1.{d}"), (20, "mx2b.example.net")], False),
    "twice-primary": ([(10, OUR_NAME), (15, "mx1.{d}"), (20, "mx2b.example.net")], True),
    "upper-case": ([(10, "MX2.Example.NET"), (20, "mx1.{d}")], True),
}
NAT_ADDRESS = "127.99.0.1"


@pytest.fixture(scope="module")
def p8(module_lab):
    lab = module_lab
    sections, servers = {}, {}
    for name, (entries, with_primary) in P8_DOMAINS.items():
        domain = "p8-%s.test" % name
        servers[domain] = lab.server("mx1." + domain, recipients=dict(VALID))
        lab.dns.set(domain, "A", [servers[domain].address])
        lab.dns.host("mx9." + domain, servers[domain].address)
        lab.dns.host("alias." + domain, "127.0.0.1")
        lab.dns.host("nat." + domain, NAT_ADDRESS)
        if entries:
            lab.dns.mx(domain, *[(p, host.format(d=domain)) for p, host in entries])
        sections['domain "%s"' % domain] = {}
        if with_primary:
            sections['domain "%s"' % domain]["primary"] = [
                "[%s]:%d" % (servers[domain].address, lab.port)]
    lab.dns.host("mx2b.example.net", "192.0.2.251")
    daemon = lab.daemon({"milter": {"my_names": [OUR_NAME, "mx2b.example.net"],
                                    "my_addresses": [NAT_ADDRESS]}}, sections)
    for name, (_, with_primary) in P8_DOMAINS.items():
        daemon.wait_for_state("p8-%s.test" % name, "up" if with_primary else "not-backup", 15)
    return daemon, servers


@pytest.mark.parametrize("name", sorted(n for n, (_, p) in P8_DOMAINS.items() if not p))
def test_p8_without_a_primary_we_stay_out_of_it(p8, name):
    daemon, servers = p8
    domain = "p8-%s.test" % name
    mark = daemon.mark()
    for rcpt in ("alice", "nobody"):
        for _ in range(2):
            assert daemon.milter().rcpt("<%s@%s>" % (rcpt, domain)).action == "continue"
    daemon.wait_for_log(r"reason=not-backup row=2 .* domain=%s " % domain, 5, mark)
    assert not servers[domain].sessions, "probed although it is no primary"
    assert len(daemon.log_lines(r" warning: .*%s" % domain)) == 1


@pytest.mark.parametrize("name", sorted(n for n, (_, p) in P8_DOMAINS.items() if p))
def test_p8_with_a_primary_nobody_is_sent_there(p8, name):
    daemon, _ = p8
    domain = "p8-%s.test" % name
    daemon.learn("control@" + domain, client="198.51.100.88")
    mark = daemon.mark()
    # validation goes on: an unknown one is asked in line, an invented one refused
    assert daemon.milter().rcpt("<alice@%s>" % domain).action == "continue"
    assert daemon.milter().rcpt("<nobody@%s>" % domain).code == 550
    daemon.wait_for_log(r"action=accept reason=no-better-mx row=8 .* domain=%s " % domain, 5, mark)
    daemon.no_log(r"xcode=4\.3\.2 .* domain=%s " % domain)


def test_p8_better_mx_is_down_but_the_configured_primary_is_up(lab):
    """A sender can't reach the inner host we deliver to: it must not be sent away."""
    public = lab.primary("split.test")
    inner = lab.server("inner.split.test", recipients=dict(VALID))
    daemon = lab.daemon({'domain "split.test"': {"primary": ["[%s]:%d" % (inner.address,
                                                                         inner.port)]}})
    daemon.wait_for_state("split.test", "up")
    eventually(lambda: [e["state"] for e in daemon.status("split.test")["endpoints"]] == ["up", "up"],
               10, "both are probed")
    assert daemon.milter().rcpt("<new@split.test>").xcode == "4.3.2"
    daemon.learn("alice@split.test")
    public.stop()
    eventually(lambda: daemon.milter().rcpt("<alice@split.test>").action == "continue", 25,
               pause=0.2)
    daemon.wait_for_log(r"reason=no-better-mx row=8 ", 5)
    assert daemon.status("split.test")["state"] == "up"


def test_p8_dns_that_never_answered(lab):
    """A senders' set that was never learned counts as not up."""
    inner = lab.server("inner.blind.test", recipients=dict(VALID))
    lab.primary("blind.test", recipients=dict(VALID))
    for fault, domain in (("SILENCE", "blind.test"), ("SERVFAIL", "blind2.test")):
        lab.dns.fail(domain, fault)
    daemon = lab.daemon({
        'domain "blind.test"': {"primary": ["[%s]:%d" % (inner.address, inner.port)]},
        'domain "blind2.test"': {}})
    daemon.wait_for_state("blind.test", "up")
    for _ in range(3):
        reply = daemon.milter().rcpt("<alice@blind.test>")
        assert reply.action == "continue" or reply.xcode == "4.1.1", reply
        reply = daemon.milter().rcpt("<alice@blind2.test>")
        assert (reply.code, reply.xcode) == (451, "4.4.1")
        assert reply.seconds < 6
        time.sleep(0.7)
    daemon.no_log(r"xcode=4\.3\.2")
    eventually(lambda: daemon.status("blind2.test")["reason"] == "dns-fail", 10)


def test_p8_an_endpoint_that_greets_with_our_name_is_us(lab):
    """loop: never a primary, so nobody is sent there and nothing is asked of it."""
    server = lab.primary("mirror.test", banner="220 %s ESMTP" % OUR_NAME)
    daemon = lab.daemon(domains=["mirror.test"])
    daemon.wait_for_state("mirror.test", "not-backup")
    assert daemon.status("mirror.test")["endpoints"][0]["reason"] == "loop"
    assert daemon.milter().rcpt("<alice@mirror.test>").action == "continue"
    assert not server.rcpts()


# -- DNS failures keep the last good set

@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENCE", "REFUSED", "GARBAGE", "NXDOMAIN",
                                   "NODATA"])
def test_last_good_set_survives_dns_failure_and_restart(lab, fault):
    """Broken DNS changes nothing; NXDOMAIN and no data must hold for dns_grace (1 h)."""
    primary = lab.primary("lastgood.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["lastgood.test"])
    daemon.wait_for_state("lastgood.test", "up")
    daemon.learn("alice@lastgood.test")
    assert daemon.milter().rcpt("<alice@lastgood.test>").xcode == "4.3.2"
    time.sleep(1.2)
    for name in ("lastgood.test", "mx1.lastgood.test"):
        lab.dns.fail(name, fault)
    for crash in (False, True):
        daemon.restart(crash)
        primary.forget()
        primary.wait_for_sessions(2, 8)         # it is still probed
        daemon.wait_for_state("lastgood.test", "up")
        assert daemon.milter().rcpt("<alice@lastgood.test>").xcode == "4.3.2"
    primary.stop()
    daemon.wait_for_state("lastgood.test", "down")
    assert daemon.milter().rcpt("<alice@lastgood.test>").action == "continue"
