# SPDX-License-Identifier: BSD-2-Clause
#
# The catalogue of failures for health probes: each way in which a primary can be broken, and the
# one word that the log and `status` give for it. One daemon watches a domain per case; all
# primaries start healthy, break at the same moment, and heal at the same moment.

import dataclasses
import re
import time

import pytest

from peers.loglines import fields
from peers.smtp_server import CLOSE, RESET, SILENCE, Answer, HangUp, Raw
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"


@dataclasses.dataclass
class Case:
    name: str
    reason: str                 # the word expected; "ok" if the primary has to stay up
    script: dict = dataclasses.field(default_factory=dict)
    stop: bool = False
    blackhole: bool = False
    level: str = "ehlo"
    also: tuple = ()            # other words that are as true

    @property
    def domain(self):
        return self.name + ".test"

    @property
    def reasons(self):
        return (self.reason, *self.also)


CASES = [
    # nobody there
    Case("refused", "refused", stop=True),
    Case("connect-timeout", "timeout", blackhole=True),
    # silence and slowness
    Case("silent-banner", "timeout", dict(banner=SILENCE)),
    Case("dripping-banner", "timeout", dict(banner=Answer("220 {name} ESMTP", drip=0.3))),
    Case("late-banner", "timeout", dict(banner=Answer("220 {name} ESMTP", delay=4))),
    Case("silent-ehlo", "timeout", dict(ehlo=SILENCE)),
    Case("half-an-ehlo", "timeout", dict(ehlo=Raw(b"250-mx1.test\r\n250-SIZE 100\r\n"))),
    Case("dripping-ehlo", "timeout", dict(ehlo=Answer("250 mx1.test and some more", drip=0.3))),
    Case("silent-helo", "timeout", dict(ehlo="502 5.5.1 no", helo=SILENCE)),
    # connections that end
    Case("reset-at-once", "reset", dict(accept=RESET)),
    Case("reset-after-ehlo", "reset", dict(ehlo=RESET)),
    Case("closed-at-once", "lost", dict(accept=CLOSE)),
    Case("closed-after-ehlo", "lost", dict(ehlo=CLOSE)),
    Case("closed-in-banner", "lost", dict(banner=Raw(b"220-mx1\r\n220-wait\r\n", close=True))),
    # refusals
    Case("banner-421", "banner-4xx", dict(banner=HangUp("421 4.3.2 {name} closing"))),
    Case("banner-450", "banner-4xx", dict(banner="450 4.7.1 come back later")),
    Case("banner-multiline-4xx", "banner-4xx", dict(banner="421-{name}\n421 overloaded")),
    Case("banner-554", "banner-5xx", dict(banner="554 5.7.1 no mail service here")),
    Case("banner-521", "banner-5xx", dict(banner=HangUp("521 {name} does not accept mail"))),
    Case("ehlo-421", "ehlo-4xx", dict(ehlo=HangUp("421 4.3.2 shutting down"))),
    Case("ehlo-450", "ehlo-4xx", dict(ehlo="450 4.3.2 not now", helo="450 4.3.2 not now")),
    Case("ehlo-5xx-helo-4xx", "ehlo-4xx", dict(ehlo="500 what", helo="451 4.3.0 not now")),
    Case("ehlo-and-helo-5xx", "ehlo-5xx", dict(ehlo="550 5.7.1 no", helo="550 5.7.1 no")),
    Case("ehlo-550-hangup", "ehlo-5xx", dict(ehlo="554 5.7.1 no", helo=HangUp("554 5.7.1 no"))),
    # no SMTP
    Case("binary-banner", "protocol", dict(banner=Raw(b"\x00\xff\xfe\x01\x02garbage\r\n"))),
    Case("ssh-banner", "protocol", dict(banner=Raw(b"SSH-2.0-OpenSSH_9.2p1\r\n"))),
    Case("http-banner", "protocol", dict(banner=Raw(b"HTTP/1.0 400 Bad Request\r\n\r\n"))),
    Case("codes-differ", "protocol", dict(banner=Raw(b"220-mx1.test\r\n554 no\r\n"))),
    Case("overlong-banner", "protocol", dict(banner=Raw(b"220 " + b"x" * 300000 + b"\r\n"))),
    Case("endless-banner", "protocol", dict(banner=Raw(b"220-x\r\n" * 60000)), also=("timeout",)),
    Case("banner-3xx", "protocol", dict(banner="354 go ahead")),
    Case("ehlo-garbage", "protocol", dict(ehlo=Raw(b"yes?\r\n"))),
    Case("ehlo-overlong", "protocol", dict(ehlo=Raw(b"250-" + b"x" * 300000 + b"\r\n250 y\r\n"))),
    # ourselves
    Case("loop", "loop", dict(banner="220 %s ESMTP Postfix" % OUR_NAME)),
    Case("loop-upper-case", "loop", dict(banner="220 MX2.Example.NET ESMTP")),
    # STARTTLS as part of health
    Case("tls-not-offered", "tls-fail", level="starttls"),
    Case("tls-454", "tls-fail", dict(offer_starttls=True, starttls="454 4.7.0 not available"),
         level="starttls"),
    Case("tls-broken", "tls-fail",
         dict(offer_starttls=True, tls_handshake=Raw(b"not TLS\r\n" * 9, delay=0.3)),
         level="starttls"),
    # words in plain behind the 220, before any handshake: an injection
    Case("tls-injected", "protocol",
         dict(offer_starttls=True, starttls=Raw(b"220 go on\r\n250 mx1.test\r\n")),
         level="starttls", also=("tls-fail",)),
    Case("tls-reset", "tls-fail", dict(offer_starttls=True, tls_handshake=RESET), level="starttls",
         also=("reset",)),
    Case("tls-closed", "tls-fail", dict(offer_starttls=True, tls_handshake=CLOSE), level="starttls",
         also=("lost",)),
    Case("tls-silent", "timeout", dict(offer_starttls=True, tls_handshake=SILENCE),
         level="starttls", also=("tls-fail",)),
    # odd, but they can take mail
    Case("fine-multiline-banner", "ok", dict(banner="220-{name} ESMTP\n220-we log all\n220 go on")),
    Case("fine-helo-only", "ok", dict(ehlo="502 5.5.2 not implemented")),
    Case("fine-slow", "ok", dict(banner=Answer("220 {name}", delay=1.0),
                                 ehlo=Answer("250 {name}", delay=1.0))),
    Case("fine-bare-code", "ok", dict(banner="220 ", ehlo="250 ")),
    Case("fine-names-us-elsewhere", "ok", dict(banner="220 {name} backup is " + OUR_NAME)),
    Case("fine-reset-at-quit", "ok", dict(quit=RESET)),
    Case("fine-silent-quit", "ok", dict(quit=SILENCE)),
    Case("fine-level-banner", "ok", dict(ehlo="554 5.7.1 no", helo="554 no"), level="banner"),
    Case("fine-level-connect", "ok", dict(banner=SILENCE), level="connect"),
    # a server that hides behind an old or unknown certificate can still take mail: our MTA asks
    # no certificate of it
    Case("fine-tls-expired", "ok", level="starttls"),
    Case("fine-tls-wrong-name", "ok", level="starttls"),
]
BY_NAME = {case.name: case for case in CASES}
FAILING = [case for case in CASES if case.reason != "ok"]
FINE = [case for case in CASES if case.reason == "ok"]


@dataclasses.dataclass
class Outcome:
    """What one case's domain went through."""
    first: dict                 # status when everything was healthy
    broken: dict                # status while broken
    down: dict                  # fields of the `health:` line that said down, or None
    endpoint_down: dict         # fields of the `endpoint:` line, or None
    up_again: dict


@pytest.fixture(scope="module")
def outcomes(module_lab, authority):
    lab = module_lab
    good = authority.issue("mx1.test")
    expired = authority.issue("mx1.test", days=-1)
    servers, sections = {}, {}
    for case in CASES:
        tls = dict(offer_starttls=True, certificate=good) if case.level == "starttls" else {}
        servers[case.name] = lab.primary(case.domain, **tls)
        sections['domain "%s"' % case.domain] = {"level": case.level}
    # a host that answers to our name is judged by the name it greets with, whatever comes later
    daemon = lab.daemon(sections)

    def states():
        return {d["domain"]: d for d in daemon.status()["domains"]}

    def all_in(state, cases):
        now = states()
        return all(now.get(c.domain, {}).get("state") == state for c in cases) and now

    def stragglers(state, cases):
        now = states()
        return ["%s: %r" % (c.name, now.get(c.domain)) for c in cases
                if now.get(c.domain, {}).get("state") != state]

    first = eventually(lambda: all_in("up", CASES), 15, lambda: stragglers("up", CASES))

    mark = daemon.mark()
    for case in CASES:
        server = servers[case.name]
        if case.stop:
            server.stop()
        elif case.blackhole:
            server.stop()
            lab.blackhole(server.address)
        elif case.name == "fine-tls-expired":
            server.behave(offer_starttls=True, certificate=expired)
        elif case.name == "tls-not-offered":
            server.behave(offer_starttls=False)
        else:
            certificate = {"certificate": good} if case.level == "starttls" else {}
            defaults = {"offer_starttls": True} if case.level == "starttls" else {}
            server.behave(**{**defaults, **certificate, **case.script})

    def all_down():
        now = states()
        return all(now[c.domain]["state"] != "up" for c in FAILING)

    # Whoever isn't down in time fails in its own test, with its own name.
    try:
        eventually(all_down, 25)
    except AssertionError:
        pass
    broken = states()
    lines = daemon.log.lines[mark:]

    for hole in lab.others:
        hole.close()
    for case in CASES:
        server = servers[case.name]
        tls = dict(offer_starttls=True, certificate=good) if case.level == "starttls" else {}
        server.behave(**tls)
        server.start()
    try:
        again = eventually(lambda: all_in("up", CASES), 20)
    except AssertionError:
        again = states()

    out = {}
    for case in CASES:
        down = [fields(text) for _, text in lines
                if re.search(r" health: domain=%s " % re.escape(case.domain), text)
                and "state=up" not in text]
        endpoint = [fields(text) for _, text in lines
                    if re.search(r" endpoint: address=%s " % re.escape(servers[case.name].endpoint),
                                 text) and "state=down" in text]
        out[case.name] = Outcome(first[case.domain], broken[case.domain],
                                 down[0] if down else None, endpoint[0] if endpoint else None,
                                 again[case.domain])
    return out


def named(cases):
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.mark.parametrize("case", named(FAILING))
def test_failure_is_seen_and_named(outcomes, case):
    outcome = outcomes[case.name]
    states = ("down",)
    if case.reason == "ehlo-5xx":
        # A primary that refuses EHLO and HELO makes its domain `sick` where that is built.
        states = ("down", "sick")
    elif case.reason == "loop":
        # It is ourselves, so there is nobody better than us.
        states = ("not-backup",)
    assert outcome.first["state"] == "up" and outcome.first["reason"] == "ok"

    line = outcome.down
    assert line, "no health line said that it is down"
    assert line["domain"] == case.domain
    assert line["state"] in states
    assert line["was"] == "up"
    if case.reason != "loop":
        assert line["reason"] in case.reasons
    assert line["endpoints"] == ("0/0" if case.reason == "loop" else "0/1")
    assert re.fullmatch(r"\d+s", line["after"])

    assert outcome.endpoint_down, "no endpoint line said that it is down"
    assert outcome.endpoint_down["state"] == "down"
    assert outcome.endpoint_down["reason"] in case.reasons

    assert outcome.broken["state"] in states
    if case.reason != "loop":
        assert outcome.broken["reason"] in case.reasons
    assert [e["state"] for e in outcome.broken["endpoints"]] == ["down"]
    assert outcome.broken["endpoints"][0]["reason"] in case.reasons


@pytest.mark.parametrize("case", named(FAILING))
def test_recovery_is_seen(outcomes, case):
    assert outcomes[case.name].up_again["state"] == "up"
    assert outcomes[case.name].up_again["reason"] == "ok"


@pytest.mark.parametrize("case", named(FINE))
def test_odd_but_working_primary_stays_up(outcomes, case):
    outcome = outcomes[case.name]
    assert outcome.first["state"] == "up"
    assert outcome.down is None, "a line said that it is down: %r" % outcome.down
    assert outcome.broken["state"] == "up"
    assert outcome.broken["endpoints"][0]["reason"] == "ok"


# -- names that don't lead anywhere

DNS_CASES = {
    # every fault is there from the start: "from unknown one result is enough"
    "mx-servfail": lambda dns, d: dns.fail(d, "SERVFAIL"),
    "mx-refused": lambda dns, d: dns.fail(d, "REFUSED"),
    "mx-silent": lambda dns, d: dns.fail(d, "SILENCE"),
    "mx-garbage": lambda dns, d: dns.fail(d, "GARBAGE"),
    "mx-short": lambda dns, d: dns.fail(d, "SHORT"),
    "mx-looping-name": lambda dns, d: dns.fail(d, "LOOPING_NAME"),
    "mx-wrong-id": lambda dns, d: dns.fail(d, "WRONG_ID"),
    "host-nxdomain": lambda dns, d: dns.remove("mx1." + d),
    "host-nodata": lambda dns, d: (dns.remove("mx1." + d),
                                   dns.set("mx1." + d, "TXT", ["nothing here"])),
    "host-servfail": lambda dns, d: dns.fail("mx1." + d, "SERVFAIL"),
    "host-silent": lambda dns, d: dns.fail("mx1." + d, "SILENCE"),
}


@pytest.fixture(scope="module")
def dns_states(module_lab):
    lab = module_lab
    domains = {}
    for name, spoil in DNS_CASES.items():
        domain = "dns-%s.test" % name
        lab.primary(domain)
        spoil(lab.dns, domain)
        domains[name] = domain
    daemon = lab.daemon(domains=domains.values())

    def settled():
        found = {d["domain"]: d for d in daemon.status()["domains"]}
        return all(found.get(d, {}).get("state") == "down" for d in domains.values()) and found
    try:
        return eventually(settled, 20, pause=0.2)
    except AssertionError:
        return {d["domain"]: d for d in daemon.status()["domains"]}


@pytest.mark.parametrize("name", sorted(DNS_CASES))
def test_primary_whose_name_fails_is_down_for_dns_fail(dns_states, name):
    found = dns_states["dns-%s.test" % name]
    assert found["state"] == "down"
    assert found["reason"] == "dns-fail"


def test_truncated_dns_answers_are_asked_again_by_tcp(lab):
    server = lab.primary("tc.test")
    lab.dns.fail("tc.test", "TRUNCATE")
    lab.dns.fail("mx1.tc.test", "TRUNCATE")
    daemon = lab.daemon(domains=["tc.test"])
    daemon.wait_for_state("tc.test", "up")
    assert ("tc.test", "MX", "tcp") in lab.dns.log
    assert server.sessions


# -- counting

def test_fall_and_rise_are_counted(lab):
    """fall = 3: two bad probes change nothing, the third does; rise = 2 likewise."""
    server = lab.primary("count.test")
    daemon = lab.daemon({"probe": {"fall": 3, "rise": 2}}, domains=["count.test"])
    daemon.wait_for_state("count.test", "up")
    verdicts = []

    def banner(_session, _argument):
        verdicts.append(bad_left[0] > 0)
        if bad_left[0] > 0:
            bad_left[0] -= 1
            return "421 4.3.2 not now"
        return "220 mx1.count.test ESMTP"

    bad_left = [2]
    server.change(banner=banner)
    eventually(lambda: len(verdicts) >= 5, 15)
    daemon.no_log(r"health: domain=count\.test state=down")
    bad_left[0] = 3
    daemon.wait_for_log(r"health: domain=count\.test state=down was=up reason=banner-4xx", 10)
    assert bad_left[0] == 0, "said down before the third bad probe"
    bad_before = len(verdicts)
    daemon.wait_for_log(r"health: domain=count\.test state=up was=down reason=ok", 10)
    assert len(verdicts) - bad_before >= 2, "said up after one good probe"


def test_best_of_two_endpoints_decides(lab):
    """One of two endpoints of a primary set is enough to be up; endpoints=UP/ALL says so."""
    first = lab.primary("two.test")
    second = lab.server("mx1b.two.test")
    lab.dns.mx("two.test", (10, "mx1.two.test"), (15, "mx1b.two.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["two.test"])
    daemon.wait_for_state("two.test", "up")
    eventually(lambda: all(e["state"] == "up" for e in daemon.status("two.test")["endpoints"]), 10)
    mark = daemon.mark()
    first.stop()
    daemon.wait_for_log(r"endpoint: address=%s state=down" % re.escape(first.endpoint), 8, mark)
    assert daemon.status("two.test")["state"] == "up"
    daemon.no_log(r"health: domain=two\.test state=down", mark)
    second.stop()
    found = daemon.wait_for_log(
        r"health: domain=two\.test state=down was=up reason=refused endpoints=0/2 after=\d+s",
        25, mark)
    assert found


def test_spare_endpoints_are_probed_ten_times_less(lab):
    """`interval` goes for the best endpoint that is up, the others get ten times that."""
    first = lab.primary("spare.test")
    second = lab.server("mx1b.spare.test")
    lab.dns.mx("spare.test", (10, "mx1.spare.test"), (15, "mx1b.spare.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["spare.test"])
    daemon.wait_for_state("spare.test", "up")
    second.wait_for_sessions(1)
    start = len(first.sessions), len(second.sessions)
    eventually(lambda: len(first.sessions) - start[0] >= 5, 10)
    assert len(second.sessions) - start[1] <= 1


def test_endpoint_of_many_domains_is_probed_once_for_all(lab):
    """Fifty domains on one primary are one endpoint, not fifty probes a second."""
    server = lab.server("mx1.shared.test")
    domains = ["shared%d.test" % n for n in range(50)]
    for domain in domains:
        lab.dns.mx(domain, (10, "mx1.shared.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=domains)
    for domain in domains:
        daemon.wait_for_state(domain, "up")
    before = len(server.sessions)
    eventually(lambda: len(server.sessions) > before, 5)
    before = len(server.sessions)
    time.sleep(3)
    assert len(server.sessions) - before <= 5


def test_probe_dialogue(lab):
    """A probe greets with helo_name, sends no mail command, and leaves with QUIT."""
    server = lab.primary("polite.test")
    daemon = lab.daemon(domains=["polite.test"])
    daemon.wait_for_state("polite.test", "up")
    session = eventually(lambda: next((s for s in server.sessions if s.ended), None), 5)
    assert session.lines == ["EHLO " + OUR_NAME, "QUIT"]


def test_states_and_times_survive_a_restart(lab):
    server = lab.primary("keep.test")
    daemon = lab.daemon(domains=["keep.test"])
    daemon.wait_for_state("keep.test", "up")
    server.stop()
    before = daemon.wait_for_state("keep.test", "down")
    daemon.restart()
    after = daemon.status("keep.test")
    assert after["state"] == "down"
    assert after["since"] == before["since"]
    daemon.no_log(r"health: domain=keep\.test state=\w+ was=unknown reason=refused")
    # and a crash loses no more than a clean end does
    daemon.restart(crash=True)
    after = daemon.status("keep.test")
    assert (after["state"], after["since"]) == ("down", before["since"])
