# SPDX-License-Identifier: BSD-2-Clause
#
# A real Sendmail as the backup, where BackupPostfix stands otherwise: same methods, same queue
# entries. Its packages conflict with Postfix's, so packaging/install-packages unpacks them aside;
# the backup's host sees them laid over /usr as if they had been installed instead, and its
# sendmail.cf is made by m4 there.

import os
import pathlib
import re
import signal

from peers.waiting import eventually

from . import network
from .dns import RELAYED

ROOT = pathlib.Path("/opt/backupmx-lab/sendmail")
PROGRAM = "/usr/libexec/sendmail/sendmail"
QUEUE = "/var/spool/mqueue"

# Programs by which the host would look like one with Postfix. A device 0/0 in an overlay's upper
# layer hides what lies below.
HIDDEN = ["postconf", "postfix", "postqueue", "postsuper", "postmulti"]
LAY_OVER = """
set -e
hide=$1 root=$2
shift 2
mkdir -p "$hide/sbin"
for name; do
	mknod "$hide/sbin/$name" c 0 0
done
mount -t overlay -o "ro,lowerdir=$hide:$root/usr:/usr" lab /usr
"""
USERS = "".join(f"{name}:x:{number}:{number}::/var/lib/sendmail:/bin/false\n"
                for name, number in (("smmta", 890), ("smmsp", 891)))
GROUPS = "smmta:x:890:\nsmmsp:x:891:\n"
FOLDERS = {
    "/etc/mail": 0o755,
    "/run/sendmail/mta": 0o755,
    "/var/lib/sendmail": 0o755,
    QUEUE: 0o700,
}

# Lines of the mc file by what they are about. The machine's load is no reason to queue or refuse.
SETTINGS = {
    "head": "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`linux')dnl",
    "daemon": "FEATURE(`no_default_msa')dnl\n"
              "DAEMON_OPTIONS(`Name=MTA-v4, Family=inet, Addr=0.0.0.0, Port=smtp')dnl\n"
              # Not "::", which would take IPv4's port as well.
              f"DAEMON_OPTIONS(`Name=MTA-v6, Family=inet6, Addr={network.ADDRESSES['backup'][1]},"
              " Port=smtp')dnl",
    "load": "define(`confQUEUE_LA', `1000')dnl\ndefine(`confREFUSE_LA', `1000')dnl",
    "timeouts": "define(`confTO_IDENT', `0')dnl\n"
                "define(`confTO_CONNECT', `3s')dnl\ndefine(`confTO_ICONNECT', `3s')dnl\n"
                "define(`confTO_INITIAL', `5s')dnl\ndefine(`confTO_HELO', `5s')dnl",
    "relay": "RELAY_DOMAIN_FILE(`/etc/mail/relay-domains')dnl",
    "routes": "FEATURE(`mailertable', `text -o -v1 /etc/mail/mailertable')dnl",
    # As with Postfix in the lab, a sender isn't looked up: that is the milter's DNS alone.
    "senders": "FEATURE(`accept_unresolvable_domains')dnl",
    "milter": "",
    "authentication": "",
    "more": "",
    "mailers": "MAILER(`local')dnl\nMAILER(`smtp')dnl",
}
# The milter's own waits end before: a timeout of ours is an answer of Sendmail's that isn't ours.
MILTER = "INPUT_MAIL_FILTER(`backupmx', `S={}, F=T, T=C:30s;S:30s;R:30s;E:60s')dnl"

ROUTES = """\
hop.test smtp:[192.0.2.41]
onlyhop.test smtp:[192.0.2.41]
private.test smtp:[192.0.2.11]
split.test smtp:[192.0.2.11]
"""
EXEMPT = ["192.0.2.31", "IPv6:2001:db8::31"]


class BackupSendmail:
    name = "sendmail"

    def __init__(self, host, milter_socket, **settings):
        if not ROOT.exists():
            raise FileNotFoundError(f"no {ROOT}: packaging/install-packages sendmail")
        self.host = host
        # /dev/log has the milter's lines as well.
        self.log = host.syslog_file
        self.settings = {**SETTINGS, **settings}
        if milter_socket and "milter" not in settings:
            self.settings["milter"] = MILTER.format(milter_socket)
        host.run(["sh", "-c", LAY_OVER, "sh", host.scratch / "private/hidden", ROOT, *HIDDEN])
        self._make_folders()
        host.write("/etc/mail/relay-domains", "\n".join([*RELAYED, *EXEMPT]) + "\n")
        host.write("/etc/mail/mailertable", ROUTES)
        host.write("/etc/mail/local-host-names", "")
        host.write("/etc/aliases", "postmaster: root\n")
        self._write_configuration()

    def _make_folders(self):
        for name, lines in (("passwd", USERS), ("group", GROUPS)):
            path = self.host.path(f"/etc/{name}")
            path.write_text(path.read_text() + lines)
        for folder, mode in FOLDERS.items():
            path = self.host.path(folder)
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)

    def make_cf(self, path, **settings):
        """A cf file of the mc lines as they are with changes."""
        text = "\n".join(lines for lines in {**self.settings, **settings}.values() if lines) + "\n"
        self.host.write("/etc/mail/sendmail.mc", text)
        self.host.write(path, self.host.run(["m4", "/etc/mail/sendmail.mc"], cwd="/"))

    def _write_configuration(self):
        self.make_cf("/etc/mail/sendmail.cf")

    # Life.

    def start(self, *arguments):
        self.host.run([PROGRAM, *(arguments or ["-bd", "-q1h"])], check=False)

    def wait_up(self):
        eventually(lambda: self.host.accepts(25), 15,
                   lambda: f"Sendmail on {self.host.name} accepts\n{self.log_text()}")

    def stop(self):
        """All its processes are gone when this returns, those that deliver too."""
        for pid in self.host.processes("sendmail"):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        eventually(lambda: not self.host.processes("sendmail"), 10,
                   f"Sendmail on {self.host.name} stopped")

    def reconfigure(self, **settings):
        """Other lines of the mc file, in force at once."""
        assert set(settings) <= set(SETTINGS), f"{settings}: these aren't parts of the mc file"
        self.stop()
        self.settings.update(settings)
        self._write_configuration()
        self.start()
        self.wait_up()

    def retry_seldom(self):
        """No try of its own to deliver again while a test runs: so it is started."""

    def own_mailboxes(self, domain):
        """The domain's mailboxes are on this host; "": none is."""
        self.reconfigure(more=f"LOCAL_DOMAIN(`{domain}')dnl" if domain else "")

    def offer_authentication(self, user, password):
        """Cyrus SASL with a password file: AUTH PLAIN for one user."""
        database = "/etc/mail/sasldb2"
        self.host.write("/etc/sasl2/Sendmail.conf",
                        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
                        f"sasldb_path: {database}\n")
        self.host.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", self.host.fqdn, user],
                      input=password + "\n")
        self.host.path(database).chmod(0o600)
        self.reconfigure(authentication="TRUST_AUTH_MECH(`PLAIN LOGIN')dnl\n"
                                        "define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl\n"
                                        "define(`confAUTH_OPTIONS', `')dnl")

    def log_text(self):
        lines = self.log.read_text(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if re.search(r"sendmail|sm-mta", line))

    # The queue.

    def queue_listing(self):
        return self.host.run(["mailq"])

    def queue(self):
        """One dictionary per message: the part of postqueue -j's that tests look at."""
        return parse_queue(self.queue_listing())

    def wait_queue_empty(self, timeout):
        eventually(lambda: not self.queue(), timeout, lambda: (
            f"the queue is empty\n{self.queue_listing()}\n{self.log_text()[-4000:]}"))

    def bounces(self):
        """What the MTA's log says of bounced mail."""
        return re.findall(r".*(?:dsn=5|stat=.*DSN:|return to sender).*", self.log_text())


# "2AO1kq9B000123*      5 Tue Nov 24 01:46 <stranger@sender.test>", an indented reason in brackets,
# and a line for each recipient. A star stands for a message that is being delivered.
_HEAD = re.compile(r"(?P<id>[0-9A-Za-z]{14,})(?P<mark>[*X-]?)\s+(?P<size>\d+) (?P<time>.{16}) "
                   r"<?(?P<sender>[^>]*)>?$")
_NEW = re.compile(r"(?P<id>[0-9A-Za-z]{14,})[*]?\s+\(.*\)$")


def parse_queue(listing):
    entries = []
    for line in listing.splitlines():
        head = _HEAD.match(line) or _NEW.match(line)
        if head:
            parts = head.groupdict()
            entries.append({"queue_id": parts["id"], "queue_name": "active", "recipients": [],
                            "sender": parts.get("sender"), "mark": parts.get("mark", "*")})
        elif entries and line.startswith("  ") and line.strip().startswith("("):
            entries[-1]["reason"] = line.strip()[1:-1]
        elif entries and line.startswith("\t\t\t"):
            entries[-1]["recipients"].append({"address": line.strip().strip("<>")})
    for entry in entries:
        # Tried, and nobody works on it.
        if entry["mark"] != "*" and entry.get("reason"):
            entry["queue_name"] = "deferred"
    return entries
