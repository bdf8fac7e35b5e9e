# SPDX-License-Identifier: BSD-2-Clause
#
# Outages from beginning to end, as an operator's monitoring sees them: check_backupmx, the metrics,
# /healthz, /status.json, and the alert rules on what was scraped meanwhile tell the same story.

import json
import os
import re
import subprocess
from dataclasses import dataclass

import pytest

from peers.daemon import TOP, program
from peers.http_client import Metrics, get, scrape
from peers.waiting import eventually, free_port

RULES = os.path.join(TOP, "etc/prometheus/backupmx.rules.yml")
PLUGIN = os.path.join(TOP, "etc/nagios/check_backupmx")
CHAPTER = 40                                    # minutes that each scrape is taken to last
OURS = {"job": "backupmx", "instance": "mx2.example.net:9726"}


@dataclass
class Seen:
    """What the doors said at one moment."""
    check: int
    text: str
    metrics: Metrics
    health: int
    states: dict

    def __str__(self):
        return "%d %s, health %s, states %r" % (self.check, self.text, self.health, self.states)


class Desk:
    """A daemon with two domains, an MTA, and all that asks it."""

    def __init__(self, lab):
        self.mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
        self.primary = lab.primary("mail.test", recipients={"alice": "250 ok"})
        lab.primary("fine.test")
        self.address = "127.0.0.1", free_port()
        self.daemon = lab.daemon(
            {"http": {"listen": "%s:%d" % self.address},
             "flush": {"method": "etrn", "mta": "%s:%d" % (self.mta.address, self.mta.port)}},
            domains=["mail.test", "fine.test"])
        self.chapters = []

    def check(self):
        done = subprocess.run([PLUGIN, "-x", program("backupmxctl"), "-s",
                               self.daemon.control_socket], capture_output=True, text=True,
                              timeout=30, check=False)
        return done.returncode, done.stdout.partition(" |")[0].strip()

    def look(self):
        check, text = self.check()
        status = json.loads(get(self.address, "/status.json").text)
        return Seen(check, text, scrape(self.address), get(self.address, "/healthz").status,
                    {d["domain"]: d["state"] for d in status["domains"]})

    def tells(self, check, text, state):
        """Waits until all doors say so, and takes it down as a chapter of the story."""
        seen = None

        def agreed():
            nonlocal seen
            seen = self.look()
            value = seen.metrics.value
            return (seen.check, seen.text, seen.health) == (check, text, 200) \
                and seen.states == {"mail.test": state, "fine.test": "up"} \
                and value("domain_up", domain="mail.test") == (state == "up") \
                and value("domain_state", domain="mail.test", state=state) == 1 \
                and value("domain_up", domain="fine.test") == 1 and seen
        eventually(agreed, 20, lambda: "all say %r, %s: %s\n%s" % (
            text, state, seen, self.daemon.log.text()[-2000:]), pause=0.2)
        self.chapters.append(seen.metrics.text)
        return seen.metrics

    def take(self):
        result = self.daemon.milter().send_message(rcpts=["<alice@mail.test>"])
        assert result.replies[0].action == "continue"


def series_of(chapters):
    """The scrapes as input of promtool: each one's values for CHAPTER minutes, one after the other.

    There "1x2" are three values, and "_x2" are two that are missing.
    """
    pattern = re.compile(r"(backupmx_[a-z_]+)(?:\{(.*)\})? (\S+)")
    values = {}
    for number, text in enumerate(chapters):
        for name, labels, value in pattern.findall(re.sub(r"(?m)^#.*\n", "", text)):
            own = ",".join('%s="%s"' % item for item in OURS.items())
            name = "%s{%s%s}" % (name, labels + "," if labels else "", own)
            values.setdefault(name, ["_x%d" % CHAPTER] * len(chapters))[number] = \
                "%sx%d" % (value, CHAPTER - 1)
    values["up{%s}" % own] = ["1x%d" % (CHAPTER - 1)] * len(chapters)
    return [{"series": name, "values": " ".join(parts)} for name, parts in values.items()]


def alerts_fired(chapters, expected, folder):
    """promtool's complaints if others fire than `expected`: {minute: [(alert, its labels),
        ...]}."""
    def sample(alert, labels):
        text = ",".join('%s="%s"' % item for item in sorted(labels.items()))
        return {"labels": '{alertname="%s"%s}' % (alert, "," + text if text else ""), "value": 1}

    # A lag that one scrape caught is made to last here: on a busy machine that proves nothing.
    firing = 'ALERTS{alertstate="firing",alertname!="BackupMxLoopLag"}'
    tests = [{"expr": "count by (alertname, domain, result) (%s)" % firing,
              "eval_time": "%dm" % minute,
              "exp_samples": [sample(*alert) for alert in alerts]}
             for minute, alerts in expected.items()]
    path = os.path.join(str(folder), "story.test.yml")      # JSON is YAML
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"rule_files": [RULES], "evaluation_interval": "1m",
                   "tests": [{"interval": "1m", "input_series": series_of(chapters),
                              "promql_expr_test": tests}]}, file)
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True,
                          timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def desk(lab):
    desk = Desk(lab)
    for domain in ("mail.test", "fine.test"):
        desk.daemon.wait_for_state(domain, "up")
    desk.daemon.learn("alice@mail.test")
    return desk


ALL_UP = 0, "BACKUPMX OK - 2 domains up", "up"
DOWN = 1, "BACKUPMX WARNING - mail.test down; 1 of 2 domains up", "down"
SICK = 2, "BACKUPMX CRITICAL - mail.test sick; 1 of 2 domains up", "sick"


PRIMARY_DOWN = "BackupMxPrimaryDown", {"domain": "mail.test"}
PRIMARY_SICK = "BackupMxPrimarySick", {"domain": "mail.test"}
ENDPOINT_DOWN = "BackupMxEndpointDown", {}
FLUSH_REFUSED = "BackupMxFlushRefused", {"result": "refused"}


def test_an_outage(desk, tmp_path):
    # what was learned is on its way to the store for a moment
    eventually(lambda: scrape(desk.address).value("recipients_entries", status="valid") == 1, 10)
    before = desk.tells(*ALL_UP)
    assert before.value("outage_seconds_total", domain="mail.test") == 0

    desk.primary.stop()
    desk.daemon.wait_for_state("mail.test", "down")
    desk.take()
    during = desk.tells(*DOWN)
    assert during.value("endpoint_up", endpoint=desk.primary.endpoint) == 0
    assert during.value("transitions_total", to="down") \
        == before.value("transitions_total", to="down") + 1
    assert during.value("decisions_total", action="accept", reason="primary-down") == 1
    assert during.value("outage_seconds_total", domain="mail.test") > 0
    assert during.value("outage_seconds_total", domain="fine.test") == 0
    assert during.value("flushes_total", result="ok") == 0

    desk.primary.start()
    desk.daemon.wait_for_log(r"flush: domain=mail\.test method=etrn reply=250 mails=1$")
    after = desk.tells(*ALL_UP)
    assert after.value("flushes_total", result="ok") >= 1        # again after 10 s
    assert after.value("endpoint_up", endpoint=desk.primary.endpoint) == 1

    assert not alerts_fired(desk.chapters, {
        39: [], 41: [], 79: [PRIMARY_DOWN, ENDPOINT_DOWN], 81: [], 119: []}, tmp_path)
    # and were it told otherwise, this test would notice
    assert alerts_fired(desk.chapters, {79: []}, tmp_path)


def test_a_sickness_and_a_refused_flush(desk, tmp_path):
    desk.mta.script.etrn = "459 4.7.1 Node not allowed: access denied"
    desk.primary.stop()
    desk.daemon.wait_for_state("mail.test", "down")
    desk.take()
    desk.tells(*DOWN)
    # it comes back without a mind to take mail from anybody
    desk.primary.script.ehlo = desk.primary.script.helo = "550 5.7.1 not now"
    desk.primary.start()
    sick = desk.tells(*SICK)
    assert sick.value("endpoint_up", endpoint=desk.primary.endpoint) == 0
    desk.primary.script.ehlo, desk.primary.script.helo = None, "250 {name}"
    desk.daemon.wait_for_log(r"flush: domain=mail\.test method=etrn reply=459")
    after = desk.tells(*ALL_UP)
    assert after.value("flushes_total", result="refused") >= 1

    assert not alerts_fired(desk.chapters, {
        39: [PRIMARY_DOWN, ENDPOINT_DOWN], 79: [PRIMARY_SICK, ENDPOINT_DOWN],
        90: [FLUSH_REFUSED]}, tmp_path)


FORCED = 1, "BACKUPMX WARNING - mail.test forced-down; 1 of 2 domains up", "forced-down"


def test_maintenance(desk, tmp_path):
    """Who takes a primary down by force and says so gets no alarm."""
    assert desk.daemon.ctl("force", "mail.test", "down", "--for", "1h")[0] == 0
    forced = desk.tells(*FORCED)
    assert forced.value("endpoint_up", endpoint=desk.primary.endpoint) == 1
    assert desk.daemon.ctl("force", "mail.test", "auto")[0] == 0
    desk.tells(*ALL_UP)
    assert not alerts_fired(desk.chapters, {39: [], 79: []}, tmp_path)


def test_the_milter_is_gone(desk):
    desk.tells(*ALL_UP)
    desk.daemon.kill()
    code, text = desk.check()
    assert code == 2 and "backupmx-milter does not answer" in text
    with pytest.raises(ConnectionError):
        get(desk.address, "/healthz")
    desk.daemon.start()
    desk.tells(*ALL_UP)
