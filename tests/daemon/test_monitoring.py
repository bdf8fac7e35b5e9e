# SPDX-License-Identifier: BSD-2-Clause
#
# What the alert rules, the dashboard and check_backupmx ask for is what a real daemon tells: each
# metric, each label, each word that they compare with.

import json
import os
import re

import pytest

from peers.daemon import TOP
from peers.http_client import scrape
from peers.waiting import free_port

FILES = ["etc/prometheus/backupmx.rules.yml", "etc/grafana/backupmx.json",
         "etc/nagios/check_backupmx"]
# Prometheus puts these on itself.
OF_PROMETHEUS = {"job", "instance", "le"}
SELECTOR = re.compile(r"\b(backupmx_[a-z_]+)\{([^{}]*)\}")
MATCHER = re.compile(r'([a-z_]+)=~?"([^"]*)"')


def text_of(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        text = file.read()
    return text.replace('\\"', '"') if path.endswith(".json") else text


class Told:
    """The names of all metrics, and what their labels say."""

    def __init__(self, metrics):
        self.words = {}
        for name, labels in metrics.samples:
            of_name = self.words.setdefault("backupmx_" + name, {})
            for label, value in labels:
                of_name.setdefault(label, set()).add(value)

    def says(self, name, label):
        """All that a label can say: of a state that no domain is in the changes to it tell."""
        if (name, label) == ("backupmx_domain_state", "state"):
            name, label = "backupmx_transitions_total", "to"
        return self.words[name].get(label, set())


@pytest.fixture(scope="module")
def told(module_lab):
    module_lab.primary("one.test")
    address = "127.0.0.1", free_port()
    daemon = module_lab.daemon({"http": {"listen": "%s:%d" % address}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    return Told(scrape(address))


@pytest.mark.parametrize("path", FILES)
def test_the_metrics_are_there(told, path):
    text = text_of(path)
    names = set(re.findall(r"\bbackupmx_[a-z_]+\b", text))
    assert len(names) > 5
    assert not names - set(told.words)


@pytest.mark.parametrize("path", FILES[:2])
def test_the_labels_say_such_words(told, path):
    compared = 0
    for name, matchers in SELECTOR.findall(text_of(path)):
        for label, pattern in MATCHER.findall(matchers):
            if label in OF_PROMETHEUS or pattern.startswith("$"):
                continue
            compared += 1
            assert set(pattern.split("|")) <= told.says(name, label), (name, label, pattern)
    assert compared > 4


def test_the_dashboard_names_series_by_labels_they_have(told):
    known = {label for labels in told.words.values() for label in labels} | OF_PROMETHEUS
    with open(os.path.join(TOP, "etc/grafana/backupmx.json"), encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    for panel in panels:
        for target in panel.get("targets", []):
            asked = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = set(re.findall(r"\w+", " ".join(
                re.findall(r"\b(?:by|on) \(([^)]*)\)", target["expr"]))))
            assert (asked | grouped) <= known, panel["title"]
            assert asked <= grouped, panel["title"]
