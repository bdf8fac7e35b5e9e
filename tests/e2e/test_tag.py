# SPDX-License-Identifier: BSD-2-Clause
#
# The tag: one header at the top, true, folded; copies that came with the message are gone, however
# they are written; nothing in it names a recipient. One outage for the whole module.

import pytest
from lab import outage
from story import SENDER, delivered_once, headers, recovered, the_tag, until_up, wait_down

DOMAIN_SINCE = {}
_messages = {}


@pytest.fixture(scope="module", autouse=True)
def after_an_outage(lab):
    """All messages are sent in one outage and looked at after it; tests only look."""
    until_up(lab)
    until_up(lab, "postmaster@six.test")
    until_up(lab, "postmaster@catchall.test")
    lab.learn("alice@example.test", "bob@example.test", "carol@example.test", "alice@six.test")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        wait_down(lab, mark, "six.test")

        def send(name, recipients="alice@example.test", source=None, **options):
            server = "2001:db8::20" if source and ":" in source else "192.0.2.20"
            with lab.session(source=source, server=server) as session:
                _messages[name] = session.send(recipients, name, **options)

        send("plain")
        send("forged-once", headers=["Backup-MX-Status: accepted; by=evil; primary=down"])
        send("forged-often", headers=[
            "Backup-MX-Status: one", "X-Kept: first", "backup-mx-status: two",
            "BACKUP-MX-STATUS: three", "Backup-mx-Status:four", "X-Kept: second",
            "Backup-MX-Status: five", "Backup-MX-Status : six",
        ])
        send("forged-folded", headers=["Backup-MX-Status: accepted;\r\n\tby=evil;\r\n primary=up",
                                       "X-Kept: yes"])
        send("two-recipients", ["alice@example.test", "bob@example.test"])
        send("two-domains", ["carol@example.test", "alice@six.test"])
        send("over-ipv6", source="2001:db8::30")
        send("bounce-itself", sender="")
        mark = lab.milter.mark()
    recovered(lab, mark)


def text_of(lab, name, mailbox="alice@example.test"):
    assert _messages[name].accepted, _messages[name]
    return delivered_once(lab, mailbox, f"Subject: {name}\n")


def test_fields(lab):
    tag = the_tag(text_of(lab, "plain"))
    assert tag.pop("since") and tag.pop("id")
    assert tag == {"by": "mx2.example.test", "primary": "down", "recipients": "valid",
                   "reason": "primary-down", "client": "192.0.2.30"}


def test_id_is_that_of_the_log_line(lab):
    tag = the_tag(text_of(lab, "plain"))
    lab.milter.wait_for_log(rf"action=accept .*to=<alice@example\.test> .*id={tag['id']}\b", 1)


def test_at_the_top(lab):
    """Above the backup's own Received, so that nobody can have written it before us."""
    text = text_of(lab, "plain")
    assert text.index("\nBackup-MX-Status:") < text.index("by mx2.example.test (")


@pytest.mark.parametrize("name", ["forged-once", "forged-often", "forged-folded"])
def test_forged_copies_are_gone(lab, name):
    text = text_of(lab, name)
    tag = the_tag(text)
    assert tag["by"] == "mx2.example.test" and tag["primary"] == "down"
    assert "evil" not in text
    assert not headers(text, "Backup-MX-Status ")


def test_other_headers_are_kept(lab):
    assert headers(text_of(lab, "forged-often"), "X-Kept") == ["first", "second"]
    assert headers(text_of(lab, "forged-folded"), "X-Kept") == ["yes"]


def test_two_recipients_get_the_same_tag_and_neither_is_named(lab):
    tags = [headers(text_of(lab, "two-recipients", mailbox))[0]
            for mailbox in ("alice@example.test", "bob@example.test")]
    assert tags[0] == tags[1]
    assert "alice" not in tags[0] and "bob" not in tags[0] and "example.test;" not in (
        tags[0].replace("by=mx2.example.test;", ""))


def test_two_domains(lab):
    for mailbox in ("carol@example.test", "alice@six.test"):
        tag = the_tag(text_of(lab, "two-domains", mailbox))
        assert (tag["primary"], tag["recipients"]) == ("down", "valid")


def test_ipv6_client(lab):
    assert the_tag(text_of(lab, "over-ipv6"))["client"] == "IPv6:2001:db8::30"


def test_null_sender_is_tagged_as_any_other(lab):
    assert the_tag(text_of(lab, "bounce-itself"))["reason"] == "primary-down"
    assert SENDER  # the other messages' sender got nothing: delivered_once looks
