# SPDX-License-Identifier: BSD-2-Clause
#
# What happens when DNS changes its mind while the daemon runs (DESIGN section 2): new primaries are
# found, failures keep the last good set, and "there is none" must hold for dns_grace.
#
# Answers live for 60 s at least. These tests don't wait for that: a reload with other DNS settings
# makes the daemon look everything up again.

import itertools
import re
import time

import pytest

from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
_timeouts = itertools.cycle(["2s", "1s"])


def look_again(lab, daemon, domain):
    """Make the daemon ask DNS anew, and wait until it has."""
    before = lab.dns.count(domain, "MX")
    timeout = next(t for t in _timeouts if t != daemon.ini["dns"]["timeout"])
    daemon.change_ini({"dns": {"timeout": timeout}})
    daemon.hup()
    lab.dns.wait_for_query(domain, "MX", before + 1, 5)
    time.sleep(0.3)


def start(lab, domain, *ini, **script):
    server = lab.primary(domain, recipients={"alice": "250 ok"}, **script)
    daemon = lab.daemon(*ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    return server, daemon


def test_a_new_primary_is_found(lab):
    old, daemon = start(lab, "move.test")
    new = lab.server("mx5.move.test", recipients={"alice": "250 ok"})
    lab.dns.mx("move.test", (10, "mx5.move.test"), (20, OUR_NAME))
    look_again(lab, daemon, "move.test")
    eventually(lambda: [e["endpoint"] for e in daemon.status("move.test")["endpoints"]]
               == [new.endpoint], 5)
    daemon.wait_for_state("move.test", "up")
    time.sleep(0.5)
    old.forget()
    time.sleep(2)
    assert not old.sessions, "the old primary is still probed"


def test_a_new_address_is_found(lab):
    _, daemon = start(lab, "renumber.test")
    new = lab.server("mx1.renumber.test")
    look_again(lab, daemon, "renumber.test")
    eventually(lambda: [e["endpoint"] for e in daemon.status("renumber.test")["endpoints"]]
               == [new.endpoint], 5)
    daemon.wait_for_state("renumber.test", "up")


@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENCE", "REFUSED", "GARBAGE", "SHORT",
                                   "LOOPING_NAME", "TRUNCATE_DEAF"])
def test_a_failure_keeps_the_last_good_set(lab, fault):
    """However long it lasts: dns_grace has nothing to do with it."""
    server, daemon = start(lab, "fail.test", {"dns": {"dns_grace": "1s"}})
    lab.dns.fail("fail.test", fault)
    for _ in range(3):
        look_again(lab, daemon, "fail.test")
        time.sleep(1.2)
    assert daemon.status("fail.test")["state"] == "up"
    assert daemon.milter().rcpt("<alice@fail.test>").xcode == "4.3.2"
    server.forget()
    server.wait_for_sessions(2, 5)


@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENCE", "REFUSED"])
def test_failing_addresses_keep_the_last_good_ones(lab, fault):
    server, daemon = start(lab, "addr.test", {"dns": {"dns_grace": "1s"}})
    lab.dns.fail("mx1.addr.test", fault)
    for _ in range(2):
        look_again(lab, daemon, "addr.test")
        time.sleep(1.5)
    assert daemon.status("addr.test")["state"] == "up"
    server.forget()
    server.wait_for_sessions(2, 5)


@pytest.mark.parametrize("fault", ["NXDOMAIN", "NODATA"])
def test_absence_must_hold_for_dns_grace(lab, fault):
    server, daemon = start(lab, "gone.test", {"dns": {"dns_grace": "5s"}})
    lab.dns.fail("gone.test", fault, "MX")
    look_again(lab, daemon, "gone.test")
    # within the grace it is as it was
    assert daemon.status("gone.test")["state"] == "up"
    assert daemon.milter().rcpt("<alice@gone.test>").xcode == "4.3.2"
    server.forget()
    server.wait_for_sessions(2, 5)
    time.sleep(4)
    look_again(lab, daemon, "gone.test")
    eventually(lambda: daemon.status("gone.test")["state"] == "not-backup", 5,
               lambda: repr(daemon.status("gone.test")))
    # and nobody is sent to a primary that isn't there
    assert daemon.milter().rcpt("<alice@gone.test>").action == "continue"
    assert daemon.log_lines(r" warning: .*gone\.test")
    # the records are back: so is everything
    lab.dns.heal("gone.test", "MX")
    look_again(lab, daemon, "gone.test")
    daemon.wait_for_state("gone.test", "up")


def test_absence_that_doesnt_hold_is_forgotten(lab):
    """The grace starts anew once the records were seen again."""
    _, daemon = start(lab, "blink.test", {"dns": {"dns_grace": "4s"}})
    for _ in range(3):
        lab.dns.fail("blink.test", "NXDOMAIN")
        look_again(lab, daemon, "blink.test")
        time.sleep(1.5)
        lab.dns.heal("blink.test")
        look_again(lab, daemon, "blink.test")
        time.sleep(0.5)
    lab.dns.fail("blink.test", "NXDOMAIN")
    look_again(lab, daemon, "blink.test")
    assert daemon.status("blink.test")["state"] == "up"


def test_absence_of_a_configured_primarys_name_has_its_grace_too(lab):
    lab.primary("inner.test")
    inner = lab.server("relay.inner.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon({'domain "inner.test"': {"primary": ["relay.inner.test"]}})
    daemon.wait_for_state("inner.test", "up")
    lab.dns.remove("relay.inner.test")
    look_again(lab, daemon, "inner.test")
    time.sleep(1)
    assert daemon.status("inner.test")["state"] == "up"
    inner.forget()
    inner.wait_for_sessions(2, 5)


def test_p8_we_become_the_best_mx(lab):
    """From then on nobody is sent away, at once."""
    _, daemon = start(lab, "swap.test")
    assert daemon.milter().rcpt("<alice@swap.test>").xcode == "4.3.2"
    lab.dns.mx("swap.test", (5, OUR_NAME), (10, "mx1.swap.test"))
    look_again(lab, daemon, "swap.test")
    eventually(lambda: daemon.status("swap.test")["state"] == "not-backup", 5)
    assert daemon.milter().rcpt("<alice@swap.test>").action == "continue"
    mark = daemon.mark()
    lab.dns.mx("swap.test", (10, "mx1.swap.test"), (20, OUR_NAME))
    look_again(lab, daemon, "swap.test")
    daemon.wait_for_state("swap.test", "up")
    daemon.wait_for_log(r"health: domain=swap\.test state=up", 5, mark)


def test_p8_a_null_mx_counts_at_once(lab):
    """RFC 7505 is a clear word, not a failure."""
    _, daemon = start(lab, "nomail.test")
    lab.dns.mx("nomail.test", (0, "."))
    look_again(lab, daemon, "nomail.test")
    eventually(lambda: daemon.status("nomail.test")["state"] == "not-backup", 5)


def test_p8_a_reload_says_that_the_better_mx_is_us(lab):
    _, daemon = start(lab, "newname.test")
    assert daemon.milter().rcpt("<alice@newname.test>").xcode == "4.3.2"
    daemon.change_ini({"milter": {"my_names": [OUR_NAME, "mx1.newname.test"]}})
    daemon.hup()
    eventually(lambda: daemon.status("newname.test")["state"] == "not-backup", 5)
    assert daemon.milter().rcpt("<alice@newname.test>").action == "continue"


def test_mx_behind_an_alias(lab):
    """A CNAME as MX target is against the rules and works all the same."""
    server = lab.server("real.alias.test")
    lab.dns.set("mx1.alias.test", "CNAME", ["real.alias.test"])
    lab.dns.mx("alias.test", (10, "mx1.alias.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["alias.test"])
    daemon.wait_for_state("alias.test", "up")
    assert server.sessions


def test_mixed_case_and_odd_mx_records(lab):
    """Capitals, the same host twice, an IP literal as a name, a host without an address."""
    server = lab.server("mx1.odd.test")
    lab.dns.mx("odd.test", (10, "MX1.Odd.TEST"), (10, "mx1.odd.test"), (5, "192.0.2.77"),
               (7, "nowhere.odd.test"), (20, "MX2.EXAMPLE.NET"))
    daemon = lab.daemon(domains=["odd.test"])
    daemon.wait_for_state("odd.test", "up", 15)
    assert [e["endpoint"] for e in daemon.status("odd.test")["endpoints"]] == [server.endpoint]


def test_very_many_mx_hosts(lab):
    """An answer beyond all reason is bounded, and doesn't fit into UDP."""
    entries = [(10 + n, "mx%d.huge.test" % n) for n in range(300)]
    lab.dns.mx("huge.test", (5000, OUR_NAME), *entries)
    server = lab.server("mx0.huge.test")
    daemon = lab.daemon(domains=["huge.test"])
    eventually(lambda: server.sessions, 15)
    daemon.check_alive()
    assert daemon.milter().rcpt("<alice@huge.test>").action in ("continue", "replycode")


def test_dns_is_not_asked_more_than_the_ttl_says(lab):
    _, daemon = start(lab, "calm.test")
    time.sleep(3)
    for _ in range(10):
        daemon.milter().rcpt("<alice@calm.test>")
    assert lab.dns.count("calm.test", "MX") == 1
    assert re.match(r"up", daemon.status("calm.test")["state"])
