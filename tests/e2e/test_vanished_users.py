# SPDX-License-Identifier: BSD-2-Clause
#
# A primary that is there but has lost its table of users refuses everybody for good. Canaries tell:
# nobody hears 550 by it, nothing is taken that would bounce, nothing is flushed into it, and all is
# as before when the table is back.

import re
import time

from lab import outage
from lab.postfix import MAILBOXES
from peers.waiting import eventually
from story import (delivered_once, nothing_bounced, recovered, until_up, wait_deferred, wait_down)

MILTER_SETTINGS = {"probe": {"canary_interval": "3s"}}
KNOWN = [f"user{number}@example.test" for number in range(20)]
NOT_IN_ORDER = re.compile(r"451 4\.3\.0 <\S+>: primary MX is not in order, try again later "
                          r"\(id \w{8}\)")


def lose_table(lab):
    lab.primary.write_mailboxes([])
    lab.primary.reload()


def restore_table(lab):
    lab.primary.write_mailboxes(MAILBOXES)
    lab.primary.reload()


def prepared(lab):
    # Its own retries into the half-alive primary are not ours to stop, and not what is tested here.
    lab.backup.retry_seldom()
    until_up(lab)
    lab.learn(*KNOWN)


def wait_sick(lab, mark, deadline=30):
    """A canary's turn and two tries more; generously, the machine may be busy."""
    found = lab.milter.wait_for_health("example.test", "sick", mark, deadline)
    assert found["reason"] == "canary-refused"
    return found


def everybody_is_asked_to_wait(lab, *unknown):
    with lab.session() as session:
        for recipient in (*KNOWN, *unknown):
            reply = session.ask(recipient)
            assert NOT_IN_ORDER.fullmatch(reply.text), reply


def known_are_still_known(lab):
    assert {lab.milter.explain(recipient)["recipient"] for recipient in KNOWN} == {"valid"}


def test_table_vanishes_while_up(own_lab, figure):
    lab = own_lab(MILTER_SETTINGS)
    prepared(lab)
    mark = lab.milter.mark()
    lost_at = time.monotonic()
    lose_table(lab)
    # Senders who come before it is noticed are sent to the primary as ever, and named recipients
    # are asked for: that must not make them invalid.
    with lab.session() as session:
        for recipient in (*KNOWN, "user50@example.test"):
            reply = session.ask(recipient)
            assert reply.code == 451, reply
    found = wait_sick(lab, mark)
    assert found["was"] == "up"
    figure("users vanish, canary_interval 3 s, fast_interval 1 s",
           f"sick {time.monotonic() - lost_at:.1f} s later; then 22 senders told 451 4.3.0, 0 taken, "
           "0 refused for good")
    everybody_is_asked_to_wait(lab, "user50@example.test", "user51@example.test")
    assert not lab.backup.queue(), lab.backup.queue_listing()
    known_are_still_known(lab)

    mark = lab.milter.mark()
    restore_table(lab)
    back_at = time.monotonic()
    lab.milter.wait_for_health("example.test", "up", mark, 60)
    figure("users are back", f"up {time.monotonic() - back_at:.1f} s later, 20 of 20 still known")
    known_are_still_known(lab)
    with lab.session() as session:
        # What was refused meanwhile is not held against anybody.
        for recipient in (*KNOWN, "user50@example.test", "user51@example.test"):
            reply = session.ask(recipient)
            assert reply.code < 500, reply
    until_up(lab)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        with lab.session() as session:
            for recipient in KNOWN:
                assert session.ask(recipient).code == 250, recipient
    nothing_bounced(lab)


def test_primary_returns_without_its_table(own_lab, figure):
    """Five messages wait at the backup: they must not be sent into a primary that would refuse
    them for good."""
    lab = own_lab(MILTER_SETTINGS)
    prepared(lab)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        for number in range(5):
            assert lab.send(KNOWN[number], f"waits-{number}-end").accepted
        wait_deferred(lab, 5)
        mark = lab.milter.mark()
        lab.primary.write_mailboxes([])
    wait_sick(lab, mark)
    everybody_is_asked_to_wait(lab, "user50@example.test")
    assert not lab.milter.log_lines(r"health: domain=example\.test state=up ", mark)
    assert not lab.milter.log_lines(r"flush: domain=example\.test ", mark)
    assert len(lab.backup.queue()) == 5
    known_are_still_known(lab)

    mark = lab.milter.mark()
    restore_table(lab)
    recovered(lab, mark, mails=5, deadline=60)
    for number in range(5):
        delivered_once(lab, KNOWN[number], f"waits-{number}-end")
    figure("primary returns without users, 5 mails wait",
           f"0 flushed while sick, 5 of 5 delivered once after, {len(lab.backup.bounces())} bounced")
    eventually(lambda: lab.milter.status("example.test")["state"] == "up", 10, "still up")
