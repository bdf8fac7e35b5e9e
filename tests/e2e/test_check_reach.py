# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of the primaries, from their greeting to their recipients: a real Postfix in good
# order, and hosts that each have a fault of their own, all asked in one run.

import pathlib
import re
from contextlib import ExitStack

import pytest

from lab import outage
from lab.checking import Checker, finding
from peers.certificates import Authority
from peers.smtp_server import RESET, SILENCE, SmtpServer

EXAMPLE = ["mx1.example.test [192.0.2.10]:25", "mx1.example.test [2001:db8::10]:25"]
FAULTY = "192.0.2.12"   # an address of the primary's host; mx1.pair.test
FIRST_PORT = 2501
SECOND = "mx1.second.test"
UNKNOWN = "550 5.1.1 <{rcpt}>: User unknown"
EACH_FAMILY_IN_ITS_WAY = """
table inet blocked {
  chain input {
    type filter hook input priority 0;
    meta nfproto ipv4 tcp dport 25 drop
    meta nfproto ipv6 tcp dport 25 reject with tcp reset
  }
}
"""
LATER = "450 4.2.0 <{rcpt}>: Greylisted, try again in 5 minutes"


@pytest.fixture(scope="module", name="authority")
def make_authority(lab):
    return Authority(lab.scratch / "authority")


@pytest.fixture(scope="module", name="checker")
def make_checker(lab, authority):
    """It trusts our authority, as it does those of the system."""
    return Checker(lab.backup_host, environment={"SSL_CERT_FILE": authority.certificate})


@pytest.fixture(scope="module", name="ini")
def ini_writer(lab):
    """A configuration; domains: {name: lines of its section}."""
    def write(domains, more="", probe=""):
        path = pathlib.Path(lab.scratch) / "check.ini"
        path.write_text(f"[probe]\nconnect_timeout = 1s\ntimeout = 3s\n{probe}\n{more}\n" + "".join(
            f'[domain "{name}"]\n{lines}\n' for name, lines in domains.items()))
        return path
    return write


@finding("outbound-25", "primary-connect", "primary-ehlo", "primary-loop", "primary-starttls",
         "primary-certificate", "canary", "catch-all", "offer-size", "offer-smtputf8",
         "offer-8bitmime", "primary-trust", present=False)
def test_a_primary_in_good_order(lab, authority, checker):
    lab.learn("alice@example.test")
    certificate = authority.issue("mx1.example.test", days=60)
    chain = pathlib.Path(lab.scratch) / "chain.pem"
    chain.write_text("".join(pathlib.Path(part).read_text()
                             for part in (certificate.key, certificate.certificate)))
    lab.primary.reconfigure(smtpd_tls_security_level="may", smtpd_tls_chain_files=chain)
    before = len(lab.primary.log_text())
    found = checker.check("example.test", "-c", lab.milter.ini_path, "-s",
                          lab.milter.control_socket)
    assert found.severity("outbound-25") == "ok"
    for name in ("connect", "ehlo", "loop", "starttls", "certificate"):
        for endpoint in EXAMPLE:
            one = found[f"primary-{name}", endpoint]
            assert one["severity"] == "ok" and not one["unseen"], one
    for name in ("canary", "catch-all", "offer-size", "offer-smtputf8", "offer-8bitmime"):
        one = found[name, "example.test"]
        assert one["severity"] == "ok" and not one["unseen"], one
    assert "alice@example.test (remembered as valid)" in found["canary"]["observed"]
    assert "at 2 addresses" in found["canary"]["observed"]
    trust = found["primary-trust"]
    assert trust["severity"] == "note" and not trust["unseen"]
    for line in (
            'rules { BACKUP_MX { strategy = "ip_map"; ip_map = ["192.0.2.20", "2001:db8::20"]; } }',
            "internal_networks 192.0.2.20 2001:db8::20",
            "IgnoreHosts /etc/opendmarc/ignore.hosts",
            "Whitelist = 192.0.2.20/32,2001:db8::20/128",
            "2001:db8::20/128 permit",
            "ignoreip = 127.0.0.1/8 ::1 192.0.2.20 2001:db8::20",
            "racl whitelist addr 192.0.2.20"):
        assert line in trust["mend"], trust["mend"]
    # one invented recipient in all, and each session ends with a QUIT
    log = lab.primary.log_text()[before:]
    assert log.count("reject: RCPT") == 1, log
    assert not re.search("(lost connection|timeout) after .* from mx2", log), log


@pytest.fixture(scope="module", name="faults")
def make_faults(lab, authority):
    """{domain: its only primary}; the configuration is faults.sections."""
    wrong, expired, soon = (authority.self_signed("other.test"), authority.issue(SECOND, days=-1),
                            authority.issue(SECOND, days=10))
    tls = {"offer_starttls": True}
    scripts = {
        "rude.test": {"banner": "554 5.7.1 no service for you"},
        "busy.test": {"ehlo": "421 4.3.2 too busy"},
        "silent.test": {"banner": SILENCE},
        "mirror.test": {"name": "mx2.example.test"},
        "plain.test": {"extensions": ("SIZE 1000",), "other_recipients": "250 2.1.5 ok"},
        "broken.test": {**tls, "tls_handshake": RESET},
        "wrong.test": {**tls, "certificate": wrong},
        "sts.test": {**tls, "certificate": wrong},
        "expired.test": {**tls, "certificate": expired},
        "soon.test": {**tls, "certificate": soon},
        "grey.test": {"rcpt": LATER},
        "listed.test": {"rcpt": "554 5.7.1 Service unavailable; client is on a list"},
        "policy.test": {"mail": "550 5.7.1 your network isn't liked here"},
    }
    lab.dns.change({"_mta-sts.sts.test": [("TXT", '"v=STSv1; id=1"')]})
    servers, sections = {}, {}
    with ExitStack() as stack:
        for port, (domain, script) in enumerate(scripts.items(), FIRST_PORT):
            address = "192.0.2.11" if "certificate" in script else FAULTY
            host = SECOND if "certificate" in script else f"[{FAULTY}]"
            with lab.primary_host.network():
                servers[domain] = stack.enter_context(SmtpServer(address, port, **script))
            sections[domain] = f'primary = "{host}:{port}"\ncanary = alice@{domain}'
        sections["dead.test"] = f'primary = "[{FAULTY}]:2500"'
        sections["homeless.test"] = "primary = nowhere.homeless.test"
        servers["sections"] = sections
        yield servers


@pytest.fixture(scope="module", name="found")
def look(faults, ini, checker):
    """All faults, in one run."""
    sections = faults["sections"]
    return checker.check(*sections, "catchall.test", "-c", ini(sections))


def of(found, name, domain, faults):
    """The finding of an endpoint, by the domain that has it."""
    port = faults[domain].port if domain in faults else 2500
    return max((one for one in found.all(name) if one["subject"].endswith(f"]:{port}")),
               key=lambda one: found.ORDER.index(one["severity"]))


@finding("primary-connect", "primary-ehlo", "primary-loop", present=True)
def test_no_greeting(found, faults):
    assert found.exit == 1
    dead = of(found, "primary-connect", "dead.test", faults)
    assert dead["severity"] == "error" and "refuses the connection" in dead["observed"]
    assert f"nc -vz -w 10 {FAULTY} 2500" in dead["mend"]
    homeless = found["primary-connect", "homeless.test"]
    assert homeless["severity"] == "error" and "no address in DNS" in homeless["observed"]
    rude = of(found, "primary-ehlo", "rude.test", faults)
    assert rude["severity"] == "error" and "554 5.7.1 no service" in rude["observed"]
    assert of(found, "primary-ehlo", "busy.test", faults)["severity"] == "warning"
    silent = of(found, "primary-ehlo", "silent.test", faults)
    assert silent["severity"] == "error" and "nothing came in time" in silent["observed"]
    mirror = of(found, "primary-loop", "mirror.test", faults)
    assert mirror["severity"] == "error" and "mx2.example.test" in mirror["observed"]


@finding("primary-starttls", "primary-certificate", present=True)
def test_bad_tls(found, faults):
    plain = of(found, "primary-starttls", "plain.test", faults)
    assert plain["severity"] == "warning" and "not offered" in plain["observed"]
    broken = of(found, "primary-starttls", "broken.test", faults)
    assert broken["severity"] == "warning" and "handshake fails" in broken["observed"]
    worst = {name: of(found, "primary-certificate", name, faults)
             for name in ("wrong.test", "sts.test", "expired.test", "soon.test")}
    assert {name: one["severity"] for name, one in worst.items()} == dict.fromkeys(
        worst, "warning"), worst
    wrong, sts = ([one for one in found.all("primary-certificate")
                   if one["subject"] == worst[name]["subject"]]
                  for name in ("wrong.test", "sts.test"))
    assert [one["severity"] for one in wrong] == ["note", "warning"]
    assert [one["severity"] for one in sts] == ["warning", "warning"]
    assert f"is of other.test, not of {SECOND}" in wrong[0]["observed"]
    assert re.search("in (9|10) days", wrong[1]["observed"])
    assert "has expired on 20" in worst["expired.test"]["observed"]
    assert re.search("in (9|10) days", worst["soon.test"]["observed"])
    assert len([one for one in found.all("primary-certificate")
                if one["subject"] == worst["soon.test"]["subject"]]) == 1


@finding("primary-starttls", "primary-certificate", present=True)
def test_tls_that_we_want(faults, ini, checker):
    names = ["plain.test", "wrong.test", "expired.test"]
    sections = {name: faults["sections"][name] for name in names}
    strict = checker.check(*names, "-c", ini(sections, "[recipients]\ncallout_tls = verify"))
    assert of(strict, "primary-starttls", "plain.test", faults)["severity"] == "error"
    for name in ("wrong.test", "expired.test"):
        assert of(strict, "primary-certificate", name, faults)["severity"] == "error"
        assert strict["canary", name]["unseen"]  # where no callout is made, nobody is named


@finding("canary", "catch-all", "primary-trust", present=True)
def test_what_recipients_are_told(found, faults):
    refused = found["canary", "broken.test"]
    assert refused["severity"] == "error" and "550 5.1.1" in refused["observed"]
    assert found["canary", "grey.test"]["severity"] == "warning"
    assert found["canary", "dead.test"]["unseen"]
    # a scripted one, and a real Postfix whose canary nobody has named
    assert found["catch-all", "plain.test"]["severity"] == "warning"
    real = found["catch-all", "catchall.test"]
    assert real["severity"] == "warning" and "recipients_complete = yes" in real["mend"]
    assert "canary = somebody@catchall.test" in found["canary", "catchall.test"]["observed"]
    listed = found["canary", "listed.test"]
    assert listed["severity"] == "error" and "not the mailbox" in listed["mend"][0]
    for name, severity in {"rude.test": "error", "policy.test": "error", "listed.test": "error",
                           "grey.test": "warning"}.items():
        assert of(found, "primary-trust", name, faults)["severity"] == severity
    # the lines stand once
    assert len([one for one in found.all("primary-trust") if len(one["mend"]) > 5]) == 1
    assert found["catch-all", "grey.test"]["unseen"]


@finding("offer-size", "offer-smtputf8", "offer-8bitmime", present=True)
def test_promises_that_the_primary_does_not_keep(found):
    size = found["offer-size", "plain.test"]
    assert size["severity"] == "warning" and "10240000 here, only 1000" in size["observed"]
    assert "postconf -e 'message_size_limit = 1000'" in size["mend"]
    assert "postconf -e 'smtputf8_enable = no'" in found["offer-smtputf8", "plain.test"]["mend"]
    assert found.severity("offer-8bitmime", "plain.test") == "warning"


def test_manners(lab, faults, ini, checker):
    """Six domains share a host: one session, one invented recipient each, four at most."""
    with lab.primary_host.network(), SmtpServer(FAULTY, 2600, recipients={"alice": "250 ok"},
                                                other_recipients=UNKNOWN) as server:
        names = [f"shared{number}.test" for number in range(6)]
        found = checker.check(*names, "-c", ini({
            name: f'primary = "[{FAULTY}]:2600"\ncanary = alice@{name}' for name in names}))
    (session,) = server.sessions
    assert session.commands[-1] == "QUIT"
    assert sum(1 for rcpt in session.rcpts if rcpt.startswith("alice@")) == 6
    assert len(session.rcpts) == 10 and session.refusals == 4
    assert [found["canary", name]["severity"] for name in names] == ["ok"] * 6
    assert [found["catch-all", name]["unseen"] for name in names] == [False] * 4 + [True] * 2
    assert "backupmxctl check shared5.test" in found["catch-all", "shared5.test"]["observed"]
    quiet = checker.check("shared0.test", "-c", ini(
        {"shared0.test": f'primary = "[{FAULTY}]:2501"'}, "[recipients]\ncallout = no"))
    assert "callout = no" in quiet["canary"]["observed"]
    assert faults["rude.test"].rcpts() == []


@finding("outbound-25", "primary-connect", present=True)
def test_port_25_is_blocked(lab, ini, checker):
    names = ["example.test", "second.test"]
    reference = "reference = {192.0.2.40:25}"
    with outage.packets_dropped(lab.primary_host):
        with outage.packets_dropped(lab.foreign_host):
            blocked = checker.check(*names, "-c", ini({}, probe=reference))
        told = checker.check(*names, "-c", ini({}, probe=reference))
    lab.primary_host.nft(EACH_FAMILY_IN_ITS_WAY)
    two = checker.check(*names, "-c", ini({}))
    lab.primary_host.nft("delete table inet blocked\n")
    for found in (blocked, two):
        assert found.severity("outbound-25") == "error", found["outbound-25"]
        assert "none of" in found["outbound-25"]["observed"]
    assert "at none of 3 addresses, and all fail in the same way: timeout" in two["outbound-25"][
        "observed"]
    assert {found["subject"] for found in blocked.all("primary-connect")} == {
        *EXAMPLE, f"{SECOND} [192.0.2.11]:25"}
    assert told.severity("outbound-25") == "ok"
    assert "[192.0.2.40]:25" in told["outbound-25"]["observed"]
    assert told.severity("primary-connect") == "error"


@finding("outbound-25", present=False)
def test_one_dead_primary_is_no_blocked_port(lab, ini, checker):
    with outage.packets_dropped(lab.primary_host, ["192.0.2.11", "192.0.2.12"]):
        found = checker.check("second.test", "pair.test", "-c", ini({}))
        alone = checker.check("second.test", "-c", ini({}))
        both = checker.check("second.test", "-c", ini(
            {"second.test": 'primary = {"192.0.2.11", "192.0.2.12"}'}))
        fallen = checker.check("null.test", "-c", ini({}, probe="reference = {192.0.2.11:25}"))
    assert found.severity("outbound-25") == "ok"
    assert found.severity("primary-connect", f"{SECOND} [192.0.2.11]:25") == "error"
    assert found.severity("primary-connect", "mxa.pair.test [192.0.2.12]:25") == "warning"
    assert found.severity("primary-connect", "mxb.pair.test [192.0.2.13]:25") == "ok"
    for few in (alone, both, fallen):
        assert few["outbound-25"]["unseen"], few["outbound-25"]
    assert alone["primary-trust"]["unseen"]
