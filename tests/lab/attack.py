# SPDX-License-Identifier: BSD-2-Clause
#
# A dictionary attack as a botnet makes it: invented names at one domain, many recipients a message,
# many messages a session, many sessions at once, from client networks of their own, with forged
# senders of a third domain. It counts what it is told. Between its sessions ordinary people write
# to each other, by a real MTA of their own that keeps what isn't taken and follows MX records.

import collections
import itertools
import queue
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from peers.waiting import eventually

from .network import ADDRESSES
from .smtp_client import SmtpSession

# Mailboxes of the third domain: whoever gets mail there got a bounce of something never sent.
FORGED_DOMAIN = "sender.test"
FORGED = [f"user{number}@{FORGED_DOMAIN}" for number in range(100)]
FRIEND = f"carol@{FORGED_DOMAIN}"

GIVEN = ["info", "jane", "john", "mary", "sales", "peter", "anna", "office", "thomas", "web"]
FAMILY = ["smith", "jones", "brown", "miller", "davis", "wilson", "moore", "clark", "king", "hill"]

BOTNET, PEOPLE = "10.77", "10.78"


def invented(count, domain="example.test", seed=1):
    """Names nobody has, all different, in the style of such lists; the same for the same seed."""
    dice = random.Random(seed)
    names = (f"{dice.choice(GIVEN)}.{dice.choice(FAMILY)}{number:05d}" for number in range(count))
    return [f"{name}@{domain}" for name in names]


def client_networks(lab, block, networks):
    """Gives the client's host an address in each of so many /24 networks."""
    sources = [f"{block}.{number}.{10 + number % 200}" for number in range(1, networks + 1)]
    lab.client.ip(*(f"addr add {source}/32 dev eth0" for source in sources))
    lab.backup_host.ip(f"route add {block}.0.0/16 dev eth0")
    return sources


class Tally:
    """What one attack was told."""

    def __init__(self):
        self.told = collections.Counter()       # "451 4.3.2" -> how often
        self.accepted = []                      # addresses that were answered 250
        self.mails = 0                          # messages taken
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, addresses, replies):
        with self._lock:
            self.told.update(f"{reply.code} {reply.enhanced}" for reply in replies)
            self.accepted += [address for address, reply in zip(addresses, replies)
                              if reply.code == 250]
            self.mails += any(reply.code == 250 for reply in replies)

    @property
    def asked(self):
        return sum(self.told.values())

    def __str__(self):
        return (f"{self.asked} asked in {self.seconds:.1f} s, told "
                + ", ".join(f"{count} x {told}" for told, count in self.told.most_common()))


class Botnet:
    """botnet.attack(addresses) asks for them all."""

    def __init__(self, lab, networks=50, per_message=10, messages_per_session=5, parallel=20):
        self.lab = lab
        self.sources = itertools.cycle(client_networks(lab, BOTNET, networks))
        self.per_message = per_message
        self.per_session = per_message * messages_per_session
        self.parallel = parallel

    def attack(self, addresses, limit=600):
        """Returns a Tally. Ends after `limit` seconds even if not all were asked by then."""
        tally = Tally()
        since = time.monotonic()
        sessions = queue.SimpleQueue()
        for start in range(0, len(addresses), self.per_session):
            sessions.put((next(self.sources), addresses[start:start + self.per_session]))

        def work():
            while time.monotonic() < since + limit:
                try:
                    source, some = sessions.get_nowait()
                except queue.Empty:
                    return
                self._session(tally, source, some, since + limit)
        with ThreadPoolExecutor(self.parallel) as pool:
            for done in [pool.submit(work) for _ in range(self.parallel)]:
                done.result()
        tally.seconds = time.monotonic() - since
        return tally

    def _session(self, tally, source, addresses, end):
        with SmtpSession(self.lab.client, source=source, helo="bot.test", timeout=120) as session:
            for start in range(0, len(addresses), self.per_message):
                if time.monotonic() > end:
                    return
                self._message(tally, session, addresses[start:start + self.per_message])

    @staticmethod
    def _message(tally, session, addresses):
        sender = random.choice(FORGED)
        mail, *replies = session.pipelined(
            [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{address}>" for address in addresses)])
        assert mail.code == 250, mail
        tally.add(addresses, replies)
        if any(reply.code == 250 for reply in replies):
            assert session.command("DATA").code == 354
            assert session.command(f"From: <{sender}>\r\nSubject: buy\r\n\r\nbuy\r\n.").code == 250
        else:
            session.command("RSET")


class Friends:
    """Ordinary mail among the attack. Some of it comes to the backup first, as from a host that
    can't reach the primary just now; what isn't taken stays with a real MTA, which goes by the MX
    records whenever it tries again."""

    def __init__(self, lab):
        self.lab = lab
        self.sources = itertools.cycle(client_networks(lab, PEOPLE, 100))
        self.sent = {}                          # token -> recipient
        self.refused = []                       # (recipient, reply) answered 5xx

    def write(self, recipients, word):
        """A message to each of them; returns who was taken by the backup at once."""
        with ThreadPoolExecutor(8) as pool:
            taken = pool.map(self._write, recipients, self.sources,
                             [f"{word}-{recipient}" for recipient in recipients])
            return {recipient for recipient, welcome in zip(recipients, taken) if welcome}

    def ask(self, recipients):
        """How many of them are welcome at the backup now."""
        with ThreadPoolExecutor(8) as pool:
            return sum(pool.map(lambda recipient, source: self.lab.ask(
                recipient, source=source).code == 250, recipients, self.sources))

    def _write(self, recipient, source, token):
        self.sent[token] = recipient
        sent = self.lab.send(recipient, token, source=source, sender=FRIEND)
        if sent.accepted:
            return True
        reply = sent.rcpts[recipient]
        if reply.code >= 500:
            self.refused.append((recipient, str(reply)))
            return False
        with self.lab.session(host=self.lab.foreign_host, server="127.0.0.1") as own:
            queued = own.send(recipient, token, sender=FRIEND)
            assert queued.accepted, queued
        return False

    def try_again(self):
        """Their MTA's next attempt."""
        self.lab.foreign_host.run(["postqueue", "-f"])

    def outcome(self, deadline):
        """{token: deliveries}, once all have arrived or the time is up."""
        def arrived():
            found = collections.Counter()
            for delivery in self.lab.primary.deliveries():
                subject = delivery.text.split("\nSubject: ", 1)[-1].split("\n", 1)[0]
                if subject in self.sent:
                    found[subject] += 1
            return found

        end = time.monotonic() + deadline
        while len(found := arrived()) < len(self.sent) and time.monotonic() < end:
            self.try_again()
            time.sleep(1)
        return found


def refusals(lab, since=0):
    """Recipients refused at the primary, by the client's address, in its log from that byte on."""
    found = collections.Counter()
    for line in lab.primary.log_text()[since:].splitlines():
        if "NOQUEUE: reject: RCPT from " in line:
            found[line.split("RCPT from ", 1)[1].split("[", 1)[1].split("]", 1)[0]] += 1
    return found


def refusals_of_backup(lab, since=0):
    return sum(refusals(lab, since)[address] for address in ADDRESSES["backup"])


def bounces(lab):
    """(made by the backup, arrived at forged senders, waiting in the backup's queue)."""
    made = lab.backup.log_text().count("sender non-delivery notification")
    arrived = sum(1 for path in lab.foreign.mail.glob(f"{FORGED_DOMAIN}/user*/new/*"))
    waiting = sum(1 for entry in lab.backup.queue() if entry["sender"] == "MAILER-DAEMON")
    return made, arrived, waiting


def learn_all(lab, recipients):
    """Has the milter learn them as on an ordinary day, only quicker: the limits of callouts are off
    meanwhile, and back to what the lab was made with when this returns."""
    lab.configure_milter({"recipients": {"callout_rate": 1000, "callout_refusals": 100000,
                                         "callouts_per_client": 100000}})
    _reload(lab)
    mark = lab.milter.mark()
    for start in range(0, len(recipients), 50):
        with lab.session() as session:
            session.mail()
            session.pipelined([f"RCPT TO:<{name}>" for name in recipients[start:start + 50]])
    for recipient in recipients:
        lab.milter.wait_for_log(rf"callout: recipient=<{recipient}> verdict=valid ", 30, mark)
        eventually(lambda name=recipient: lab.milter.explain(name)["recipient"] == "valid", 5,
                   f"{recipient} is valid")
    lab.configure_milter()
    _reload(lab)


def _reload(lab):
    mark = lab.milter.mark()
    lab.milter.hup()
    lab.milter.wait_for_log("reload", 10, mark)
