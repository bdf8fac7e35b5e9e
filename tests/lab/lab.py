# SPDX-License-Identifier: BSD-2-Clause
#
# The whole lab: five hosts, their servers, and what a test most often asks of them. See network.py
# for the addresses and dns.py for the domains.

import atexit
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager

from peers.daemon import merged
from peers.smtp_server import SmtpServer
from peers.waiting import eventually

from . import network, outage
from .dns import RECORDS, RELAYED, Dns
from .host import Host
from .milter import PORT, SETTINGS, USER, Milter
from .postfix import BackupPostfix, MailboxPostfix
from .sendmail import BackupSendmail
from .smtp_client import SmtpSession

HOSTS = {
    "dns": "dns.test",
    "primary": "mx1.example.test",
    "backup": "mx2.example.test",
    "client": "client.test",
    "foreign": "mx.foreign.test",
}

# Port 25 at these addresses is where mail to example.test goes while its primary is up.
EXAMPLE_PRIMARY = ["192.0.2.10", "2001:db8::10"]
# The backup's MTA, and how that writes the milter's socket.
BACKUPS = {
    "postfix": (BackupPostfix, f"inet:127.0.0.1:{PORT}"),
    "sendmail": (BackupSendmail, f"inet:{PORT}@127.0.0.1"),
}
EXEMPT_CLIENT = "192.0.2.31"

FIREWALL_BOOK = f"""\
table inet book {{
  set v4 {{ type ipv4_addr . inet_service; flags dynamic; counter; }}
  set v6 {{ type ipv6_addr . inet_service; flags dynamic; counter; }}
  chain output {{
    type filter hook output priority 0;
    meta skuid {USER} tcp flags & (syn|ack) == syn add @v4 {{ ip daddr . tcp dport }}
    meta skuid {USER} tcp flags & (syn|ack) == syn add @v6 {{ ip6 daddr . tcp dport }}
  }}
}}
"""


def _leave_by_exit(number, _frame):
    sys.exit(128 + number)


class Lab:
    """`with Lab() as lab:`. milter: settings by section (see milter.SETTINGS), or None for none.
    mta: the backup's, see BACKUPS; default is what the environment's BACKUPMX_LAB_MTA says."""

    def __init__(self, milter=(), relayed=None, configured=None, keep=False, mta=None):
        self.mta = mta or os.environ.get("BACKUPMX_LAB_MTA") or "postfix"
        self._milter_settings = None if milter is None else dict(milter)
        self._relayed = RELAYED if relayed is None else relayed
        self._configured = self._relayed if configured is None else configured
        self._keep = keep
        self._stack = ExitStack()
        self.started_in = None
        self.is_up = False

    # Life.

    def __enter__(self):
        since = time.monotonic()
        # Fixtures and `with` blocks are left in order on SIGTERM as they are on an interrupt.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _leave_by_exit)
        atexit.register(self.close)
        try:
            self._bring_up()
        except BaseException:
            self.close()
            raise
        self.started_in = time.monotonic() - since
        self.is_up = True
        return self

    def __exit__(self, kind, value, trace):
        try:
            if hasattr(self, "milter"):
                self.milter.__exit__(kind, value, trace)
        finally:
            self.close()

    def close(self):
        self.is_up = False
        self._stack.close()
        atexit.unregister(self.close)

    def _bring_up(self):
        # Below /tmp in any case: /var is an overlay inside the hosts.
        self.scratch = pathlib.Path(
            tempfile.mkdtemp(prefix=f"backupmx-lab-{os.getpid()}-", dir="/tmp"))
        self.scratch.chmod(0o755)
        if not self._keep:
            self._stack.callback(self._start_janitor())
        self.switch = self._host("switch")
        self.hosts = [self._host(name, fqdn) for name, fqdn in HOSTS.items()]
        self.dns_host, self.primary_host, self.backup_host, self.client, self.foreign_host = (
            self.hosts)
        for host in (self.switch, *self.hosts):
            host.wait_up()
        network.connect(self.switch, self.hosts)
        for host in self.hosts:
            host.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
            host.write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n"
                       f"{network.ADDRESSES[host.name][0]} {host.fqdn}\n")

        self.dns = Dns(self.dns_host, RECORDS)
        self.dns.start()
        self.primary = MailboxPostfix(
            self.primary_host, [name for name in self._relayed if name != "null.test"])
        self.foreign = MailboxPostfix(
            self.foreign_host, ["foreign.test", "sender.test", "hop.test", "onlyhop.test"])
        make_backup, milter_socket = BACKUPS[self.mta]
        self.backup = make_backup(
            self.backup_host, "" if self._milter_settings is None else milter_socket)
        mtas = (self.primary, self.foreign, self.backup)
        for mta in mtas:
            mta.start()
        self.backup_host.nft(FIREWALL_BOOK)
        self.dns.wait_up()
        if self._milter_settings is not None:
            self.milter = Milter(self.backup_host)
            self.configure_milter()
            self.milter.start()
        for mta in mtas:
            mta.wait_up()

    def _start_janitor(self):
        """Removes the scratch folder when we are gone, even by kill -9. Returns its farewell."""
        janitor = subprocess.Popen(
            ["sh", "-c", 'cat >/dev/null; rm -rf "$1" || { sleep 1; rm -rf "$1"; }', "sh",
             str(self.scratch)],
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)

        def dismiss():
            janitor.stdin.close()
            janitor.wait()
        return dismiss

    def _host(self, name, fqdn=None):
        host = Host(self.scratch, name, fqdn)
        self._stack.callback(host.close)
        return host

    def configure_milter(self, changes=None):
        """Writes the ini: the lab's settings with changes; our domains are those the MTA relays,
        unless the lab was made with others."""
        domains = pathlib.Path(self.milter.folder) / "domains"
        domains.write_text("".join(f"{name}\n" for name in self._configured))
        self.milter.write_ini(merged(SETTINGS, {"domains": {"domains_file": domains}},
                                     self._milter_settings, changes or {}))

    # Clients.

    def session(self, source=None, host=None, **options):
        """A stranger's connection to the backup."""
        return SmtpSession(host or self.client, source=source, **options)

    def ask(self, recipient, source=None, **options):
        """The backup's reply to one recipient of a stranger."""
        with self.session(source=source) as session:
            return session.ask(recipient, **options)

    def send(self, recipients, text="", source=None, **options):
        with self.session(source=source) as session:
            return session.send(recipients, text, **options)

    # What the milter has learned.

    def learn(self, *recipients, verdict="valid", deadline=15):
        """A stranger names recipients while the primary is up: the milter asks the primary."""
        mark = self.milter.mark()
        with self.session() as session:
            session.mail()
            replies = [session.rcpt(recipient) for recipient in recipients]
        for recipient in recipients:
            self.milter.wait_for_log(
                rf"callout: recipient=<{re.escape(recipient)}> verdict={verdict} ", deadline, mark)
            # What was learned is written behind: it counts once it can be looked up.
            eventually(lambda asked=recipient: self.milter.explain(asked)["recipient"] == verdict,
                       5, f"{recipient} is remembered as {verdict}")
        return replies

    # Who did the milter connect to?

    def milter_connections(self):
        """{(address, port): SYNs} of the milter's own user, MTA excluded, since the lab is up."""
        found = {}
        for name in ("v4", "v6"):
            listing = self.backup_host.run(["nft", "-n", "list", "set", "inet", "book", name],
                                           network_only=True)
            for address, port, packets in re.findall(
                    r"([0-9a-f.:]+) \. (\d+) counter packets (\d+)", listing):
                found[address, int(port)] = int(packets)
        return found

    # The primary's other faces.

    @contextmanager
    def scripted_primary(self, addresses=EXAMPLE_PRIMARY, port=25, **script):
        """Scripted servers (see tests/peers/smtp_server.py) at addresses of the primary's host."""
        with ExitStack() as servers:
            with self.primary_host.network():
                found = [servers.enter_context(SmtpServer(address, port, **script))
                         for address in addresses]
            yield found

    @contextmanager
    def primary_replaced(self, **script):
        """A scripted server instead of Postfix at the primary of example.test."""
        with outage.replaced(self.primary, lambda: self.scripted_primary(**script)) as servers:
            yield servers

    def evidence(self):
        """All logs, for a test that failed."""
        parts = []
        for title, path in (
            ("milter", self.backup_host.scratch / "milter/stderr.log"),
            ("backup's mail.log", self.backup.log),
            ("primary's mail.log", self.primary.log),
        ):
            if path.exists():
                lines = path.read_text(errors="replace").splitlines()
                parts.append(f"--- {title}, last lines\n" + "\n".join(lines[-80:]))
        return "\n".join(parts)
