# SPDX-License-Identifier: BSD-2-Clause
#
# The story, once for each way in which a primary can be away: noticed with the right reason, known
# recipients welcome and tagged, unknown ones asked to wait, invented ones refused, and when the
# primary is back all mail is delivered within seconds, each message once, nothing bounced.

import time

import pytest
from lab import outage
from story import (GO_TO_PRIMARY, NO_SUCH_USER, NOT_KNOWN_YET, delivered_once, expect, recovered,
                   the_tag, until_up, wait_deferred, wait_down)

# kind: (how to break it, the reasons that fit)
OUTAGES = {
    "stopped process": (lambda lab: outage.stopped(lab.primary), {"refused"}),
    "dropped packets": (lambda lab: outage.packets_dropped(lab.primary_host), {"timeout"}),
    "unreachable": (lambda lab: outage.unreachable(lab.primary_host), {"unreachable"}),
    # Nobody answers ARP any more: which comes first, our timeout or the kernel's verdict?
    "link down": (lambda lab: outage.link_down(lab.switch, lab.primary_host),
                  {"timeout", "unreachable"}),
    "silent listener": (lambda lab: outage.frozen(lab.primary_host), {"timeout"}),
    "banner 421": (lambda lab: lab.primary_replaced(banner="421 4.3.2 {name} closing"),
                   {"banner-4xx"}),
    "banner 554": (lambda lab: lab.primary_replaced(banner="554 5.3.2 {name} no service"),
                   {"banner-5xx"}),
    "reset": (lambda lab: lab.primary_replaced(accept="RESET"), {"reset"}),
}
MILTER_SETTINGS = {}


@pytest.mark.parametrize("kind", OUTAGES)
def test_outage(lab, figure, kind):
    break_it, reasons = OUTAGES[kind]
    number = list(OUTAGES).index(kind)
    known, never_seen, invented = (
        f"user{number}@example.test", f"user{50 + number}@example.test",
        f"nobody{number}@example.test")
    token = f"mail-of-{kind.replace(' ', '-')}"

    until_up(lab)
    [reply] = lab.learn(known)
    expect(reply, GO_TO_PRIMARY, known)
    lab.learn(invented, verdict="invalid")

    mark = lab.milter.mark()
    began = time.monotonic()
    with break_it(lab):
        began = time.monotonic() if kind.startswith("banner") or kind == "reset" else began
        down = wait_down(lab, mark)
        figure(f"{kind}: detected after", f"{time.monotonic() - began:.1f} s, "
               f"reason={down['reason']}")
        assert down["was"] == "up"
        assert down["reason"] in reasons

        with lab.session() as session:
            expect(session.ask(never_seen), NOT_KNOWN_YET, never_seen)
            expect(session.ask(invented), NO_SUCH_USER, invented)
            sent = session.send(known, token)
        assert sent.accepted, sent
        wait_deferred(lab, 1)
        mark = lab.milter.mark()

    seconds = recovered(lab, mark, mails=1)
    figure(f"{kind}: queue empty after the change to up", f"{seconds:.2f} s")
    tag = the_tag(delivered_once(lab, known, token))
    assert (tag["primary"], tag["recipients"], tag["reason"]) == ("down", "valid", "primary-down")
    assert tag["by"] == "mx2.example.test" and tag["client"] == "192.0.2.30" and tag["since"]
