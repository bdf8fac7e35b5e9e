# SPDX-License-Identifier: BSD-2-Clause
#
# P1: a recipient known as valid stays welcome for the whole outage, over restarts, crashes and
# reloads. And mail taken before a restart is flushed after it.

import pytest
from lab import outage
from story import (NO_SUCH_USER, NOT_KNOWN_YET, delivered_once, expect, recovered, until_up,
                   wait_deferred, wait_down)


def restart(lab):
    lab.milter.restart()


def crash(lab):
    lab.milter.restart(crash=True)


def reload(lab):
    mark = lab.milter.mark()
    lab.milter.hup()
    lab.milter.wait_for_log("reload", 10, mark)


@pytest.mark.parametrize("interruption", [restart, crash, reload])
def test_known_stays_known(lab, interruption):
    name = interruption.__name__
    number = ["restart", "crash", "reload"].index(name)
    known, also_known, invented = (f"user{number}@example.test", f"user{10 + number}@example.test",
                                   f"nobody{number}@example.test")
    unknown = f"user{20 + number}@example.test"
    until_up(lab)
    lab.learn(known, also_known)
    lab.learn(invented, verdict="invalid")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        assert lab.send(known, f"before-{name}").accepted
        wait_deferred(lab, 1)
        interruption(lab)
        with lab.session() as session:
            # The very first questions after it: no grace period in which mail is turned away.
            first = session.send(also_known, f"after-{name}")
            assert first.accepted, first
            expect(session.ask(unknown), NOT_KNOWN_YET, unknown)
            expect(session.ask(invented), NO_SUCH_USER, invented)
        wait_deferred(lab, 2)
        mark = lab.milter.mark()
    recovered(lab, mark)
    delivered_once(lab, known, f"before-{name}")
    delivered_once(lab, also_known, f"after-{name}")


def test_mail_taken_before_a_crash_is_flushed_after_it(lab):
    """Nothing was accepted by the new process: it must remember what the old one took."""
    known = "carol@example.test"
    until_up(lab)
    lab.learn(known)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        assert lab.send(known, "taken-before-the-crash").accepted
        wait_deferred(lab, 1)
        mark = lab.milter.mark()
        lab.milter.restart(crash=True)
    recovered(lab, mark)
    delivered_once(lab, known, "taken-before-the-crash")


def test_flaps_do_not_make_a_recipient_forgotten(lab):
    known = "dave@example.test"
    until_up(lab)
    lab.learn(known)
    for turn in range(2):
        mark = lab.milter.mark()
        with outage.stopped(lab.primary):
            wait_down(lab, mark)
            sent = lab.send(known, f"flap-{turn}")
            assert sent.accepted, sent
            wait_deferred(lab, 1)
            mark = lab.milter.mark()
        recovered(lab, mark)
        delivered_once(lab, known, f"flap-{turn}")
