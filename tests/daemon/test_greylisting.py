# SPDX-License-Identifier: BSD-2-Clause
#
# A primary that says "later" to strangers is asked again by itself, 6 and 30 minutes after the first
# time, so that a recipient is known although nobody names it a second time (DESIGN section 4). The
# daemon's time runs a hundred times as fast as the test's.

import time

from peers.waiting import eventually

TIMES = 100
MINUTE = 60 / TIMES                     # of the daemon's, in our seconds
QUIET = {"probe": {"canary": "none"}}   # canaries are questions, too


class Greylister:
    """Answers RCPT by who is asked for: "grey5" passes five minutes after its first try."""

    def __init__(self):
        self.asked = {}                 # local part: our times

    def __call__(self, _session, address):
        local = address.partition("@")[0]
        if not local.startswith("grey"):
            return "550 5.1.1 <%s>: User unknown" % address
        times = self.asked.setdefault(local, [])
        times.append(time.monotonic())
        if times[-1] - times[0] >= int(local[4:]) * MINUTE:
            return "250 2.1.5 ok"
        return "451 4.7.1 <%s>: greylisted" % address

    def minutes(self, local):
        """When it was asked for, in the daemon's minutes since the first time."""
        times = self.asked.get(local, [])
        return [(t - times[0]) / MINUTE for t in times]


def name(daemon, *addresses):
    for address in addresses:
        daemon.milter().rcpt("<%s>" % address, client="198.51.100.1", name=None)
    for address in addresses:
        daemon.wait_for_log(r"callout: recipient=<%s> verdict=later" % address)


def start(lab, fast_daemon, domain, *ini):
    greylister = Greylister()
    server = lab.primary(domain, rcpt=greylister)
    daemon = fast_daemon(TIMES, QUIET, *ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    return greylister, server, daemon


def test_asked_again_after_6_and_30_minutes(lab, fast_daemon):
    greylister, _, daemon = start(lab, fast_daemon, "grey.test")
    locals_ = ("grey5", "grey20", "grey999")
    name(daemon, *("%s@grey.test" % local for local in locals_))
    eventually(lambda: daemon.explain("grey5@grey.test")["recipient"] == "valid", 30)
    assert daemon.explain("grey20@grey.test")["recipient"] == "unknown"
    eventually(lambda: daemon.explain("grey20@grey.test")["recipient"] == "valid", 40)
    # then not any more until somebody asks
    eventually(lambda: len(greylister.asked["grey999"]) == 3, 20)
    time.sleep(20 * MINUTE)
    assert len(greylister.asked["grey5"]) == 2
    assert len(greylister.asked["grey20"]) == len(greylister.asked["grey999"]) == 3
    for local in locals_:
        assert 5.5 <= greylister.minutes(local)[1] < 29
    for local in locals_[1:]:
        assert 29.5 <= greylister.minutes(local)[2]
    mark = daemon.mark()
    daemon.milter().rcpt("<grey999@grey.test>", client="198.51.100.1", name=None)
    daemon.wait_for_log(r"recipient=<grey999@grey\.test> verdict=later", 10, mark)
    eventually(lambda: len(greylister.asked["grey999"]) == 5, 20)   # that began a new series


def test_dropped_when_the_state_changes(lab, fast_daemon):
    greylister, server, daemon = start(lab, fast_daemon, "gone.test")
    name(daemon, "grey5@gone.test")
    server.stop()
    daemon.wait_for_state("gone.test", "down")
    server.start()
    daemon.wait_for_state("gone.test", "up")
    time.sleep(12 * MINUTE)
    assert len(greylister.asked["grey5"]) == 1
    # a new spell of up begins afresh
    greylister.asked.clear()
    mark = daemon.mark()
    daemon.milter().rcpt("<grey5@gone.test>", client="198.51.100.1", name=None)
    daemon.wait_for_log(r"recipient=<grey5@gone\.test> verdict=later", 10, mark)
    eventually(lambda: daemon.explain("grey5@gone.test")["recipient"] == "valid", 30)


def test_waits_for_the_budget(lab, fast_daemon):
    """The invented name's refusal is the only one allowed in ten minutes."""
    greylister, _, daemon = start(lab, fast_daemon, "poor.test",
                                  {"recipients": {"callout_refusals": 1, "callouts_per_client": 1}})
    name(daemon, "grey5@poor.test")
    eventually(lambda: daemon.explain("grey5@poor.test")["recipient"] == "valid", 30)
    assert 9.5 <= greylister.minutes("grey5")[1] < 29
