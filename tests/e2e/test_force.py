# SPDX-License-Identifier: BSD-2-Clause
#
# An operator works on the primary and says so first: forced down, mail is taken and tagged; when
# the primary is back and the operator has said so, the real queue is flushed at once, each
# message arrives once, and nothing has bounced. Before that, a look at the dialogue with the real
# primary.

import time

from lab import outage
from peers.waiting import eventually
from story import (GO_TO_PRIMARY, NOT_KNOWN_YET, delivered_once, expect, recovered, the_tag,
                   until_up, wait_deferred)

DOMAIN = "example.test"
MILTER_SETTINGS = {}


def probed(lab):
    code, _, parsed = lab.milter.ctl("--json", "probe", DOMAIN)
    return code, parsed


def test_maintenance(lab, figure):
    known = "user1@example.test"
    until_up(lab)
    [reply] = lab.learn(known)
    expect(reply, GO_TO_PRIMARY, known)
    code, parsed = probed(lab)
    assert code == 0
    good = [endpoint for endpoint in parsed["endpoints"] if endpoint["result"] == "ok"]
    steps = [(step["what"], step["text"]) for step in good[0]["steps"]]
    assert ("sent", "QUIT") in steps and ("received", "221 2.0.0 Bye") in steps

    code, _, parsed = lab.milter.ctl("--json", "force", DOMAIN, "down", "--for", "10m")
    assert code == 0 and parsed["state"] == "forced-down"
    with outage.stopped(lab.primary):
        code, parsed = probed(lab)
        assert code == 1 and not parsed["ok"]
        with lab.session() as session:
            expect(session.ask("user2@example.test"), NOT_KNOWN_YET, "user2@example.test")
            sent = session.send(known, "mail-of-maintenance")
        assert sent.accepted, sent
        wait_deferred(lab, 1)
    # the primary is back and seen to be; the operator is not done yet
    mark = lab.milter.mark()
    eventually(lambda: probed(lab)[0] == 0, 30)
    eventually(lambda: any(endpoint["state"] == "up" and "forwarding" in endpoint["sets"]
                           for endpoint in lab.milter.status(DOMAIN)["endpoints"]), 30)
    time.sleep(3)
    assert len(lab.backup.queue()) == 1
    lab.milter.no_log("flush:", mark)
    assert lab.milter.status(DOMAIN)["state"] == "forced-down"

    mark = lab.milter.mark()
    assert lab.milter.ctl("force", DOMAIN, "auto")[0] == 0
    seconds = recovered(lab, mark, mails=1)
    figure("force ended: queue empty after", f"{seconds:.2f} s")
    tag = the_tag(delivered_once(lab, known, "mail-of-maintenance"))
    assert (tag["primary"], tag["recipients"], tag["reason"]) == (
        "forced-down", "valid", "primary-down")
