# SPDX-License-Identifier: BSD-2-Clause
#
# The history of a real outage: what `backupmxctl report` says of it afterwards is what the lab saw
# itself, on its own clock, in its own queue and in the primary's mailboxes.

import time

from lab import outage
from peers.reports import length_fits, moment, of, report, wait_outage
from story import (GO_TO_PRIMARY, delivered_once, expect, recovered, until_up, wait_deferred,
                   wait_down)

MILTER_SETTINGS = {}
MAILS = 4


def test_the_report_agrees_with_the_lab(lab, figure):
    until_up(lab)
    known = [f"user{number}@example.test" for number in range(MAILS)]
    for reply, address in zip(lab.learn(*known), known):
        expect(reply, GO_TO_PRIMARY, address)
    before = of(lab.milter, "example.test")
    assert before["outages"] == [] and before["availability"] == 1

    mark = lab.milter.mark()
    began = time.time()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        detected = time.time()
        with lab.session() as session:
            first = None
            for number, address in enumerate(known):
                assert session.send(address, f"report-{number}").accepted
                first = first or time.time()
            # refused, and none of the mails taken
            assert session.ask("never-seen@example.test").code == 451
        wait_deferred(lab, MAILS)
        [open_one] = of(lab.milter, "example.test")["outages"]
        assert open_one["end"] is None and open_one["mails_taken"] == MAILS
        assert open_one["mails_flushed"] == 0 and open_one["longest_delay_seconds"] is None
        mark = lab.milter.mark()
    recovered(lab, mark, mails=MAILS)
    over = time.time()
    for number, address in enumerate(known):
        delivered_once(lab, address, f"report-{number}")

    told = wait_outage(lab.milter, "example.test", lambda one: one["mails_flushed"] == MAILS)
    assert told["state"] == "down" and told["cause"] == "refused"
    assert told["mails_taken"] == MAILS
    assert began - 2 <= moment(told["start"]) <= moment(told["detected"]) <= detected + 1
    assert detected <= moment(told["end"]) + 1 <= over + 2
    assert length_fits(told)
    assert told["longest_delay_seconds"] <= over - first + 2
    assert told["longest_delay_seconds"] >= moment(told["end"]) - first - 2
    domain = of(lab.milter, "example.test")
    assert abs(domain["down_seconds"] - told["duration_seconds"]) <= 1
    assert domain["sick_seconds"] == domain["isolated_seconds"] == 0
    # other domains live on that primary, too; nobody wrote to them
    totals = report(lab.milter)["totals"]
    assert (totals["mails_taken"], totals["mails_flushed"]) == (MAILS, MAILS)
    figure("report", f"outage {told['duration_seconds']} s, "
           f"detected in {told['detect_seconds']} s, "
           f"longest delay {told['longest_delay_seconds']} s")
