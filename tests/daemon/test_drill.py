# SPDX-License-Identifier: BSD-2-Clause
#
# The daemon's side of fire drills (DESIGN section 10; include/control/drill.h): the one message
# with a token sees its domain down, and no exemption; it is tagged, held if that was asked for, and
# leaves no trace in what is counted. Whatever isn't that message is treated as if there were no
# drill.

import contextlib
import os
import re
import time

import pytest

from peers.daemon import is_sanitized
from peers.http_client import Metrics
from peers.loglines import fields
from peers.milter_client import ACT_ALL, ACT_QUARANTINE
from peers.waiting import eventually

OK, NO, USAGE = 0, 1, 2
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
PEOPLE = {"alice": "250 ok", "bob": "250 ok"}
NOBODY = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"
DOMAIN, ALICE, BOB = "drill.test", "alice@drill.test", "bob@drill.test"
OURS = {"client": "127.0.0.1", "name": "localhost"}         # exempt by default
TAG = "Backup-MX-Status"


class World:
    """A domain whose primary is up, and knows alice and bob but nobody else."""

    def __init__(self, lab, *ini, start=None, **more):
        self.primary = lab.primary(DOMAIN, recipients=dict(PEOPLE), other_recipients=NOBODY)
        self.daemon = (start or lab.daemon)(*ini, domains=[DOMAIN], **more)
        self.daemon.wait_for_state(DOMAIN, "up", 20)
        self.daemon.learn(ALICE, BOB, "nobody@drill.test")

    def begin(self, recipient=ALICE, hold=False, **more):
        answer = self.daemon.ask("drill", domain=DOMAIN, recipient=recipient, hold=hold, **more)
        assert answer["exit"] == OK, answer
        return answer["result"]

    def result(self, token):
        answer = self.daemon.ask("drill_result", token=token)
        assert answer["exit"] == OK, answer
        return answer["result"]

    def end(self, token, result="fail", code=OK):
        answer = self.daemon.ask("drill_end", token=token, result=result)
        assert answer["exit"] == code, answer
        return answer.get("result", answer.get("error"))

    def send(self, token=None, rcpts=(ALICE,), mail_from="<>", profile="postfix", envid=None,
             actions=ACT_ALL, **more):
        if token:
            more["mail_args"] = ("SIZE=300", envid or "ENVID=drill-" + token, "BODY=7BIT")
        return self.daemon.milter(profile, actions=actions).send_message(
            mail_from=mail_from, rcpts=["<%s>" % rcpt for rcpt in rcpts], **{**OURS, **more})

    def metric(self, name="last_drill_timestamp_seconds", **labels):
        return Metrics(self.daemon.ctl("metrics")[1]).value(name, **labels)

    def stranger_is_sent_on(self):
        reply = self.daemon.milter().rcpt("<%s>" % ALICE)
        return (reply.code, reply.xcode) == (451, "4.3.2")


@pytest.fixture(scope="module")
def world(module_lab):
    return World(module_lab)


def tag_of(result):
    tag, = result.header_values(TAG)
    return re.sub(r"\s+", " ", tag)


def is_ordinary(result):
    """As this host's own mail always is: nothing said, nothing changed."""
    return all(reply.action == "continue" for reply in result.replies) and \
        not result.modifications


# -- how it goes

@pytest.mark.parametrize("profile", ["postfix", "sendmail"])
@pytest.mark.parametrize("more", [{}, {"auth": "root"}])
def test_it_sees_an_outage_and_nobody_else_does(world, profile, more):
    mark = world.daemon.mark()
    given = world.begin()
    token = given["token"]
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert re.fullmatch(TIME, given["expires"])
    assert {key: given[key] for key in ("domain", "mode", "state", "tag", "hold")} == {
        "domain": DOMAIN, "mode": "enforce", "state": "up", "tag": True, "hold": False}
    waiting = world.result(token)
    assert waiting["state"] == "waiting" and waiting["recipient"] == ALICE
    assert all(waiting[key] is None for key in ("action", "row", "reason", "recipient_status", "id",
                                                "code", "xcode", "text", "tag", "queue_id",
                                                "ended"))
    assert world.stranger_is_sent_on() and is_ordinary(world.send())

    sent = world.send(token, profile=profile, headers=[(TAG, "forged"), ("Subject", "x")], **more)
    assert [reply.action for reply in sent.replies] == ["continue"]
    tag = tag_of(sent)
    assert tag.startswith("accepted; by=mx2.example.net; primary=down; recipients=valid; "
                          "reason=primary-down; client=[127.0.0.1]; id=")
    assert "since=" not in tag and not sent.of_kind("quarantine")
    line = world.daemon.wait_for_log(r" info: \S+: action=accept .* drill=yes$", 5, mark).string
    assert fields(line)["state"] == "down" and fields(line)["row"] == "5"

    seen = world.result(token)
    assert seen["tag"] == "%s: %s" % (TAG, tag)
    assert (seen["state"], seen["action"], seen["row"], seen["reason"]) == (
        "taken", "accept", 5, "primary-down")
    assert (seen["recipient_status"], seen["held"], seen["code"], seen["text"]) == (
        "valid", False, None, None)
    assert seen["id"] == fields(line)["id"] and re.fullmatch(r"\w{10,}", seen["queue_id"])
    assert (seen["token"], seen["domain"], seen["mode"], seen["hold"], seen["expires"]) == (
        token, DOMAIN, "enforce", False, given["expires"])
    ended = world.end(token, "pass")
    assert {**seen, "ended": "pass"} == ended
    line = world.daemon.wait_for_log(r" notice: drill: .*result=pass.*", 5, mark).string
    assert "drill: domain=%s result=pass recipient=<%s> queue_id=%s by=uid:" % (
        DOMAIN, ALICE, seen["queue_id"]) in line
    assert abs(world.metric() - time.time()) < 30
    world.daemon.no_log(token, mark)            # who reads the log has no token


@pytest.mark.parametrize("profile", ["postfix", "sendmail"])
def test_held(world, profile):
    token = world.begin(hold=True)["token"]
    sent = world.send(token, profile=profile)
    hold, = sent.of_kind("quarantine")
    assert hold.value == "backupmx drill" and "primary=down" in tag_of(sent)
    assert world.result(token)["held"] is True
    assert world.end(token, "pass")["held"] is True
    assert world.daemon.wait_for_log(r"drill: domain=\S+ result=pass .* held=yes by=uid:\d+$")


def test_an_mta_that_lets_nobody_hold(world):
    token = world.begin(hold=True)["token"]
    sent = world.send(token, actions=ACT_ALL & ~ACT_QUARANTINE)
    assert "primary=down" in tag_of(sent)
    seen = world.result(token)
    assert (seen["state"], seen["hold"], seen["held"]) == ("taken", True, False)
    world.end(token)


def test_what_is_negotiated_is_the_same_with_and_without(world):
    def negotiated():
        with world.daemon.milter().connect() as session:
            return session.negotiated_actions
    before = negotiated()
    token = world.begin(hold=True)["token"]
    assert before & ACT_QUARANTINE and negotiated() == before
    world.end(token)


@pytest.mark.parametrize("envid", ["envid=drill-%s", "EnvID=drill-%s", "ENVID=drill+2D%s",
                                   "ENVID=+64rill-%s"])
def test_as_xtext_and_in_any_case(world, envid):
    token = world.begin()["token"]
    assert "primary=down" in tag_of(world.send(token, envid=envid % token))
    world.end(token)


def test_the_recipient_in_other_words(world):
    token = world.begin("<alice@Drill.TEST.>")["token"]
    assert "primary=down" in tag_of(world.send(token, rcpts=["alice@DRILL.test"]))
    world.end(token)


@pytest.mark.parametrize("local,code,xcode,row,says", [
    ("new", 451, "4.4.1", 7, "unreachable"), ("nobody", 550, "5.1.1", 3, "no such user")])
def test_refused_as_in_an_outage(world, local, code, xcode, row, says):
    address = local + "@" + DOMAIN
    token = world.begin(address)["token"]
    reply, = world.send(token, rcpts=[address]).replies
    assert (reply.code, reply.xcode) == (code, xcode) and says in reply.text
    seen = world.result(token)
    assert (seen["state"], seen["code"], seen["xcode"], seen["row"]) == (
        "refused", code, xcode, row)
    assert seen["text"] == reply.text and seen["id"] == reply.message_id
    assert seen["tag"] is None and seen["held"] is False
    assert "can't have passed" in world.end(token, "pass", code=NO)
    assert world.end(token, "fail")["ended"] == "fail"
    assert world.daemon.wait_for_log(r" warning: drill: .*result=fail recipient=<%s> by=" % address)


def test_a_real_outage(lab):
    world = World(lab, {"milter": {"exempt_clients": []}})
    world.primary.stop()
    world.daemon.wait_for_state(DOMAIN, "down")
    given = world.begin()
    assert given["state"] == "down"
    tag = tag_of(world.send(given["token"]))
    assert "primary=down; recipients=valid" in tag      # and no since=, as in any drill
    stranger = world.daemon.milter().send_message(rcpts=["<%s>" % ALICE])
    assert "since=" in tag_of(stranger)
    world.end(given["token"])
    # the drill's mail isn't one that the outage brought
    eventually(lambda: world.daemon.ctl("--json", "report")[2]["totals"]["mails_taken"] == 1,
               10, lambda: world.daemon.ctl("--json", "report")[1])
    # the line of one that is deferred is never left out
    with world.daemon.milter().connect(**OURS) as session:
        for number in range(110):
            session.message("<>", ["<new%d@%s>" % (number, DOMAIN)])
    assert len(world.daemon.log_lines("action=defer")) < 110
    token = world.begin("new@" + DOMAIN)["token"]
    world.send(token, rcpts=["new@" + DOMAIN])
    assert world.daemon.wait_for_log(r"action=defer .* id=%s drill=yes$" % world.end(token)["id"])


def test_domains_that_are_not_configured(lab):
    """Learned from the MTA, and below a configured one."""
    for name in ("learned.test", "a.parent.test"):
        lab.primary(name, recipients={"alice": "250 ok"}, other_recipients=NOBODY)
    daemon = lab.daemon({"domains": {"domains_from_mta": True}, 'domain ".parent.test"': {}})
    for name in ("learned.test", "a.parent.test"):
        address = "alice@" + name
        daemon.milter().rcpt("<%s>" % address)
        daemon.wait_for_state(name, "up")
        daemon.learn(address)
        answer = daemon.ask("drill", domain=name, recipient=address)
        sent = daemon.milter().send_message(
            mail_from="<>", rcpts=["<%s>" % address],
            mail_args=["ENVID=drill-" + answer["result"]["token"]], **OURS)
        assert "primary=down; recipients=valid; reason=primary-down" in tag_of(sent)


# -- what is no drill

def test_once_only(world):
    token = world.begin()["token"]
    assert "primary=down" in tag_of(world.send(token))
    mark = world.daemon.mark()
    assert is_ordinary(world.send(token))
    line = world.daemon.wait_for_log(r" info: drill: refused=used .*", 5, mark).string
    assert "client=[127.0.0.1] domain=" + DOMAIN in line
    world.daemon.no_log("drill=yes", mark)
    assert world.result(token)["state"] == "taken"
    world.end(token)


def test_one_that_left_before_its_recipient_had_its_chance(world):
    token = world.begin()["token"]
    with world.daemon.milter().connect(**OURS) as session:
        session.mail("<>", ["ENVID=drill-" + token])
        session.rcpt("<%s>" % ALICE)
        session.abort()
        assert is_ordinary(session.message("<>", ["<%s>" % ALICE],
                                           mail_args=["ENVID=drill-" + token]))
        assert is_ordinary(session.message("<>", ["<%s>" % ALICE]))
    assert world.result(token)["state"] == "used"
    world.end(token)


def test_one_connection_and_other_mail_of_it(world):
    token = world.begin()["token"]
    with world.daemon.milter().connect(**OURS) as session:
        drill = session.message("<>", ["<%s>" % ALICE], mail_args=["ENVID=drill-" + token])
        after = session.message("<>", ["<%s>" % ALICE])
    assert "primary=down" in tag_of(drill) and is_ordinary(after)
    world.end(token)


def test_meanwhile(world):
    """While the message is under way: nobody else sees what it sees."""
    token = world.begin(hold=True)["token"]
    with world.daemon.milter().connect(**OURS) as session:
        session.mail("<>", ["ENVID=drill-" + token])
        eventually(lambda: world.result(token)["state"] == "used")
        assert world.stranger_is_sent_on() and is_ordinary(world.send())
        session.rcpt("<%s>" % ALICE)
        assert world.stranger_is_sent_on() and is_ordinary(world.send())
        assert world.daemon.explain(ALICE)["row"] == 10
        assert world.daemon.status(DOMAIN)["state"] == "up"
        session.abort()
    world.end(token)


@pytest.mark.parametrize("change,why", [
    ({"client": "192.0.2.7", "name": "client.example.org"}, "client"),
    ({"client": "2001:db8::7", "name": None}, "client"),
    ({"client": None, "name": None}, "client"),
    ({"mail_from": "<root@example.net>"}, "sender"),
])
def test_neither_a_stranger_nor_another_sender_uses_it_up(world, change, why):
    token = world.begin(hold=True)["token"]
    mark = world.daemon.mark()
    result = world.send(token, **change)
    assert not result.of_kind("quarantine") and not result.header_values(TAG)
    if why == "client":
        assert (result.replies[0].code, result.replies[0].xcode) == (451, "4.3.2")
    else:
        assert is_ordinary(result)
    world.daemon.wait_for_log(r"drill: refused=%s client=" % why, 5, mark)
    assert world.result(token)["state"] == "waiting"
    assert "primary=down" in tag_of(world.send(token))
    world.end(token)


@pytest.mark.parametrize("rcpts", [[BOB], [BOB, ALICE], ["alice@other.test"]])
def test_another_recipient(world, rcpts):
    token = world.begin(hold=True)["token"]
    mark = world.daemon.mark()
    assert is_ordinary(world.send(token, rcpts=rcpts))
    world.daemon.wait_for_log(r"drill: refused=recipient client=", 5, mark)
    world.daemon.no_log("drill=yes", mark)
    assert world.result(token)["state"] == "used"
    world.end(token)


def test_nobody_elses_mail_is_held(world):
    token = world.begin(hold=True)["token"]
    sent = world.send(token, rcpts=[ALICE, BOB])
    assert not sent.of_kind("quarantine") and "primary=down" in tag_of(sent)
    assert world.result(token)["held"] is False
    world.end(token)


@pytest.mark.parametrize("wrong", ["0" * 32, "", "x" * 32, "f" * 31, "f" * 33, "f" * 5000,
                                   "%s", "+00", "\x1b[2J"])
def test_tokens_of_nobody(world, wrong):
    token = world.begin()["token"]
    for envid in ("ENVID=drill-" + wrong, "ENVID=" + wrong, "ENVID=drill-" + token + wrong):
        if envid != "ENVID=drill-" + token:
            assert is_ordinary(world.send("-", envid=envid))
    assert world.result(token)["state"] == "waiting"
    assert world.daemon.ask("drill_result", token=wrong)["exit"] == NO
    assert world.daemon.ask("drill_end", token=wrong, result="fail")["exit"] == NO
    world.end(token)


def test_strangers_who_guess_fill_no_log(lab):
    daemon = lab.daemon()
    with daemon.milter().connect() as session:
        for number in range(60):
            session.message("<>", ["<a@b.test>"], mail_args=["ENVID=drill-%032x" % number])
    assert 20 <= len(daemon.log_lines("drill: refused=token")) < 30
    daemon.stop()
    assert daemon.log_lines("log: kind=drill left_out=")


# -- its end

def test_withdrawn_before(world):
    token = world.begin()["token"]
    assert world.end(token)["ended"] == "fail"
    mark = world.daemon.mark()
    assert is_ordinary(world.send(token))
    world.daemon.wait_for_log(r"drill: refused=ended ", 5, mark)
    assert "ended already" in world.end(token, code=NO)
    assert "ended already" in world.end(token, "pass", code=NO)


def test_withdrawn_on_the_way(world):
    """Between RCPT and the end of the message: nobody is there who would release it."""
    token = world.begin(hold=True)["token"]
    with world.daemon.milter().connect(**OURS) as session:
        session.mail("<>", ["ENVID=drill-" + token])
        assert session.rcpt("<%s>" % ALICE).action == "continue"
        assert world.end(token)["held"] is False
        result = type("Result", (), {"modifications": [], "working": [], "eom": None})()
        session.content([("Subject", "x")], b"x\r\n", result)
    assert result.eom.action == "continue"
    assert not [change for change in result.modifications if change.kind == "quarantine"]
    assert world.result(token)["held"] is False


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer and libfaketime can't go together")
def test_expired(lab, fast_daemon):
    world = World(lab, start=lambda *ini, **more: fast_daemon(60, *ini, **more))
    used, unused, kept = (world.begin()["token"] for _ in range(3))
    world.send(used)
    expired = r" warning: drill: domain=drill.test result=expired recipient=<%s>$" % ALICE
    eventually(lambda: len(world.daemon.log_lines(expired)) == 2, 20, "both that weren't used")
    assert world.result(kept)["state"] == "expired"
    mark = world.daemon.mark()
    assert is_ordinary(world.send(unused))
    world.daemon.wait_for_log(r"drill: refused=expired ", 5, mark)
    # one that went its way is known as such, until it is forgotten; nobody has ended it
    assert world.result(used)["state"] == "taken"
    world.daemon.wait_for_log(r" warning: drill: .* result=unfinished recipient=<%s> queue_id=\w+$"
                              % ALICE, 30, mark)
    assert world.daemon.ask("drill_result", token=used)["exit"] == NO
    assert len(world.daemon.log_lines("result=expired")) == 2
    assert len(world.daemon.log_lines("result=unfinished")) == 1


@pytest.mark.parametrize("crash", [False, True])
def test_restart(lab, crash):
    """When the last one passed is kept; what is under way isn't."""
    world = World(lab)
    assert world.metric() == 0
    failed, passed, cut_off = (world.begin(hold=True)["token"] for _ in range(3))
    world.end(failed)
    assert world.metric() == 0
    world.send(passed)
    world.end(passed, "pass")
    at = world.metric()
    assert abs(at - time.time()) < 30
    assert world.send(cut_off).of_kind("quarantine")
    mark = world.daemon.mark()
    world.daemon.restart(crash=crash)
    told = world.daemon.log_lines(r" warning: drill: .* result=unfinished recipient=<%s> "
                                  r"queue_id=\w+ held=yes$" % ALICE, mark)
    assert len(told) == (0 if crash else 1)
    assert world.metric() == at
    world.daemon.wait_for_state(DOMAIN, "up")
    assert world.daemon.ask("drill_result", token=cut_off)["exit"] == NO
    assert is_ordinary(world.send(cut_off))


def test_stopped_on_the_way(lab):
    """A daemon that stops under a drill's message holds nothing."""
    world = World(lab)
    token = world.begin(hold=True)["token"]
    with world.daemon.milter().connect(**OURS) as session:
        session.mail("<>", ["ENVID=drill-" + token])
        session.rcpt("<%s>" % ALICE)
        world.daemon.stop()
        with contextlib.suppress(AssertionError, OSError):
            assert not session.message("<>", ["<%s>" % ALICE]).modifications
    assert world.daemon.log_lines(r"result=unfinished")


# -- shadow mode

def test_shadow_changes_nothing_and_tells_all(lab):
    world = World(lab, {"milter": {"mode": "shadow"}})
    given = world.begin(hold=True)
    assert given["mode"] == "shadow" and given["tag"] is False
    assert is_ordinary(world.send(given["token"]))
    seen = world.result(given["token"])
    assert (seen["state"], seen["mode"], seen["action"], seen["row"]) == (
        "taken", "shadow", "accept", 5)
    assert seen["tag"] is None and seen["held"] is False
    world.daemon.wait_for_log(r"action=accept .* mode=shadow id=\w+ drill=yes$")
    world.end(given["token"], "pass")
    # what it would have deferred, it says, and lets it go on
    token = world.begin("new@" + DOMAIN)["token"]
    assert is_ordinary(world.send(token, rcpts=["new@" + DOMAIN]))
    seen = world.result(token)
    assert (seen["state"], seen["action"], seen["code"], seen["xcode"]) == (
        "taken", "defer", 451, "4.4.1")
    assert "unreachable" in seen["text"]
    world.end(token)


def test_a_domain_without_tags(lab):
    world = World(lab, {"policy": {"tag": False}})
    given = world.begin()
    assert given["tag"] is False
    sent = world.send(given["token"])
    assert not sent.modifications and world.result(given["token"])["tag"] is None


# -- it leaves no trace

def test_it_counts_for_nothing(lab):
    # nobody is exempt, or explain would not tell how often it came
    world = World(lab, {"milter": {"exempt_clients": []},
                        "policy": {"persistent_attempts": 2, "persistent_after": "1s"}})

    def counted():
        metrics = Metrics(world.daemon.ctl("metrics")[1])
        status = world.daemon.status(DOMAIN)
        shown = world.daemon.explain(ALICE, "--client", "127.0.0.1", "--from", "<>")
        return (metrics.decisions(), metrics.series("recipient_lookups_total"),
                status["counters"], status["recipients"], shown["inputs"]["attempts"])

    before = counted()
    for address in (ALICE, ALICE, ALICE, "nobody@" + DOMAIN):
        token = world.begin(address)["token"]
        world.send(token, rcpts=[address])
        assert world.end(token)["action"] in ("accept", "reject")
        time.sleep(0.6)                         # further apart than attempts have to be
    assert counted() == before
    # an ordinary one does count
    for _ in range(2):
        time.sleep(0.6)
        world.daemon.milter().send_message(rcpts=["<%s>" % ALICE])
    after = counted()
    assert all(one != other for one, other in zip(after[:3], before[:3])), after


# -- who may ask for what

@pytest.mark.parametrize("request_,code,says", [
    ({}, USAGE, "a domain and a recipient"),
    ({"domain": DOMAIN}, USAGE, "a domain and a recipient"),
    ({"recipient": ALICE}, USAGE, "a domain and a recipient"),
    ({"domain": 7, "recipient": ALICE}, USAGE, "a domain and a recipient"),
    ({"domain": DOMAIN, "recipient": ALICE, "hold": "yes"}, USAGE, "true or false"),
    ({"domain": "no domain", "recipient": ALICE}, USAGE, "no domain name"),
    ({"domain": DOMAIN, "recipient": "alice"}, USAGE, "USER@DOMAIN"),
    ({"domain": DOMAIN, "recipient": "<>"}, USAGE, "USER@DOMAIN"),
    ({"domain": DOMAIN, "recipient": "al ice@drill.test"}, USAGE, "USER@DOMAIN"),
    ({"domain": DOMAIN, "recipient": "x" * 5000 + "@drill.test"}, USAGE, "USER@DOMAIN"),
    ({"domain": DOMAIN, "recipient": "alice@other.test"}, USAGE, "not of that domain"),
    ({"domain": "foreign.test", "recipient": "a@foreign.test"}, NO,
     'foreign.test is no domain of ours yet: write [domain "foreign.test"] at the end'),
])
def test_bad_requests(world, request_, code, says):
    mark = world.daemon.mark()
    answer = world.daemon.ask("drill", **request_)
    assert answer["exit"] == code and says in answer["error"]
    world.daemon.no_log("drill:", mark)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_for_root_and_the_daemons_user(world, monkeypatch):
    token = world.begin()["token"]
    monkeypatch.chdir(world.daemon.folder)      # those above let nobody else through
    monkeypatch.setattr(world.daemon, "control_socket", "control.sock")
    os.chmod("control.sock", 0o666)
    os.seteuid(65534)
    try:
        answers = [world.daemon.ask("version"), world.daemon.ask("drill_result", token=token),
                   world.daemon.ask("drill", domain=DOMAIN, recipient=ALICE),
                   world.daemon.ask("drill_end", token=token, result="fail")]
    finally:
        os.seteuid(0)
        os.chmod("control.sock", 0o660)
    assert [answer["exit"] for answer in answers] == [OK, NO, NO, NO]
    assert all("run it as root" in answer["error"] for answer in answers[1:])
    assert world.end(token)["ended"] == "fail"


def test_bad_ends(world):
    token = world.begin()["token"]
    for wrong in ({}, {"result": "PASS"}, {"result": True}):
        answer = world.daemon.ask("drill_end", token=token, **wrong)
        assert answer["exit"] == USAGE and '"pass" or "fail"' in answer["error"]
    assert "can't have passed" in world.end(token, "pass", code=NO)
    assert world.result(token)["state"] == "waiting"
    world.end(token)


def test_where_nobody_could_be_sent(lab):
    lab.dns.mx("alone.test", (10, "mx2.example.net"))
    daemon = lab.daemon(domains=["alone.test"])
    daemon.wait_for_state("alone.test", "not-backup")
    answer = daemon.ask("drill", domain="alone.test", recipient="a@alone.test")
    assert answer["exit"] == NO and "not-backup" in answer["error"]


def test_no_more_than_sixteen(lab):
    world = World(lab)
    tokens = [world.begin()["token"] for _ in range(16)]
    assert len(set(tokens)) == 16
    answer = world.daemon.ask("drill", domain=DOMAIN, recipient=ALICE)
    assert answer["exit"] == NO and "16 drills are under way" in answer["error"]
    world.end(tokens[5])
    fresh = world.begin()["token"]              # in the place of the one that has ended
    assert world.daemon.ask("drill_result", token=tokens[5])["exit"] == NO
    assert "primary=down" in tag_of(world.send(fresh))
    assert "primary=down" in tag_of(world.send(tokens[0]))
