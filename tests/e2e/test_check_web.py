# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of MTA-STS policies and TLSA records: with a real web server and its certificates,
# a real zone, and the certificate that a real Postfix shows.

import hashlib
import pathlib
import subprocess

import pytest

from lab.checking import Checker, finding
from lab.policy_server import PATH, PolicyServer
from peers.certificates import Authority
from peers.dns_server import DnsServer

WEB, BACKUP, NOBODY = "192.0.2.40", "192.0.2.20", "192.0.2.41"
PRIMARY, OURS = "mx1.example.test", "mx2.example.test"
TXT = '"v=STSv1; id=20261124T000000;"'
BAD_ID = '"v=STSv1; id=2026-11-24"'
MX = [("MX", f"10 {PRIMARY}."), ("MX", f"20 {OURS}.")]


def policy(*hosts, mode="enforce"):
    return "\r\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts),
                        "max_age: 604800", ""])


GOOD = policy(PRIMARY, "*.example.test")

# What the web server answers for a domain; where nothing else is said, by a good certificate.
POLICIES = {
    "good.test": {"body": GOOD},
    "soft.test": {"body": policy(PRIMARY, OURS, mode="testing")},
    "unnamed.test": {"body": policy(PRIMARY, "mx3.example.test")},
    "tried.test": {"body": policy(PRIMARY, mode="testing")},
    "primaryless.test": {"body": policy(OURS)},
    "early.test": {"body": policy(PRIMARY)},
    "none.test": {"body": policy(mode="none")},
    "redirect.test": {"code": 301, "Location": f"https://mta-sts.good.test{PATH}"},
    "missing.test": {"code": 404},
    "html.test": {"body": GOOD, "content_type": "text/html; charset=utf-8"},
    "garbage.test": {"body": "<!DOCTYPE html>\n<p>hello\n"},
    "long.test": {"body": GOOD + "x: " + 65536 * "y"},
    "wrongname.test": {"body": GOOD},
    "expired.test": {"body": GOOD},
    "stranger.test": {"body": GOOD},
}
FAULTS = {
    "unnamed.test": ("error", f"mode: enforce) doesn't name this host, {OURS}"),
    "tried.test": ("warning", f"mode: testing) doesn't name this host, {OURS}"),
    "primaryless.test": ("error", f"mode: enforce) doesn't name the MX host {PRIMARY}"),
    "early.test": ("warning", f"doesn't name this host, which is no MX host yet, {OURS}"),
    "none.test": ("note", "mode: none"),
    "redirect.test": ("warning", "answers HTTP 301, a redirection"),
    "missing.test": ("warning", "answers HTTP 404"),
    "html.test": ("warning", 'comes as "text/html"'),
    "garbage.test": ("warning", "is no valid policy: a line of it is not NAME: VALUE"),
    "long.test": ("warning", "is longer than 64 KiB"),
    "wrongname.test": ("warning", "its certificate isn't valid"),
    "expired.test": ("warning", "its certificate isn't valid"),
    "stranger.test": ("warning", "its certificate isn't valid"),
    "refused.test": ("warning", "can't be fetched: "),
    "homeless.test": ("warning", "can't be fetched: mta-sts.homeless.test has no address"),
    "twice.test": ("warning", "has 2 records that begin with v=STSv1"),
    "malformed.test": ("warning", 'is malformed, senders see no policy: "v=STSv1; id=2026-11-24"'),
}


def web_zone():
    zone = {}
    for domain in [*POLICIES, "refused.test", "homeless.test", "twice.test", "malformed.test"]:
        zone[domain] = MX
        zone[f"_mta-sts.{domain}"] = [("TXT", TXT), ("TXT", '"something else"')]
        zone[f"mta-sts.{domain}"] = [("A", WEB)]
    zone["early.test"] = MX[:1]
    zone["_mta-sts.twice.test"] = [("TXT", TXT), ("TXT", '"v=STSv1; id=2"')]
    zone["_mta-sts.malformed.test"] = [("TXT", BAD_ID)]
    zone["mta-sts.refused.test"] = [("A", NOBODY)]
    del zone["mta-sts.homeless.test"]
    return zone


def der(kind, path):
    """The DER of a certificate, or of its public key."""
    if kind == "certificate":
        return subprocess.run(["openssl", "x509", "-in", path, "-outform", "DER"],
                              capture_output=True, check=True).stdout
    key = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-pubkey"],
                         capture_output=True, check=True).stdout
    return subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key,
                          capture_output=True, check=True).stdout


def tlsa_zone(shown, authority):
    """One MX host of ours for each kind of record, all at one address; own.test has them all."""
    cert, key = der("certificate", shown.certificate), der("key", shown.certificate)
    root = der("certificate", authority.certificate)
    sha256, sha512 = hashlib.sha256, hashlib.sha512
    right, other = f"3 1 1 {sha256(key).hexdigest()}", f"3 1 1 {64 * '0'}"
    hosts = {
        "k256.own.test": [right],
        "k512.own.test": [f"3 1 2 {sha512(key).hexdigest()}"],
        "key.own.test": [f"3 1 0 {key.hex()}"],
        "c256.own.test": [f"3 0 1 {sha256(cert).hexdigest()}"],
        "cert.own.test": [f"3 0 0 {cert.hex()}"],
        OURS: [f"2 0 1 {sha256(root).hexdigest()}"],
        "rolling.own.test": [other, right],
        "other.own.test": [other],
        "root.own.test": [f"2 0 1 {sha256(root).hexdigest()}"],
        "pkix.own.test": [f"1 1 1 {sha256(key).hexdigest()}"],
        "short.own.test": ["3 1 1 abcdef"],
        "type.own.test": [f"3 1 9 {sha256(key).hexdigest()}"],
        "half.own.test": ["3 1 1 abcdef", right],
    }
    zone = {f"_25._tcp.{name}": [("TLSA", record) for record in records]
            for name, records in hosts.items()}
    zone |= {name: [("A", BACKUP)] for name in [*hosts, "bare.own.test"] if name != OURS}
    zone["own.test"] = [("MX", "10 mx1.second.test."), *(("MX", f"20 {name}.") for name in hosts)]
    # the primary has some
    zone["mx.dane.test"] = [("A", "192.0.2.11")]
    zone["_25._tcp.mx.dane.test"] = [("TLSA", other)]
    zone["dane.test"] = [("MX", "10 mx.dane.test."), ("MX", "20 bare.own.test.")]
    zone["danish.test"] = [("MX", "10 mx.dane.test."), ("MX", "20 k256.own.test.")]
    return zone, right


FIT = ["k256.own.test", "k512.own.test", "key.own.test", "c256.own.test", "cert.own.test", OURS,
       "rolling.own.test"]
UNFIT = {"other.own.test": "error", "root.own.test": "error", "pkix.own.test": "warning",
         "short.own.test": "warning", "type.own.test": "warning", "half.own.test": "warning"}
DANE = ["own.test", "dane.test", "danish.test"]


class World:
    def __init__(self, lab, folder, server):
        self.lab = lab
        self.authority = Authority(folder / "ca")
        self.checker = Checker(lab.backup_host, lab.milter)
        root = pathlib.Path(self.authority.certificate).read_text(encoding="ascii")
        lab.backup_host.write("/etc/ssl/certs/ca-certificates.crt", root)
        self._serve(server, Authority(folder / "strangers"))
        self.shown = self.authority.issue(OURS)
        with open(self.shown.certificate, "a", encoding="ascii") as chain:
            chain.write(root)
        self.show(self.shown)
        zone, self.right = tlsa_zone(self.shown, self.authority)
        lab.dns.change(web_zone() | zone)

    def _serve(self, server, strangers):
        for domain, answer in POLICIES.items():
            name = f"mta-sts.{domain}"
            certificate = {
                "wrongname.test": lambda: self.authority.issue("mta-sts.example.test"),
                "expired.test": lambda name=name: self.authority.issue(name, days=-1),
                "stranger.test": lambda name=name: strangers.issue(name),
            }.get(domain, lambda name=name: self.authority.issue(name))()
            server.serve(name, certificate, **answer)

    def show(self, certificate):
        """What the backup's MTA shows from now on; None: it offers no TLS."""
        if certificate is None:
            self.lab.backup.reconfigure(smtpd_tls_security_level="none")
        else:
            self.lab.backup.reconfigure(
                smtpd_tls_security_level="may",
                smtpd_tls_chain_files=f"{certificate.key}, {certificate.certificate}")

    def check(self, *domains):
        return self.checker.check(*domains)


@pytest.fixture(scope="module")
def world(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    with PolicyServer(lab.foreign_host, WEB) as server:
        yield World(lab, folder, server)


@pytest.fixture(scope="module")
def found(world):
    """With the certificate that is right; all domains in one run."""
    return world.check("example.test", *FAULTS, "good.test", "soft.test", *DANE)


@finding("mta-sts", present=False)
def test_policies_in_order(found):
    assert found.severity("mta-sts", "example.test") == "ok"
    assert "there is no policy: _mta-sts.example.test" in found["mta-sts", "example.test"]["observed"]
    assert found.severity("mta-sts", "good.test") == "ok"
    assert found["mta-sts", "good.test"]["observed"] == (
        f'the policy (mode: enforce) names every MX host; {OURS} by "*.example.test", whose '
        "certificate is valid")
    assert found.severity("mta-sts", "soft.test") == "ok"


@finding("mta-sts", present=True)
@pytest.mark.parametrize("domain", FAULTS)
def test_policies_at_fault(found, domain):
    severity, observed = FAULTS[domain]
    seen = found["mta-sts", domain]
    assert (seen["severity"], seen["unseen"]) == (severity, False), seen
    assert observed in seen["observed"]
    assert seen["mend"] or severity == "note"


def test_what_to_write_into_the_policy(found):
    mend = found["mta-sts", "unnamed.test"]["mend"]
    assert f"mx: {OURS}" in mend
    assert mend[-1].startswith('_mta-sts.unnamed.test. IN TXT "v=STSv1; id=')


@finding("tlsa", present=False)
@pytest.mark.parametrize("host", FIT)
def test_records_that_fit(found, host):
    assert found.severity("tlsa", host) == "ok", found["tlsa", host]
    assert f"fits the certificate shown at [{BACKUP}]:25" in found["tlsa", host]["observed"]
    assert ("others don't" in found["tlsa", host]["observed"]) == (host == "rolling.own.test")


@finding("tlsa", present=True)
@pytest.mark.parametrize("host", UNFIT)
def test_records_that_do_not_fit(world, found, host):
    assert found.severity("tlsa", host) == UNFIT[host], found["tlsa", host]
    assert f"_25._tcp.{host}. IN TLSA {world.right}" in found["tlsa", host]["mend"]


def test_primaries_with_records(world, found):
    assert found.severity("tlsa", "own.test") == "ok"
    assert found.severity("tlsa", "danish.test") == "ok"
    bare = found["tlsa", "dane.test"]
    assert bare["severity"] == "warning"
    assert bare["observed"] == ("mx.dane.test has TLSA records, this host (bare.own.test) has none")
    assert bare["mend"][0] == f"_25._tcp.bare.own.test. IN TLSA {world.right}"


def test_a_mended_zone(world, found):
    name, line = "other.own.test", found["tlsa", "other.own.test"]["mend"][0]
    owner, value = line.split(". IN TLSA ")
    world.lab.dns.change({owner: [("TLSA", value)],
                          "_25._tcp.bare.own.test": [("TLSA", value)]})
    mended = world.check(*DANE)
    assert mended.severity("tlsa", name) == "ok", mended["tlsa", name]
    assert mended.severity("tlsa", "dane.test") == "ok", mended["tlsa", "dane.test"]


def test_dns_that_fails(lab):
    with lab.backup_host.network():
        dns = DnsServer("127.0.0.1", 5300)
    ini = pathlib.Path(lab.milter.folder) / "dns.ini"
    ini.write_text("[dns]\nservers = {127.0.0.1:5300}\n")
    with dns:
        dns.mx("lost.test", (10, PRIMARY), (20, OURS))
        dns.host(PRIMARY, "192.0.2.10")
        dns.host(OURS, BACKUP)
        for name in ("_mta-sts.lost.test", f"_25._tcp.{OURS}"):
            dns.fail(name, "SERVFAIL")
        ours = Checker(lab.backup_host).check("-c", ini, "lost.test")
        dns.fail(f"_25._tcp.{PRIMARY}", "SERVFAIL")
        both = Checker(lab.backup_host).check("-c", ini, "lost.test")
    assert ours["mta-sts", "lost.test"]["unseen"]
    assert ours["mta-sts", "lost.test"]["observed"].startswith("_mta-sts.lost.test: ")
    assert ours.severity("tlsa", OURS) == "warning"
    assert ours.severity("tlsa", "lost.test") == "ok"
    assert both["tlsa", "lost.test"]["unseen"]
    assert both["tlsa", "lost.test"]["observed"].startswith(f"_25._tcp.{PRIMARY}: ")


def test_another_certificate_is_shown(world):
    world.show(world.authority.issue("other.example.test"))
    changed = world.check("good.test", "soft.test", "own.test")
    assert changed.severity("mta-sts", "good.test") == "error"
    assert ("other.example.test at [192.0.2.20]:25 isn't valid for mx2.example.test: "
            in changed["mta-sts", "good.test"]["observed"].lower())
    assert changed.severity("mta-sts", "soft.test") == "warning"
    assert {changed.severity("tlsa", name) for name in FIT} == {"error"}


def test_no_tls_is_offered(world):
    world.show(None)
    plain = world.check("good.test", "soft.test", "own.test")
    for severity, key in (("error", ("mta-sts", "good.test")), ("warning", ("mta-sts", "soft.test")),
                          ("error", ("tlsa", OURS))):
        assert plain.severity(*key) == severity
        assert f"STARTTLS isn't offered at [{BACKUP}]:25" in plain[key]["observed"]


def test_no_mta_answers(world):
    world.lab.backup.stop()
    try:
        silent = world.check("good.test", "own.test")
    finally:
        world.lab.backup.start()
        world.lab.backup.wait_up()
    for key in (("mta-sts", "good.test"), ("tlsa", OURS)):
        assert silent[key]["unseen"], silent[key]
        assert "no session at [127.0.0.1]:25, refused" in silent[key]["observed"]
