# SPDX-License-Identifier: BSD-2-Clause
#
# A great many recipients through a few milter sessions, as fast as the filter takes them: RCPTs are
# sent in blocks without waiting for each answer, and only the kinds of answers are kept. And the
# count of what a daemon wrote down of its decisions.

import collections
import re
import struct
import threading

from .milter_client import CMD_RCPT, REPLY_NAMES

BLOCK = 250

DECISION = re.compile(r": action=(\w+) (?:code=\d+ xcode=\S+ )?reason=([\w-]+) .* domain=(\S+) ")
SUPPRESSED = re.compile(r" suppressed=(\d+)")
LEFT_OUT = re.compile(r"(?:^|: )defers: suppressed=(\d+) reason=([\w-]+)(?: domain=(\S+))?")


def packet(recipient):
    data = recipient.encode("utf-8", "surrogateescape") + b"\0"
    return struct.pack("!I", len(data) + 1) + CMD_RCPT + data


def read_replies(sock, count, rest):
    """Counts the replies; what came behind the last one stays in `rest`."""
    kinds = collections.Counter()
    while count:
        while len(rest) < 4 or len(rest) < 4 + struct.unpack_from("!I", rest)[0]:
            more = sock.recv(1 << 16)
            assert more, "the filter hung up"
            rest += more
        length, = struct.unpack_from("!I", rest)
        kind = REPLY_NAMES[bytes(rest[4:5])]
        kinds[bytes(rest[5:8]).decode() if kind == "replycode" else kind] += 1
        del rest[:4 + length]
        count -= 1
    return kinds


def flood(daemon, recipients, client="192.0.2.7", senders=1000):
    """Names the recipients (a list) in one connection; a new sender after each thousand. Returns
    how often which answer came: by code, or "continue"."""
    kinds = collections.Counter()
    rest = bytearray()
    with daemon.milter().connect(client=client, name=None) as session:
        for start in range(0, len(recipients), senders):
            session.mail("<sender%d@%s.flood.test>" % (start, client.replace(".", "-")))
            some = recipients[start:start + senders]
            for at in range(0, len(some), BLOCK):
                block = some[at:at + BLOCK]
                session.sock.sendall(b"".join(map(packet, block)))
                kinds += read_replies(session.sock, len(block), rest)
            session.abort()
    return kinds


def flood_from(daemon, work):
    """flood() for each (client, recipients) at the same time; the sum of the answers."""
    results, errors = [], []

    def run(client, recipients):
        try:
            results.append(flood(daemon, recipients, client))
        except BaseException as error:          # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=run, args=item) for item in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(results, collections.Counter())


def decisions_in_log(lines):
    """({(action, reason): how often}, the same by (domain, action)) by what the lines say, those
    included that were left out and are only counted in others."""
    by_reason, by_domain = collections.Counter(), collections.Counter()
    for line in lines:
        found = DECISION.search(line)
        left_out = LEFT_OUT.search(line) if not found else None
        if found:
            action, reason, domain = found.groups()
            more = SUPPRESSED.search(line)
            count = 1 + (int(more.group(1)) if more else 0)
        elif left_out:
            action, reason, domain = "defer", left_out.group(2), left_out.group(3)
            count = int(left_out.group(1))
        else:
            continue
        by_reason[action, reason] += count
        by_domain[domain, action] += count
    return by_reason, by_domain
