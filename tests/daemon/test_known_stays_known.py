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
