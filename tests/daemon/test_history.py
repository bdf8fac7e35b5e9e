# SPDX-License-Identifier: BSD-2-Clause
#
# The history of the domains (DESIGN section 3): what becomes of an outage over restarts and
# crashes, and in which this host was isolated.

import time

from peers.reports import length_fits, moment, of, wait_outage
from peers.smtp_server import SILENCE
from peers.waiting import eventually, free_port


# ---- restarts ----

def two(lab):
    """Two daemons that see the same primary go: one is stopped then, the other one killed."""
    server = lab.primary("one.test", recipients={"alice": "250 ok"})
    daemons = [lab.daemon(domains=["one.test"]) for _ in range(2)]
    for daemon in daemons:
        daemon.wait_for_state("one.test", "up")
        daemon.learn("alice@one.test")
    server.stop()
    for daemon in daemons:
        daemon.wait_for_state("one.test", "down")
        daemon.milter().send_message(rcpts=["<alice@one.test>"])
    before = [wait_outage(daemon, "one.test", lambda outage: outage["mails_taken"] == 1)
              for daemon in daemons]
    time.sleep(1)                               # a crash loses what is younger
    daemons[0].stop()
    daemons[1].kill()
    return server, daemons, before


def test_an_outage_goes_on_over_a_restart(lab):
    server, daemons, before = two(lab)
    time.sleep(3)
    for daemon in daemons:
        daemon.start()
    for daemon, known in zip(daemons, before):
        domain = of(daemon, "one.test")
        [outage] = domain["outages"]
        assert outage["start"] == known["start"] and outage["end"] is None
        assert outage["mails_taken"] == 1
        # nobody looked for three seconds: they are of the outage, and not observed
        assert outage["duration_seconds"] >= domain["down_seconds"] + 2
    server.start()
    for daemon, known in zip(daemons, before):
        daemon.wait_for_state("one.test", "up")
        [outage] = of(daemon, "one.test")["outages"]
        assert outage["start"] == known["start"] and length_fits(outage)


def test_a_primary_that_is_back_after_a_restart(lab):
    server, daemons, _ = two(lab)
    server.start()
    for daemon in daemons:
        daemon.start()
        started = time.time()
        daemon.wait_for_state("one.test", "up")
        [outage] = of(daemon, "one.test")["outages"]
        assert moment(outage["end"]) >= started - 2 and length_fits(outage)
    # and nothing is left open for the next start
    daemons[0].restart()
    assert len(of(daemons[0], "one.test")["outages"]) == 1
    assert of(daemons[0], "one.test")["outages"][0]["end"]


def test_a_primary_that_went_while_nobody_looked(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    eventually(lambda: of(daemon, "one.test")["up_seconds"] >= 1, 10, pause=0.2)
    daemon.stop()
    stopped = time.time()
    server.stop()
    time.sleep(2)
    daemon.start()
    daemon.wait_for_state("one.test", "down")
    [outage] = of(daemon, "one.test")["outages"]
    assert moment(outage["start"]) >= stopped + 1


# ---- isolation ----

def test_isolation_is_not_counted(lab):
    reference = lab.server("ref.test", port=free_port(), banner=SILENCE)
    server = lab.primary("one.test")
    daemon = lab.daemon({"probe": {"reference": ["%s:%d" % (reference.address, reference.port)]}},
                        domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    reference.stop()
    server.stop()
    eventually(lambda: daemon.status()["isolated"], 15, pause=0.1)
    eventually(lambda: of(daemon, "one.test")["isolated_seconds"] >= 3, 15, pause=0.2)
    reference.start()
    server.start()
    eventually(lambda: not daemon.status()["isolated"], 15, pause=0.1)
    isolated = of(daemon, "one.test")["isolated_seconds"]
    domain = eventually(lambda: of(daemon, "one.test"), 5)
    assert domain["outages"] == [] and domain["availability"] == 1
    assert domain["down_seconds"] == 0
    assert domain["observed_seconds"] == domain["up_seconds"]
    time.sleep(1)
    assert of(daemon, "one.test")["isolated_seconds"] == isolated
    assert "3 s in which this host was isolated" in daemon.ctl("report")[1] or isolated != 3


def test_isolation_in_an_outage(lab):
    """It was away before and afterwards: the time between belongs to nobody."""
    reference = lab.server("ref.test", port=free_port(), banner=SILENCE)
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon({"probe": {"reference": ["%s:%d" % (reference.address, reference.port)]}},
                        domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    one.stop()
    daemon.wait_for_state("one.test", "down")
    two.stop()
    reference.stop()
    eventually(lambda: daemon.status()["isolated"], 15, pause=0.1)
    wait_outage(daemon, "one.test", lambda outage: outage["isolated_seconds"] >= 2)
    reference.start()
    two.start()
    eventually(lambda: not daemon.status()["isolated"], 15, pause=0.1)
    one.start()
    daemon.wait_for_state("one.test", "up")
    domain = of(daemon, "one.test")
    [outage] = domain["outages"]
    assert outage["isolated_seconds"] >= 2 and length_fits(outage)
    assert abs(domain["isolated_seconds"] - outage["isolated_seconds"]) <= 1
