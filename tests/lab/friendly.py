# SPDX-License-Identifier: BSD-2-Clause
#
# What administrators put in front of a primary against strangers who guess addresses: a watcher of
# the mail log that bans them, as fail2ban does, and postscreen.

import collections
import ipaddress
import re
import threading
import time

from .postfix import MASTER_CF

REJECT = re.compile(r"NOQUEUE: reject: RCPT from \S*?\[([0-9a-f.:]+)\]")

# postscreen at port 25, smtpd behind it.
POSTSCREEN_CF = MASTER_CF.replace(
    "smtp      inet  n       -       n       -       -       smtpd\n", """\
smtp      inet  n       -       n       -       1       postscreen
smtpd     pass  -       -       n       -       -       smtpd
dnsblog   unix  -       -       n       -       0       dnsblog
tlsproxy  unix  -       -       n       -       0       tlsproxy
""")


BAN = """\
table inet ban {
  chain input {
    type filter hook input priority 0;
  }
}
"""


class Ban:
    """`with Ban(lab) as ban:` drops whoever was refused more than `limit` recipients in `window`
    seconds, for good. ban.banned has the addresses, ban.refused how often each was refused."""

    def __init__(self, lab, limit=100, window=600):
        self.host, self.postfix = lab.primary_host, lab.primary
        self.limit, self.window = limit, window
        self.banned = set()
        self.refused = collections.defaultdict(list)
        self._ended = threading.Event()
        self._seen = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.host.nft(BAN)
        self._seen = len(self.postfix.log_text())
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self._read()
        self.host.nft("delete table inet ban\n")

    def _watch(self):
        while not self._ended.wait(0.2):
            self._read()

    def _read(self):
        text = self.postfix.log_text()[self._seen:]
        text = text[:text.rfind("\n") + 1]
        self._seen += len(text)
        now = time.monotonic()
        for address in REJECT.findall(text):
            times = self.refused[address]
            times.append(now)
            recent = sum(1 for moment in times if moment > now - self.window)
            if recent > self.limit and address not in self.banned:
                self._ban(address)

    def _ban(self, address):
        self.banned.add(address)
        family = "ip" if ipaddress.ip_address(address).version == 4 else "ip6"
        self.host.nft(f"add rule inet ban input {family} saddr {address} drop\n")


class Elsewhere:
    """`with Elsewhere(lab, primaries) as book:` counts packets of the backup's host, whoever sends
    them, to port 25 of anybody but these addresses and itself."""

    def __init__(self, lab, primaries):
        self.host = lab.backup_host
        v4 = [address for address in primaries if ":" not in address]
        v6 = [address for address in primaries if ":" in address]
        self.rules = f"""\
table inet elsewhere {{
  chain output {{
    type filter hook output priority 0;
    oif lo accept
    ip daddr {{ {", ".join(v4)} }} accept
    ip6 daddr {{ {", ".join(v6)} }} accept
    tcp dport 25 counter
  }}
}}
"""

    def __enter__(self):
        self.host.nft(self.rules)
        return self

    def __exit__(self, *_):
        self.host.nft("delete table inet elsewhere\n")

    def packets(self):
        listing = self.host.run(["nft", "list", "table", "inet", "elsewhere"], network_only=True)
        return int(re.search(r"tcp dport (?:25|smtp) counter packets (\d+)", listing).group(1))
