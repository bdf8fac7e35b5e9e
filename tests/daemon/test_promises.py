# SPDX-License-Identifier: BSD-2-Clause
#
# The promises P1 to P8 of DESIGN section 1 that aren't shown by another file's tables: outages and
# crashes, a primary that hangs, third parties, our own failures, and the MX sets in which nobody
# may ever be sent away. P2 is in test_callout_answers.py, P5 also in test_decisions.py.

import glob
import os
import resource
import shutil
import signal
import threading
import time

import pytest

from peers.smtp_server import SILENCE, Answer
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


def learn(daemon, *addresses, client="198.51.100.77"):
    """Name recipients while the primary is up, until they are known."""
    for address in addresses:
        daemon.milter().rcpt("<%s>" % address, client=client, name=None)
        eventually(lambda a=address: daemon.explain(a)["recipient"] != "unknown", 10,
                   lambda a=address: "%s: %r\n%s" % (a, daemon.explain(a),
                                                     daemon.log.text()[-3000:]))


# -- P1: known stays known

def test_p1_known_stays_known_over_crash_restart_and_flap(lab):
    server = lab.primary("keep.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["keep.test"])
    daemon.wait_for_state("keep.test", "up")
    learn(daemon, "control@keep.test", "alice@keep.test", "nobody@keep.test")
    time.sleep(1.5)                             # what a crash may lose is what wasn't written yet
    server.stop()
    daemon.wait_for_state("keep.test", "down")
    for step in ("crash", "restart", "reload", "crash again"):
        if step == "reload":
            mark = daemon.mark()
            daemon.hup()
            daemon.wait_for_log("reload", 5, mark)
        else:
            daemon.restart(crash="crash" in step)
        assert daemon.status("keep.test")["state"] == "down", step
        assert daemon.milter().rcpt("<alice@keep.test>").action == "continue", step
        assert daemon.milter().rcpt("<new@keep.test>").code == 451, step
        assert daemon.milter().rcpt("<nobody@keep.test>").code == 550, step
    # it flaps: up for a moment and gone again
    server.start()
    daemon.wait_for_state("keep.test", "up")
    server.stop()
    daemon.wait_for_state("keep.test", "down")
    assert daemon.milter().rcpt("<alice@keep.test>").action == "continue"


def test_p1_age_counts_only_time_in_which_the_domain_was_up(lab):
    """An outage longer than valid_ttl forgets nobody; the same time spent up does."""
    down = lab.primary("outage.test", recipients=dict(VALID))
    lab.primary("uptime.test", recipients=dict(VALID))
    daemon = lab.daemon({"recipients": {"valid_ttl": "6s", "valid_refresh": "6s"}},
                        domains=["outage.test", "uptime.test"])
    daemon.wait_for_state("outage.test", "up")
    daemon.wait_for_state("uptime.test", "up")
    learn(daemon, "alice@outage.test", "alice@uptime.test")
    down.stop()
    daemon.wait_for_state("outage.test", "down")
    # nobody names alice@uptime.test meanwhile, so nothing refreshes it
    eventually(lambda: daemon.explain("alice@uptime.test")["recipient"] == "unknown", 12,
               pause=0.2)
    time.sleep(6)
    daemon.restart(crash=True)
    assert daemon.explain("alice@outage.test")["recipient"] == "valid"
    assert daemon.milter().rcpt("<alice@outage.test>").action == "continue"


def test_p1_time_in_which_we_were_off_doesnt_count(lab):
    """The daemon wasn't there to see whether the domain was up."""
    lab.primary("off.test", recipients=dict(VALID))
    daemon = lab.daemon({"recipients": {"valid_ttl": "5s", "valid_refresh": "5s"}},
                        domains=["off.test"])
    daemon.wait_for_state("off.test", "up")
    learn(daemon, "alice@off.test")
    daemon.stop()
    time.sleep(6)
    daemon.start()
    assert daemon.explain("alice@off.test")["recipient"] == "valid"


# -- P3: no answer waits longer than it may

def ask_at_once(daemon, addresses):
    """One connection per recipient, all at the same moment. Returns (seconds, Reply) each."""
    results = [None] * len(addresses)
    barrier = threading.Barrier(len(addresses))

    def ask(number):
        with daemon.milter().connect(client="198.51.%d.9" % number, name=None) as session:
            session.mail("<sender@example.org>")
            barrier.wait()
            started = time.monotonic()
            reply = session.rcpt("<%s>" % addresses[number])
            results[number] = (time.monotonic() - started, reply)
            session.abort()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(addresses))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results), "an answer never came"
    return results


def hanging_primary(lab, domain, policy=None):
    """Up and healthy as far as EHLO, but RCPT never gets an answer."""
    server = lab.primary(domain, rcpt=SILENCE)
    daemon = lab.daemon({'domain "%s"' % domain: {"when_up": "accept"}},
                        {"probe": {"timeout": "30s"}, "recipients": {"callout_wait": "5s"}},
                        policy or {})
    daemon.wait_for_state(domain, "up")
    return server, daemon


def test_p3_twenty_recipients_of_one_message_while_the_primary_hangs(lab):
    """What the RCPTs of one message wait for comes out of one budget of callout_wait."""
    _, daemon = hanging_primary(lab, "hang.test")
    with daemon.milter().connect(client="198.51.100.9", name=None) as session:
        session.mail("<sender@example.org>")
        started = time.monotonic()
        replies = []
        for number in range(20):
            replies.append(session.rcpt("<u%d@hang.test>" % number))
            time.sleep(0.01)
        elapsed = time.monotonic() - started
        session.abort()
    assert elapsed < 6
    assert all((r.code, r.xcode) == (450, "4.1.1") for r in replies)
    assert max(r.seconds for r in replies) < 5.5
    # the first one did wait: the test would show nothing with a daemon that never asks in line
    assert replies[0].seconds > 3


def test_p3_twenty_connections_at_once_while_the_primary_hangs(lab):
    """At most max_waiting of them wait at all; the others are answered at once."""
    _, daemon = hanging_primary(lab, "hang.test", {"milter": {"max_waiting": 3}})
    results = ask_at_once(daemon, ["u%d@hang.test" % n for n in range(20)])
    assert all((reply.code, reply.xcode) == (450, "4.1.1") for _, reply in results)
    assert max(seconds for seconds, _ in results) < 6
    waited = [seconds for seconds, _ in results if seconds > 2]
    assert 1 <= len(waited) <= 3
    # and the milter answers others all the while
    started = time.monotonic()
    daemon.milter().rcpt("<someone@foreign.test>")
    assert time.monotonic() - started < 1


def test_p3_known_recipients_never_wait(lab):
    server, daemon = hanging_primary(lab, "hang.test")
    server.change(rcpt=None)
    server.script.recipients.update(VALID)
    learn(daemon, "alice@hang.test")
    server.change(rcpt=SILENCE)
    for _ in range(20):
        assert daemon.milter().rcpt("<alice@hang.test>").seconds < 0.5


def test_p3_row_10_never_waits(lab):
    """A primary that hangs in RCPT costs those who are sent there nothing."""
    lab.primary("ten.test", rcpt=SILENCE)
    daemon = lab.daemon(domains=["ten.test"])
    daemon.wait_for_state("ten.test", "up")
    results = ask_at_once(daemon, ["u%d@ten.test" % n for n in range(20)])
    assert all(reply.code == 451 for _, reply in results)
    assert max(seconds for seconds, _ in results) < 1


def test_p3_first_probe_of_an_unknown_domain(lab):
    """It is awaited for callout_wait, then the domain counts as down."""
    lab.primary("slow.test", banner=SILENCE)
    daemon = lab.daemon({"probe": {"timeout": "30s"}}, domains=["slow.test"])
    results = ask_at_once(daemon, ["u%d@slow.test" % n for n in range(20)])
    assert all((reply.code, reply.xcode) == (451, "4.4.1") for _, reply in results)
    assert max(seconds for seconds, _ in results) < 6
    assert sum(seconds > 2 for seconds, _ in results) <= 4


def test_p3_first_probe_is_worth_waiting_for(lab):
    """With a primary that answers the first recipient already gets the right reply."""
    lab.primary("quick.test", banner=Answer("220 {name}", delay=0.5))
    daemon = lab.daemon(domains=["quick.test"])
    reply = daemon.milter().rcpt("<alice@quick.test>")
    assert (reply.code, reply.xcode) == (451, "4.3.2")


def test_p3_question_that_came_too_late_is_learned_in_the_background(lab):
    server = lab.primary("late.test", recipients={"alice": Answer("250 ok", delay=2.5)})
    daemon = lab.daemon({'domain "late.test"': {"when_up": "accept"},
                         "probe": {"timeout": "10s"}, "recipients": {"callout_wait": "1s"}})
    daemon.wait_for_state("late.test", "up")
    reply = daemon.milter().rcpt("<alice@late.test>")
    assert (reply.code, reply.xcode) == (450, "4.1.1")
    assert reply.seconds < 1.8
    server.wait_for_rcpt("alice@late.test")
    eventually(lambda: daemon.explain("alice@late.test")["recipient"] == "valid", 8)
    assert daemon.milter().rcpt("<alice@late.test>").action == "continue"


# -- P4: who can't reach the primary gets in

PERSISTENT = {"policy": {"persistent_attempts": 2, "persistent_after": "2s"}}


def test_p4_a_sender_who_comes_back_is_let_in(lab):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    learn(daemon, "alice@up.test")
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
    learn(daemon, "alice@up.test")
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


def test_p4_hammering_doesnt_help(lab):
    """Attempts closer together than persistent_after / (2 x attempts) count once."""
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon({"policy": {"persistent_attempts": 3, "persistent_after": "12s"}},
                        domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    learn(daemon, "alice@up.test")
    for _ in range(30):
        assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").code == 451


def test_p4_changing_sender_tags_are_one_sender(lab):
    """SRS and BATV tags change with each attempt or day."""
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    learn(daemon, "alice@up.test")
    milter = daemon.milter()
    pairs = [("<prvs=1234abcdef=me@example.org>", "<prvs=5678fedcba=me@example.org>"),
             ("<SRS0=HHHH=TT=example.com=me@fwd.test>", "<SRS0=IIII=UU=example.com=me@fwd.test>")]
    for first, _ in pairs:
        assert milter.rcpt("<alice@up.test>", mail_from=first, client="192.0.2.51").code == 451
    time.sleep(3.1)
    for _, second in pairs:
        assert milter.rcpt("<alice@up.test>", mail_from=second,
                           client="192.0.2.51").action == "continue", second


def test_p4_persistence_survives_a_restart(lab):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    learn(daemon, "alice@up.test")
    assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").code == 451
    daemon.restart()
    time.sleep(3.1)
    assert daemon.milter().rcpt("<alice@up.test>", client="192.0.2.50").action == "continue"


def test_p4_unknown_recipients_of_a_persistent_sender_are_asked_in_line(lab):
    lab.primary("up.test", recipients=dict(VALID))
    daemon = lab.daemon(PERSISTENT, domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    learn(daemon, "control@up.test")
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


# -- P6: no stranger makes us talk to a third party

def test_p6_nobody_but_primaries_is_ever_talked_to(lab):
    primary = lab.primary("ours.test", recipients=dict(VALID))
    worse = lab.server("mx3.ours.test")
    lab.dns.mx("ours.test", (10, "mx1.ours.test"), (20, OUR_NAME), (30, "mx3.ours.test"))
    bystanders = {
        "MX of a foreign domain": lab.primary("victim.test"),
        "next hop of the MTA": lab.server("relay.victim.test"),
        "the client": lab.server("client.victim.test"),
        "the HELO name": lab.server("helo.victim.test"),
        "the sender's MX": lab.primary("sender.test"),
        "an address literal": lab.server("literal.victim.test"),
        "a source route": lab.primary("route.test"),
        "address of the domain itself": lab.server("ours.test.victim.test"),
        "the worse MX": worse,
    }
    literal = bystanders["an address literal"].address
    # ours.test has MX records, so its own address means nothing
    lab.dns.set("ours.test", "A", [bystanders["address of the domain itself"].address])
    daemon = lab.daemon({"milter": {"exempt_clients": ["::1"]}}, domains=["ours.test"])
    daemon.wait_for_state("ours.test", "up")
    for profile in ("postfix", "sendmail"):
        milter = daemon.milter(profile)
        for rcpt in ("<alice@ours.test>", "<x@victim.test>", "<x@[%s]>" % literal,
                     "<@route.test:alice@ours.test>", "<@ours.test:x@victim.test>",
                     "<x%victim.test@ours.test>", "<victim.test!x@ours.test>",
                     "<x@sub.ours.test>", "<x@ours.test.victim.test>", "<x@mx3.ours.test>",
                     "<x@mx1.ours.test>", "<\"x@victim.test\"@ours.test>"):
            milter.send_message(
                client=bystanders["the client"].address,
                name="client.victim.test", helo="helo.victim.test", mail_from="<me@sender.test>",
                rcpts=[rcpt], mailer="smtp", rcpt_host="relay.victim.test", stop_after_rcpt=True)
            milter.send_message(
                client="192.0.2.9", name="client.victim.test", helo="helo.victim.test",
                mail_from="<me@sender.test>", rcpts=[rcpt], mailer="relay",
                rcpt_host="[%s]" % bystanders["next hop of the MTA"].address,
                stop_after_rcpt=True)
    daemon.wait_for_log(r"callout: recipient=<alice@ours\.test> ", 10)
    time.sleep(2.5)
    assert primary.sessions
    for what, server in bystanders.items():
        assert not server.sessions, "%s was talked to:\n%s" % (what, server.transcripts())
    # and DNS wasn't asked about what strangers typed, foreign recipient domains apart
    asked = lab.dns.names_asked()
    for name in ("sender.test", "route.test", "helo.victim.test", "client.victim.test",
                 "relay.victim.test"):
        assert name not in asked, name
    # a callout asks for recipients of our domain only
    assert all(rcpt.lower().endswith("@ours.test") for rcpt in primary.rcpts())


def test_p6_configured_primary_takes_the_place_of_the_mx(lab):
    """With `primary` the callouts go there, and the MX is only probed."""
    public = lab.primary("split.test", recipients=dict(VALID))
    inner = lab.server("inner.split.test", recipients=dict(VALID))
    daemon = lab.daemon({'domain "split.test"': {
        "primary": ["[%s]:%d" % (inner.address, inner.port)]}})
    daemon.wait_for_state("split.test", "up")
    learn(daemon, "alice@split.test")
    assert "alice@split.test" in inner.rcpts()
    assert not public.rcpts()


# -- P7: our own failure loses nothing

def test_p7_a_destroyed_memory_is_set_aside(lab):
    server = lab.primary("own.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["own.test"])
    daemon.wait_for_state("own.test", "up")
    learn(daemon, "control@own.test", "alice@own.test", "nobody@own.test")
    server.stop()
    daemon.wait_for_state("own.test", "down")
    daemon.stop()
    databases = [path for path in glob.glob(daemon.state_dir + "/**/*", recursive=True)
                 if os.path.isfile(path) and os.path.getsize(path) > 4096]
    assert databases
    for path in databases:
        with open(path, "r+b") as file:
            file.write(os.urandom(os.path.getsize(path)))
    mark = daemon.mark()
    daemon.start()
    assert daemon.log_lines(r" error: ", mark), "said nothing about the damage"
    daemon.wait_for_state("own.test", "down")
    for local in ("alice", "nobody", "new"):
        reply = daemon.milter().rcpt("<%s@own.test>" % local)
        assert reply.action == "continue" or 400 <= reply.code < 500, (local, reply)
    # it works again, with what is learned from now on
    server.start()
    daemon.wait_for_state("own.test", "up")
    learn(daemon, "alice@own.test")
    # the damaged file is still there for whoever wants to look at it
    assert len(os.listdir(daemon.state_dir)) > 1


@pytest.mark.parametrize("size", [0, 100, 4096, 8192])
def test_p7_a_cut_off_memory_is_survived(lab, size):
    server = lab.primary("own.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["own.test"])
    daemon.wait_for_state("own.test", "up")
    learn(daemon, "control@own.test", "nobody@own.test")
    server.stop()
    daemon.wait_for_state("own.test", "down")
    daemon.stop()
    for path in glob.glob(daemon.state_dir + "/**/*", recursive=True):
        if os.path.isfile(path) and os.path.getsize(path) > 8192:
            os.truncate(path, size)
    daemon.start()
    daemon.wait_for_state("own.test", ("down", "unknown"))
    for local in ("alice", "nobody", "new"):
        reply = daemon.milter().rcpt("<%s@own.test>" % local)
        assert reply.action == "continue" or 400 <= reply.code < 500, (local, reply)


def test_p7_a_full_disk_stops_learning_not_answering(lab):
    server = lab.primary("full.test", recipients={"u%d" % n: "250 ok" for n in range(200)})
    # A limit on file size gives EFBIG where a full disk gives ENOSPC, once the signal that comes
    # with it is ignored: a full disk sends none.
    daemon = lab.daemon(domains=["full.test"], ignore_signals=[signal.SIGXFSZ])
    daemon.wait_for_state("full.test", "up")
    learn(daemon, "u0@full.test")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with daemon.milter().connect(client="198.51.100.5", name=None) as session:
        for number in range(1, 200):
            result = session.message("<a@b.test>", ["<u%d@full.test>" % number],
                                     stop_after_rcpt=True)
            assert result.replies[0].code == 451
    time.sleep(2)
    daemon.check_alive()
    server.stop()
    daemon.wait_for_state("full.test", "down")
    assert daemon.milter().rcpt("<u0@full.test>").action == "continue"
    for number in range(1, 200):
        reply = daemon.milter().rcpt("<u%d@full.test>" % number)
        assert reply.action == "continue" or reply.code == 451
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_p7_the_state_folder_is_gone(lab):
    server = lab.primary("gone.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["gone.test"])
    daemon.wait_for_state("gone.test", "up")
    learn(daemon, "alice@gone.test")
    shutil.rmtree(daemon.state_dir)
    daemon.milter().rcpt("<bob@gone.test>", client="198.51.100.77", name=None)
    server.stop()
    daemon.wait_for_state("gone.test", "down")
    for local in ("alice", "bob", "new"):
        reply = daemon.milter().rcpt("<%s@gone.test>" % local)
        assert reply.action == "continue" or reply.code == 451, (local, reply)
    os.makedirs(daemon.state_dir, exist_ok=True)


def test_p7_a_dead_resolver(lab):
    """No DNS at all from the start, and a stranger asks: 4xx, in time."""
    lab.primary("deaf.test", recipients=dict(VALID))
    lab.dns.fail_all("SILENCE")
    daemon = lab.daemon(domains=["deaf.test"])
    for _ in range(3):
        reply = daemon.milter().rcpt("<alice@deaf.test>")
        assert (reply.code, reply.xcode) == (451, "4.4.1")
        assert reply.seconds < 6
    lab.dns.fail_all(None)


def test_p7_a_client_that_breaks_the_milter_protocol(lab):
    """Bytes that are no milter protocol end that connection and nothing else."""
    server = lab.primary("proto.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["proto.test"])
    daemon.wait_for_state("proto.test", "up")
    learn(daemon, "alice@proto.test")
    server.stop()
    daemon.wait_for_state("proto.test", "down")
    for junk in (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 1000, b"\0\0\0\1Q",
                 b"\0\0\0\5R<a>\0", b"\0\0\0\x0dO" + b"\0" * 12, b"\x7f\xff\xff\xffO"):
        sock = daemon.milter().open_socket()
        sock.sendall(junk)
        sock.close()
    for stop_at in ("connect", "mail", "rcpt", "headers"):
        session = daemon.milter().connect()
        if stop_at != "connect":
            session.mail("<a@b.test>")
        if stop_at in ("rcpt", "headers"):
            session.rcpt("<alice@proto.test>")
        if stop_at == "headers":
            session.step(b"L", b"Subject\0no end of message\0")
        session.sock.close()                    # the MTA's process died
    daemon.check_alive()
    assert daemon.milter().rcpt("<alice@proto.test>").action == "continue"


# -- P8: who has nobody better is never told to go to the primary

P8_DOMAINS = {
    # name: (MX entries, is `primary` configured?)
    "best": ([(10, OUR_NAME), (20, "mx1.{d}")], False),
    "best-primary": ([(10, OUR_NAME), (20, "mx1.{d}")], True),
    "only": ([(10, OUR_NAME)], False),
    "only-primary": ([(10, OUR_NAME)], True),
    "equal": ([(10, OUR_NAME), (10, "mx1.{d}")], False),
    "equal-primary": ([(10, OUR_NAME), (10, "mx1.{d}")], True),
    "unlisted": ([(10, "mx1.{d}"), (20, "mx9.{d}")], False),
    "unlisted-primary": ([(10, "mx1.{d}"), (20, "mx9.{d}")], True),
    "implicit": ([], False),
    "implicit-primary": ([], True),
    "nullmx": ([(0, ".")], False),
    "nullmx-primary": ([(0, ".")], True),
    # the better MX's name isn't ours, but its address is
    "self-by-interface": ([(10, "alias.{d}"), (20, OUR_NAME), (30, "mx1.{d}")], False),
    "self-by-interface-primary": ([(10, "alias.{d}"), (20, OUR_NAME), (30, "mx1.{d}")], True),
    "self-by-nat": ([(10, "nat.{d}"), (20, OUR_NAME)], False),
    "self-by-nat-primary": ([(10, "nat.{d}"), (20, OUR_NAME)], True),
    # listed twice: our lowest preference counts
    "twice": ([(10, OUR_NAME), (15, "mx1.{d}"), (20, "mx2b.example.net")], False),
    "twice-primary": ([(10, OUR_NAME), (15, "mx1.{d}"), (20, "mx2b.example.net")], True),
    "upper-case": ([(10, "MX2.Example.NET"), (20, "mx1.{d}")], True),
}
NAT_ADDRESS = "127.99.0.1"


@pytest.fixture(scope="module")
def p8(module_lab):
    lab = module_lab
    sections, servers = {}, {}
    for name, (entries, with_primary) in P8_DOMAINS.items():
        domain = "p8-%s.test" % name
        servers[domain] = lab.server("mx1." + domain, recipients=dict(VALID))
        lab.dns.set(domain, "A", [servers[domain].address])
        lab.dns.host("mx9." + domain, servers[domain].address)
        lab.dns.host("alias." + domain, "127.0.0.1")
        lab.dns.host("nat." + domain, NAT_ADDRESS)
        if entries:
            lab.dns.mx(domain, *[(p, host.format(d=domain)) for p, host in entries])
        sections['domain "%s"' % domain] = {}
        if with_primary:
            sections['domain "%s"' % domain]["primary"] = [
                "[%s]:%d" % (servers[domain].address, lab.port)]
    lab.dns.host("mx2b.example.net", "192.0.2.251")
    daemon = lab.daemon({"milter": {"my_names": [OUR_NAME, "mx2b.example.net"],
                                    "my_addresses": [NAT_ADDRESS]}}, sections)
    for name, (_, with_primary) in P8_DOMAINS.items():
        daemon.wait_for_state("p8-%s.test" % name, "up" if with_primary else "not-backup", 15)
    return daemon, servers


@pytest.mark.parametrize("name", sorted(n for n, (_, p) in P8_DOMAINS.items() if not p))
def test_p8_without_a_primary_we_stay_out_of_it(p8, name):
    daemon, servers = p8
    domain = "p8-%s.test" % name
    mark = daemon.mark()
    for rcpt in ("alice", "nobody"):
        for _ in range(2):
            assert daemon.milter().rcpt("<%s@%s>" % (rcpt, domain)).action == "continue"
    daemon.wait_for_log(r"reason=not-backup row=2 .* domain=%s " % domain, 5, mark)
    assert not servers[domain].sessions, "probed although it is no primary"
    assert len(daemon.log_lines(r" warning: .*%s" % domain)) == 1


@pytest.mark.parametrize("name", sorted(n for n, (_, p) in P8_DOMAINS.items() if p))
def test_p8_with_a_primary_nobody_is_sent_there(p8, name):
    daemon, _ = p8
    domain = "p8-%s.test" % name
    learn(daemon, "control@" + domain, client="198.51.100.88")
    mark = daemon.mark()
    # validation goes on: an unknown one is asked in line, an invented one refused
    assert daemon.milter().rcpt("<alice@%s>" % domain).action == "continue"
    assert daemon.milter().rcpt("<nobody@%s>" % domain).code == 550
    daemon.wait_for_log(r"action=accept reason=no-better-mx row=8 .* domain=%s " % domain, 5, mark)
    daemon.no_log(r"xcode=4\.3\.2 .* domain=%s " % domain)


def test_p8_better_mx_is_down_but_the_configured_primary_is_up(lab):
    """A sender can't reach the inner host we deliver to: it must not be sent away."""
    public = lab.primary("split.test")
    inner = lab.server("inner.split.test", recipients=dict(VALID))
    daemon = lab.daemon({'domain "split.test"': {"primary": ["[%s]:%d" % (inner.address,
                                                                         inner.port)]}})
    daemon.wait_for_state("split.test", "up")
    eventually(lambda: daemon.milter().rcpt("<new@split.test>").xcode == "4.3.2", 10,
               "both are up: go there")
    learn(daemon, "alice@split.test")
    public.stop()
    eventually(lambda: daemon.milter().rcpt("<alice@split.test>").action == "continue", 25,
               pause=0.2)
    daemon.wait_for_log(r"reason=no-better-mx row=8 ", 5)
    assert daemon.status("split.test")["state"] == "up"


def test_p8_dns_that_never_answered(lab):
    """A senders' set that was never learned counts as not up."""
    inner = lab.server("inner.blind.test", recipients=dict(VALID))
    lab.primary("blind.test", recipients=dict(VALID))
    for fault, domain in (("SILENCE", "blind.test"), ("SERVFAIL", "blind2.test")):
        lab.dns.fail(domain, fault)
    daemon = lab.daemon({
        'domain "blind.test"': {"primary": ["[%s]:%d" % (inner.address, inner.port)]},
        'domain "blind2.test"': {}})
    daemon.wait_for_state("blind.test", "up")
    for _ in range(3):
        reply = daemon.milter().rcpt("<alice@blind.test>")
        assert reply.action == "continue" or reply.xcode == "4.1.1", reply
        reply = daemon.milter().rcpt("<alice@blind2.test>")
        assert (reply.code, reply.xcode) == (451, "4.4.1")
        assert reply.seconds < 6
        time.sleep(0.7)
    daemon.no_log(r"xcode=4\.3\.2")
    eventually(lambda: daemon.status("blind2.test")["reason"] == "dns-fail", 10)


def test_p8_an_endpoint_that_greets_with_our_name_is_us(lab):
    """loop: never a primary, so nobody is sent there and nothing is asked of it."""
    server = lab.primary("mirror.test", banner="220 %s ESMTP" % OUR_NAME)
    daemon = lab.daemon(domains=["mirror.test"])
    daemon.wait_for_state("mirror.test", "not-backup")
    assert daemon.status("mirror.test")["endpoints"][0]["reason"] == "loop"
    assert daemon.milter().rcpt("<alice@mirror.test>").action == "continue"
    assert not server.rcpts()


# -- DNS failures keep the last good set

@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENCE", "REFUSED", "GARBAGE", "NXDOMAIN",
                                   "NODATA"])
def test_last_good_set_survives_dns_failure_and_restart(lab, fault):
    """Broken DNS changes nothing; NXDOMAIN and no data must hold for dns_grace (1 h)."""
    primary = lab.primary("lastgood.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["lastgood.test"])
    daemon.wait_for_state("lastgood.test", "up")
    learn(daemon, "alice@lastgood.test")
    assert daemon.milter().rcpt("<alice@lastgood.test>").xcode == "4.3.2"
    time.sleep(1.2)
    for name in ("lastgood.test", "mx1.lastgood.test"):
        lab.dns.fail(name, fault)
    for crash in (False, True):
        daemon.restart(crash)
        primary.forget()
        primary.wait_for_sessions(2, 8)         # it is still probed
        daemon.wait_for_state("lastgood.test", "up")
        assert daemon.milter().rcpt("<alice@lastgood.test>").xcode == "4.3.2"
    primary.stop()
    daemon.wait_for_state("lastgood.test", "down")
    assert daemon.milter().rcpt("<alice@lastgood.test>").action == "continue"
