# SPDX-License-Identifier: BSD-2-Clause
#
# Row 1: authenticated and exempt clients are served as if the milter weren't there: no reply of
# ours, no tag, and a header they send stays. And P5: for everybody else nothing becomes possible
# that Postfix alone would refuse.

import pytest
from lab.lab import EXEMPT_CLIENT
from peers.waiting import eventually
from story import GO_TO_PRIMARY, expect, headers, until_up

USER, PASSWORD = "joe@mx2.example.test", "correct horse"
KEPT = "Backup-MX-Status: their own business"


@pytest.fixture(scope="module", autouse=True)
def ready(lab):
    lab.backup.offer_authentication("joe", PASSWORD)
    until_up(lab)
    lab.learn("alice@example.test")
    lab.learn("invented@example.test", verdict="invalid")


def authenticated(lab):
    session = lab.session()
    reply = session.authenticate(USER, PASSWORD)
    assert reply.code == 235, session.transcript()
    return session


def exempt(lab):
    return lab.session(source=EXEMPT_CLIENT)


def loopback(lab):
    return lab.session(host=lab.backup_host, server="127.0.0.1")


ALLOWED = [authenticated, exempt, loopback]


@pytest.mark.parametrize("client", ALLOWED)
def test_no_reply_of_ours_and_no_tag(lab, client):
    token = f"by-{client.__name__}"
    with client(lab) as session:
        sent = session.send(["alice@example.test", "user7@example.test"], token, headers=[KEPT])
    assert sent.accepted, sent
    for mailbox in sent.rcpts:
        [found] = eventually(lambda: lab.primary.deliveries(mailbox, token), 10, "delivered")
        assert headers(found.text) == ["their own business"]


@pytest.mark.parametrize("client", ALLOWED)
def test_even_an_invalid_recipient_is_the_mtas_business(lab, client):
    with client(lab) as session:
        assert session.ask("invented@example.test").code == 250


@pytest.mark.parametrize("client", ALLOWED)
def test_foreign_mail_passes_untouched(lab, client):
    token = f"foreign-by-{client.__name__}"
    mark = lab.milter.mark()
    with client(lab) as session:
        sent = session.send("alice@foreign.test", token, headers=[KEPT])
    assert sent.accepted, sent
    [found] = eventually(lambda: lab.foreign.deliveries("alice@foreign.test", token), 10,
                         "delivered")
    assert headers(found.text) == ["their own business"]
    assert not [d for d in lab.milter.decisions("alice@foreign.test", mark)
                if d["action"] != "continue"]


def test_the_same_client_address_without_authentication_is_a_stranger(lab):
    expect(lab.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")


def test_a_failed_authentication_exempts_nobody(lab):
    with lab.session() as session:
        assert session.authenticate(USER, "wrong").code == 535
        expect(session.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")


def test_no_relay_is_opened(lab):
    """P5: strangers' foreign mail is refused by Postfix, and the milter isn't even asked."""
    mark = lab.milter.mark()
    with lab.session() as session:
        for recipient in ("alice@foreign.test", "alice%foreign.test@mx2.example.test",
                          "@example.test:alice@foreign.test"):
            reply = session.ask(recipient)
            assert 500 <= reply.code < 600 and reply.log_id is None, reply
    assert not lab.milter.log_lines("action=accept", mark)


def test_no_relay_is_opened_next_to_an_accepted_recipient(lab):
    """One message, one recipient of ours and one foreign: each is judged by itself."""
    with lab.session() as session:
        session.mail()
        first = session.rcpt("alice@example.test")
        foreign = session.rcpt("alice@foreign.test")
    assert first.code in (250, 451)
    assert foreign.enhanced == "5.7.1"


def test_no_connection_to_third_parties(lab):
    """P6: all that mail to foreign.test, and the milter's user never connected there."""
    foreign = {"192.0.2.40", "192.0.2.41", "2001:db8::40"}
    assert not foreign & {address for address, _ in lab.milter_connections()}
