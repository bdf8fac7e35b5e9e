# SPDX-License-Identifier: BSD-2-Clause
#
# The metrics (DESIGN 11): their names and labels to the letter, what each of them tells in real
# situations, and that Prometheus' own checker finds nothing to say about any of it.

import pytest

from peers.http_client import Metrics, promtool_check, scrape
from peers.smtp_server import SILENCE
from peers.waiting import eventually, free_port

FAMILIES = {
    "domain_up": "gauge", "endpoint_up": "gauge", "probe_duration_seconds": "histogram",
    "probes_total": "counter", "decisions_total": "counter", "decision_seconds": "histogram",
    "callouts_total": "counter", "callout_seconds": "histogram", "recipients_entries": "gauge",
    "recipient_lookups_total": "counter", "transitions_total": "counter",
    "outage_seconds_total": "counter", "flushes_total": "counter", "connections": "gauge",
    "waiting": "gauge", "loop_lag_seconds": "gauge", "store_bytes": "gauge", "isolated": "gauge",
    "last_drill_timestamp_seconds": "gauge",
    "domain_state": "gauge", "config_reload_success": "gauge", "build_info": "gauge",
}
STATES = {"not-backup", "unknown", "up", "sick", "down", "forced-up", "forced-down"}


class Host:
    """A daemon with a listener."""

    def __init__(self, lab, *ini, **more):
        self.address = ("127.0.0.1", free_port())
        self.daemon = lab.daemon({"http": {"listen": "%s:%d" % self.address}}, *ini, **more)

    def metrics(self):
        found = scrape(self.address)
        assert promtool_check(found.text) == ""
        return found

    def value(self, name, **labels):
        return scrape(self.address).value(name, **labels)

    def wait(self, name, wanted, **labels):
        """Until the sample is so; `wanted` is a value or a condition."""
        seen = None

        def look():
            nonlocal seen
            seen = self.value(name, **labels)
            return seen is not None and (wanted(seen) if callable(wanted) else seen == wanted)
        eventually(look, 20, lambda: "%s %r is %r" % (name, labels, seen), pause=0.1)


def test_nothing_configured(lab):
    """All families are there before anything has happened, with their words; promtool is
    content."""
    daemon = lab.daemon()
    metrics = Metrics(daemon.ctl("metrics")[1])
    assert promtool_check(metrics.text) == ""
    for name, kind in FAMILIES.items():
        assert metrics.types["backupmx_" + name] == kind
    assert set(metrics.series("transitions_total")) == STATES
    assert set(metrics.series("recipients_entries")) == {"valid", "invalid", "catch-all"}
    assert set(metrics.series("recipient_lookups_total")) == \
        {"valid", "invalid", "catch-all", "unknown", "failed"}
    assert set(metrics.series("callouts_total")) == {"valid", "invalid", "catch-all", "later",
                                                     "none"}
    assert set(metrics.series("flushes_total")) == {"ok", "refused", "failed"}
    assert metrics.decisions() == {}
    assert metrics.value("config_reload_success") == 1
    assert metrics.value("isolated") == 0
    assert metrics.value("store_bytes") > 0
    assert metrics.value("build_info", version=daemon.status()["version"]) == 1
    assert not metrics.series("domain_up")


def test_an_outage(lab):
    mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
    primary = lab.primary("mail.test", recipients={"alice": "250 ok"})
    host = Host(lab, {"flush": {"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)}},
                domains=["mail.test"])
    daemon = host.daemon
    daemon.wait_for_state("mail.test", "up")
    daemon.learn("alice@mail.test", "nobody@mail.test")

    up = host.metrics()
    assert up.value("domain_up", domain="mail.test") == 1
    assert up.value("domain_state", domain="mail.test", state="up") == 1
    assert up.value("endpoint_up", endpoint=primary.endpoint) == 1
    assert up.value("outage_seconds_total", domain="mail.test") == 0
    assert up.value("transitions_total", to="up") == 1
    assert up.value("probes_total", result="ok") >= 1
    assert up.value("probe_duration_seconds_count") == sum(up.series("probes_total").values())
    assert up.value("decisions_total", action="defer", reason="primary-up") >= 2
    host.wait("recipients_entries", 1, status="valid")
    host.wait("recipients_entries", 1, status="invalid")
    assert up.value("callouts_total", result="valid") == \
        len(daemon.log_lines(r"callout: .* verdict=valid"))
    assert up.value("callout_seconds_count") == sum(up.series("callouts_total").values())

    primary.stop()
    daemon.wait_for_state("mail.test", "down")
    assert daemon.milter().send_message(rcpts=["<alice@mail.test>"]).eom.accepted
    down = host.metrics()
    assert down.value("domain_up", domain="mail.test") == 0
    assert down.value("domain_state", domain="mail.test", state="down") == 1
    assert down.value("domain_state", domain="mail.test", state="up") is None
    assert down.value("endpoint_up", endpoint=primary.endpoint) == 0
    assert down.value("transitions_total", to="down") == 1
    assert down.value("probes_total", result="refused") >= 2
    assert down.value("decisions_total", action="accept", reason="primary-down") == 1
    assert down.value("recipient_lookups_total", result="valid") >= 1
    host.wait("outage_seconds_total", lambda seconds: seconds >= 2, domain="mail.test")

    primary.start()
    host.wait("domain_up", 1, domain="mail.test")
    host.wait("flushes_total", 1, result="ok")
    after = host.metrics()
    assert after.value("transitions_total", to="up") == 2
    outage = after.value("outage_seconds_total", domain="mail.test")
    assert outage >= 2
    assert host.value("outage_seconds_total", domain="mail.test") == outage     # it stands still


def test_flushes_that_fail(lab):
    mta = lab.server("mta.example.net", etrn="458 4.0.0 no")
    lab.primary("mail.test")
    host = Host(lab, {"flush": {"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)}},
                domains=["mail.test"])
    assert host.daemon.ctl("flush", "mail.test")[0] == 1
    host.wait("flushes_total", 1, result="refused")
    mta.stop()
    assert host.daemon.ctl("flush", "mail.test")[0] == 1
    host.wait("flushes_total", 1, result="failed")


def test_isolation_is_no_outage(lab):
    """The time in which this host itself was cut off counts against nobody."""
    reference = lab.server("ref.test", port=free_port(), banner=SILENCE)
    gone, primary = lab.primary("gone.test"), lab.primary("mail.test")
    gone.stop()
    host = Host(lab, {"probe": {"reference": ["%s:%d" % (reference.address, reference.port)]}},
                domains=["gone.test", "mail.test"])
    host.daemon.wait_for_state("gone.test", "down")
    host.daemon.wait_for_state("mail.test", "up")
    primary.stop()
    reference.stop()
    host.wait("isolated", 1)
    first = host.metrics()
    assert first.value("domain_up", domain="mail.test") == 1
    mark = host.daemon.mark()
    eventually(lambda: len(host.daemon.log_lines("probe: address=", mark)) >= 4, 20)
    second = host.metrics()
    for domain in ("gone.test", "mail.test"):
        assert second.value("outage_seconds_total", domain=domain) == \
            first.value("outage_seconds_total", domain=domain)
    reference.start()
    host.wait("isolated", 0)
    counted = first.value("outage_seconds_total", domain="gone.test")
    host.wait("outage_seconds_total", lambda seconds: seconds > counted, domain="gone.test")


def test_forced_states(lab):
    """What is decided by and what probes see: an outage that is only forced is none."""
    lab.primary("mail.test")
    host = Host(lab, domains=["mail.test"])
    host.daemon.wait_for_state("mail.test", "up")
    assert host.daemon.ctl("force", "mail.test", "down")[0] == 0
    metrics = host.metrics()
    assert metrics.value("domain_up", domain="mail.test") == 0
    assert metrics.value("domain_state", domain="mail.test", state="forced-down") == 1
    assert metrics.value("transitions_total", to="forced-down") == 1
    host.wait("probes_total", metrics.value("probes_total", result="ok") + 2, result="ok")
    assert host.value("outage_seconds_total", domain="mail.test") == 0


def test_which_domains(lab):
    """Learned domains have series only when asked for; endpoints that are shared have one."""
    shared = lab.primary("one.test", recipients={"alice": "250 ok"})
    for name in ("two.test", "learned.test", "sub.par.test"):
        lab.dns.mx(name, (10, "mx1.one.test"), (20, "mx2.example.net"))
    host = Host(lab, domains=["one.test", "two.test", ".par.test"])
    host.daemon.wait_for_state("two.test", "up")
    for name in ("learned.test", "sub.par.test"):
        host.daemon.learn("alice@" + name)
    configured = {"one.test": 1, "two.test": 1}
    assert host.metrics().series("domain_up") == configured
    host.daemon.change_ini({"http": {"domain_metrics": "all"}})
    assert host.daemon.ctl("reload")[0] == 0
    metrics = host.metrics()
    assert metrics.series("domain_up") == {**configured, "learned.test": 1, "sub.par.test": 1}
    assert set(metrics.series("outage_seconds_total")) == set(metrics.series("domain_up"))
    assert metrics.series("endpoint_up") == {shared.endpoint: 1}
    assert metrics.value("domains_left_out") == 0


def test_domain_that_is_none_of_our_business(lab):
    """By its MX records we are no backup of it: neither up nor down is true of it."""
    lab.server("mx1.other.test")
    lab.dns.mx("other.test", (10, "mx1.other.test"))
    host = Host(lab, domains=["other.test"])
    host.daemon.wait_for_state("other.test", "not-backup")
    metrics = host.metrics()
    assert metrics.series("domain_up") == {}
    assert metrics.value("domain_state", domain="other.test", state="not-backup") == 1


HOSTILE = [
    'a"b.test', "a\\b.test", "a\nb.test", "{x=\"y\"}", "<script>alert(1)</script>.test",
    "\xe9.test", "xn--.test", "\U0001f4a9.test", "a" * 63 + ".test", ".".join(["a" * 60] * 4),
    "a..b", "%n%n.test",
]


def test_hostile_names(lab):
    """What strangers make up comes into no label that could break the text."""
    lab.primary("mail.test")
    for name in ("_x.test", "a_b.test", "1.2.3.4.test"):
        lab.primary(name)
    host = Host(lab, {"http": {"domain_metrics": "all"}}, domains=["mail.test"])
    host.daemon.wait_for_state("mail.test", "up")
    session = host.daemon.milter().connect()
    session.mail("<a@b.test>")
    for name in [*HOSTILE, "_x.test", "a_b.test", "1.2.3.4.test"]:
        session.rcpt(("<alice@%s>" % name).encode())
        session.rcpt(("<%s@mail.test>" % name).encode())
    session.quit()
    metrics = host.metrics()
    assert sum(metrics.decisions().values()) == 2 * (len(HOSTILE) + 3)


def test_reload(lab):
    host = Host(lab)
    host.daemon.change_ini({"probe": {"rise": "many"}})
    assert host.daemon.ctl("reload")[0] == 1
    assert host.value("config_reload_success") == 0
    host.daemon.change_ini({"probe": {"rise": 1}})
    assert host.daemon.ctl("reload")[0] == 0
    assert host.value("config_reload_success") == 1


def test_connections_and_waiting(lab):
    lab.primary("mail.test", recipients={"alice": "250 ok", "slow": SILENCE})
    host = Host(lab, {"policy": {"when_up": "accept"}, "recipients": {"callout_wait": "20s"}},
                domains=["mail.test"])
    host.daemon.wait_for_state("mail.test", "up")
    sessions = [host.daemon.milter().connect() for _ in range(3)]
    host.wait("connections", 3)
    assert host.value("waiting") == 0
    sessions[0].mail("<a@b.test>")
    sessions[0].send_packet(b"R", b"<slow@mail.test>\0")
    host.wait("waiting", 1)
    for session in sessions:
        session.quit()
    host.wait("connections", 0)
    host.wait("waiting", 0)


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_decisions_are_counted_in_both_modes(lab, mode):
    lab.primary("mail.test", recipients={"alice": "250 ok"})
    host = Host(lab, {"milter": {"mode": mode, "exempt_clients": ["203.0.113.0/24"]}},
                domains=["mail.test"])
    host.daemon.wait_for_state("mail.test", "up")
    host.daemon.milter().rcpt("<alice@mail.test>")
    host.daemon.milter().rcpt("<alice@mail.test>", client="203.0.113.9")
    host.daemon.milter().rcpt("<alice@elsewhere.test>")
    metrics = host.metrics()
    assert metrics.decisions() == {("defer", "primary-up"): 1, ("continue", "exempt"): 1,
                                   ("continue", "not-ours"): 1}
    assert metrics.value("decision_seconds_count") == 3
