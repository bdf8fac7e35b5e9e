# SPDX-License-Identifier: BSD-2-Clause
#
# How callouts behave towards the primary (DESIGN section 4, "Manners"): as few sessions and
# refusals as possible, limits that hold, and addresses that are never asked at all.

import threading
import time

import pytest

from peers.smtp_server import RESET, Answer
from peers.waiting import eventually

UNKNOWN = "550 5.1.1 <{rcpt}>: User unknown"


def ask_many(daemon, addresses, client="198.51.100.1"):
    with daemon.milter().connect(client=client, name=None) as session:
        for address in addresses:
            session.message("<sender@example.org>", ["<%s>" % address], stop_after_rcpt=True)


def settle(count, quiet=1.5, deadline=20):
    """Wait until count() hasn't changed for `quiet` seconds; returns it."""
    end = time.monotonic() + deadline
    last, since = count(), time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.05)
        now = count()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since >= quiet:
            return now
    raise AssertionError("never settled, at %r" % (last,))


def start(lab, domain, *ini, **script):
    server = lab.primary(domain, **script)
    daemon = lab.daemon(*ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    return server, daemon


def test_a_session_is_given_up_before_eight_refusals(lab):
    """Postfix primaries slow down from 10 errors in a session and hang up at 20."""
    server, daemon = start(lab, "many.test", recipients={"control": "250 ok"})
    ask_many(daemon, ["control@many.test"])
    daemon.wait_for_log(r"callout: recipient=<control@many\.test> verdict=valid")
    ask_many(daemon, ["nobody%d@many.test" % n for n in range(40)])
    eventually(lambda: sum(r.startswith("nobody") for r in server.rcpts()) >= 40, 20,
               lambda: server.transcripts())
    worst = max(session.refusals for session in server.sessions)
    assert worst < 8
    # and the names were not asked for in a session each either
    assert len(server.callout_sessions()) <= 25


def test_a_primary_that_hangs_up_costs_no_answers(lab):
    """Limits of a stricter primary (421 after three refusals) only spread the work."""
    server, daemon = start(lab, "strict.test", hang_up_after_refusals=3,
                           recipients={"control": "250 ok", "alice": "250 ok"})
    ask_many(daemon, ["control@strict.test"])
    daemon.wait_for_log(r"callout: recipient=<control@strict\.test> verdict=valid")
    ask_many(daemon, ["nobody%d@strict.test" % n for n in range(6)] + ["alice@strict.test"])
    daemon.wait_for_log(r"callout: recipient=<alice@strict\.test> verdict=valid", 20)
    assert daemon.status("strict.test")["state"] == "up"


def test_callout_sessions_is_the_most_at_once(lab):
    server, daemon = start(lab, "slow.test", {"recipients": {"callout_sessions": 2}},
                           other_recipients=Answer(UNKNOWN, delay=0.4))
    highest = 0
    stop = threading.Event()

    def watch():
        nonlocal highest
        while not stop.wait(0.01):
            highest = max(highest, sum(1 for s in server.open_sessions if s.mail_from))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    ask_many(daemon, ["nobody%d@slow.test" % n for n in range(20)])
    settle(lambda: len(server.rcpts()), 2.5)
    stop.set()
    watcher.join()
    assert 1 <= highest <= 2


def test_callout_rate_is_the_most_a_second(lab):
    server, daemon = start(lab, "rate.test", {"recipients": {"callout_rate": 5}})
    before = time.monotonic()
    ask_many(daemon, ["nobody%d@rate.test" % n for n in range(60)])
    time.sleep(2.0)
    asked = sum(r.startswith("nobody") for r in server.rcpts())
    elapsed = time.monotonic() - before
    assert 1 <= asked <= 5 * (elapsed + 1) + 5


def test_callout_refusals_is_the_most_in_ten_minutes(lab):
    server, daemon = start(lab, "fail2ban.test", {"recipients": {"callout_refusals": 10}})
    ask_many(daemon, ["nobody%d@fail2ban.test" % n for n in range(60)])
    settle(lambda: len(server.rcpts()), 2)
    ask_many(daemon, ["other%d@fail2ban.test" % n for n in range(20)])
    settle(lambda: len(server.rcpts()), 2)
    refused = sum(session.refusals for session in server.sessions)
    # half at once, the other half in the course of ten minutes; what was in flight in other sessions
    # when the limit was reached may come on top
    assert 4 <= refused <= 5 + 8
    # beyond the limit recipients stay unknown: they aren't taken for invalid
    assert daemon.explain("other19@fail2ban.test")["recipient"] == "unknown"


def test_a_long_sickness_owes_no_refusals(lab, fast_daemon):
    """Canaries go out whatever was refused before; strangers are asked about again soon after."""
    server = lab.primary("owes.test", recipients={"alice": "250 ok"})
    daemon = fast_daemon(100, {"probe": {"down_interval": "10s", "canary_interval": "1m"},
                               "recipients": {"callout_refusals": 2}}, domains=["owes.test"])
    daemon.learn("alice@owes.test")
    server.script.recipients = {}
    daemon.wait_for_state("owes.test", "sick", 20)
    server.forget()
    eventually(lambda: server.rcpts().count("alice@owes.test") >= 20, 40)
    server.script.recipients = {"alice": "250 ok", "bob": "250 ok"}
    daemon.wait_for_state("owes.test", "up", 20)
    # within a window of ten minutes, six seconds of ours, and not after the two hundred minutes
    # that twenty refusals would take
    eventually(lambda: ask_many(daemon, ["bob@owes.test"]) or
               daemon.explain("bob@owes.test")["recipient"] == "valid", 40, pause=0.5)


def test_callouts_per_client_network(lab):
    """One client network causes at most so many a minute; another still gets its own."""
    server, daemon = start(lab, "client.test", {"recipients": {"callouts_per_client": 5}})

    def asked(prefix):
        return sum(r.startswith(prefix) for r in server.rcpts())

    ask_many(daemon, ["one%d@client.test" % n for n in range(30)], client="198.51.100.1")
    settle(lambda: asked("one"))
    assert 1 <= asked("one") <= 5
    ask_many(daemon, ["two%d@client.test" % n for n in range(30)], client="198.51.100.200")
    settle(lambda: asked("two"))
    assert asked("one") + asked("two") <= 5
    ask_many(daemon, ["three%d@client.test" % n for n in range(30)], client="203.0.113.1")
    settle(lambda: asked("three"))
    assert 1 <= asked("three") <= 5
    # IPv6 networks count by /64
    ask_many(daemon, ["four%d@client.test" % n for n in range(30)], client="2001:db8:1::1")
    ask_many(daemon, ["five%d@client.test" % n for n in range(30)], client="2001:db8:1::ffff:2")
    settle(lambda: asked("four") + asked("five"))
    assert 1 <= asked("four") + asked("five") <= 5


def test_one_question_in_flight_per_recipient(lab):
    server, daemon = start(lab, "flight.test",
                           recipients={"popular": Answer("250 ok", delay=1.0)})
    threads = [threading.Thread(target=ask_many, args=(daemon, ["popular@flight.test"],
                                                       "198.51.%d.1" % n)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    daemon.wait_for_log(r"callout: recipient=<popular@flight\.test> verdict=valid")
    assert server.rcpts().count("popular@flight.test") == 1


def test_known_recipients_are_not_asked_again(lab):
    server, daemon = start(lab, "known.test", recipients={"alice": "250 ok"})
    ask_many(daemon, ["alice@known.test"])
    daemon.wait_for_log(r"callout: recipient=<alice@known\.test> verdict=valid")
    for _ in range(5):
        ask_many(daemon, ["alice@known.test", "Alice@Known.TEST"])
    settle(lambda: len(server.rcpts()))
    assert [r.lower() for r in server.rcpts()].count("alice@known.test") == 1


def test_refresh_asks_again_in_the_background(lab):
    server, daemon = start(lab, "refresh.test",
                           {"recipients": {"valid_ttl": "1d", "valid_refresh": "1s"}},
                           recipients={"alice": "250 ok"})
    ask_many(daemon, ["alice@refresh.test"])
    daemon.wait_for_log(r"callout: recipient=<alice@refresh\.test> verdict=valid")
    count = server.rcpts().count("alice@refresh.test")

    def asked_again():
        ask_many(daemon, ["alice@refresh.test"])
        return server.rcpts().count("alice@refresh.test") > count
    eventually(asked_again, 10, pause=0.3)
    # a refresh that gets no answer doesn't clobber what is known
    server.script.recipients["alice"] = "451 4.7.1 later"
    count = server.rcpts().count("alice@refresh.test")
    eventually(lambda: asked_again() and server.rcpts().count("alice@refresh.test") > count, 10,
               pause=0.3)
    assert daemon.explain("alice@refresh.test")["recipient"] == "valid"


def test_several_recipients_share_a_session(lab):
    server, daemon = start(lab, "share.test", {"recipients": {"callout_sessions": 1}},
                           recipients={"u%d" % n: Answer("250 ok", delay=0.05)
                                       for n in range(30)})
    ask_many(daemon, ["u%d@share.test" % n for n in range(30)])
    eventually(lambda: sum(r.startswith("u") for r in server.rcpts()) >= 30, 15,
               lambda: server.transcripts())
    assert len(server.callout_sessions()) <= 15


@pytest.mark.parametrize("pipelining", [True, False])
def test_pipelining_only_where_offered(lab, pipelining):
    """Without the extension a server may lose what comes before it answered."""
    server, daemon = start(lab, "pipe.test", pipelining=pipelining,
                           discards_pipelined=not pipelining,
                           recipients={"u%d" % n: Answer("250 ok", delay=0.02)
                                       for n in range(10)})
    ask_many(daemon, ["u%d@pipe.test" % n for n in range(10)])
    for n in range(10):
        daemon.wait_for_log(r"callout: recipient=<u%d@pipe\.test> verdict=valid" % n, 15)
    assert server.callout_sessions()


def test_sessions_end_with_quit(lab):
    server, daemon = start(lab, "quit.test", recipients={"alice": "250 ok"})
    ask_many(daemon, ["alice@quit.test"])
    server.wait_for_rcpt("alice@quit.test")
    session = next(s for s in server.callout_sessions() if "alice@quit.test" in s.rcpts)
    eventually(lambda: session.ended, 30, lambda: str(session))
    assert session.commands[-1] == "QUIT"
    assert session.helo_name == "mx2.example.net"


NEVER_ASKED = [
    b"<a%b@strange.test>",
    b"<a%other.test@strange.test>",
    b"<other.test!a@strange.test>",
    b"<a\r\nRCPT TO:<evil@strange.test>",
    b"<a\r\n@strange.test>",
    b"<a\nb@strange.test>",
    b"<a\tb@strange.test>",
    b"<a\x7fb@strange.test>",
    b"<a\x01b@strange.test>",
    b"<a b@strange.test>",
    b"<a@b@strange.test>",
    b"<.a@strange.test>",
    b"<a..b@strange.test>",
    b"<a.@strange.test>",
    b"<a>b@strange.test>",
    b"<a@strange.test",
    b"<\"a b\"@strange.test>",
    b"<\"a\\\"b\"@strange.test>",
    b"<j\xc3\xb6rg@strange.test>",              # no SMTPUTF8 at this primary
    b"<\xff\xfe@strange.test>",
    b"<" + b"x" * 300 + b"@strange.test>",
    b"<@strange.test>",
    b"<(comment)a@strange.test>",
    b"<a@strange.test> NOTIFY=NEVER",
]


def test_strange_addresses_are_never_asked(lab):
    server, daemon = start(lab, "strange.test", recipients={"control": "250 ok"})
    with daemon.milter().connect(client="198.51.100.9", name=None) as session:
        for address in NEVER_ASKED:
            session.mail("<sender@example.org>")
            session.rcpt(address)
            session.abort()
    ask_many(daemon, ["control@strange.test"])
    daemon.wait_for_log(r"callout: recipient=<control@strange\.test> verdict=valid")
    settle(lambda: len(server.rcpts()))
    # the control, the catch-all question, and nothing that a stranger typed
    asked = [r for r in server.rcpts() if r != "control@strange.test"]
    assert len(asked) <= 1, asked
    assert not any("evil" in line for s in server.sessions for line in s.lines)


def test_utf8_recipient_is_asked_where_the_primary_can(lab):
    server, daemon = start(lab, "utf8.test", smtputf8=True, recipients={"j\u00f6rg": "250 ok"})
    daemon.milter().rcpt("<j\u00f6rg@utf8.test>", client="198.51.100.9", name=None)
    server.wait_for_rcpt("j\u00f6rg@utf8.test")
    session = next(s for s in server.sessions if "j\u00f6rg@utf8.test" in s.rcpts)
    assert any("SMTPUTF8" in argument.upper() for argument in session.mail_from)


def test_no_callouts_while_the_primary_is_down(lab):
    server, daemon = start(lab, "down.test", recipients={"alice": "250 ok"})
    server.behave(banner="421 4.3.2 not now", recipients={"alice": "250 ok"})
    daemon.wait_for_state("down.test", "down")
    server.forget()
    ask_many(daemon, ["alice@down.test"])
    time.sleep(1.5)
    assert not server.rcpts()
    assert daemon.explain("alice@down.test")["recipient"] == "unknown"


def test_callout_no_means_none(lab):
    server, daemon = start(lab, "off.test", {"recipients": {"callout": False}},
                           recipients={"alice": "250 ok"})
    ask_many(daemon, ["alice@off.test"])
    time.sleep(1.5)
    assert not server.rcpts()


@pytest.mark.parametrize("policy,script,asked", [
    ("encrypt", "none", False), ("encrypt", "untrusted", True), ("encrypt", "broken", False),
    ("verify", "none", False), ("verify", "untrusted", False), ("verify", "expired", False),
    ("none", "untrusted", True),
])
def test_callout_tls(lab, authority, policy, script, asked):
    steps = {"none": {}, "untrusted": dict(offer_starttls=True,
                                           certificate=authority.issue("mx1.tls.test")),
             "expired": dict(offer_starttls=True, certificate=authority.issue("mx1.tls.test", -1)),
             "broken": dict(offer_starttls=True, tls_handshake=RESET)}[script]
    server, daemon = start(lab, "tls.test", {"recipients": {"callout_tls": policy}},
                           recipients={"alice": "250 ok"}, **steps)
    ask_many(daemon, ["alice@tls.test"])
    if asked:
        server.wait_for_rcpt("alice@tls.test")
        session = next(s for s in server.sessions if "alice@tls.test" in s.rcpts)
        assert session.tls == (policy != "none")
    else:
        settle(lambda: len(server.sessions) and len(server.rcpts()))
        assert not server.rcpts()
        assert daemon.explain("alice@tls.test")["recipient"] == "unknown"


# -- primaries that refuse everybody, or nobody

@pytest.mark.parametrize("answer", ["554 5.7.1 no", "550 5.1.1 no", "550 no"])
def test_a_primary_that_refuses_everybody(lab, answer):
    """No control ever answers well and the invented name is refused as well: those count too."""
    server, daemon = start(lab, "closed.test", {"recipients": {"callout_sessions": 1}},
                           other_recipients=Answer(answer, delay=0.05))
    result = daemon.milter().send_message(rcpts=["<user%d@closed.test>" % n for n in range(12)],
                                          stop_after_rcpt=True)
    assert {reply.code for reply in result.replies} == {451}
    eventually(server.callout_sessions, 10)
    settle(lambda: len(server.rcpts()))
    assert max(session.refusals for session in server.sessions) <= 7


FULL = {"452": "452 4.2.2 mailbox full", "552": "552 5.2.2 mailbox full"}


@pytest.mark.parametrize("answer", FULL.values(), ids=FULL.keys())
def test_a_full_mailbox_is_no_catch_all(lab, answer):
    """It is said of every name: of the one that was made up, it proves nothing."""
    server, daemon = start(lab, "full.test", other_recipients=answer)
    ask_many(daemon, ["someone@full.test", "other@full.test"])
    eventually(server.rcpts, 10)
    settle(lambda: len(server.rcpts()))
    daemon.no_log(r"verdict=catch-all")
    assert daemon.explain("whoever@full.test")["recipient"] == "unknown"
    assert not daemon.status("full.test")["recipients"]["catch_all"]
    server.stop()
    daemon.wait_for_state("full.test", "down")
    reply = daemon.milter().rcpt("<whoever@full.test>")
    assert (reply.code, reply.xcode) == (451, "4.4.1")


def test_a_catch_all_keeps_nothing_of_single_recipients(lab):
    """Several questions wait when the first of them shows that any name is accepted."""
    server, daemon = start(lab, "all.test", {"recipients": {"callout_sessions": 1}},
                           other_recipients=Answer("250 2.1.5 ok", delay=0.3), pipelining=False)
    names = ["user%d@all.test" % n for n in range(5)]
    daemon.milter().send_message(rcpts=["<%s>" % name for name in names], stop_after_rcpt=True)
    eventually(lambda: daemon.explain("whoever@all.test")["recipient"] == "catch-all", 15)
    settle(lambda: len(server.rcpts()))
    assert daemon.status("all.test")["recipients"]["valid"] == 0
    daemon.no_log(r"callout: recipient=\S+ verdict=valid")
    # once it is known, nobody is asked for any more
    assert not set(server.rcpts()) & set(names[1:])
    for name in names:
        assert daemon.explain(name)["recipient"] == "catch-all"
