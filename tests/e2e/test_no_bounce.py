# SPDX-License-Identifier: BSD-2-Clause
#
# accept_no_bounce with a real Postfix: what was taken in an outage and is refused by the primary
# afterwards makes no bounce, unless the sender asked for one; and however a recipient is written,
# it is neither lost nor doubled. One outage for the whole module.

import re

import pytest
from lab import outage
from peers.waiting import eventually
from story import recovered, the_tag, until_up, wait_deferred, wait_down

# second.test has what all have by default once when_unknown = accept: bounces.
MILTER_SETTINGS = {
    "policy": {"when_unknown": "accept_no_bounce"},
    'domain "second.test"': {"when_unknown": "accept"},
}

# Ways to write one recipient, as a client types them.
SPELLINGS = {
    "user1": "<user1@example.test>",
    "user2": "<USER2@Example.TEST>",
    "user3": "<user3@example.test.>",
    "user4": "<@relay.test:user4@example.test>",
    "user5": '<"user5"@example.test>',
    "user6": "user6@example.test",
    "user7": "< user7@example.test >",
    "user8": "<(comment)user8@example.test>",
    "user9": "<us\\er9@example.test>",
}
ODD_ONES = ['<"odd one"@example.test>', '<"odd,two"@example.test>', "<odd+three=x@example.test>",
            "<%s@example.test>" % ("o" * 80), '<"odd\\"six"@example.test>', '<"odd"five@example.test>', "<odd@six@example.test>"]

_queue = {}     # subject -> (recipients, the queue file as text), as it was in the outage


def send(lab, subject, *rcpts, sender="stranger@sender.test"):
    """`rcpts` are what comes after "RCPT TO:"."""
    with lab.session() as session:
        assert session.mail(sender).code == 250
        replies = [session.command("RCPT TO:" + rcpt) for rcpt in rcpts]
        if not all(reply.code == 250 for reply in replies): print(session.transcript()); return
        assert session.command("DATA").code == 354
        reply = session.command(f"From: <{sender}>\r\nSubject: {subject}\r\n\r\n{subject}\r\n.")
        assert reply.code == 250, session.transcript()
        queue_id = re.search(r"queued as (\w+)", reply.text).group(1)
    entry, = [entry for entry in lab.backup.queue() if entry["queue_id"] == queue_id]
    _queue[subject] = ([rcpt["address"] for rcpt in entry["recipients"]],
                       lab.backup_host.run(["postcat", "-qe", queue_id]))


@pytest.fixture(scope="module", autouse=True)
def after_an_outage(lab):
    until_up(lab)
    until_up(lab, "postmaster@second.test")
    lab.learn("alice@example.test")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        wait_down(lab, mark, "second.test")
        send(lab, "refused", "<nobody@example.test>")
        send(lab, "refused-and-bounced", "<nobody@second.test>", sender="alice@sender.test")
        send(lab, "asked-for", "<nobody@example.test> NOTIFY=FAILURE", sender="bob@sender.test")
        send(lab, "own-orcpt", "<dave@example.test> ORCPT=rfc822;list+2Bx@elsewhere.test")
        send(lab, "mixed", "<alice@example.test>", "<nobody@example.test>", "<erin@example.test>")
        send(lab, "twice", "<frank@example.test>", "<frank@example.test>")
        send(lab, "two-spellings", "<bob@example.test>", "<BOB@example.test>")
        for mailbox, spelling in SPELLINGS.items():
            send(lab, "spelling-" + mailbox, spelling)
        for number, spelling in enumerate(ODD_ONES):
            send(lab, "odd-%d" % number, spelling)
        count = len(_queue)
        wait_deferred(lab, count)
        mark = lab.milter.mark()
    recovered(lab, mark)
    lab.foreign.wait_queue_empty(5)


def bounces_to(lab, mailbox):
    return [d for d in lab.foreign.deliveries(mailbox) if "report-type=delivery-status" in d.text]


def notify_of(subject):
    return re.findall(r"(?m)^named_attribute: notify_flags=(\d+)", _queue[subject][1])


def test_show(lab):
    for k, v in _queue.items():
        print(k, v[0], re.findall(r"(?m)^named_attribute: (?:notify|dsn).*|^.*recipient:.*", v[1]))
    print(lab.backup.bounces())
    print([(d.mailbox, len(d.text)) for d in lab.foreign.deliveries()])
    print([(d.mailbox, re.search("Subject.*", d.text).group()) for d in lab.primary.deliveries()])
    assert 0
