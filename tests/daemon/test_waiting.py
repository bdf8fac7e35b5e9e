# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P3: the answer comes from state and memory. What waits on the network at all waits no
# longer than callout_wait, and never more than max_waiting at a time.

import threading
import time

from peers.smtp_server import SILENCE, Answer
from peers.waiting import eventually

VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


def ask_at_once(daemon, addresses):
    """One connection per recipient, all at the same moment. Returns (seconds, Reply) each."""
    results = [None] * len(addresses)
    barrier = threading.Barrier(len(addresses))

    def ask(number):
        with daemon.milter().connect(client="198.51.%d.9" % number, name=None) as session:
            session.mail("<sender@example.org>")
            barrier.wait()
            started = time.monotonic()
            reply = session.rcpt("<%s>" % addresses[number])
            results[number] = (time.monotonic() - started, reply)
            session.abort()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(addresses))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results), "an answer never came"
    return results


def hanging_primary(lab, domain, policy=None):
    """Up and healthy as far as EHLO, but RCPT never gets an answer."""
    server = lab.primary(domain, rcpt=SILENCE)
    daemon = lab.daemon({'domain "%s"' % domain: {"when_up": "accept"}},
                        {"probe": {"timeout": "30s"}, "recipients": {"callout_wait": "5s"}},
                        policy or {})
    daemon.wait_for_state(domain, "up")
    return server, daemon


def test_p3_twenty_recipients_of_one_message_while_the_primary_hangs(lab):
    """What the RCPTs of one message wait for comes out of one budget of callout_wait."""
    _, daemon = hanging_primary(lab, "hang.test")
    with daemon.milter().connect(client="198.51.100.9", name=None) as session:
        session.mail("<sender@example.org>")
        started = time.monotonic()
        replies = []
        for number in range(20):
            replies.append(session.rcpt("<u%d@hang.test>" % number))
            time.sleep(0.01)
        elapsed = time.monotonic() - started
        session.abort()
    assert elapsed < 6
    assert all((r.code, r.xcode) == (450, "4.1.1") for r in replies)
    assert max(r.seconds for r in replies) < 5.5
    # the first one did wait: the test would show nothing with a daemon that never asks in line
    assert replies[0].seconds > 3


def test_p3_twenty_connections_at_once_while_the_primary_hangs(lab):
    """At most max_waiting of them wait at all; the others are answered at once."""
    _, daemon = hanging_primary(lab, "hang.test", {"milter": {"max_waiting": 3}})
    results = ask_at_once(daemon, ["u%d@hang.test" % n for n in range(20)])
    assert all((reply.code, reply.xcode) == (450, "4.1.1") for _, reply in results)
    assert max(seconds for seconds, _ in results) < 6
    # Counted by the log: slow answers are also those that libmilter queues behind a worker that waits.
    assert 1 <= len(daemon.log_lines(r"wait: domain=hang\.test ")) <= 3
    # and the milter answers others all the while
    started = time.monotonic()
    daemon.milter().rcpt("<someone@foreign.test>")
    assert time.monotonic() - started < 1


def test_p3_known_recipients_never_wait(lab):
    server, daemon = hanging_primary(lab, "hang.test")
    server.change(rcpt=None)
    server.script.recipients.update(VALID)
    daemon.learn("alice@hang.test")
    server.change(rcpt=SILENCE)
    for _ in range(20):
        assert daemon.milter().rcpt("<alice@hang.test>").seconds < 0.5


def test_p3_row_10_never_waits(lab):
    """A primary that hangs in RCPT costs those who are sent there nothing."""
    lab.primary("ten.test", rcpt=SILENCE)
    daemon = lab.daemon(domains=["ten.test"])
    daemon.wait_for_state("ten.test", "up")
    results = ask_at_once(daemon, ["u%d@ten.test" % n for n in range(20)])
    assert all(reply.code == 451 for _, reply in results)
    assert max(seconds for seconds, _ in results) < 1


def test_p3_first_probe_of_an_unknown_domain(lab):
    """It is awaited for callout_wait, then the domain counts as down."""
    lab.primary("slow.test", banner=SILENCE)
    daemon = lab.daemon({"probe": {"timeout": "30s"}}, domains=["slow.test"])
    results = ask_at_once(daemon, ["u%d@slow.test" % n for n in range(20)])
    assert all((reply.code, reply.xcode) == (451, "4.4.1") for _, reply in results)
    # libmilter may queue some behind one that waits: who waits himself is in the log
    assert max(seconds for seconds, _ in results) < 6
    assert 1 <= len(daemon.log_lines(r"wait: domain=slow\.test")) <= 4


def test_p3_first_probe_is_worth_waiting_for(lab):
    """With a primary that answers the first recipient already gets the right reply."""
    lab.primary("quick.test", banner=Answer("220 {name}", delay=0.5))
    daemon = lab.daemon(domains=["quick.test"])
    reply = daemon.milter().rcpt("<alice@quick.test>")
    assert (reply.code, reply.xcode) == (451, "4.3.2")


def test_p3_question_that_came_too_late_is_learned_in_the_background(lab):
    server = lab.primary("late.test", recipients={"alice": Answer("250 ok", delay=2.5)})
    daemon = lab.daemon({'domain "late.test"': {"when_up": "accept"},
                         "probe": {"timeout": "10s"}, "recipients": {"callout_wait": "1s"}})
    daemon.wait_for_state("late.test", "up")
    reply = daemon.milter().rcpt("<alice@late.test>")
    assert (reply.code, reply.xcode) == (450, "4.1.1")
    assert reply.seconds < 1.8
    server.wait_for_rcpt("alice@late.test")
    eventually(lambda: daemon.explain("alice@late.test")["recipient"] == "valid", 8)
    assert daemon.milter().rcpt("<alice@late.test>").action == "continue"


def test_p3_recipients_of_row_9_that_could_not_wait_are_learned(lab):
    """The first one uses up what a message may wait; the others are asked in the background."""
    names = ["user%d" % n for n in range(5)]
    server = lab.server("mx1.own.test", pipelining=False,
                        recipients={name: Answer("250 ok", delay=1.5) for name in names})
    lab.dns.mx("own.test", (10, "mx2.example.net"))         # nobody better: row 9
    daemon = lab.daemon({'domain "own.test"': {"primary": [server.endpoint]},
                         "probe": {"timeout": "10s"}, "recipients": {"callout_wait": "1s"}})
    daemon.wait_for_state("own.test", "up")
    result = daemon.milter().send_message(rcpts=["<%s@own.test>" % name for name in names],
                                          stop_after_rcpt=True)
    assert {(reply.code, reply.xcode) for reply in result.replies} == {(450, "4.1.1")}
    for name in names:
        eventually(lambda n=name: daemon.explain(n + "@own.test")["recipient"] == "valid", 25,
                   lambda: server.transcripts(), pause=0.2)
    assert daemon.milter().rcpt("<user4@own.test>").action == "continue"
