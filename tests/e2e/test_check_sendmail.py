# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of a host with Sendmail: of configurations that m4 makes of real mc files, and of
# the daemon that runs. Nothing is written in the words of the checker here: a fault is made as
# administrators make it.

import re

import pytest
from lab.checking import Checker, finding
from lab.sendmail import EXEMPT, SETTINGS
from peers.waiting import eventually

MTA = "sendmail"
MILTER_SETTINGS = {}

DEBIAN_MC = "/usr/share/sendmail/cf/debian/sendmail.mc"
OURS = "INPUT_MAIL_FILTER(`backupmx', `S=inet:8899@127.0.0.1, F=T, T=R:30s')dnl"


@pytest.fixture(scope="module")
def checker(lab):
    return Checker(lab.backup_host, lab.milter)


@pytest.fixture
def check_with(lab, checker):
    """check_with(DOMAINS..., mc part=lines): what is found of a configuration with these lines."""
    def check(*domains, user=None, **settings):
        lab.backup.make_cf("/etc/mail/other.cf", **settings)
        return checker.check("--mta-config", "/etc/mail/other.cf", *domains, user=user)
    return check


def mended(found, name):
    """The line for the mc file among what mends the worst finding of that id."""
    lines = [line for line in found[name]["mend"] if line.endswith("dnl")]
    assert len(lines) == 1, found[name]
    return lines[0]


@finding("mta", "chroot", "listens", "relay-domains", "local-domain", "relay-recipients",
         "next-hop", "relay-restrictions", "verify-leftover", "milter-listed", "milter-submission",
         "milter-default-action", "milter-timeout", "exempt-networks", "fast-flush", "etrn",
         "queue-lifetime", "proxy-interfaces", present=False)
def test_all_in_order(checker):
    found = checker.check("example.test", "six.test")
    own = {rule: severity for (rule, _), severity in found.problems().items()
           if rule not in ("reference",)}
    mta = {one["id"] for one in found.list}
    assert {"mta", "relay-domains", "milter-timeout", "proxy-interfaces"} <= mta
    assert {name: severity for name, severity in own.items() if name in MTA_RULES} == {
        "soft-bounce": "note"}
    assert "Sendmail 8." in found["mta"]["observed"]
    assert "Sendmail has no soft_bounce" in found["soft-bounce"]["observed"]


MTA_RULES = {
    "mta", "chroot", "listens", "relay-domains", "local-domain", "relay-recipients", "next-hop",
    "relay-restrictions", "verify-leftover", "milter-listed", "milter-submission",
    "milter-default-action", "milter-timeout", "exempt-networks", "fast-flush", "etrn",
    "queue-lifetime", "soft-bounce", "proxy-interfaces"}


@finding("listens", "relay-domains", "milter-listed", present=True)
def test_debian_as_installed(lab, checker):
    for name in ("m4/dialup.m4", "m4/provider.m4", "trusted-users", "access"):
        lab.backup_host.write(f"/etc/mail/{name}", "")
    lab.backup_host.run(["makemap", "hash", "/etc/mail/access"], input=(
        "To:foreign.test\tRELAY\nConnect:10.2\tRELAY\n10.3.4.5\tRELAY\nConnect:10.9\tOK\n"))
    lab.backup_host.write("/etc/mail/debian.cf", lab.backup_host.run(["m4", DEBIAN_MC], cwd="/"))
    arguments = ["--mta-config", "/etc/mail/debian.cf", "example.test", "foreign.test",
                 "sender.test"]
    found = checker.check(*arguments)
    assert "127.0.0.1" in found["listens"]["observed"]
    assert found.severity("listens") == found.severity("milter-listed") == "error"
    # by relay-domains, by the access map, not at all
    assert found.severity("relay-domains", "example.test") == "ok"
    assert found.severity("relay-domains", "foreign.test") == "ok"
    assert found.severity("relay-domains", "sender.test") == "error"
    assert "Relaying denied" in found["relay-domains", "sender.test"]["observed"]
    assert "echo 'sender.test' >>/etc/mail/relay-domains" in (
        found["relay-domains", "sender.test"]["mend"])
    for network in ("10.2.0.0/16", "10.3.4.5"):
        assert network in found["exempt-networks"]["observed"]
    assert "10.9" not in found["exempt-networks"]["observed"]
    assert "exempt_clients = {127.0.0.0/8, " in "".join(found["exempt-networks"]["mend"])
    # it isn't in its own list of filters: then there is nothing to say of the filter
    assert found["milter-timeout"]["unseen"]

    # Who may not read the access map doesn't say that nothing is relayed.
    lab.backup_host.run(["chmod", "600", "/etc/mail/access.db"])
    found = checker.check(*arguments, user=65534)
    for domain in ("example.test", "foreign.test", "sender.test"):
        assert found["relay-domains", domain]["unseen"]
    assert found["relay-restrictions"]["unseen"]
    assert "access" in found["relay-domains", "example.test"]["observed"]
    assert any(one["unseen"] and "access" in one["observed"]
               for one in found.all("exempt-networks"))
    # what stands in the cf file is seen without root
    assert found.severity("listens") == found.severity("milter-listed") == "error"
    assert found.severity("queue-lifetime") == "ok"


@finding("relay-restrictions", "local-domain", "next-hop", "proxy-interfaces", "verify-leftover",
         "exempt-networks", "etrn", "queue-lifetime", "milter-default-action", "milter-timeout",
         "milter-submission", present=True)
def test_many_faults(lab, check_with):
    lab.backup_host.run(["makemap", "hash", "/etc/mail/virtusertable"],
                        input="@six.test\terror:nouser 550 nobody here\n")
    found = check_with(
        "example.test", "second.test", "six.test", "pair.test", "hop.test", "alias.test",
        milter="INPUT_MAIL_FILTER(`milter-ahead', `S=unix:/run/ahead, F=T')dnl\n"
               "INPUT_MAIL_FILTER(`backupmx', `S=inet:8899@localhost, F=R, T=S:10s;R:5s')dnl",
        more="FEATURE(`promiscuous_relay')dnl\n"
             "LOCAL_DOMAIN(`second.test')dnl\n"
             "FEATURE(`virtusertable')dnl\n"
             "VIRTUSER_DOMAIN(`six.test')dnl\n"
             "RELAY_DOMAIN(`10.1 IPv6:2001:db8:7')dnl\n"
             "define(`confPRIVACY_FLAGS', `authwarnings, noexpn, NoETRN')dnl\n"
             "define(`confTO_QUEUERETURN', `1d12h')dnl\n"
             "DAEMON_OPTIONS(`Port=587, Name=MSA, M=E, Addr=127.0.0.1')dnl")
    assert found.exit == 1
    assert found.severity("relay-restrictions") == "error"
    assert "class w" in found["local-domain", "second.test"]["observed"]
    assert found.severity("local-domain", "second.test") == "error"
    assert "nobody here" in found["local-domain", "six.test"]["observed"]
    assert found.severity("local-domain", "six.test") == "error"
    assert found.severity("local-domain", "pair.test") == "ok"
    assert "192.0.2.41" in found["next-hop", "hop.test"]["observed"]
    assert found.severity("next-hop", "hop.test") == "warning"
    assert found.severity("next-hop", "pair.test") == "ok"
    assert found.severity("proxy-interfaces", "fallback.alias.test") == "error"
    assert mended(found, "proxy-interfaces") == "LOCAL_DOMAIN(`fallback.alias.test')dnl"
    assert found.severity("proxy-interfaces", "mx2.example.test") == "ok"
    assert "milter-ahead" in found["verify-leftover"]["observed"]
    assert found.severity("exempt-networks") == "warning"
    assert "10.1.0.0/16" in found["exempt-networks"]["observed"]
    assert "2001:db8:7::/48" in found["exempt-networks"]["observed"]
    assert EXEMPT[0] not in found["exempt-networks"]["observed"]
    assert "noetrn" in found["etrn"]["observed"] and found.severity("etrn") == "warning"
    assert "36h" in found["queue-lifetime"]["observed"]
    assert found.severity("queue-lifetime") == "warning"
    assert found.severity("milter-default-action") == "error"
    assert "F=R" in found["milter-default-action"]["observed"]
    assert found.severity("milter-timeout") == "error"
    assert "waits 5 s" in found["milter-timeout"]["observed"]
    assert "MSA" in found["milter-submission"]["observed"]

    # What it says to write mends it.
    again = check_with(
        "example.test", "alias.test",
        milter=mended(found, "milter-default-action"),
        more="\n".join([mended(found, "proxy-interfaces"), mended(found, "milter-submission"),
                        mended(found, "queue-lifetime")]))
    for name in ("proxy-interfaces", "milter-submission", "milter-default-action",
                 "milter-timeout", "queue-lifetime", "relay-restrictions"):
        assert again.severity(name) == "ok", again[name]


@pytest.mark.parametrize("milter, listed, action", [
    ("", "no filter of", None),
    ("MAIL_FILTER(`backupmx', `S=inet:8899@127.0.0.1, F=T')dnl", "doesn't list it", "ok"),
    ("INPUT_MAIL_FILTER(`backupmx', `S=inet:8898@127.0.0.1, F=T')dnl", "no filter of", None),
    ("INPUT_MAIL_FILTER(`backupmx', `S=inet:8899@127.0.0.1')dnl", None, "warning"),
    ("INPUT_MAIL_FILTER(`backupmx', `S=inet:8899@127.0.0.1, F=4, T=R:8s')dnl", None, "ok"),
])
def test_filters(check_with, milter, listed, action):
    found = check_with("example.test", milter=milter)
    assert found.severity("milter-listed") == ("error" if listed else "ok")
    if listed:
        assert listed in found["milter-listed"]["observed"]
        again = check_with("example.test", milter=f"{milter}\n{mended(found, 'milter-listed')}")
        assert again.severity("milter-listed") == "ok", again["milter-listed"]
    if action is None:
        assert found["milter-default-action"]["unseen"]
    else:
        assert found.severity("milter-default-action") == action
        # the default is 10 s, callout_wait is 5 s
        assert found.severity("milter-timeout") == ("warning" if "R:8s" in milter else "ok")


def test_daemon_with_other_filters(check_with):
    found = check_with("example.test", milter=OURS, daemon=(
        "FEATURE(`no_default_msa')dnl\n"
        "DAEMON_OPTIONS(`Name=MTA, Port=smtp, M=E, InputFilter=')dnl"))
    assert found.severity("milter-listed") == "error"
    assert "InputFilter=" in found["milter-listed"]["observed"]
    assert "M=E" in found["etrn"]["observed"] and found.severity("etrn") == "warning"


@finding("listens", present=True)
def test_a_family_that_nobody_serves(check_with):
    v4 = "FEATURE(`no_default_msa')dnl\nDAEMON_OPTIONS(`Name=MTA-v4, Family=inet')dnl"
    found = check_with("example.test", daemon=v4)
    assert found.severity("listens") == "warning"
    assert "2001:db8::20" in found["listens"]["observed"]
    again = check_with("example.test", daemon=f"{v4}\n{mended(found, 'listens')}")
    assert again.severity("listens") == "ok"
    # one socket for both, as Linux has it
    both = check_with("example.test", daemon=(
        "FEATURE(`no_default_msa')dnl\nDAEMON_OPTIONS(`Name=MTA, Family=inet6')dnl"))
    assert both.severity("listens") == "ok"


def test_rule_of_the_administrator_against_etrn(check_with):
    found = check_with("example.test", mailers=(
        "MAILER(`local')dnl\nMAILER(`smtp')dnl\nLOCAL_RULESETS\n"
        "Scheck_etrn\nR$*\t$#error $@ 5.7.1 $: \"550 not for you\"\n"))
    assert found.severity("etrn") == "warning"
    assert "550 not for you" in found["etrn"]["observed"]


def test_errors_in_the_configuration(lab, checker):
    whole = lab.backup_host.path("/etc/mail/sendmail.cf").read_text()
    lab.backup_host.write("/etc/mail/broken.cf", whole + "O NoSuchOption=1\nFR/etc/mail/secret\n")
    lab.backup_host.write("/etc/mail/secret", "sender.test\n", mode=0o600)
    found = checker.check("--mta-config", "/etc/mail/broken.cf", "example.test")
    assert found["mta"]["severity"] == "warning"
    assert "/etc/mail/broken.cf: line " in found["mta"]["observed"]
    assert "NoSuchOption" in found["mta"]["observed"]

    # A part that another user may not read: what it says of domains isn't believed.
    lab.backup_host.write("/etc/mail/secret.cf", whole + "FR/etc/mail/secret\n")
    arguments = ["--mta-config", "/etc/mail/secret.cf", "sender.test", "client.test"]
    assert checker.check(*arguments).severity("relay-domains", "sender.test") == "ok"
    found = checker.check(*arguments, user=65534)
    assert found["relay-domains", "client.test"]["unseen"]
    assert found["relay-domains", "sender.test"]["unseen"]
    assert "/etc/mail/secret" in found["relay-domains", "sender.test"]["observed"]

    missing = checker.check("--mta-config", "/etc/mail/missing.cf", "example.test")
    assert missing["mta"]["unseen"]


@finding("mta", "queue-lifetime", present=True)
def test_what_runs(lab, checker):
    lab.backup.stop()
    try:
        found = checker.check("example.test")
        assert found.severity("mta") == "error" and "doesn't run" in found["mta"]["observed"]
        assert "systemctl enable --now sendmail" in found["mta"]["mend"]
        lab.backup.start("-bd")
        lab.backup.wait_up()
        found = checker.check("example.test")
        assert found.severity("mta") == "ok"
        assert found.severity("queue-lifetime") == "warning"
        assert "nobody runs the queue" in found["queue-lifetime"]["observed"]
        lab.backup.stop()
        lab.backup.start("-bd", "-qp2h")
        lab.backup.wait_up()
        found = checker.check("example.test")
        assert found.severity("queue-lifetime") == "warning"
        assert "only every 2h" in found["queue-lifetime"]["observed"]
        # another user isn't told whether it runs
        lab.backup_host.run(["chmod", "600", "/run/sendmail/mta/sendmail.pid"])
        assert checker.check("example.test", user=65534)["mta"]["unseen"]
    finally:
        lab.backup.stop()
        lab.backup.start()
        lab.backup.wait_up()


def test_advice_for_submission_holds(lab, check_with):
    """The empty InputFilter= keeps the milter out of that port, and only of that one."""
    msa = "DAEMON_OPTIONS(`Name=MSA, Family=inet, Port=587, M=E{}')dnl"
    asked = check_with("example.test", more=msa.format(""))
    line = mended(asked, "milter-submission")
    eventually(lambda: lab.ask("alice@example.test").code == 451, 20, "the milter refuses")
    lab.backup.reconfigure(more=msa.format(""))
    with lab.session(port=587) as session:
        assert "primary MX" in session.ask("alice@example.test").text
    lab.backup.reconfigure(more=line)
    with lab.session(port=587) as session:
        assert session.ask("alice@example.test").code == 250
    assert "primary MX" in lab.ask("alice@example.test").text
    lab.backup.reconfigure(more="")


def follow_advice(lab, found):
    """What an administrator does who believes what he reads: lines go into sendmail.mc, above the
    mailers, instead of others where it says so; commands into a shell. Returns the ids followed."""
    mc = lab.backup_host.path("/etc/mail/sendmail.mc")
    followed = []
    for finding_ in found.list:
        if finding_["id"] not in MTA_RULES or finding_["severity"] not in ("warning", "error"):
            continue
        followed.append(finding_["id"])
        for line in finding_["mend"]:
            instead = re.match(r"# instead of the DAEMON_OPTIONS\(\) with (Name=\S+?)[,:]", line)
            text = mc.read_text()
            if instead:
                text = "".join(one for one in text.splitlines(keepends=True)
                               if not ("DAEMON_OPTIONS" in one and f"{instead[1]}," in one))
                mc.write_text(text)
            elif line.endswith("dnl"):
                mc.write_text(text.replace("MAILER_DEFINITIONS", f"{line}\nMAILER_DEFINITIONS"))
            elif line == "systemctl restart sendmail":
                lab.backup.stop()
                lab.backup.start()
                lab.backup.wait_up()
            elif not line.startswith("# "):
                lab.backup_host.run(["sh", "-c", line])
    return followed


def test_advice_leads_from_debian_to_a_backup(lab, checker):
    """Debian's sendmail.mc as it is installed, for a domain nobody has heard of, by advice alone."""
    host = lab.backup_host
    lab.backup.stop()
    try:
        for name in ("m4/dialup.m4", "m4/provider.m4", "trusted-users", "relay-domains"):
            host.write(f"/etc/mail/{name}", "")
        host.run(["makemap", "hash", "/etc/mail/access"], input="")
        # (a busy machine is no reason to refuse connections in a test)
        host.write("/etc/mail/sendmail.mc", host.path(DEBIAN_MC).read_text().replace(
            "MAILER_DEFINITIONS", SETTINGS["load"] + "\nMAILER_DEFINITIONS"))
        host.run(["sh", "-c", "m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf"])
        lab.backup.start()
        lab.backup.wait_up()
        rounds = []
        while not rounds or rounds[-1] and len(rounds) < 6:
            rounds.append(follow_advice(lab, checker.check("example.test")))
        assert rounds[-1] == [], rounds
        assert {"listens", "relay-domains", "milter-listed"} <= set(rounds[0])
        # a stranger is now asked to go to the primary, by the milter
        eventually(lambda: "primary MX" in lab.ask("alice@example.test").text, 20,
                   "the milter is asked", pause=1)
    finally:
        lab.backup.stop()
        lab.backup.reconfigure()
