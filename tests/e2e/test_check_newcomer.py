# SPDX-License-Identifier: BSD-2-Clause
#
# A host with Debian's Postfix as its package sets it up, `relay_domains` and nothing else: no ini,
# no daemon, no MX record, no PTR. What `backupmxctl check` says is done, from the top, line by line,
# and at the end mail passes, in an outage too. Nothing of it may do harm on the way.

import os
import pathlib
import re
import subprocess

import pytest

from lab import Lab, outage
from lab.checking import Findings
from lab.milter import SANITIZERS
from peers.certificates import Authority
from peers.daemon import SANITIZER_REPORT, program
from peers.terminal import COLOUR, run_on_terminal
from peers.waiting import eventually

MTA = "postfix"
MAILBOXES = "/etc/mailboxes"
KNOWN, LEARNED, NOBODY = "alice@example.test", "carol@example.test", "nobody@example.test"
INI = "/etc/backupmx-milter/backupmx.ini"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PRIMARY = {"A": "198.51.100.10", "AAAA": "2001:db8:1::10"}

ROUTES = ["route replace 198.51.100.0/24 dev eth0", "route replace 2001:db8:1::/48 dev eth0"]

# The questions of its postinst were answered with "Internet Site" and "example.test".
MAIN_CF = """\
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6
smtpd_tls_security_level=may
smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mx2.example.test
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
myorigin = /etc/mailname
mydestination = $myhostname, example.test, mx2.example.test, localhost.example.test, , localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
relay_domains = example.test
"""

# What systemd does with our unit.
SYSTEMCTL = """\
#!/bin/sh -e
[ "$*" = "enable --now backupmx-milter" ]
user=backupmx-milter
install -d -o $user -g $user /run/$user /var/lib/$user
setsid setpriv --reuid=$user --regid=$user --clear-groups --no-new-privs \\
	/usr/local/sbin/backupmx-milter -f -l </dev/null >/var/log/milter 2>&1 &
until [ -S /run/$user/control.sock ]; do kill -0 $!; sleep 0.05; done
"""

# The test is in a hurry; whoever follows the advice isn't.
HURRY = """\
[policy]
recovery_grace = 1s
[probe]
interval = 2s
fast_interval = 1s
down_interval = 1s
"""

ZONE_LINE = re.compile(r"(\S+?)\.? (\d+) IN (\S+) (.+)")


class Newcomer:
    """The host, and who works there."""

    def __init__(self, lab):
        self.lab, self.host = lab, lab.backup_host
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in SANITIZERS} | {"PATH": PATH}
        self.rounds = []    # what was wrong in each: {(id, subject)}
        self._primary()
        self._postfix()
        self._programs()

    def _primary(self):
        """In another network than ours, with a certificate that nobody vouches for."""
        primary, lab = self.lab.primary, self.lab
        primary.host.ip(f"addr add {PRIMARY['A']}/32 dev eth0",
                        f"addr add {PRIMARY['AAAA']}/128 dev eth0 nodad")
        self.host.ip(*ROUTES)
        issued = Authority(lab.scratch / "authority").self_signed("mail.example.test", days=60)
        chain = lab.scratch / "chain.pem"
        chain.write_text("".join(pathlib.Path(part).read_text()
                                 for part in (issued.key, issued.certificate)))
        primary.reconfigure(myhostname="mail.example.test", smtpd_tls_security_level="may",
                            smtpd_tls_chain_files=chain)
        lab.dns.change({"mx1.example.test": None, "mx2.example.test": None,
                        "example.test": [("MX", "10 mail.example.test.")],
                        "mail.example.test": list(PRIMARY.items())})

    def _postfix(self):
        host = self.host
        self.lab.backup.stop()
        host.write("/etc/postfix/main.cf", MAIN_CF)
        host.write("/etc/postfix/master.cf",
                   pathlib.Path("/usr/share/postfix/master.cf.dist").read_text())
        host.write("/etc/mailname", "example.test\n")
        host.write("/etc/aliases", "postmaster: root\n")
        host.write(MAILBOXES, f"{KNOWN}\n")
        host.run(["postalias", "hash:/etc/aliases"])
        host.run(["/usr/lib/postfix/configure-instance.sh", "-"])
        host.run(["postfix", "start"])
        eventually(lambda: host.accepts(25), 15, "Postfix accepts")

    def _programs(self):
        self.host.run(["mount", "-t", "tmpfs", "lab", "/usr/local/sbin"])
        for name in ("backupmx-milter", "backupmxctl"):
            self.host.run(["cp", program(name), "/usr/local/sbin/"])
        self.host.write("/usr/local/sbin/systemctl", SYSTEMCTL, mode=0o755)
        self.host.run(["useradd", "--system", "--user-group", "backupmx-milter"])

    # What it does.

    def run(self, *command, user=None):
        return subprocess.run(self.host.command(command, user=user), text=True, check=False,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                              env=self.environment)

    def ctl(self, *arguments, **how):
        return self.run("backupmxctl", *arguments, **how)

    def check(self):
        return Findings(self.ctl("check", "--json"))

    def follow(self, found):
        """Does what one finding says: the first way, where there are several."""
        for line in found["mend"]:
            if re.match("# (or|if) ", line):
                return
            if line.startswith("# "):
                continue
            record = ZONE_LINE.fullmatch(line)
            if record:
                name, ttl, kind, value = record.groups()
                have = self.lab.dns.records.get(name) or []
                self.lab.dns.change({name: [*have, (f"{ttl} {kind}", value)]})
                continue
            # a list that the administrator has from the primary
            done = self.run("sh", "-ec", line.replace(" FILE ", f" {MAILBOXES} "))
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            if line.endswith(f" {INI}"):
                self.host.write(INI, HURRY)
            for name in ("main.cf", "master.cf"):   # Postfix waits for what is quite new
                os.utime(self.host.path(f"/etc/postfix/{name}"), (1, 1))

    def go_round(self):
        """One check and its advice, from the top; false when there was nothing to do."""
        todo = [one for one in self.check().list if one["severity"] in ("error", "warning")]
        for one in todo:
            self.follow(one)
        self.rounds.append([(one["id"], one["subject"]) for one in todo])
        return bool(todo)

    def drill(self):
        return self.ctl("drill", "example.test", "--to", KNOWN, "--hold", "--mail-log",
                        self.host.syslog_file)


@pytest.fixture(scope="module", name="newcomer")
def make_newcomer():
    with Lab(milter=None, relayed=["example.test"], mta=MTA) as lab:
        yield Newcomer(lab)


def test_before_anything(newcomer):
    """Each thing once, on 80 columns, with the lines to paste whole."""
    command = newcomer.host.command(["env", f"PATH={PATH}", "backupmxctl", "check"])
    code, text = run_on_terminal(command)
    assert code == 1
    text = COLOUR.sub("", text)
    pasted = [line for line in text.splitlines() if line.startswith(" " * 15)]
    assert "               install -D -m 644 /dev/null " + INI in pasted
    others = [line.split("\r")[-1] for line in text.splitlines() if line not in pasted]
    assert max(map(len, others)) <= 80
    assert text.count("Many mail servers refuse mail from an address without a name") == 1
    assert "Mend them in this order, then check again.\n" in text
    # whoever isn't root is told the same
    assert newcomer.ctl("check", "--json", user=65534).returncode == 1
    order = [text.index(f"  {name}") for name in (
        "error    config", "error    daemon", "error    local-domain", "error    milter-listed",
        "warning  host-helo", "warning  host-ptr", "error    mx-listed")]
    assert order == sorted(order)


def test_without_a_network(newcomer):
    """Questions fail before anybody waits for an answer."""
    newcomer.host.ip("link set eth0 down")
    try:
        done = newcomer.ctl("check")
        plan = newcomer.ctl("plan", "example.test")
    finally:
        newcomer.host.ip("link set eth0 up", "addr replace 2001:db8::20/64 dev eth0 nodad",
                         *ROUTES)
    assert done.returncode == 1 and done.stderr == "", done.stderr
    assert "error    mx-lookup example.test: the question failed" in done.stdout
    assert re.search(r"\d errors?, \d+ warnings?, ", done.stdout)
    assert plan.returncode == 1 and "MX records of example.test" in plan.stderr, plan.stderr


def test_the_advice_leads_to_a_backup(newcomer):
    for _ in range(5):
        if not newcomer.go_round():
            break
    assert not newcomer.rounds[-1] and len(newcomer.rounds) <= 4, newcomer.rounds
    # mail can come only when all else of this host is ready
    assert newcomer.rounds[0][-1] == ("mx-listed", "example.test")
    done = newcomer.ctl("check")
    assert done.stdout.endswith("Now try it: backupmxctl drill example.test --to "
                                "SOMEBODY@example.test --hold\n"), done.stdout


def test_without_root(newcomer):
    """Who may not ask the daemon isn't told that there is none."""
    done = Findings(newcomer.ctl("check", "--json", user=65534))
    assert done.exit == 0 and done["daemon"]["unseen"]
    assert "you may not use this socket" in done["daemon"]["observed"]


def test_it_is_one(newcomer):
    """Nobody has written yet: the drill passes, senders are sent on, and people are learned."""
    drill = newcomer.drill()
    assert drill.returncode == 0 and "result: PASS" in drill.stdout, drill.stdout + drill.stderr
    for recipient in (KNOWN, LEARNED):
        reply = newcomer.lab.ask(recipient)
        assert reply.code == 451 and "4.3.2" in reply.text, reply
    assert newcomer.lab.ask(NOBODY).code in (451, 550)
    for recipient in (LEARNED, NOBODY):
        eventually(lambda asked=recipient: newcomer.ctl("recipients", "show", asked).returncode
                   == 0, 20, f"{recipient} is known")
    assert newcomer.check().severity("cold-memory") == "ok"


def test_mail_passes(newcomer):
    """In an outage mail for those who are known is taken, and delivered afterwards."""
    lab, host = newcomer.lab, newcomer.host
    host.run(["postconf", "-e", "smtp_connect_timeout = 2s", "minimal_backoff_time = 4000s",
              "queue_run_delay = 4000s"])
    host.run(["postfix", "reload"])
    with outage.unreachable(lab.primary_host):
        eventually(lambda: newcomer.ctl("status", "example.test").returncode == 1, 60,
                   lambda: newcomer.ctl("status", "example.test").stdout)
        assert lab.ask(NOBODY).code == 550      # as the primary said while it was up
        assert lab.send([LEARNED], "Subject: in the outage\n\nhello\n").accepted
        eventually(lambda: "delay_reason" in host.run(["postqueue", "-j"]), 30, "it waits")
    delivered = eventually(lambda: lab.primary.deliveries(LEARNED), 30, "it is delivered")
    assert "Backup-MX-Status: accepted; by=mx2.example.test; primary=down;" in delivered[0].text
    assert not SANITIZER_REPORT.search(host.path("/var/log/milter").read_text())
