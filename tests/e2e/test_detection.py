# SPDX-License-Identifier: BSD-2-Clause
#
# How long a dropped-packets outage goes unnoticed, measured from the first packet that vanished:
# within `fall` probes at `fast_interval`, plus one timeout.

import datetime
import re

from lab import outage
from story import until_up, wait_down

FALL, INTERVAL, FAST, TIMEOUT = 3, 2, 2, 2
MILTER_SETTINGS = {
    "probe": {"fall": FALL, "interval": f"{INTERVAL}s", "fast_interval": f"{FAST}s",
              "connect_timeout": f"{TIMEOUT}s", "timeout": f"{TIMEOUT}s"},
}
# Scheduling under sanitizers with several labs at once.
SLACK = 3


def logged_at(line):
    """The time at the beginning of a line of the milter's own log."""
    stamp = re.match(r"\S+", line).group().rstrip("Z")
    return datetime.datetime.fromisoformat(stamp).timestamp()


def test_dropped_packets_are_noticed_in_time(lab, figure):
    until_up(lab)
    mark = lab.milter.mark()
    with outage.packets_dropped(lab.primary_host):
        down = wait_down(lab, mark)
    # Both ends by the milter's own clock: the first probe that vanished, and the line of the change.
    lost = lab.milter.log_lines(r"probe: address=\S*(192\.0\.2\.10|2001:db8::10)\S* result=timeout", mark)
    first_lost = min(logged_at(line) - int(re.search(r" ms=(\d+)", line).group(1)) / 1000
                     for line in lost)
    change = lab.milter.log_lines(r"health: domain=example\.test state=down", mark)[0]
    seconds = logged_at(change) - first_lost
    bound = FALL * FAST + TIMEOUT
    figure("dropped packets: detected after",
           f"{seconds:.1f} s from the first lost probe; bound {bound} s = fall {FALL} x "
           f"fast_interval {FAST} s + timeout {TIMEOUT} s")
    assert down["reason"] == "timeout"
    assert seconds <= bound + SLACK
