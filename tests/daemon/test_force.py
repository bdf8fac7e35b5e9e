# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl force (DESIGN sections 3, 5, 8): an administrator's word replaces what the probes say,
# for a limited time, everywhere a state counts, and nothing else: not the MX records, not the
# endpoints, not what the history sees. What was taken meanwhile is flushed when it ends.

import json
import os
import re
import socket
import time

import pytest

from peers.daemon import make_older
from peers.loglines import fields
from peers.waiting import eventually

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
OK, NO, USAGE = 0, 1, 2
PEOPLE = {"alice": "250 ok", "bob": "250 ok", "carol": "250 ok"}
NOBODY = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"


def seconds_until(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())


class World:
    """One domain, its primary, and an MTA that is told to flush."""

    def __init__(self, lab, domain="force.test", *ini, **more):
        self.lab, self.domain = lab, domain
        self.primary = lab.primary(domain, recipients=dict(PEOPLE))
        self.mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
        more.setdefault("domains", [domain])
        self.daemon = lab.daemon({"flush": {"method": "etrn", "mta": "%s:%d" % (
            self.mta.address, self.mta.port)}}, *ini, **more)
        if domain in more["domains"]:
            self.daemon.wait_for_state(domain, "up")
            self.daemon.learn("alice@" + domain)

    def force(self, *arguments, code=OK):
        mark = self.daemon.mark()
        got, out, parsed = self.daemon.ctl("--json", "force", self.domain, *arguments)
        assert got == code, out
        return parsed, mark

    def rcpt(self, local="alice", **more):
        return self.daemon.milter().rcpt("<%s@%s>" % (local, self.domain), **more)

    def take(self):
        result = self.daemon.milter().send_message(rcpts=["<alice@%s>" % self.domain])
        assert result.replies[0].action == "continue"
        return result

    def etrns(self):
        return [line for session in self.mta.sessions for line in session.lines
                if line.upper().startswith("ETRN")]

    def status(self):
        return self.daemon.status(self.domain)

    def endpoint_state(self):
        return self.status()["endpoints"][0]["state"]

    def seen(self, state):
        eventually(lambda: self.endpoint_state() == state, 10)
        time.sleep(0.2)


def test_down_up_auto(lab):
    world = World(lab)
    nobody = world.rcpt("nobody")
    assert (nobody.code, nobody.xcode) == (451, "4.3.2")
    assert (world.rcpt().code, world.rcpt().xcode) == (451, "4.3.2")
    world.daemon.learn("nobody@force.test")

    parsed, mark = world.force("down")
    assert parsed["domain"] == "force.test" and parsed["state"] == "forced-down"
    assert parsed["seen"] == "up"
    assert 3590 < seconds_until(parsed["forced_until"]) <= 3600
    status = world.status()
    assert status["state"] == "forced-down"
    assert status["forced_until"] == parsed["forced_until"]
    assert re.fullmatch(TIME, status["since"])
    assert world.daemon.ctl("status", "force.test")[0] == NO
    line = world.daemon.wait_for_log(r" notice: force: .*", 5, mark).string
    assert "force: domain=force.test state=forced-down until=%s by=uid:%d" % (
        parsed["forced_until"], os.getuid()) in line
    line = world.daemon.wait_for_log(r" notice: health: .*", 5, mark).string
    health = fields(line)
    assert (health["state"], health["was"], health["reason"], health["seen"]) == (
        "forced-down", "up", "ok", "up")

    # rows 5, 7, 3 of the table; the log, the tag and explain say it
    mark = world.daemon.mark()
    result = world.take()
    tag, = result.header_values("Backup-MX-Status")
    assert "primary=forced-down;" in tag and "reason=primary-down;" in tag
    assert "since=%s" % status["since"] in re.sub(r"\s+", " ", tag)
    line = world.daemon.wait_for_log(r"action=accept .*row=5 .*", 5, mark).string
    assert "state=forced-down" in line
    new = world.rcpt("new")
    assert (new.code, new.xcode) == (451, "4.4.1")
    assert world.rcpt("nobody").code == 550
    shown = world.daemon.explain("alice@force.test")
    assert (shown["row"], shown["state"], shown["inputs"]["state"]) == (
        5, "forced-down", "forced-down")
    # a stranger to the primary isn't asked for while it is said to be down
    time.sleep(1)
    assert "new@force.test" not in world.primary.rcpts()

    parsed, mark = world.force("up", "--for", "2h")
    assert parsed["state"] == "forced-up"
    assert 7190 < seconds_until(parsed["forced_until"]) <= 7200
    assert world.daemon.ctl("status", "force.test")[0] == OK
    reply = world.rcpt()
    assert (reply.code, reply.xcode) == (451, "4.3.2")
    assert fields(world.daemon.wait_for_log(r"health: .*", 5, mark).string)["was"] == "forced-down"

    parsed, mark = world.force("auto")
    assert parsed["state"] == "up" and parsed["forced_until"] is None
    status = world.status()
    assert (status["state"], status["forced_until"]) == ("up", None)
    assert status["recovering"] is False        # it was never away
    line = world.daemon.wait_for_log(r" notice: force: .*", 5, mark).string
    assert "force: domain=force.test state=auto by=uid:%d" % os.getuid() in line
    health = fields(world.daemon.wait_for_log(r"health: .*", 5, mark).string)
    assert (health["state"], health["was"]) == ("up", "forced-up") and "seen" not in health
    assert world.rcpt().xcode == "4.3.2"
    # nothing was forced: nothing changes, nothing is said
    _, mark = world.force("auto")
    world.daemon.no_log("force:|health:", mark)


def test_it_ends_by_itself(lab):
    world = World(lab)
    parsed, mark = world.force("down", "--for", "2")
    assert seconds_until(parsed["forced_until"]) <= 2
    assert world.rcpt().action == "continue"
    world.daemon.wait_for_log(r"force: domain=force\.test state=auto reason=expired", 10, mark)
    assert world.status()["state"] == "up" and world.status()["forced_until"] is None
    assert world.rcpt().xcode == "4.3.2"
    # said again it begins anew
    world.force("down", "--for", "2s")
    since = world.status()["since"]
    time.sleep(1.1)
    parsed, mark = world.force("down", "--for", "1h")
    assert seconds_until(parsed["forced_until"]) > 3590
    world.daemon.no_log("health:", mark)
    time.sleep(1.1)
    status = world.status()
    assert (status["state"], status["since"]) == ("forced-down", since)


@pytest.mark.parametrize("arguments,code,says", [
    (["force.test"], USAGE, "usage"),
    (["force.test", "sideways"], USAGE, "up, down or auto"),
    (["force.test", "down", "--for", "0"], USAGE, "1s to 30d"),
    (["force.test", "down", "--for", "31d"], USAGE, "1s to 30d"),
    (["force.test", "down", "--for", "soon"], USAGE, "1s to 30d"),
    (["force.test", "down", "--for", "-5"], USAGE, "1s to 30d"),
    (["force.test", "down", "--for", "99999999999999999999"], USAGE, "1s to 30d"),
    (["force.test", "auto", "--for", "1h"], USAGE, "no time limit"),
    (["force.test", "down", "--until", "1h"], USAGE, "usage"),
    (["force.test", "down", "up"], USAGE, "usage"),
    (["foreign.test", "down"], NO, "no domain of ours"),
    (["not a domain", "down"], USAGE, "no domain name"),
    (["alone.test", "down"], NO, "not-backup"),
])
def test_what_it_does_not_take(refusing, arguments, code, says):
    mark = refusing.mark()
    got, _, parsed = refusing.ctl("--json", "force", *arguments)
    assert got == code and says in parsed["error"], parsed
    assert refusing.status("force.test")["forced_until"] is None
    refusing.no_log("force:", mark)


def test_a_duration_that_is_no_string(refusing):
    """A client of its own may send sixty; it is not to mean an hour."""
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as answers:
        sock.connect(refusing.control_socket)
        sock.sendall(b'{"command":"force","domain":"force.test","state":"down","for":60}\n')
        answer = json.loads(answers.readline())
    assert answer["exit"] == USAGE and '"for" is a string' in answer["error"]
    assert refusing.status("force.test")["forced_until"] is None


@pytest.fixture(scope="module")
def refusing(module_lab):
    module_lab.primary("force.test", recipients=dict(PEOPLE))
    module_lab.dns.mx("alone.test", (10, "mx2.example.net"))
    daemon = module_lab.daemon(domains=["force.test", "alone.test"])
    daemon.wait_for_state("force.test", "up")
    daemon.wait_for_state("alone.test", "not-backup")
    return daemon


def test_for_people(refusing):
    code, out, _ = refusing.ctl("force", "force.test", "down", "--for", "5m")
    assert code == OK and "forced-down until 20" in out and "force.test auto" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = refusing.ctl("force", "force.test", "auto")
    assert code == OK and "is up, as the probes say" in out
    code, out, _ = refusing.ctl("force", "--help")
    assert code == OK and "up to 30d" in out


def test_up_while_down(lab):
    """P8: it replaces the probe, not the MX records; and nobody is asked who isn't there."""
    alone = lab.server("mx1.configured.test", recipients=dict(PEOPLE))
    lab.dns.mx("configured.test", (10, "mx2.example.net"))
    world = World(lab, "force.test",
                  {'domain "configured.test"': {"primary": ["mx1.configured.test"]}})
    world.daemon.wait_for_state("configured.test", "up")
    world.daemon.learn("alice@configured.test")
    world.primary.stop()
    alone.stop()
    for domain in ("force.test", "configured.test"):
        world.daemon.wait_for_state(domain, "down")
    parsed, mark = world.force("up")
    assert (parsed["state"], parsed["seen"]) == ("forced-up", "down")
    assert fields(world.daemon.wait_for_log(r"health: .*", 5, mark).string)["seen"] == "down"
    shown = world.daemon.explain("alice@force.test")
    assert (shown["row"], shown["inputs"]["senders_up"]) == (10, True)
    assert world.rcpt().xcode == "4.3.2"
    assert world.endpoint_state() == "down"

    # no better public MX: nobody is sent there. Who isn't known can't be asked for either
    assert world.daemon.ctl("force", "configured.test", "up")[0] == OK
    shown = world.daemon.explain("alice@configured.test")
    assert (shown["row"], shown["reason"]) == (8, "no-better-mx")
    result = world.daemon.milter().send_message(rcpts=["<alice@configured.test>"])
    assert result.replies[0].action == "continue"
    new = world.daemon.milter().rcpt("<new@configured.test>")
    assert (new.code, new.xcode) == (450, "4.1.1") and new.seconds < 1
    # that mail waits until the primary is really there
    assert world.daemon.ctl("flush", "configured.test")[0] == OK
    assert world.daemon.status("configured.test")["counters"]["mails_since_down"] == 1
    world.mta.forget()
    alone.start()
    world.daemon.wait_for_log(r"health: domain=configured\.test state=forced-up was=forced-up "
                              r"reason=ok .*seen=up", 10, mark)
    eventually(lambda: world.etrns()[:1] == ["ETRN configured.test"], 10)
    assert world.daemon.status("configured.test")["state"] == "forced-up"
    # and the one who isn't known is asked for, now that somebody is there
    assert world.daemon.milter().rcpt("<bob@configured.test>").action == "continue"


def test_mail_taken_while_forced_down_is_flushed_at_its_end(lab):
    world = World(lab, "force.test", {"policy": {"recovery_grace": "1h"}})
    world.force("down")
    for _ in range(2):
        world.take()
    # the primary goes and comes back: still nothing is flushed
    world.primary.stop()
    world.seen("down")
    mark = world.daemon.mark()
    world.primary.start()
    world.daemon.wait_for_log(r"health: domain=force\.test state=forced-down was=forced-down .*"
                              r"seen=up", 10, mark)
    time.sleep(1.5)
    assert world.etrns() == []
    assert world.status()["counters"]["mails_since_down"] == 2
    _, mark = world.force("auto")
    world.daemon.wait_for_log(r"flush: domain=force\.test method=etrn reply=250 mails=2", 5, mark)
    # it was away in truth as well: senders keep away for a while yet
    assert world.status()["recovering"] is True
    assert world.etrns() == ["ETRN force.test"]


def test_forced_down_again_soon_after_a_flush(lab):
    world = World(lab)
    world.force("down")
    world.take()
    world.force("up")
    eventually(lambda: world.etrns() == ["ETRN force.test"], 5)
    # what was flushed so lately may have been refused: again, though nothing new was taken
    world.force("down")
    world.force("auto")
    eventually(lambda: world.etrns() == ["ETRN force.test"] * 2, 5)


def test_a_flush_waits_for_a_canary(lab):
    """The users were lost while it was forced down, and no probe ever failed."""
    world = World(lab, "force.test", {"probe": {"canary_interval": "1h"}})
    world.daemon.learn("bob@force.test", "carol@force.test")
    world.force("down")
    world.take()
    world.primary.script.recipients = {}
    world.primary.script.other_recipients = NOBODY
    _, mark = world.force("auto")
    world.daemon.wait_for_log(r"health: domain=force\.test state=sick was=up", 20, mark)
    assert world.etrns() == []
    assert world.status()["counters"]["mails_since_down"] >= 1
    world.primary.script.recipients = dict(PEOPLE)
    eventually(lambda: world.etrns()[:1] == ["ETRN force.test"], 30)
    assert world.status()["state"] == "up"


def test_sick(lab):
    """Forced down, mail is taken: that is the operator's will. Forced up, senders are sent
    there."""
    world = World(lab, "force.test", {"probe": {"canary_interval": "2s"}})
    world.daemon.learn("bob@force.test", "carol@force.test")
    world.primary.script.recipients = {}
    world.primary.script.other_recipients = NOBODY
    world.daemon.wait_for_state("force.test", "sick", 20)
    assert world.rcpt().xcode == "4.3.0"
    parsed, _ = world.force("down")
    assert parsed["seen"] == "sick" and parsed["reason"] == "canary-refused"
    world.take()
    _, mark = world.force("up")
    assert world.rcpt().xcode == "4.3.2"
    assert world.rcpt("somebody").xcode == "4.3.2"
    # the MTA would have everything bounced: that waits for the canaries
    time.sleep(1.5)
    assert world.etrns() == []
    world.primary.script.recipients = dict(PEOPLE)
    world.daemon.wait_for_log(r"health: .*state=forced-up was=forced-up .*seen=up", 30, mark)
    eventually(lambda: world.etrns()[:1] == ["ETRN force.test"], 10)
    assert world.status()["state"] == "forced-up"


def test_canaries_go_on(lab):
    """While it is forced down the primary loses its users: seen then, and true when it ends."""
    world = World(lab, "force.test", {"probe": {"canary_interval": "2s"}})
    world.daemon.learn("bob@force.test", "carol@force.test")
    _, mark = world.force("down")
    world.primary.script.recipients = {}
    world.primary.script.other_recipients = NOBODY
    world.daemon.wait_for_log(r"health: .*state=forced-down was=forced-down reason=canary-refused "
                              r".*seen=sick", 20, mark)
    world.take()
    parsed, _ = world.force("auto")
    assert parsed["state"] == "sick"
    assert world.rcpt().xcode == "4.3.0"


def test_long_down(lab):
    """unknown_accept_after counts from the earlier of what was seen and what was said."""
    world = World(lab, "force.test", {"policy": {"unknown_accept_after": "3s"}})
    world.force("down")
    assert world.daemon.explain("new@force.test")["inputs"]["down_long"] is False
    eventually(lambda: world.daemon.explain("new@force.test")["inputs"]["down_long"], 10)
    world.force("up")
    assert world.daemon.explain("new@force.test")["inputs"]["down_long"] is False


@pytest.mark.parametrize("crash", [False, True])
def test_it_survives_a_restart(lab, crash):
    world = World(lab)
    world.force("down")
    world.take()
    parsed, _ = world.force("down", "--for", "1h")      # answered when all is on the disk
    world.daemon.restart(crash=crash)
    # from the first question on: nobody is told to go to the primary
    assert world.rcpt().action == "continue"
    status = world.status()
    assert (status["state"], status["forced_until"]) == ("forced-down", parsed["forced_until"])
    world.seen("up")
    time.sleep(1.2)
    assert world.etrns() == []
    world.force("auto")
    eventually(lambda: world.etrns()[:1] == ["ETRN force.test"], 12)
    # over is over, by whatever ended it
    world.force("up", "--for", "1")
    world.daemon.kill()
    time.sleep(1.2)
    world.daemon.start()
    world.daemon.wait_for_log(r"force: domain=force\.test state=auto reason=expired", 5)
    assert world.daemon.wait_for_state("force.test", "up")["forced_until"] is None


def test_a_domain_that_is_no_longer_ours(lab):
    world = World(lab)
    world.force("down")
    mark = world.daemon.mark()
    with open(world.daemon.ini_path) as file:
        text = file.read()
    with open(world.daemon.ini_path, "w") as file:
        file.write(text.replace('[domain "force.test"]', '[domain "other.test"]'))
    assert world.daemon.ctl("reload")[0] == OK
    world.daemon.wait_for_log(r"force: domain=force\.test state=auto reason=removed", 5, mark)
    with open(world.daemon.ini_path, "w") as file:
        file.write(text)
    assert world.daemon.ctl("reload")[0] == OK
    status = world.daemon.wait_for_state("force.test", "up")
    assert status["forced_until"] is None
    # other settings leave it in force
    world.force("down")
    with open(world.daemon.ini_path, "w") as file:
        file.write(text.replace('[domain "force.test"]', '[domain "force.test"]\nfall = 3'))
    assert world.daemon.ctl("reload")[0] == OK
    assert world.status()["state"] == "forced-down"


def test_not_our_domain_any_more_by_dns(lab):
    """Nobody can make us a backup: when the MX records say that we aren't, nothing is forced."""
    lab.dns.ttl = 1
    world = World(lab, "force.test", {"dns": {"dns_grace": "1s"}})
    world.force("down")
    lab.dns.mx("force.test", (10, "mx2.example.net"))
    assert world.daemon.ctl("reload")[0] == OK
    world.daemon.restart()
    status = world.daemon.wait_for_state("force.test", "not-backup", 20)
    assert status["forced_until"] is None
    assert world.daemon.explain("alice@force.test")["row"] == 2


def test_subdomain_that_nobody_asked_for_yet(lab):
    server = lab.primary("a.parent.test", recipients=dict(PEOPLE))
    daemon = lab.daemon(domains=[".parent.test"])
    code, _, parsed = daemon.ctl("--json", "force", "a.parent.test", "down")
    assert code == OK and parsed["state"] == "forced-down"
    reply = daemon.milter().rcpt("<alice@a.parent.test>")
    assert (reply.code, reply.xcode) == (451, "4.4.1") and reply.seconds < 1
    eventually(lambda: daemon.status("a.parent.test")["endpoints"], 10)
    server.wait_for_sessions(1)
    daemon.restart()
    assert daemon.status("a.parent.test")["state"] == "forced-down"


def test_learned_domain(lab):
    """Also one that is asleep: it wakes, and doesn't sleep before that is over."""
    world = World(lab, "learned.test", domains=[])
    world.rcpt()
    world.daemon.wait_for_state("learned.test", "up")
    world.daemon.learn("alice@learned.test")
    parsed, _ = world.force("down")
    assert parsed["state"] == "forced-down"
    assert world.rcpt().action == "continue"
    world.daemon.restart(crash=True)
    assert world.status()["state"] == "forced-down"
    assert world.rcpt().action == "continue"


def test_asleep(lab):
    """It wakes, and what is forced it remembers although nobody else has asked for it in a day."""
    lab.primary("new.test", recipients=dict(PEOPLE))
    daemon = lab.daemon()
    daemon.milter().rcpt("<alice@new.test>")
    daemon.wait_for_state("new.test", "up")
    for asleep in (True, False):
        daemon.stop()
        make_older(daemon, 86400 + 100)
        daemon.start()
        assert daemon.status("new.test")["asleep"] is asleep
        assert daemon.ctl("force", "new.test", "down")[0] == OK
        status = daemon.status("new.test")
        assert (status["state"], status["asleep"]) == ("forced-down", False)


def test_isolated(lab):
    """What is forced is no state of an endpoint: it holds while all states are frozen, and ends."""
    reference = lab.server("ref.example.net")
    world = World(lab, "force.test", {"probe": {"reference": [
        "[%s]:%d" % (reference.address, reference.port)]}})
    world.primary.stop()
    reference.stop()
    world.daemon.wait_for_log("isolated: state=on", 20)
    assert world.status()["state"] == "up"
    world.force("down")
    assert world.rcpt().action == "continue"
    world.force("auto")
    assert world.status()["state"] == "up"
