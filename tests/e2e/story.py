# SPDX-License-Identifier: BSD-2-Clause
#
# What the end-to-end tests expect again and again, in the words of the contract: the replies, the
# tag, a domain that is up and quiet, an outage that is noticed, a recovery that empties the queue.

import re
import time

from peers.waiting import eventually

SENDER = "stranger@sender.test"

GO_TO_PRIMARY = "451 4.3.2 <{}>: primary MX is available, please deliver there"
NOT_KNOWN_YET = "451 4.4.1 <{}>: primary MX is unreachable and this recipient is not known here yet"
NO_SUCH_USER = "550 5.1.1 <{}>: no such user at the primary MX"
NOT_VERIFIED = "450 4.1.1 <{}>: recipient not verified yet"

TAG = re.compile(
    r"accepted; by=(?P<by>\S+); primary=(?P<primary>[a-z-]+);"
    r"(?: since=(?P<since>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ);)?"
    r" recipients=(?P<recipients>valid|catch-all|unknown|mixed); reason=(?P<reason>[a-z-]+);"
    r" client=\[(?P<client>[^]]+)\]; id=(?P<id>[a-z0-9]{8})")


def expect(reply, wanted, recipient):
    """The reply is this text, word for word, and ends with the id of its log line."""
    # Sendmail puts the recipient before a 550 by itself, in a form of its own.
    words = [re.escape(wanted.format(recipient))]
    if wanted.startswith("550 "):
        words.append(re.escape(wanted.replace("<{}>:", "<{}>...").format(recipient)))
    assert re.fullmatch(rf"({'|'.join(words)}) \(id [a-z0-9]{{8}}\)", reply.text), (
        f"wanted {wanted.format(recipient)!r}, got {reply.text!r}")


def until_up(lab, recipient="postmaster@example.test", deadline=30):
    """Waits until strangers are told to go to the primary: up, and no longer recovering."""
    last = []

    def told():
        last[:] = [lab.ask(recipient)]
        return last[0].enhanced == "4.3.2"
    eventually(told, deadline, lambda: f"{recipient} is sent to the primary, last: {last[0]}",
               pause=0.2)


def headers(text, name="Backup-MX-Status"):
    """Values of all headers of that name, unfolded."""
    head = text.split("\n\n", 1)[0]
    unfolded = re.sub(r"\n[ \t]+", " ", head)
    return re.findall(rf"(?im)^{re.escape(name)}:[ \t]*(.*)$", unfolded)


def the_tag(text):
    """The fields of the one tag of a delivered message."""
    found = headers(text)
    assert len(found) == 1, f"{len(found)} tags:\n{text}"
    match = TAG.fullmatch(found[0])
    assert match, f"a tag of a strange form: {found[0]}"
    lines = re.search(r"(?m)^Backup-MX-Status:.*(?:\n[ \t].*)*", text).group().split("\n")
    assert all(len(line) < 78 for line in lines), lines
    return match.groupdict()


def wait_down(lab, mark, domain="example.test", deadline=40):
    found = lab.milter.wait_for_health(domain, "down", mark, deadline)
    return found


def wait_deferred(lab, count, deadline=30):
    """The backup's MTA has tried to deliver and given up for now: nothing is in flight."""
    def all_deferred():
        queue = lab.backup.queue()
        return len(queue) == count and all(entry["queue_name"] == "deferred" for entry in queue)
    eventually(all_deferred, deadline, lambda: f"{count} deferred\n{lab.backup.queue_listing()}")


def recovered(lab, mark, mails=None, domain="example.test", deadline=30):
    """Waits for the way back: up, flushed, queue empty within 5 s. Returns those seconds."""
    lab.milter.wait_for_health(domain, "up", mark, deadline)
    changed = time.monotonic()
    count = r"\d+" if mails is None else mails
    lab.milter.wait_for_log(
        rf"flush: domain={re.escape(domain)} method=etrn reply=250 mails={count}\b", 5, mark)
    lab.backup.wait_queue_empty(5)
    return time.monotonic() - changed


def delivered_once(lab, mailbox, token):
    """The message's text; it must have arrived exactly once, and nobody got a bounce."""
    eventually(lambda: lab.primary.deliveries(mailbox, token), 10,
               f"{token} delivered to {mailbox}")
    # A second copy might still be on its way.
    lab.backup.wait_queue_empty(5)
    lab.primary.wait_queue_empty(5)
    found = lab.primary.deliveries(mailbox, token)
    assert len(found) == 1, f"{token} was delivered {len(found)} times to {mailbox}"
    nothing_bounced(lab)
    return found[0].text


def nothing_bounced(lab):
    assert not lab.backup.bounces()
    assert not lab.foreign.deliveries(SENDER), "the sender got mail: a bounce?"


def whole_outage(lab, break_it, number, name, reasons):
    """An outage from a primary that is up to mail delivered after it. break_it(lab): a context in
    which the primary of example.test is away; number: which users are this outage's; reasons: those
    that the milter may give. Returns what was measured: [(what, value)]."""
    known, never_seen, invented = (
        f"user{number}@example.test", f"user{50 + number}@example.test",
        f"nobody{number}@example.test")
    token = f"mail-of-{name.replace(' ', '-')}"

    until_up(lab)
    [reply] = lab.learn(known)
    expect(reply, GO_TO_PRIMARY, known)
    lab.learn(invented, verdict="invalid")

    mark = lab.milter.mark()
    began = time.monotonic()
    with break_it(lab):
        began = time.monotonic() if name.startswith("banner") or name == "reset" else began
        down = wait_down(lab, mark)
        noticed = time.monotonic() - began
        assert down["was"] == "up"
        assert down["reason"] in reasons

        with lab.session() as session:
            expect(session.ask(never_seen), NOT_KNOWN_YET, never_seen)
            expect(session.ask(invented), NO_SUCH_USER, invented)
            sent = session.send(known, token)
        assert sent.accepted, sent
        wait_deferred(lab, 1)
        mark = lab.milter.mark()

    seconds = recovered(lab, mark, mails=1)
    tag = the_tag(delivered_once(lab, known, token))
    assert (tag["primary"], tag["recipients"], tag["reason"]) == ("down", "valid", "primary-down")
    assert tag["by"] == "mx2.example.test" and tag["client"] == "192.0.2.30" and tag["since"]
    return [(f"{name}: detected after", f"{noticed:.1f} s, reason={down['reason']}"),
            (f"{name}: queue empty after the change to up", f"{seconds:.2f} s")]
