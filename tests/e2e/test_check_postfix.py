# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of a Postfix. The lab's own runs; the faults are in folders that nobody runs, each
# told by --mta-config to Postfix's own postconf and postmap. Where a fault is mended by commands,
# they are pasted into a shell, and the fault has to be gone.

import os
import pathlib
import re
import socket

import pytest

from lab import Lab
from lab.checking import Checker, finding
from lab.postfix import MASTER_CF
from peers.waiting import eventually

# As Debian's package sets it up, for a host on the internet.
DEBIAN_MAIN_CF = """\
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6
smtpd_tls_security_level=may
smtp_tls_security_level=may
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mx2.example.test
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = $myhostname, mx2.example.test, localhost.example.test, , localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
"""
DEBIAN_MASTER_CF = pathlib.Path("/usr/share/postfix/master.cf.dist")
# The second has a list of its own.
SUBMISSION = """\
submission inet n - n - - smtpd
smtps inet n - n - - smtpd
  -o { smtpd_milters = inet:127.0.0.1:8899, { inet:127.0.0.1:1, default_action=accept }, unix:/x }
"""
OURS = "inet:127.0.0.1:8899"

MTA_IDS = [
    "mta", "chroot", "listens", "relay-domains", "local-domain", "relay-recipients", "next-hop",
    "relay-restrictions", "verify-leftover", "milter-listed", "milter-submission",
    "milter-default-action", "milter-timeout", "exempt-networks", "fast-flush", "etrn",
    "queue-lifetime", "soft-bounce", "proxy-interfaces",
]


class Staged:
    """A folder with a Postfix configuration: a good one, and what is added to it."""

    def __init__(self, lab, settings="", services=None, ini=None):
        self.host = lab.backup_host
        self.folder = f"/etc/staged-{len(os.listdir(self.host.path('/etc')))}"
        self.host.write(f"{self.folder}/main.cf", DEBIAN_MAIN_CF + "relay_domains = example.test\n"
                        f"smtpd_milters = {OURS}\n{settings}")
        self.host.write(f"{self.folder}/master.cf", MASTER_CF if services is None else services)
        self.checker = Checker(self.host, None if ini else lab.milter)
        self.arguments = ["--mta-config", self.folder, *(["-c", ini] if ini else [])]

    def check(self, *domains, **options):
        return self.checker.check(*(domains or ["example.test"]), *self.arguments, **options)

    def paste(self, found):
        """What mends them, into a shell of that host. Nothing runs here that could be reloaded."""
        lines = [line for one in found for line in one["mend"]
                 if not re.search(r"^# |^postfix .*(reload|stop|start)$", line)]
        assert lines, found
        for line in lines:
            done = self.host.run(["sh", "-c", line], check=False)
            assert done.returncode == 0, (line, done.stderr)
        for name in ("main.cf", "master.cf"):
            os.utime(self.host.path(f"{self.folder}/{name}"), (1, 1))
        return lines

    def mended(self, name, found, *domains):
        """Pastes until that finding is in order; twice is enough."""
        for _ in range(2):
            self.paste([one for one in found.all(name) if one["severity"] != "ok"])
            found = self.check(*domains)
            if found.severity(name) == "ok":
                return found
        raise AssertionError(found.all(name))


@finding("mta", "chroot", "listens", "relay-domains", "local-domain", "relay-recipients",
         "next-hop", "relay-restrictions", "verify-leftover", "milter-listed", "milter-submission",
         "milter-default-action", "milter-timeout", "exempt-networks", "fast-flush", "etrn",
         "queue-lifetime", "proxy-interfaces", present=False)
def test_the_running_one_is_in_order(lab):
    found = Checker(lab.backup_host, lab.milter).check("example.test")
    for name in MTA_IDS:
        wanted = "note" if name == "soft-bounce" else "ok"
        assert found.severity(name) == wanted, found[name]
    assert re.search(r"Postfix \d[\d.]+, set up in /etc/postfix, runs", found["mta"]["observed"])


def test_without_root(lab):
    found = Checker(lab.backup_host, lab.milter).check("example.test", user=65534)
    assert found.severity("mta") == "ok"
    assert "only to root" in found["mta"]["observed"]
    assert found.severity("relay-domains") == "ok"


@finding("soft-bounce", present=False)
def test_soft_bounce_on_the_relay_transport(lab):
    staged = Staged(lab)
    found = staged.mended("soft-bounce", staged.check())
    assert found["soft-bounce"]["observed"] == "soft_bounce = no, and yes for the transport relay"


# What each set-up has that is wrong: main.cf, master.cf, and {id: (severity, what is observed)}.
SET_UPS = {
    "first try": ("""
inet_interfaces = loopback-only
mydestination = $myhostname, Example.test, localhost
relay_recipient_maps = inline:{ { a@other.test = x } }
relayhost = [smart.test]
smtpd_relay_restrictions = permit
smtpd_client_restrictions = permit_mynetworks, reject_unverified_recipient
smtpd_milters =
non_smtpd_milters = inet:localhost:12, inet:127.0.0.1:8899
milter_default_action = accept
milter_command_timeout = 5s
fast_flush_domains =
smtpd_etrn_restrictions = check_etrn_access inline:{ { example.test = reject } }
maximal_queue_lifetime = 1d
soft_bounce = yes
""", MASTER_CF, {
        "listens": ("error", "loopback-only"),
        "local-domain": ("error", "mydestination has it"),
        "relay-recipients": ("error", "nobody of it"),
        "next-hop": ("warning", "relayhost = [smart.test]"),
        "relay-restrictions": ("error", "takes no mail"),
        "verify-leftover": ("error", "smtpd_client_restrictions has"),
        "milter-listed": ("error", "smtpd_milters is empty"),
        "milter-submission": ("warning", "own programs"),
        "milter-default-action": ("warning", "everybody is taken, to be bounced"),
        "milter-timeout": ("error", "5s"),
        "fast-flush": ("warning", "459"),
        "etrn": ("warning", "refuses this host"),
        "queue-lifetime": ("warning", "1d"),
        "soft-bounce": ("warning", "all of Postfix"),
    }),
    "open relay": ("""
inet_interfaces = 127.0.0.1, [::1]
relay_domains = !example.test, static:all
virtual_alias_domains = example.test
smtpd_relay_restrictions = permit
smtpd_recipient_restrictions = permit, reject_unverified_recipient, reject
smtpd_milters = inet:127.0.0.1:8891, { unix:/x, default_action=accept }
milter_default_action = quarantine
milter_command_timeout = 8
maximal_backoff_time = 12h
smtpd_etrn_restrictions = check_client_access inline:{ { a.test = OK } }, reject
""", MASTER_CF, {
        "listens": ("error", "127.0.0.1"),
        "relay-domains": ("error", "doesn't have it"),
        "local-domain": ("error", "virtual_alias_domains has it"),
        "relay-restrictions": ("error", "open relay"),
        "verify-leftover": ("error", "smtpd_recipient_restrictions has"),
        "milter-listed": ("error", "8891"),
        "milter-default-action": ("warning", "held"),
        "milter-timeout": ("warning", "8"),
        "queue-lifetime": ("warning", "12h"),
        "etrn": ("warning", "}, reject: refuses this host"),
    }),
    "by MX records": ("""
inet_protocols = ipv4
relay_domains =
smtpd_relay_restrictions = permit_mynetworks, permit_mx_backup, reject_unauth_destination
milter_default_action = reject
milter_connect_timeout = 1s
""", MASTER_CF.replace("smtpd\n", "smtpd -o smtpd_milters= -o { mynetworks = 127.0.0.1 }\n"), {
        "listens": ("warning", "2001:db8::20"),
        "relay-domains": ("warning", "permit_mx_backup"),
        "relay-restrictions": ("warning", "permit_mx_backup"),
        "milter-listed": ("error", "smtpd_milters of master.cf is empty"),
        "milter-default-action": ("error", "lost"),
        "milter-timeout": ("warning", "milter_connect_timeout"),
    }),
    "closed": ("""
relay_domains = other.test
smtpd_relay_restrictions = permit_mynetworks, reject
receive_override_options = no_address_mappings, no_milters
""", re.sub(r"(?m)^flush .*\n", "", MASTER_CF) + SUBMISSION, {
        "relay-domains": ("error", "doesn't have it"),
        "relay-restrictions": ("error", "strangers can't send"),
        "milter-listed": ("error", "no_milters"),
        "milter-submission": ("warning", "asks inet:127.0.0.1:8899"),
        "fast-flush": ("warning", "458"),
    }),
    "filter only": ("""
mynetworks = 0.0.0.0/0
""", MASTER_CF.replace("smtp      inet", "127.0.0.1:25 inet"), {
        "listens": ("error", "no smtpd for port 25"),
        "relay-restrictions": ("error", "open relay"),
    }),
}


@finding("listens", "relay-domains", "local-domain", "relay-recipients", "next-hop",
         "relay-restrictions", "verify-leftover", "milter-listed", "milter-submission",
         "milter-default-action", "milter-timeout", "fast-flush", "etrn", "queue-lifetime",
         "soft-bounce", present=True)
@pytest.mark.parametrize("name", SET_UPS)
def test_faults_and_mends(lab, name):
    settings, services, faults = SET_UPS[name]
    staged = Staged(lab, settings, services)
    found = staged.check()
    seen = {one: (found.severity(one), observed in found[one]["observed"])
            for one, (_, observed) in faults.items()}
    assert seen == {one: (severity, True) for one, (severity, _) in faults.items()}
    for _ in range(4):
        todo = [one for one in found.list if one["severity"] in ("warning", "error")
                and one["id"] in MTA_IDS and one["id"] != "mta"]
        if not todo:
            break
        staged.paste(todo)
        found = staged.check()
    assert not todo
    if "submission" in services:
        kept = lab.backup_host.run(["postconf", "-c", staged.folder, "-P", "-h",
                                    "smtps/inet/smtpd_milters"])
        assert kept == "{inet:127.0.0.1:1,default_action=accept},unix:/x\n"


@finding("mta", present=True)
def test_not_running_and_not_there(lab):
    staged = Staged(lab)
    found = staged.check()
    assert found.severity("mta") == "error"
    assert found["mta"]["mend"] == [f"postfix -c '{staged.folder}' start"]
    empty = lab.backup_host.path("/etc/empty")
    empty.mkdir()
    unseen = staged.checker.check("example.test", "--mta-config", "/etc/empty")["mta"]
    assert unseen["unseen"] and "/etc/empty/main.cf" in unseen["observed"]


def test_an_entrys_own_settings(lab):
    """{ inet:..., default_action=..., command_timeout=... } stands before the settings of all."""
    entry = f"{{ {OURS}, default_action = reject, command_timeout=4s }}"
    found = Staged(lab, f"smtpd_milters = {entry.replace(' = ', '=')}\n").check()
    assert found.severity("milter-listed") == "ok"
    assert found.severity("milter-default-action") == "error"
    assert found.severity("milter-timeout") == "error"
    assert "# in smtpd_milters: default_action=tempfail instead of default_action=reject" in (
        found["milter-default-action"]["mend"])
    good = Staged(lab, "milter_default_action = accept\nmilter_command_timeout = 1s\n"
                  f"smtpd_milters = {{ {OURS}, default_action=tempfail, command_timeout=30s }}\n")
    assert good.check().severity("milter-default-action") == "ok"
    assert good.check().severity("milter-timeout") == "ok"


def test_postscreen(lab):
    """Behind postscreen the smtpd of type pass serves port 25."""
    services = MASTER_CF.replace("smtp      inet  n       -       n       -       -       smtpd",
                                 "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd")
    staged = Staged(lab, "smtpd_etrn_restrictions = permit_mynetworks, reject\n",
                    services=services + "smtps inet n - n - - smtpd -o smtpd_milters=\n")
    found = staged.check()
    assert found.severity("milter-listed") == "ok"
    assert found.severity("listens") == "ok"
    assert found.severity("etrn") == "ok"
    assert found.severity("milter-submission") == "ok"
    off = Staged(lab, services=services.replace("- smtpd\n", "- smtpd -o smtpd_milters=\n"))
    found = off.check()
    assert found.severity("milter-listed") == "error"
    off.mended("milter-listed", found)


def test_tables(lab):
    """Domains are in tables: looked up there, and listed from there."""
    host = lab.backup_host
    host.write("/etc/relayed", "example.test x\nsecond.test x\n.six.test x\n")
    host.write("/etc/virtual", "pair.test x\n")
    for name in ("relayed", "virtual"):
        host.run(["postmap", f"hash:/etc/{name}"])
    host.write("/etc/more", "# a comment\nhung.test\n")
    staged = Staged(lab, "relay_domains = proxy:hash:/etc/relayed, /etc/more, catchall.test\n"
                    "virtual_alias_maps = hash:/etc/virtual\n"
                    "transport_maps = inline:{ { .second.test = smtp:[192.0.2.41] }"
                    " { second.test = error:gone } { catchall.test = relay: } }\n")
    found = staged.check("example.test", "deep.second.test", "second.test", "pair.test",
                         "hung.test", "catchall.test")
    assert {one["subject"]: one["severity"] for one in found.all("relay-domains")} == {
        "example.test": "ok", "deep.second.test": "ok", "second.test": "ok",
        "pair.test": "error", "hung.test": "ok", "catchall.test": "ok"}
    assert found.severity("local-domain", "pair.test") == "error"
    assert "hash:/etc/virtual" in found["local-domain", "pair.test"]["observed"]
    assert found.severity("next-hop", "deep.second.test") == "note"
    assert found.severity("next-hop", "second.test") == "error"
    assert found.severity("next-hop", "catchall.test") == "ok"

    alone = Checker(host)
    found = alone.check("--mta-config", staged.folder)
    assert {one["subject"] for one in found.all("relay-domains")} >= {
        "example.test", "second.test", "catchall.test"}


def test_several_missing_domains_are_one_command(lab):
    staged = Staged(lab, "relay_domains = inline:{ { best.test = x } }\n")
    names = ["example.test", "second.test", "pair.test"]
    found = staged.check(*names)
    staged.paste([found["relay-domains", "second.test"]])
    found = staged.check(*names, "best.test")
    assert {one["severity"] for one in found.all("relay-domains")} == {"ok"}


def test_no_domain_at_all(lab):
    staged = Staged(lab, "relay_domains =\n")
    found = Checker(lab.backup_host).check("--mta-config", staged.folder)
    assert found.severity("relay-domains", "") == "error"
    assert "nobody's backup yet" in found["relay-domains"]["observed"]


def test_known_recipients_only(lab):
    found = Staged(lab, "relay_recipient_maps = texthash:/etc/known\n")
    lab.backup_host.write("/etc/known", "alice@example.test x\n")
    assert found.check().severity("relay-recipients") == "warning"
    lab.backup_host.write("/etc/known", "@example.test x\n")
    assert found.check().severity("relay-recipients") == "ok"


@finding("exempt-networks", present=True)
def test_networks(lab):
    staged = Staged(lab, "mynetworks = 127.0.0.0/8, 198.51.100.0/24, [2001:db8:7::]/48,"
                    " hash:/etc/relayed\n")
    found = staged.check()
    worst = found["exempt-networks"]
    assert worst["severity"] == "warning"
    assert worst["mend"][1:] == [
        'exempt_clients = {127.0.0.0/8, "::1", 192.0.2.31, "2001:db8::31", 198.51.100.0/24, '
        '"2001:db8:7::/48"}', "backupmxctl reload"]
    assert found.severity("exempt-networks", "192.0.2.31") == "note"
    assert found.severity("exempt-networks", "2001:db8::31") == "note"
    assert found["exempt-networks", "hash:/etc/relayed"]["unseen"]

    # What mends it is taken by the ini reader, and mends it.
    ini = pathlib.Path(lab.milter.folder) / "exempt.ini"
    ini.write_text("[milter]\n" + worst["mend"][1] + "\n")
    assert Staged(lab, "mynetworks = 198.51.100.7\n", ini=ini).check().severity(
        "exempt-networks", "") == "ok"


@finding("proxy-interfaces", present=True)
def test_behind_nat(lab):
    staged, host = Staged(lab), lab.backup_host
    before = lab.dns.records["mx2.example.test"]
    lab.dns.change({"mx2.example.test": [("A", "203.0.113.20"), ("AAAA", "2001:db8:9::20")]})
    try:
        eventually(lambda: "203.0.113.20" in host.run(
            ["dig", "+short", "mx2.example.test"]), 10, "DNS has changed")
        found = staged.check()
        assert found.severity("proxy-interfaces", "203.0.113.20") == "error"
        assert [one["severity"] for one in found.all("proxy-interfaces", "203.0.113.20")] == [
            "error", "warning"]
        assert 'my_addresses = {"203.0.113.20"}' in found.all(
            "proxy-interfaces", "203.0.113.20")[1]["mend"]
        ini = pathlib.Path(lab.milter.folder) / "nat.ini"
        ini.write_text('[milter]\nmy_addresses = {203.0.113.20, "2001:db8:9::20"}\n')
        staged.arguments += ["-c", ini]
        staged.checker = Checker(lab.backup_host)
        staged.mended("proxy-interfaces", staged.check())
    finally:
        lab.dns.change({"mx2.example.test": before})


def test_unix_sockets(lab):
    """Chroot, relative paths and permissions, with a real socket."""
    host = lab.backup_host
    folder = host.path("/var/spool/postfix/backupmx")
    folder.mkdir(mode=0o755)
    ini = pathlib.Path(lab.milter.folder) / "unix.ini"
    ini.write_text("[milter]\nsocket = unix:/var/spool/postfix/backupmx/milter.sock\n")
    chrooted = MASTER_CF.replace("smtp      inet  n       -       n", "smtp inet n - y")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "milter.sock"))
        (folder / "milter.sock").chmod(0o666)
        for services, name in ((chrooted, "unix:/backupmx/milter.sock"),
                               (chrooted, "unix:backupmx/milter.sock"),
                               (MASTER_CF, "unix:/var/spool/postfix/backupmx/milter.sock"),
                               (MASTER_CF, "unix:backupmx/milter.sock")):
            staged = Staged(lab, f"smtpd_milters = {name}\n", services, ini=ini)
            found = staged.check()
            assert found.severity("milter-listed") == "ok", (name, found["milter-listed"])
        wrong = Staged(lab, "smtpd_milters = unix:/var/spool/postfix/backupmx/milter.sock\n",
                       chrooted, ini=ini)
        found = wrong.check()
        assert found.severity("milter-listed") == "error"
        wrong.mended("milter-listed", found)

        (folder / "milter.sock").chmod(0o600)
        found = staged.check()["milter-listed"]
        assert found["severity"] == "error"
        assert "mode 0600, and the user postfix may not write" in found["observed"]
        assert "socket_group = postfix" in found["mend"]
        (folder / "milter.sock").chmod(0o666)
        folder.chmod(0o700)
        assert "doesn't let the user postfix pass" in staged.check()["milter-listed"]["observed"]

    # Outside of the queue a chrooted smtpd sees no socket.
    ini.write_text("[milter]\nsocket = unix:/run/milter.sock\n")
    outside = Staged(lab, "", chrooted, ini=ini)
    found = outside.check()
    assert f"postconf -c '{outside.folder}' -F 'smtp/inet/chroot=n'" in found["milter-listed"][
        "mend"]
    outside.mended("milter-listed", found)


@finding("chroot", present=True)
def test_names_in_the_chroot(lab):
    host = lab.backup_host
    staged = Staged(lab, f"queue_directory = {lab.backup.spool}\n",
                    MASTER_CF.replace("unix  -       -       n       -       -       smtp",
                                      "unix  -       -       y       -       -       smtp"))
    inside = lab.backup.spool / "etc/resolv.conf"
    found = staged.check()
    assert found.severity("chroot") == "error"
    assert f"smtp/unix is chrooted, and there is no {inside}" in found["chroot"]["observed"]
    staged.mended("chroot", found)
    assert host.path("/etc/resolv.conf").read_text() == inside.read_text()
    inside.write_text("# yesterday's\nnameserver 192.0.2.54\n")
    found = staged.check()
    assert found.severity("chroot") == "warning"
    assert "192.0.2.54, /etc/resolv.conf has 192.0.2.53" in found["chroot"]["observed"]


def test_other_ways_to_flush(lab):
    found = Staged(lab, "inet_interfaces = 192.0.2.20, [2001:db8::20]\n").check()
    assert found.severity("etrn") == "warning"
    assert "mta = 192.0.2.20:25" in found["etrn"]["mend"]
    assert found.severity("listens") == "ok"
    ini = pathlib.Path(lab.milter.folder) / "flush.ini"
    ini.write_text('[flush]\nmethod = command\ncommand = {/usr/sbin/postqueue, -s, "%d"}\n')
    found = Staged(lab, "smtpd_etrn_restrictions = reject\n", ini=ini).check()
    assert found.severity("etrn") == "ok"
    ini.write_text("[flush]\nmethod = none\n")
    found = Staged(lab, "fast_flush_domains =\n", ini=ini).check()
    assert found.severity("fast-flush") == "note"


def test_primary_that_postfix_does_not_deliver_to(lab):
    ini = pathlib.Path(lab.milter.folder) / "primary.ini"
    ini.write_text('[domain "example.test"]\nprimary = "192.0.2.11:25"\n')
    staged = Staged(lab, ini=ini)
    found = staged.check()
    assert found.severity("next-hop") == "warning"
    staged.mended("next-hop", found)


def test_the_lines_that_come_with_the_program(lab):
    """etc/postfix on top of Debian's files, the choices taken, too."""
    examples = pathlib.Path(__file__).parents[2] / "etc/postfix"
    lines = (examples / "main.cf").read_text().replace("example.org", "example.test")
    services = re.sub(r"(?m)^relay .*\n(?:\s.*\n)*", "", DEBIAN_MASTER_CF.read_text())
    chosen = re.sub(r"(?m)^#(?=smtpd_milters = \{|maximal|bounce)", "", lines)
    for settings in (lines, chosen):
        staged = Staged(lab, settings, services + (examples / "master.cf").read_text())
        found = staged.check()
        assert not [one for one in found.list if one["id"] in MTA_IDS
                    and one["id"] not in ("mta", "chroot")
                    and one["severity"] in ("warning", "error")]
        assert found.severity("soft-bounce") == "ok"


def test_a_smart_host_for_everything_but_the_domains(lab):
    """Each domain gets its own transport, one by one."""
    staged = Staged(lab, "relayhost = [smart.test]\nrelay_domains = example.test, second.test\n"
                    "transport_maps = inline:{ { other.test = smtp: } }\n")
    names = ["example.test", "second.test"]
    found = staged.check(*names)
    assert [one["severity"] for one in found.all("next-hop")] == ["warning", "warning"]
    staged.mended("next-hop", found, *names)


def paste_in_running(host, findings):
    """All that mends these, into a root's shell of that host."""
    for line in [line for one in findings for line in one["mend"]]:
        if line.startswith("# "):
            continue
        done = host.run(["sh", "-c", line], check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        for name in ("main.cf", "master.cf"):  # Postfix waits for what is quite new
            os.utime(host.path(f"/etc/postfix/{name}"), (1, 1))


def hand_in(host, recipient):
    host.run(["sendmail", "-f", "someone@sender.test", recipient],
             input="Subject: hello\n\nhello\n")


def test_a_newcomer_gets_there_by_the_advice_alone():
    """Debian's Postfix with nothing but relay_domains set: what check says is pasted into a shell,
    until it has nothing more to say; then real mail gets the milter's answer, and passes."""
    with Lab(milter={}, configured=[]) as lab:
        host = lab.backup_host
        lab.backup.stop()
        host.write("/etc/postfix/main.cf", DEBIAN_MAIN_CF.replace(
            "inet_interfaces = all", "inet_interfaces = loopback-only")
            + "relay_domains = example.test\n")
        host.write("/etc/postfix/master.cf", DEBIAN_MASTER_CF.read_text())
        host.write("/etc/aliases", "root: nobody\n")
        host.run(["postalias", "hash:/etc/aliases"])
        checker = Checker(host, lab.milter)
        for rounds in range(5):
            found = checker.check()
            todo = [one for one in found.list
                    if one["id"] in MTA_IDS and one["severity"] in ("warning", "error")]
            if not todo:
                break
            paste_in_running(host, todo)
        assert 1 <= rounds < 4, todo
        assert {one["subject"] for one in found.all("relay-domains")} == {"example.test"}
        reply = lab.ask("alice@example.test")
        assert reply.code == 451 and "4.3.2" in reply.text, reply
        hand_in(host, "alice@example.test")
        eventually(lambda: lab.primary.deliveries("alice@example.test"), 30, "mail has arrived")

        # The note, too: with it a refusal of the primary leaves the mail in the queue.
        paste_in_running(host, found.all("soft-bounce"))
        assert checker.check().severity("soft-bounce") == "ok"
        hand_in(host, "nobody-of-that-name@example.test")
        eventually(lambda: re.search(r"status=SOFTBOUNCE \(.* 550 5\.1\.1 ",
                                     host.syslog_file.read_text()), 30, "the refusal is softened")
        assert "nobody-of-that-name@example.test" in host.run(["postqueue", "-p"])
