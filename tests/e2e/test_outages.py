# SPDX-License-Identifier: BSD-2-Clause
#
# The story, once for each way in which a primary can be away: noticed with the right reason, known
# recipients welcome and tagged, unknown ones asked to wait, invented ones refused, and when the
# primary is back all mail is delivered within seconds, each message once, nothing bounced.

import pytest
from lab import outage
from story import whole_outage

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
    for what, value in whole_outage(lab, break_it, list(OUTAGES).index(kind), kind, reasons):
        figure(what, value)
