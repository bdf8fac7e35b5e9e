# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P4: a sender who can reach us but not the primary is delayed, never stranded.

import time

import pytest

VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


PERSISTENT = {"policy": {"persistent_attempts": 2, "persistent_after": "2s"}}


def test_p4_a_sender_who_comes_back_is_let_in(lab):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("alice@up.test")
    who = dict(client="192.0.2.50", name="out1.mail.example.org", mail_from="<me@example.org>")
    milter = daemon.milter()
    reply = milter.rcpt("<alice@up.test>", **who)
    assert (reply.code, reply.xcode) == (451, "4.3.2")
    time.sleep(3.1)
    # the second attempt, after persistent_after: the one that makes it persistent is let in
    result = milter.send_message(rcpts=["<alice@up.test>"], **who)
    assert result.replies[0].action == "continue"
    tag, = result.header_values("Backup-MX-Status")
    assert "primary=up" in tag and "reason=persistent-sender" in tag
    daemon.wait_for_log(r"action=accept reason=persistent-sender row=8 ", 5)
    # the same organisation's other host, the same sender in another case
    assert milter.rcpt("<alice@up.test>", client="198.51.100.3", name="out2.mail.example.org",
                       mail_from="<ME@example.org>").action == "continue"
    # anybody else isn't
    for other in (dict(who, mail_from="<you@example.org>"),
                  dict(who, name="out1.mail.elsewhere.test"),
                  dict(who, name=None, client="203.0.113.50")):
        assert milter.rcpt("<alice@up.test>", **other).code == 451, other
    # nor for another recipient
    assert milter.rcpt("<bob@up.test>", **who).code == 451


def test_p4_null_sender_and_clients_without_a_name(lab):
    """The null sender counts like any other; without a name the /24 or /64 is the client."""
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("alice@up.test")
    milter = daemon.milter()
    first = [dict(client="192.0.2.50", name=None, mail_from="<>"),
             dict(client="2001:db8:7::50", name=None, mail_from="<a@b.test>")]
    again = [dict(client="192.0.2.99", name=None, mail_from="<>"),
             dict(client="2001:db8:7::ffff:1", name=None, mail_from="<a@b.test>")]
    for who in first:
        assert milter.rcpt("<alice@up.test>", **who).code == 451
    time.sleep(3.1)
    for who in again:
        assert milter.rcpt("<alice@up.test>", **who).action == "continue", who


POOL = [dict(client="209.85.208.41", name="mail-ed1-f41.google.com"),
        dict(client="209.85.167.50", name="MAIL-LJ1-F50.Google.com")]
LONG = "bounces-" + "0123456789" * 7


# first attempt, second attempt, is it the same sender?
IDENTITIES = {
    "a pool of many addresses": (*POOL, True),
    "another host of the domain": (dict(POOL[0], name="google.com"), POOL[1], False),
    "a name of two labels is no pool": (
        dict(client="192.0.2.50", name="example.org"),
        dict(client="203.0.113.50", name="example.org"), False),
    "but its network is": (
        dict(client="192.0.2.50", name="example.org"),
        dict(client="192.0.2.51", name="example.net"), True),
    "unverified in Postfix": (
        dict(client="192.0.2.50", name=None), dict(client="203.0.113.50", name=None), False),
    "unverified in Sendmail": (
        dict(client="192.0.2.50", name=None, profile="sendmail"),
        dict(client="203.0.113.50", name=None, profile="sendmail"), False),
    "a forged name": (
        POOL[0],
        dict(client="203.0.113.50", name="mail.google.com", profile="sendmail",
             macros={"_": "mail.google.com [203.0.113.50] (may be forged)"}), False),
    "a forged name, from the same network": (
        dict(client="192.0.2.50", name="a.forged.test", profile="sendmail",
             macros={"_": "a.forged.test [192.0.2.50] (may be forged)"}),
        dict(client="192.0.2.51", name=None), True),
    "a long VERP address": (
        dict(mail_from="<%s=a@news.test>" % LONG), dict(mail_from="<%s=A@News.test>" % LONG), True),
    "two long VERP addresses": (
        dict(mail_from="<%s=a@news.test>" % LONG), dict(mail_from="<%s=b@news.test>" % LONG),
        False),
    "a long VERP address is not the null sender": (
        dict(mail_from="<%s=a@news.test>" % LONG), dict(mail_from="<>"), False),
    "a long SRS address": (
        dict(mail_from="<SRS0=AAAA=T1=home.test=%s@fwd.test>" % LONG),
        dict(mail_from="<SRS0=BBBB=T2=home.test=%s@fwd.test>" % LONG), True),
}


def test_p4_who_is_the_same_sender(lab):
    """One recipient per case, all in one go: what takes time is persistent_after."""
    recipients = dict(VALID, **{"user%d" % n: "250 ok" for n in range(len(IDENTITIES))})
    lab.primary("up.test", recipients=recipients)
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    rcpts = ["<user%d@up.test>" % n for n in range(len(IDENTITIES))]
    daemon.learn(*(rcpt[1:-1] for rcpt in rcpts))

    def ask(rcpt, profile="postfix", **who):
        return daemon.milter(profile).rcpt(rcpt, **who).action == "continue"
    for rcpt, (first, _, _) in zip(rcpts, IDENTITIES.values()):
        assert not ask(rcpt, **first)
    time.sleep(3.1)
    seen = {case: ask(rcpt, **second)
            for rcpt, (case, (_, second, _)) in zip(rcpts, IDENTITIES.items())}
    assert seen == {case: same for case, (_, _, same) in IDENTITIES.items()}


def test_p4_hammering_doesnt_help(lab):
    """Attempts closer together than persistent_after / (2 x attempts) count once."""
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon({"policy": {"persistent_attempts": 3, "persistent_after": "12s"}},
                        domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("alice@up.test")
    for _ in range(30):
        assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").code == 451


def test_p4_changing_sender_tags_are_one_sender(lab):
    """SRS and BATV tags change with each attempt or day."""
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("alice@up.test")
    milter = daemon.milter()
    pairs = [("<prvs=1234abcdef=me@example.org>", "<prvs=5678fedcba=me@example.org>"),
             ("<SRS0=HHHH=TT=example.com=me@fwd.test>", "<SRS0=IIII=UU=example.com=me@fwd.test>")]
    for first, _ in pairs:
        assert milter.rcpt("<alice@up.test>", mail_from=first, client="192.0.2.51").code == 451
    time.sleep(3.1)
    for _, second in pairs:
        assert milter.rcpt("<alice@up.test>", mail_from=second,
                           client="192.0.2.51").action == "continue", second


@pytest.mark.parametrize("crash", [False, True])
def test_p4_persistence_survives_a_restart(lab, crash):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("alice@up.test")
    assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").code == 451
    time.sleep(1.5)             # it is written behind
    daemon.restart(crash=crash)
    time.sleep(3.1)
    assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").action == "continue"


def test_p4_unknown_recipients_of_a_persistent_sender_are_asked_in_line(lab):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.learn("control@up.test")
    who = dict(client="192.0.2.50")
    assert daemon.milter().rcpt("<nobody@up.test>", **who).code in (451, 550)
    time.sleep(3.1)
    assert daemon.milter().rcpt("<nobody@up.test>", **who).code == 550


def test_p4_defer_then_accept_in_a_long_outage(lab):
    """Unknown recipients: 451 until the outage is long and the sender is persistent."""
    server = lab.primary("long.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, {"policy": {"unknown_accept_after": "4s"}},
                        domains=["long.test"])
    daemon.wait_for_state("long.test", "up")
    server.stop()
    daemon.wait_for_state("long.test", "down")
    milter = daemon.milter()
    assert milter.rcpt("<new@long.test>", client="192.0.2.50").code == 451
    time.sleep(4.5)
    # long enough, but a stranger
    assert milter.rcpt("<new@long.test>", client="203.0.113.60", name=None).code == 451
    result = milter.send_message(rcpts=["<new@long.test>"], client="192.0.2.50")
    assert result.replies[0].action == "continue"
    tag, = result.header_values("Backup-MX-Status")
    assert "recipients=unknown" in tag and "reason=persistent-sender" in tag
