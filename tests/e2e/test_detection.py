# SPDX-License-Identifier: BSD-2-Clause
#
# How long a dropped-packets outage goes unnoticed, measured from the first packet that vanished:
# within `fall` probes at `fast_interval`, plus one timeout.

import time

from lab import outage
from story import until_up, wait_down

FALL, INTERVAL, FAST, TIMEOUT = 3, 2, 2, 2
MILTER_SETTINGS = {
    "probe": {"fall": FALL, "interval": f"{INTERVAL}s", "fast_interval": f"{FAST}s",
              "connect_timeout": f"{TIMEOUT}s", "timeout": f"{TIMEOUT}s"},
}
# Scheduling under sanitizers with several labs at once, and the log being read every 20 ms.
SLACK = 1


def test_dropped_packets_are_noticed_in_time(lab, figure):
    until_up(lab)
    mark = lab.milter.mark()
    connections = sum(lab.milter_connections().values())
    with outage.packets_dropped(lab.primary_host):
        while sum(lab.milter_connections().values()) == connections:
            time.sleep(0.02)
        first_lost_probe = time.monotonic()
        down = wait_down(lab, mark)
        seconds = time.monotonic() - first_lost_probe
    bound = FALL * FAST + TIMEOUT
    figure("dropped packets: detected after",
           f"{seconds:.1f} s from the first lost probe; bound {bound} s = fall {FALL} x "
           f"fast_interval {FAST} s + timeout {TIMEOUT} s")
    assert down["reason"] == "timeout"
    assert seconds <= bound + SLACK
