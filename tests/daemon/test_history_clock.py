# SPDX-License-Identifier: BSD-2-Clause
#
# The history by the calendar: days, jumps of the wall clock, and the coverage of the memory,
# which is of thirty days.

import os
import time

import pytest
from peers.daemon import fast_time
from peers.reports import of
from peers.waiting import eventually


# ---- the clock ----

def at(text):
    """The environment of a daemon that is started at that time of day."""
    return {**fast_time(1), "FAKETIME": "@" + text, "TZ": "UTC"}


@pytest.mark.unsanitized
def test_days(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"], environment=at("2026-03-01 23:59:57"))
    daemon.wait_for_state("one.test", "up")
    domain = eventually(lambda: len(of(daemon, "one.test")["days"]) == 2 and of(daemon, "one.test"),
                        20, pause=0.2)
    assert [day["date"] for day in domain["days"]] == ["2026-03-01", "2026-03-02"]
    assert 1 <= domain["days"][0]["up_seconds"] <= 3
    # three days later: those between were seen by nobody
    daemon.stop()
    daemon.environment = at("2026-03-05 00:00:00")
    daemon.start()
    daemon.wait_for_state("one.test", "up")
    eventually(lambda: of(daemon, "one.test")["days"][-1]["up_seconds"] >= 1, 10, pause=0.2)
    domain = of(daemon, "one.test")
    assert [day["date"] for day in domain["days"]] == ["2026-03-01", "2026-03-02", "2026-03-05"]
    assert domain["observed_seconds"] < 60
    # an outage over midnight, and over the time in which nobody looked
    server.stop()
    daemon.wait_for_state("one.test", "down")
    daemon.kill()
    daemon.environment = at("2026-03-06 02:00:00")
    daemon.start()
    [outage] = of(daemon, "one.test")["outages"]
    assert outage["start"].startswith("2026-03-05T00:00") and outage["end"] is None
    assert 93000 < outage["duration_seconds"] < 93800
    assert of(daemon, "one.test")["down_seconds"] < 60
    # long after: the days are there, the span is what it is; then they are too old
    daemon.stop()
    daemon.environment = at("2026-05-01 00:00:00")
    daemon.start()
    assert of(daemon, "one.test")["days"][0]["date"] == "2026-05-01"
    assert of(daemon, "one.test", "--since", "90d")["days"][0]["date"] == "2026-03-01"


@pytest.mark.unsanitized
def test_what_is_too_old_is_swept_away(lab):
    """Each day drops the one 400 days before; what that misses goes a minute after a start."""
    lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"], environment=at("2025-01-01 12:00:00"))

    def dates():
        return [day["date"] for day in of(daemon, "one.test", "--since", "3650d")["days"]]

    daemon.wait_for_state("one.test", "up")
    eventually(lambda: dates() == ["2025-01-01"], 10, pause=0.2)
    for day in ("2025-06-01 12:00:00", "2026-06-01 12:00:00 x30"):
        daemon.stop()
        daemon.environment = at(day)
        daemon.start()
        eventually(lambda d=day: dates()[-1] == d[:10], 10, pause=0.2)
    eventually(lambda: dates() == ["2025-06-01", "2026-06-01"], 15, pause=0.2)


@pytest.mark.unsanitized
def test_the_wall_clock_jumps(lab, tmp_path):
    """Lengths are counted by a clock that doesn't: never negative, never days."""
    stamp = tmp_path / "offset"

    def jump(offset):
        fresh = tmp_path / "fresh"
        fresh.write_text(offset + "\n")
        os.rename(fresh, stamp)
    jump("+0")
    environment = {**fast_time(1), "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1",
                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    environment.pop("FAKETIME")
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"], environment=environment)
    daemon.wait_for_state("one.test", "up")
    started = time.monotonic()
    server.stop()
    daemon.wait_for_state("one.test", "down")
    for offset in ("-2h", "+3d", "+0"):
        jump(offset)
        time.sleep(1.2)
        domain = of(daemon, "one.test", "--since", "60d")
        [outage] = domain["outages"]
        assert outage["duration_seconds"] <= time.monotonic() - started + 3
        assert 0 <= domain["down_seconds"] <= time.monotonic() - started + 3
    jump("-2h")
    server.start()
    daemon.wait_for_state("one.test", "up")
    [outage] = of(daemon, "one.test", "--since", "60d")["outages"]
    assert outage["end"] >= outage["start"]
    assert 1 <= outage["duration_seconds"] <= time.monotonic() - started + 3


# ---- coverage ----

def coverage(daemon, name):
    return daemon.status(name)["recipients"]["coverage"]


def test_coverage(lab, tmp_path):
    listed = tmp_path / "recipients"
    listed.write_text("carol\n")
    server = lab.primary("one.test", recipients={"alice": "250 ok", "bob": "250 ok"})
    daemon = lab.daemon({'domain "one.test"': {"recipients_file": str(listed)}},
                        {"recipients": {"callout": False}})
    daemon.wait_for_state("one.test", "up")
    assert server and coverage(daemon, "one.test") is None
    daemon.explain("alice@one.test")
    daemon.explain("carol@one.test")
    assert coverage(daemon, "one.test") is None         # only asked about by us
    for local in ("carol", "alice", "bob"):
        daemon.milter().rcpt("<%s@one.test>" % local)
    assert coverage(daemon, "one.test") == 0.333
    # who is exempt asks nothing
    daemon.milter().rcpt("<alice@one.test>", client="127.0.0.1")
    assert coverage(daemon, "one.test") == 0.333
    daemon.restart()
    assert coverage(daemon, "one.test") == 0.333
    # what was unknown may be known now
    more = tmp_path / "more"
    more.write_text("alice@one.test\n")
    assert daemon.ctl("recipients", "import", str(more))[0] == 0
    assert coverage(daemon, "one.test") is None
    for local in ("carol", "alice", "bob"):
        daemon.milter().rcpt("<%s@one.test>" % local)
    assert coverage(daemon, "one.test") == 0.667
    daemon.restart()
    assert coverage(daemon, "one.test") == 0.667
    listed.write_text("carol\nbob\n")
    assert daemon.ctl("reload")[0] == 0
    assert coverage(daemon, "one.test") is None
    daemon.milter().rcpt("<bob@one.test>")
    assert coverage(daemon, "one.test") == 1
    # a reload that changes no list changes nothing
    assert daemon.ctl("reload")[0] == 0
    assert coverage(daemon, "one.test") == 1


def test_coverage_counts_who_is_known_since(lab):
    """Whom the primary was asked about with success, after the first question."""
    server = lab.primary("one.test", recipients={"alice": "250 ok", "slow": "451 4.2.0 later"})
    daemon = lab.daemon(domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.milter().rcpt("<slow@one.test>", name=None)
    daemon.wait_for_log(r"callout: recipient=<slow@one\.test> verdict=later")
    assert coverage(daemon, "one.test") == 0
    daemon.milter().rcpt("<alice@one.test>", name=None)
    daemon.wait_for_log(r"callout: recipient=<alice@one\.test> verdict=valid")
    assert coverage(daemon, "one.test") == 0.5
    # who is asked for again counts as known, and once
    daemon.milter().rcpt("<alice@one.test>", name=None)
    assert coverage(daemon, "one.test") == 0.667
    assert server


@pytest.mark.unsanitized
def test_coverage_is_of_thirty_days(lab, tmp_path):
    lab.primary("one.test")
    daemon = lab.daemon({"recipients": {"callout": False}}, domains=["one.test"],
                        environment=at("2026-03-01 12:00:00"))
    daemon.wait_for_state("one.test", "up")
    daemon.milter().rcpt("<alice@one.test>")
    assert coverage(daemon, "one.test") == 0

    def on(day):
        daemon.stop()
        daemon.environment = at(day + " 12:00:00")
        daemon.start()
        daemon.wait_for_state("one.test", "up")
        return coverage(daemon, "one.test")

    assert on("2026-03-20") == 0
    assert on("2026-03-30") == 0
    assert on("2026-03-31") is None
    # what was asked before an import counts no more, on whatever day
    daemon.milter().rcpt("<alice@one.test>")
    assert on("2026-04-02") == 0
    known = tmp_path / "known"
    known.write_text("alice@one.test\n")
    assert daemon.ctl("recipients", "import", str(known))[0] == 0
    assert coverage(daemon, "one.test") is None
    assert on("2026-04-03") is None
    daemon.milter().rcpt("<alice@one.test>")
    assert coverage(daemon, "one.test") == 1
    assert on("2026-04-05") == 1
