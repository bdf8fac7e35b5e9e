# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P1: a recipient known as valid stays welcome for the whole outage, however long, over
# restarts, crashes, reloads and flaps: its age counts only time in which the domain was seen up.

import time

from peers.waiting import eventually

VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


def test_p1_known_stays_known_over_crash_restart_and_flap(lab):
    server = lab.primary("keep.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["keep.test"])
    daemon.wait_for_state("keep.test", "up")
    daemon.learn("control@keep.test", "alice@keep.test", "nobody@keep.test")
    time.sleep(1.5)                             # what a crash may lose is what wasn't written yet
    server.stop()
    daemon.wait_for_state("keep.test", "down")
    for step in ("crash", "restart", "reload", "crash again"):
        if step == "reload":
            mark = daemon.mark()
            daemon.hup()
            daemon.wait_for_log("reload", 5, mark)
        else:
            daemon.restart(crash="crash" in step)
        assert daemon.status("keep.test")["state"] == "down", step
        assert daemon.milter().rcpt("<alice@keep.test>").action == "continue", step
        assert daemon.milter().rcpt("<new@keep.test>").code == 451, step
        assert daemon.milter().rcpt("<nobody@keep.test>").code == 550, step
    # it flaps: up for a moment and gone again
    server.start()
    daemon.wait_for_state("keep.test", "up")
    server.stop()
    daemon.wait_for_state("keep.test", "down")
    assert daemon.milter().rcpt("<alice@keep.test>").action == "continue"


def test_p1_age_counts_only_time_in_which_the_domain_was_up(lab):
    """An outage longer than valid_ttl forgets nobody; the same time spent up does."""
    down = lab.primary("outage.test", recipients=dict(VALID))
    lab.primary("uptime.test", recipients=dict(VALID))
    daemon = lab.daemon({"recipients": {"valid_ttl": "6s", "valid_refresh": "6s"}},
                        domains=["outage.test", "uptime.test"])
    daemon.wait_for_state("outage.test", "up")
    daemon.wait_for_state("uptime.test", "up")
    daemon.learn("alice@outage.test", "alice@uptime.test")
    down.stop()
    daemon.wait_for_state("outage.test", "down")
    # nobody names alice@uptime.test meanwhile, so nothing refreshes it
    eventually(lambda: daemon.explain("alice@uptime.test")["recipient"] == "unknown", 12,
               pause=0.2)
    time.sleep(6)
    daemon.restart(crash=True)
    assert daemon.explain("alice@outage.test")["recipient"] == "valid"
    assert daemon.milter().rcpt("<alice@outage.test>").action == "continue"


def test_p1_time_in_which_we_were_off_doesnt_count(lab):
    """The daemon wasn't there to see whether the domain was up."""
    lab.primary("off.test", recipients=dict(VALID))
    daemon = lab.daemon({"recipients": {"valid_ttl": "5s", "valid_refresh": "5s"}},
                        domains=["off.test"])
    daemon.wait_for_state("off.test", "up")
    daemon.learn("alice@off.test")
    daemon.stop()
    time.sleep(6)
    daemon.start()
    assert daemon.explain("alice@off.test")["recipient"] == "valid"


PEOPLE = ["person%d" % number for number in range(50)]


def reload(daemon):
    mark = daemon.mark()
    daemon.hup()
    daemon.wait_for_log("reload: result=ok", 10, mark)


def people_known(daemon, domain):
    return [name for name in PEOPLE
            if daemon.explain("%s@%s" % (name, domain))["recipient"] == "valid"]


def test_p1_all_stay_known_in_an_outage_of_many_lifetimes(lab):
    """Two and a half times valid_ttl, with a restart, a crash, a reload and short ups in it. At the
    same time another domain is up and nobody is named there: its people are forgotten."""
    recipients = {name: "250 ok" for name in PEOPLE}
    server = lab.primary("outage.test", recipients=recipients)
    lab.primary("uptime.test", recipients=recipients)
    daemon = lab.daemon({"probe": {"canary": "none"}}, domains=["outage.test", "uptime.test"])
    for domain in ("outage.test", "uptime.test"):
        daemon.wait_for_state(domain, "up")
    began = time.monotonic()
    for domain in ("outage.test", "uptime.test"):
        daemon.learn(*("%s@%s" % (name, domain) for name in PEOPLE))
    assert people_known(daemon, "outage.test") == PEOPLE
    # a slow build takes long over this, and they grow older while it does
    ttl = max(20, round(3 * (time.monotonic() - began)))
    daemon.change_ini({"recipients": {"valid_ttl": "%ds" % ttl, "valid_refresh": "%ds" % ttl}})
    reload(daemon)
    server.stop()
    daemon.wait_for_state("outage.test", "down")

    def flap():
        server.start()
        daemon.wait_for_state("outage.test", "up")
        server.stop()
        daemon.wait_for_state("outage.test", "down")

    began = time.monotonic()
    steps = [daemon.restart, flap, lambda: daemon.restart(crash=True),
             lambda: reload(daemon), flap]
    for number, step in enumerate(steps):
        eventually(lambda due=(number + 1) * 2.5 * ttl / (len(steps) + 1):
                   time.monotonic() - began > due, 10 * ttl, pause=0.5)
        step()
    eventually(lambda: time.monotonic() - began > 2.5 * ttl, 10 * ttl, pause=0.5)

    assert daemon.status("outage.test")["state"] == "down"
    for name in PEOPLE:
        answer = daemon.milter().rcpt("<%s@outage.test>" % name)
        assert answer.action == "continue", (name, answer)
    assert people_known(daemon, "uptime.test") == []
