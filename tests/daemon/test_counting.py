# SPDX-License-Identifier: BSD-2-Clause
#
# A great many decisions leave metrics, counters and log consistent with each other, and with what
# the clients heard. tests/bench/decisions does the same with a million.

import collections
import random

from peers.flood import decisions_in_log, flood_from
from peers.http_client import promtool_check, scrape
from peers.waiting import free_port

DECISIONS = 50000
CLIENTS = ["192.0.2.%d" % number for number in range(1, 4)] + ["203.0.113.9"]   # one is exempt


def recipients(count, seed):
    """Known, refused and unknown ones of domains in each state, of strangers' domains, and
    garbage."""
    pick = random.Random(seed)
    out = []
    for number in range(count):
        domain = pick.choice(["up.test", "down.test", "policy.test",
                              "foreign%d.test" % (number % 9)])
        local = pick.choice(["alice", "nobody", "x%d" % pick.randrange(count), "odd\"\x7f"])
        out.append("<%s@%s>" % (local, domain))
    return out


def test_metrics_counters_and_log_agree(lab):
    for name in ("up.test", "policy.test", "down.test"):
        lab.primary(name, recipients={"alice": "250 ok", "control": "250 ok"})
    address = ("127.0.0.1", free_port())
    daemon = lab.daemon({"http": {"listen": "%s:%d" % address},
                         "milter": {"exempt_clients": ["203.0.113.0/24"]},
                         "recipients": {"callout_wait": "1s", "callouts_per_client": 100}},
                        {'domain "policy.test"': {"when_up": "accept"}},
                        domains=["up.test", "down.test"])
    for name in ("up.test", "policy.test", "down.test"):
        daemon.wait_for_state(name, "up")
        daemon.learn("alice@" + name, "nobody@" + name)
    lab.servers[2].stop()
    daemon.wait_for_state("down.test", "down")

    before = scrape(address).decisions()
    heard = flood_from(daemon, [(client, recipients(DECISIONS // len(CLIENTS), client))
                                for client in CLIENTS])
    metrics = scrape(address)
    status = daemon.status()
    daemon.stop()               # the last of what was left out of the log is told at the end

    assert promtool_check(metrics.text) == ""
    assert sum(heard.values()) == DECISIONS // len(CLIENTS) * len(CLIENTS)
    counted = metrics.decisions()
    of_the_flood = collections.Counter(counted)
    of_the_flood.subtract(before)
    assert sum(of_the_flood.values()) == sum(heard.values())
    assert {action for action, _ in counted} == {"continue", "accept", "defer", "reject"}
    assert of_the_flood["reject", "invalid-recipient"] == heard["550"]
    assert sum(count for (action, _), count in of_the_flood.items() if action == "defer") == \
        heard["450"] + heard["451"]
    assert metrics.value("decision_seconds_count") == sum(counted.values())
    assert metrics.value("decision_seconds_bucket", le="+Inf") == sum(counted.values())

    by_reason, by_domain = decisions_in_log(line for _, line in daemon.log.lines)
    assert dict(by_reason) == counted
    for domain in status["domains"]:
        for action in ("continue", "accept", "reject"):
            assert domain["counters"][action] == by_domain[domain["domain"], action]
    # what was left out may be told for several domains together
    assert sum(domain["counters"]["defer"] for domain in status["domains"]) == \
        sum(count for (_, action), count in by_domain.items() if action == "defer")
