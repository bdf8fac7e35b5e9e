# SPDX-License-Identifier: BSD-2-Clause
#
# Real Postfix instances in the lab's hosts: the primary, with maildirs in which deliveries are
# counted, and the backup, with the milter in smtpd_milters. Started by master(8) itself: the shell
# scripts around it cost more time than all the rest of the lab.

import collections
import grp
import json
import os
import pwd
import re

from .dns import RELAYED
from peers.waiting import eventually

DAEMONS = "/usr/lib/postfix/sbin"

# No chroot: the lab's folders aren't below the queue directory.
MASTER_CF = """\
smtp      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

QUEUE_FOLDERS = {
    "pid": ("root", "root", 0o755),
    "public": ("postfix", "postdrop", 0o2710),
    "maildrop": ("postfix", "postdrop", 0o1730),
    **{name: ("postfix", "root", 0o700) for name in (
        "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
        "private", "saved", "trace")},
}

# Mailboxes that exist in every domain with mailboxes; anybody else is 550 5.1.1.
MAILBOXES = ["postmaster", "stranger", "alice", "bob", "carol", "dave", "erin", "frank",
             *(f"user{number}" for number in range(100))]
CATCH_ALL = "catchall.test"

Delivery = collections.namedtuple("Delivery", "mailbox path text")


class Postfix:
    def __init__(self, host, settings, services=MASTER_CF):
        self.host = host
        self.spool = host.scratch / "spool"
        self.data = host.scratch / "data"
        self.log = host.scratch / "mail.log"
        self.settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.spool,
            "data_directory": self.data,
            "maillog_file": self.log,
            "maillog_file_prefixes": host.scratch,
            "myhostname": host.fqdn,
            "mydestination": "",
            "inet_interfaces": "all",
            "inet_protocols": "all",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8 [::1]/128",
            "biff": "no",
            **settings,
        }
        self._make_spool()
        host.write("/etc/postfix/master.cf", services)
        self._write_main_cf()

    def _make_spool(self):
        self.data.mkdir(mode=0o700)
        os.chown(self.data, pwd.getpwnam("postfix").pw_uid, -1)
        self.spool.mkdir(mode=0o755)
        for name, (owner, group, mode) in QUEUE_FOLDERS.items():
            folder = self.spool / name
            folder.mkdir()
            os.chown(folder, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
            folder.chmod(mode)

    def _write_main_cf(self):
        text = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        self.host.write("/etc/postfix/main.cf", text)

    def replace_services(self, text):
        """Another master.cf, from the next start on."""
        self.host.write("/etc/postfix/master.cf", text)

    def start(self):
        self.host.run([f"{DAEMONS}/master", "-w", "-c", "/etc/postfix"], check=False)

    def wait_up(self):
        eventually(lambda: self.host.accepts(25), 15,
                   lambda: f"Postfix on {self.host.name} accepts\n{self.log_text()}")

    def _master_pid(self):
        try:
            inside = int((self.spool / "pid/master.pid").read_text())
        except (OSError, ValueError):
            return None
        return inside

    def stop(self):
        """All its processes are gone when this returns."""
        pid = self._master_pid()
        if pid is not None:
            self.host.run(["sh", "-c", f"kill -TERM {pid}"], check=False)
        eventually(lambda: not self.host.accepts(25), 10, f"Postfix on {self.host.name} stopped")

    def reconfigure(self, **settings):
        """New settings, in force at once: after a mere reload an idle smtpd may serve one more
        client by the old ones."""
        self.stop()
        self.settings.update(settings)
        self._write_main_cf()
        self.start()
        self.wait_up()

    def reload(self):
        """As `postfix reload`: open sessions go on, idle processes end once they have served."""
        self.host.run(["sh", "-c", f"kill -HUP {self._master_pid()}"])

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # The queue.

    def queue(self):
        """One dictionary per message, as postqueue -j tells."""
        listing = self.host.run(["postqueue", "-j"])
        return [json.loads(line) for line in listing.splitlines() if line.strip()]

    def queue_listing(self):
        return self.host.run(["postqueue", "-p"])

    def wait_queue_empty(self, timeout):
        # A listing may miss a message that moves from one queue to the other meanwhile.
        eventually(lambda: not self.queue() and not self.queue(), timeout, lambda: (
            f"the queue is empty\n{self.queue_listing()}\n{self.log_text()[-4000:]}"))

    def bounces(self):
        """What the MTA's log says of bounced mail."""
        return re.findall(r".*(?:status=bounced|sender non-delivery notification).*",
                          self.log_text())


class MailboxPostfix(Postfix):
    """Final destination of some domains: a maildir per mailbox, in which deliveries are counted."""

    def __init__(self, host, domains, **settings):
        self.mail = host.scratch / "maildirs"
        self.mail.mkdir(mode=0o755)
        owner = pwd.getpwnam("nobody").pw_uid
        os.chown(self.mail, owner, -1)
        super().__init__(host, {
            "virtual_mailbox_domains": ", ".join(domains),
            "virtual_mailbox_maps": "texthash:/etc/postfix/mailboxes",
            "virtual_mailbox_base": self.mail,
            "virtual_uid_maps": f"static:{owner}",
            "virtual_gid_maps": f"static:{owner}",
            "virtual_minimum_uid": "1",
            **settings,
        })
        self.domains = domains
        self.write_mailboxes(MAILBOXES)

    def write_mailboxes(self, users):
        """These users exist in every domain, from the next start or reload on."""
        self.host.write("/etc/postfix/mailboxes", f"@{CATCH_ALL} {CATCH_ALL}/all/\n" + "".join(
            f"{user}@{domain} {domain}/{user}/\n"
            for domain in self.domains if domain != CATCH_ALL for user in users))

    def deliveries(self, mailbox=None, token=None):
        """Messages that arrived for `user@domain`, those that hold the token."""
        found = []
        for path in self.mail.glob("*/*/new/*"):
            domain, user = path.parts[-4], path.parts[-3]
            address = f"{user}@{domain}"
            if mailbox not in (None, address):
                continue
            text = path.read_text(errors="replace")
            if token is None or token in text:
                found.append(Delivery(address, path, text))
        return found


class BackupPostfix(Postfix):
    def __init__(self, host, milter_socket, **settings):
        # Tests send many wrong recipients in a session, all from one address: no tarpit, no limits.
        super().__init__(host, {
            "mynetworks": "127.0.0.0/8 [::1]/128 192.0.2.31 [2001:db8::31]",
            "relay_domains": ", ".join(RELAYED),
            "smtpd_relay_restrictions":
                "permit_mynetworks permit_sasl_authenticated reject_unauth_destination",
            "smtpd_milters": milter_socket,
            "milter_default_action": "tempfail",
            "transport_maps": "inline:{"
                              " { hop.test = smtp:[192.0.2.41] }"
                              " { onlyhop.test = smtp:[192.0.2.41] }"
                              " { private.test = smtp:[192.0.2.11] }"
                              " { split.test = smtp:[192.0.2.11] } }",
            "smtpd_error_sleep_time": "0",
            "smtpd_soft_error_limit": "1000",
            "smtpd_hard_error_limit": "2000",
            "smtpd_client_event_limit_exceptions": "static:all",
            "smtpd_client_connection_count_limit": "0",
            "smtp_connect_timeout": "3s",
            "smtp_helo_timeout": "5s",
            **settings,
        })

    def retry_seldom(self):
        """No try of its own to deliver again while a test runs."""
        self.reconfigure(minimal_backoff_time="1h", maximal_backoff_time="2h",
                         queue_run_delay="1h")

    def own_mailboxes(self, domain):
        """The domain's mailboxes are on this host, whichever are asked for; "": none is."""
        self.reconfigure(mydestination=domain, local_recipient_maps="")

    def offer_authentication(self, user, password):
        """Cyrus SASL with a password file: AUTH PLAIN for one user."""
        folder = self.host.scratch / "sasl"
        folder.mkdir(mode=0o755)
        database = folder / "sasldb2"
        self.host.write("/etc/postfix/sasl/smtpd.conf",
                        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
                        f"sasldb_path: {database}\n")
        self.host.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", self.host.fqdn, user],
                      input=password + "\n")
        os.chown(database, pwd.getpwnam("postfix").pw_uid, -1)
        database.chmod(0o600)
        self.reconfigure(smtpd_sasl_auth_enable="yes", smtpd_sasl_path="smtpd",
                         smtpd_sasl_local_domain=self.host.fqdn)
