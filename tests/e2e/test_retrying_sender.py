# SPDX-License-Identifier: BSD-2-Clause
#
# P4 with a real Postfix at the other end: one that tries its MX hosts in turn, keeps what is
# deferred and comes back, and is let in by nothing but its own persistence.

from contextlib import contextmanager

import pytest
from lab import outage
from peers.waiting import eventually
from story import delivered_once, recovered, the_tag, until_up, wait_deferred, wait_down

SETTINGS = {"policy": {"persistent_attempts": 3, "persistent_after": "6s",
                       "unknown_accept_after": "8s"}}


@pytest.fixture
def retrying(own_lab):
    """A lab whose foreign MTA retries every few seconds."""
    lab = own_lab(SETTINGS)
    lab.foreign.reconfigure(queue_run_delay="1s", minimal_backoff_time="2s",
                            maximal_backoff_time="3s", smtp_connect_timeout="2s")
    until_up(lab)
    return lab


def submit(lab, recipient, text):
    """Hands a mail to the foreign MTA, as a user of it."""
    with lab.session(host=lab.foreign_host, server="127.0.0.1") as session:
        assert session.send(recipient, text).accepted


def wait_let_in(lab, recipient, since):
    """Until the foreign MTA's mail is taken. Returns the verdicts it met on its way."""
    def met():
        return [(d["action"], d["reason"]) for d in lab.milter.decisions(recipient, since)]
    eventually(lambda: met() and met()[-1][0] == "accept", 60,
               lambda: f"taken\n{met()}\n{lab.foreign.log_text()[-3000:]}", pause=0.2)
    lab.foreign.wait_queue_empty(10)
    return met()


@contextmanager
def primary_out_of_reach(host):
    """Of this host alone: its packets to the primary are refused on their way."""
    host.nft("table inet reach {\n  chain output {\n"
             "    type filter hook output priority 0;\n"
             "    ip daddr 192.0.2.10 tcp dport 25 reject\n"
             "    ip6 daddr 2001:db8::10 tcp dport 25 reject\n  }\n}\n")
    try:
        yield
    finally:
        host.nft("delete table inet reach\n")


def test_defer_then_accept(retrying):
    """An unknown recipient in a long outage: deferred, and taken once the sender has shown that it
    retries and the outage that it lasts."""
    lab = retrying
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        submit(lab, "user7@example.test", "came-back")
        met = wait_let_in(lab, "user7@example.test", mark)
        assert met[-1] == ("accept", "persistent-sender")
        assert len(met) >= 3 and set(met[:-1]) == {("defer", "unknown-recipient")}
        # one that doesn't come back isn't taken, however long the outage
        assert lab.ask("user7@example.test").code == 451
        wait_deferred(lab, 1)
        mark = lab.milter.mark()
    recovered(lab, mark, mails=1)
    tag = the_tag(delivered_once(lab, "user7@example.test", "came-back"))
    assert (tag["primary"], tag["recipients"], tag["reason"]) == (
        "down", "unknown", "persistent-sender")


def test_a_sender_that_reaches_only_us(retrying):
    lab = retrying
    lab.learn("alice@example.test")
    mark = lab.milter.mark()
    with primary_out_of_reach(lab.foreign_host):
        submit(lab, "alice@example.test", "cannot-reach-it")
        met = wait_let_in(lab, "alice@example.test", mark)
    tag = the_tag(delivered_once(lab, "alice@example.test", "cannot-reach-it"))
    assert (tag["primary"], tag["recipients"], tag["reason"]) == (
        "up", "valid", "persistent-sender")
    assert met[-1] == ("accept", "persistent-sender")
    assert len(met) >= 3 and set(met[:-1]) == {("defer", "primary-up")}
