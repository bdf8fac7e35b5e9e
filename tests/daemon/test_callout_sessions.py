# SPDX-License-Identifier: BSD-2-Clause
#
# Sessions with a primary are shared by questions that come one after the other (DESIGN section 4,
# "Manners"): an idle one is kept for a while, and nobody is harmed when the primary closes it.

import time

import pytest

from peers.smtp_server import Answer, HangUp
from peers.waiting import eventually

UNKNOWN = "550 5.1.1 <{rcpt}>: User unknown"
QUIET = {"probe": {"canary": "none"}}       # canaries are questions, too


def start(lab, domain, *ini, **script):
    server = lab.primary(domain, **script)
    daemon = lab.daemon(QUIET, *ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    return server, daemon


def ask(daemon, address, verdict):
    """One question, and its answer awaited."""
    mark = daemon.mark()
    daemon.milter().rcpt("<%s>" % address, client="198.51.100.1", name=None)
    local = address.partition("@")[0]
    daemon.wait_for_log(r"callout: recipient=<%s@\S+ verdict=%s" % (local, verdict), 10, mark)


def test_questions_in_a_row_share_a_session(lab):
    names = ["u%d" % n for n in range(20)]
    server, daemon = start(lab, "row.test", recipients={name: "250 ok" for name in names})
    for name in names:
        ask(daemon, name + "@row.test", "valid")
    sessions = server.callout_sessions()
    # one; and one more where this machine stood still for longer than a session is kept
    assert 1 <= len(sessions) <= 2, server.transcripts()
    assert sum(len(s.rcpts) for s in sessions) == 21        # and the invented name, once


def test_recycled_before_eight_refusals(lab):
    """Refusals that come one by one add up in a session that is kept."""
    server, daemon = start(lab, "refusals.test", recipients={"control": "250 ok"})
    ask(daemon, "control@refusals.test", "valid")
    for n in range(20):
        ask(daemon, "nobody%d@refusals.test" % n, "invalid")
    assert max(session.refusals for session in server.sessions) < 8
    # a control is asked for anew after each pause, and costs nothing
    assert 3 <= len(server.callout_sessions()) <= 8, server.transcripts()


def test_an_idle_session_ends_with_quit(lab):
    server, daemon = start(lab, "idle.test", recipients={"alice": "250 ok"})
    ask(daemon, "alice@idle.test", "valid")
    session = server.callout_sessions()[0]
    time.sleep(1)
    assert session.ended is None
    eventually(lambda: session.ended, 30, lambda: str(session))
    assert session.commands[-1] == "QUIT"
    assert session.ended - session.started >= 5


@pytest.mark.parametrize("goodbye", ["421 4.4.2 idle for too long", None], ids=["421", "reset"])
def test_a_primary_that_closes_an_idle_session(lab, goodbye):
    """No answer is lost, nothing failed, and no probe is brought forward."""
    server, daemon = start(lab, "closes.test", {"probe": {"interval": "1h"}},
                           recipients={"u%d" % n: "250 ok" for n in range(5)})
    for n in range(5):
        ask(daemon, "u%d@closes.test" % n, "valid")
        if goodbye:
            server.say_to_all(goodbye)
        else:
            server.reset_connections()
    assert len(server.callout_sessions()) == 5
    daemon.no_log(r"callout: .*verdict=none")
    assert daemon.status("closes.test")["state"] == "up"
    probes = [s for s in server.sessions if s.commands == ["EHLO", "QUIT"]]
    assert len(probes) == 1, server.transcripts()


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_primary_that_closes_just_when_it_is_asked(lab, pipelining):
    """Its "421" crosses our MAIL: the question gets a session of its own."""
    server, daemon = start(lab, "crosses.test", pipelining=pipelining,
                           recipients={"u%d" % n: "250 ok" for n in range(5)})

    def mail(session, _argument):
        first = len(session.mail_from) <= asked_of_a_new
        return "250 ok" if first else HangUp("421 4.4.2 idle for too long")

    asked_of_a_new = 2                      # the first question has the invented name before it
    server.change(mail=mail)
    ask(daemon, "u0@crosses.test", "valid")
    asked_of_a_new = 1
    for n in range(1, 5):
        ask(daemon, "u%d@crosses.test" % n, "valid")
    daemon.no_log(r"callout: .*verdict=none")
    assert len(server.callout_sessions()) == 5, server.transcripts()


def test_at_most_one_idle_session(lab):
    server, daemon = start(lab, "one.test",
                           recipients={"u%d" % n: Answer("250 ok", delay=0.3) for n in range(8)})
    daemon.milter().send_message(rcpts=["<u%d@one.test>" % n for n in range(8)],
                                 stop_after_rcpt=True)
    for n in range(8):
        daemon.wait_for_log(r"callout: recipient=<u%d@one\.test> verdict=valid" % n)

    def idle():
        return [s for s in server.callout_sessions() if s.ended is None]
    eventually(lambda: len(idle()) <= 1, 5, server.transcripts)
    assert len(server.callout_sessions()) >= 2


def test_a_reload_closes_what_it_made_out_of_date(lab):
    server, daemon = start(lab, "reload.test", recipients={"alice": "250 ok", "bob": "250 ok"})
    ask(daemon, "alice@reload.test", "valid")
    daemon.change_ini({"probe": {"helo_name": "other.example.net"}})
    code, out, _ = daemon.ctl("reload")
    assert code == 0, out
    ask(daemon, "bob@reload.test", "valid")
    first, second = server.callout_sessions()
    assert (first.helo_name, second.helo_name) == ("mx2.example.net", "other.example.net")
    assert first.commands[-1] == "QUIT"


def test_domains_of_one_primary_share_a_session(lab):
    server = lab.primary("a.test", recipients={"alice": "250 ok", "bob": "250 ok"})
    lab.dns.mx("b.test", (10, "mx1.a.test"), (20, "mx2.example.net"))
    daemon = lab.daemon(QUIET, domains=["a.test", "b.test"])
    daemon.wait_for_state("a.test", "up")
    daemon.wait_for_state("b.test", "up")
    ask(daemon, "alice@a.test", "valid")
    ask(daemon, "bob@b.test", "valid")
    assert len(server.callout_sessions()) == 1, server.transcripts()


def test_a_certificate_counts_for_the_name_it_was_checked_for(lab, authority):
    """b.test knows the same address by a name that isn't in the certificate."""
    server = lab.primary("a.test", recipients={"alice": "250 ok", "bob": "250 ok"},
                         offer_starttls=True, certificate=authority.issue("mx1.a.test"))
    lab.dns.host("mx1.b.test", server.address)
    lab.dns.mx("b.test", (10, "mx1.b.test"), (20, "mx2.example.net"))
    daemon = lab.daemon(QUIET, {"recipients": {"callout_tls": "verify"}},
                        domains=["a.test", "b.test"],
                        environment={"SSL_CERT_FILE": authority.certificate})
    daemon.wait_for_state("a.test", "up")
    daemon.wait_for_state("b.test", "up")
    ask(daemon, "alice@a.test", "valid")
    ask(daemon, "bob@b.test", "none")
    assert "bob@b.test" not in server.rcpts()
    ask(daemon, "bob@a.test", "valid")


def test_the_end_of_the_daemon_closes_idle_sessions(lab):
    server, daemon = start(lab, "end.test", recipients={"alice": "250 ok"})
    ask(daemon, "alice@end.test", "valid")
    session = server.callout_sessions()[0]
    assert session.ended is None
    daemon.stop()
    eventually(lambda: session.ended, 5, lambda: str(session))
