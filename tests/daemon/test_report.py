# SPDX-License-Identifier: BSD-2-Clause
#
# `backupmxctl report` (DESIGN section 8): what it says of an outage in JSON, CSV and text,
# outages of several kinds, and many domains.

import csv
import io
import json
import subprocess
import time

import pytest
from peers.daemon import program
from peers.reports import length_fits, moment, of, report, wait_outage
from peers.smtp_server import RESET, SILENCE
from peers.waiting import eventually


# ---- what it says ----

@pytest.fixture(scope="module")
def told(module_lab):
    """A domain with one whole outage in which mail was taken and flushed, and one without."""
    lab = module_lab
    mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
    primary = lab.primary("one.test", recipients={"alice": "250 ok"})
    lab.primary("quiet.test")
    daemon = lab.daemon({"flush": {"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)}},
                        domains=["one.test", "quiet.test"])
    for name in ("one.test", "quiet.test"):
        daemon.wait_for_state(name, "up")
    daemon.learn("alice@one.test")
    began = time.time()
    primary.stop()
    daemon.wait_for_state("one.test", "down")
    for _ in range(3):
        result = daemon.milter().send_message(rcpts=["<alice@one.test>"])
        assert result.replies[0].action == "continue"
    taken = time.time()
    time.sleep(2)
    primary.start()
    daemon.wait_for_state("one.test", "up")
    wait_outage(daemon, "one.test", lambda outage: outage["mails_flushed"] == 3)
    daemon.facts = {"began": began, "delay": time.time() - taken, "over": time.time()}
    return daemon


def test_an_outage(told):
    domain = of(told, "one.test")
    [outage] = domain["outages"]
    assert outage["state"] == "down" and outage["cause"] == "refused"
    assert told.facts["began"] - 2 <= moment(outage["start"]) <= moment(outage["detected"])
    assert moment(outage["end"]) <= told.facts["over"] + 1
    assert outage["detect_seconds"] == moment(outage["detected"]) - moment(outage["start"])
    assert 0 <= outage["recover_seconds"] <= 3
    assert length_fits(outage) and outage["isolated_seconds"] == 0
    assert (outage["mails_taken"], outage["mails_flushed"]) == (3, 3)
    assert 1 <= outage["longest_delay_seconds"] <= told.facts["delay"] + 1
    # the day's sums are of the same outage, from its first failed probe on
    assert abs(domain["down_seconds"] - outage["duration_seconds"]) <= 1
    away = domain["down_seconds"] / domain["observed_seconds"]
    assert abs(1 - domain["availability"] - away) < 0.2
    quiet = of(told, "quiet.test")
    assert quiet["availability"] == 1 and quiet["outages"] == []
    assert quiet["down_seconds"] == 0 and quiet["up_seconds"] > 0


def test_all_domains_and_their_totals(told):
    everything = report(told)
    assert [d["domain"] for d in everything["domains"]] == ["one.test", "quiet.test"]
    assert everything["totals"]["mails_flushed"] == 3
    low, high = sorted(d["availability"] for d in everything["domains"])
    assert low < everything["totals"]["availability"] < high
    span = moment(everything["to"]) - moment(everything["from"])
    assert span == 30 * 86400
    span = report(told, "--since", "2h")
    assert moment(span["to"]) - moment(span["from"]) == 7200


def test_an_outage_that_was_over_before_is_left_out(told):
    eventually(lambda: not of(told, "one.test", "--since", "1s")["outages"], 10, pause=0.2)
    assert of(told, "one.test", "--since", "1h")["outages"]


def test_csv(told):
    code, out, _ = told.ctl("report", "--csv")
    done = told.ctl_process("report", "one.test", "--csv", "--since", "1d")
    assert code == 0 and done.stdout == out
    # text mode has made \n of \r\n here: the bytes are looked at as such
    rows = list(csv.DictReader(io.StringIO(out)))
    [outage] = of(told, "one.test")["outages"]
    assert [list(row) for row in rows] == [["domain", *outage]]
    assert rows == [{"domain": "one.test", **{key: "" if value is None else str(value)
                                              for key, value in outage.items()}}]


def test_csv_lines_end_as_rfc_4180_says(told):
    raw = subprocess.run([program("backupmxctl"), "-s", told.control_socket, "report", "--csv"],
                         capture_output=True, check=True).stdout
    lines = raw.split(b"\r\n")
    assert len(lines) == 3 and lines[-1] == b"" and b"\n" not in raw.replace(b"\r\n", b"")


def test_text(told):
    code, out, _ = told.ctl("report")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80, out
    for wanted in ("one.test\n", "outages       1, longest", "refused", "mean time     to detect",
                   "3 taken, 3 flushed, longest delay", "all domains together"):
        assert wanted in out, out
    assert "100.000 %" in out.split("quiet.test")[1]
    assert "100" not in out.split("quiet.test")[0].split("availability")[1].split("\n")[0]


@pytest.mark.parametrize("arguments,wrong", [
    (["--since", "5x"], "--since takes a duration"), (["--since", "0"], "--since takes a duration"),
    (["--since", "99999d"], "--since takes a duration"), (["--since"], "usage:"),
    (["--csv", "--json"], "don't go together"), (["a.test", "b.test"], "usage:"),
    (["--html"], "usage:")])
def test_wrong_usage(told, arguments, wrong):
    done = told.ctl_process("report", *arguments)
    assert done.returncode == 2
    assert wrong in done.stdout + done.stderr


def test_a_domain_that_is_not_ours(told):
    done = told.ctl_process("report", "elsewhere.test")
    assert done.returncode == 1 and "elsewhere.test is no domain of ours" in done.stderr
    done = told.ctl_process("report", "elsewhere.test", "--json")
    assert done.returncode == 1 and list(json.loads(done.stdout)) == ["error"]


def test_no_history_yet(lab):
    lab.primary("new.test", banner=SILENCE)
    daemon = lab.daemon({"probe": {"timeout": "60s"}}, domains=["new.test"])
    code, out, _ = daemon.ctl("report")
    assert code == 0 and "there is no history to report" in out
    domain = of(daemon, "new.test")
    assert domain["availability"] is None and domain["days"] == [] and domain["outages"] == []
    assert daemon.ctl("report", "--csv")[1].count("\n") == 1


# ---- outages of several kinds ----

def test_causes(lab):
    """All at once. Reasons are those of the log, and EHLO and HELO refused is sick."""
    kinds = {"refused": None, "timeout": dict(banner=SILENCE), "reset": dict(accept=RESET),
             "banner-4xx": dict(banner="421 no"), "banner-5xx": dict(banner="554 no"),
             "ehlo-5xx": dict(ehlo="554 no", helo="554 no")}
    servers = {kind: lab.primary(kind + ".test") for kind in kinds}
    daemon = lab.daemon(domains=[kind + ".test" for kind in kinds])
    for kind in kinds:
        daemon.wait_for_state(kind + ".test", "up")
    for kind, script in kinds.items():
        if script is None:
            servers[kind].stop()
        else:
            servers[kind].change(**script)
    for kind in kinds:
        outage = wait_outage(daemon, kind + ".test", lambda outage: True, 20)
        assert outage["cause"] == kind and outage["end"] is None
        assert outage["state"] == ("sick" if kind == "ehlo-5xx" else "down")
    eventually(lambda: of(daemon, "ehlo-5xx.test")["sick_seconds"] >= 1, 10, pause=0.2)
    assert of(daemon, "ehlo-5xx.test")["down_seconds"] == 0


def test_from_down_to_sick_is_one_outage(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    server.stop()
    daemon.wait_for_state("one.test", "down")
    server.change(ehlo="554 no", helo="554 no")
    server.start()
    daemon.wait_for_state("one.test", "sick")
    eventually(lambda: of(daemon, "one.test")["sick_seconds"] >= 1, 10, pause=0.2)
    server.behave()
    daemon.wait_for_state("one.test", "up")
    domain = of(daemon, "one.test")
    [outage] = domain["outages"]
    assert outage["state"] == "down" and outage["cause"] == "refused" and outage["end"]
    assert domain["down_seconds"] >= 1 and domain["sick_seconds"] >= 1
    assert abs(outage["duration_seconds"] - domain["down_seconds"] - domain["sick_seconds"]) <= 2


def test_flaps(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon({"probe": {"fall": 1}}, domains=["one.test"])
    for _ in range(3):
        daemon.wait_for_state("one.test", "up")
        server.stop()
        daemon.wait_for_state("one.test", "down")
        server.start()
    daemon.wait_for_state("one.test", "up")
    outages = of(daemon, "one.test")["outages"]
    assert len(outages) == 3
    assert all(length_fits(outage) for outage in outages)
    for earlier, later in zip(outages, outages[1:]):
        assert earlier["end"] <= later["start"]
    daemon.restart()
    assert of(daemon, "one.test")["outages"] == outages


# ---- many ----

def test_many_domains(lab):
    names = ["d%04d.test" % n for n in range(600)]
    server = lab.server("mx1.many.test")
    daemon = lab.daemon({"probe": {"canary": "none"}},
                        {'domain "%s"' % name: {"primary": [server.address]} for name in names})
    daemon.wait_for_state(names[-1], "up", 30)
    eventually(lambda: report(daemon)["totals"]["availability"] == 1, 20, pause=0.5)
    everything = report(daemon)
    assert [domain["domain"] for domain in everything["domains"]] == names
    server.stop()
    daemon.wait_for_state(names[0], "down", 30)
    everything = report(daemon)
    assert everything["totals"]["outages"] == len(names)
    assert 0 < everything["totals"]["availability"] < 1
    assert daemon.ctl("report", "--csv")[1].count("\n") == 1 + len(names)
