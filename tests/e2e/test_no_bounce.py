# SPDX-License-Identifier: BSD-2-Clause
#
# accept_no_bounce with a real Postfix: what was taken in an outage and is refused by the primary
# afterwards makes no bounce, unless the sender asked for one; and however a recipient is written,
# it is neither lost nor doubled. One outage for the whole module.

import re

import pytest
from lab import outage
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
# And recipients nobody has.
ODD_ONES = ['<"odd one"@example.test>', '<"odd,two"@example.test>', "<odd+three=x@example.test>",
            "<%s@example.test>" % ("o" * 80), '<"odd\\"five"@example.test>']

_ids = {}       # subject -> queue id at the backup
_queued = {}    # subject -> (recipients, the queue file as text), as it was in the outage


def send(lab, subject, *rcpts, sender="stranger@sender.test"):
    """`rcpts` are what comes after "RCPT TO:"."""
    with lab.session() as session:
        assert session.mail(sender).code == 250
        replies = [session.command("RCPT TO:" + rcpt) for rcpt in rcpts]
        assert all(reply.code == 250 for reply in replies), session.transcript()
        assert session.command("DATA").code == 354
        reply = session.command(f"From: <{sender}>\r\nSubject: {subject}\r\n\r\n{subject}\r\n.")
        assert reply.code == 250, session.transcript()
        _ids[subject] = re.search(r"queued as (\w+)", reply.text).group(1)


def look_at_queue(lab):
    """Once all is deferred: a listing may show twice what is moved meanwhile."""
    wait_deferred(lab, len(_ids))
    queue = {entry["queue_id"]: [rcpt["address"] for rcpt in entry["recipients"]]
             for entry in lab.backup.queue()}
    for subject, queue_id in _ids.items():
        _queued[subject] = (queue[queue_id], lab.backup_host.run(["postcat", "-qe", queue_id]))


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
        look_at_queue(lab)
        mark = lab.milter.mark()
    recovered(lab, mark)
    lab.foreign.wait_queue_empty(5)


def bounces_to(lab, mailbox):
    return [d.text for d in lab.foreign.deliveries(mailbox)
            if "report-type=delivery-status" in d.text]


def notify_of(subject):
    """Of those recipients that are to be delivered to: 1 is NEVER, 4 FAILURE."""
    found, notify = {}, None
    for line in _queued[subject][1].splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("named_attribute: notify_flags="):
            notify = int(line.rpartition("=")[2])
        elif key.endswith("recipient") and key != "original_recipient":
            if key == "recipient":
                found[value.strip()] = notify
            notify = None
    return found


def delivered(lab, mailbox, subject):
    """Exactly once."""
    [found] = lab.primary.deliveries(mailbox, f"Subject: {subject}\n")
    return found.text


def test_a_later_refusal_makes_no_bounce(lab):
    assert re.search(r"to=<nobody@example\.test>.* status=bounced ", lab.backup.log_text())
    assert notify_of("refused") == {"nobody@example.test": 1}
    assert not lab.foreign.deliveries("stranger@sender.test")


def test_without_it_there_is_a_bounce(lab):
    """The lab would show one."""
    [bounce] = bounces_to(lab, "alice@sender.test")
    assert "nobody@second.test" in bounce
    assert notify_of("refused-and-bounced") == {"nobody@second.test": None}


def test_a_client_that_asks_for_notice_gets_it(lab):
    [bounce] = bounces_to(lab, "bob@sender.test")
    assert "nobody@example.test" in bounce
    assert notify_of("asked-for") == {"nobody@example.test": 4}


def test_the_clients_orcpt_is_kept(lab):
    assert _queued["own-orcpt"][1].count("dsn_orig_rcpt=rfc822;list+x@elsewhere.test") == 2
    assert the_tag(delivered(lab, "dave@example.test", "own-orcpt"))["recipients"] == "unknown"


def test_only_unknown_recipients_are_changed(lab):
    assert notify_of("mixed") == {"alice@example.test": None, "nobody@example.test": 1,
                                  "erin@example.test": 1}
    tag = the_tag(delivered(lab, "alice@example.test", "mixed"))
    assert (tag["recipients"], tag["reason"]) == ("mixed", "primary-down")
    delivered(lab, "erin@example.test", "mixed")


@pytest.mark.parametrize("mailbox,subject", [
    ("frank@example.test", "twice"), ("bob@example.test", "two-spellings")])
def test_a_recipient_named_twice_gets_one_mail(lab, mailbox, subject):
    assert notify_of(subject) == {mailbox: 1}
    delivered(lab, mailbox, subject)


@pytest.mark.parametrize("mailbox", SPELLINGS)
def test_neither_lost_nor_doubled_however_it_is_written(lab, mailbox):
    recipients, _ = _queued["spelling-" + mailbox]
    assert [r.lower() for r in recipients] == [mailbox + "@example.test"]
    assert list(notify_of("spelling-" + mailbox).values()) == [1]
    delivered(lab, mailbox + "@example.test", "spelling-" + mailbox)


@pytest.mark.parametrize("number", range(len(ODD_ONES)))
def test_odd_recipients(number):
    recipients, _ = _queued["odd-%d" % number]
    assert recipients == [ODD_ONES[number][1:-1]]
    assert list(notify_of("odd-%d" % number).values()) == [1]
