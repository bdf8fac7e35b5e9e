# SPDX-License-Identifier: BSD-2-Clause
#
# The flush on recovery (DESIGN section 3, "Flush"): which domains the own MTA is told to deliver,
# how often, and what is logged of its answers. The MTA is a scripted server with ETRN.

import contextlib
import time

import pytest

from conftest import Lab
from peers.loglines import fields
from peers.smtp_server import RESET, SILENCE, Answer, HangUp
from peers.waiting import eventually


class World:
    def __init__(self, lab, **script):
        script.setdefault("etrn", "250 2.0.0 Queuing started")
        self.lab = lab
        self.mta = lab.server("mta.example.net", **script)
        self.primaries = {name: lab.primary(name, recipients={"alice": "250 ok"})
                          for name in ("mail.test", "empty.test", "foreign.test")}
        self.daemon = lab.daemon({"flush": {"method": "etrn",
                                            "mta": "%s:%d" % (self.mta.address, self.mta.port)}},
                                 domains=["mail.test", "empty.test"])
        for name in ("mail.test", "empty.test"):
            self.daemon.wait_for_state(name, "up")
            self.daemon.learn("alice@" + name)

    def stop(self):
        for name in ("mail.test", "empty.test"):
            self.primaries[name].stop()

    def start(self):
        for name in ("mail.test", "empty.test"):
            self.primaries[name].start()

    def down(self):
        self.stop()
        for name in ("mail.test", "empty.test"):
            self.daemon.wait_for_state(name, "down")

    def up(self):
        self.start()
        for name in ("mail.test", "empty.test"):
            self.daemon.wait_for_state(name, "up")

    def take(self, count=3):
        for _ in range(count):
            result = self.daemon.milter().send_message(rcpts=["<alice@mail.test>"])
            assert result.replies[0].action == "continue"

    def etrns(self):
        return [line for session in self.mta.sessions for line in session.lines
                if line.upper().startswith("ETRN")]


def test_flush_on_recovery_only_for_domains_that_took_mail(lab):
    world = World(lab)
    world.down()
    world.take(3)
    # a recipient of the other domain that was refused, or never got to the end, is no mail
    assert world.daemon.milter().rcpt("<new@empty.test>").code == 451
    mark = world.daemon.mark()
    world.up()
    found = world.daemon.wait_for_log(
        r"flush: domain=mail\.test method=etrn reply=250 mails=3$", 5, mark)
    assert found
    assert world.etrns() == ["ETRN mail.test"]
    started = time.monotonic()
    # again after 10 s: a flush misses what is in flight
    eventually(lambda: len(world.etrns()) >= 2, 14)
    assert 8 < time.monotonic() - started < 13
    assert world.etrns() == ["ETRN mail.test"] * 2
    assert world.mta.sessions[0].commands[-1] == "QUIT"
    assert not any("DATA" in s.commands or s.mail_from for s in world.mta.sessions)


def test_no_flush_without_mail(lab):
    world = World(lab)
    world.down()
    world.up()
    time.sleep(2)
    assert not world.mta.sessions
    # mail taken in an earlier outage was flushed then, not again
    world.down()
    world.take(1)
    world.up()
    eventually(lambda: world.etrns() == ["ETRN mail.test"], 5)


def test_mail_is_remembered_over_a_crash(lab):
    """A restart in the outage must not make the flush forget the domain."""
    world = World(lab)
    world.down()
    world.take(2)
    time.sleep(1.5)
    world.daemon.restart(crash=True)
    world.up()
    eventually(lambda: "ETRN mail.test" in world.etrns(), 5)
    assert "ETRN empty.test" not in world.etrns()


@pytest.mark.parametrize("code,text", [
    ("458", "458 4.0.0 Unable to queue messages for node"),
    ("459", "459 4.7.1 Node not allowed: access denied"),
    ("502", "502 5.5.1 not implemented"),
    ("550", "550 5.7.1 no"),
])
def test_a_refusal_is_logged(lab, code, text):
    world = World(lab, etrn=text)
    world.down()
    world.take(1)
    mark = world.daemon.mark()
    world.up()
    found = world.daemon.wait_for_log(r" (\w+): flush: domain=mail\.test .*", 6, mark)
    assert fields(found.string)["reply"] == code
    assert found.group(1) == "warning"


TROUBLES = {
    "silent": dict(banner=SILENCE), "banner-554": dict(banner="554 no"),
    "reset": dict(accept=RESET), "ehlo-554": dict(ehlo="554 no", helo="554 no"),
    "etrn-silent": dict(etrn=SILENCE), "etrn-reset": dict(etrn=RESET),
    "etrn-421": dict(etrn=HangUp("421 4.3.2 bye")),
    "etrn-drip": dict(etrn=Answer("250 ok", drip=0.4)),
}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A world for each kind of trouble, all in the same outage and recovery."""
    with contextlib.ExitStack() as labs:
        worlds = {name: World(labs.enter_context(Lab(tmp_path_factory.mktemp(name))), **script)
                  for name, script in TROUBLES.items()}
        for world in worlds.values():
            world.stop()
        for world in worlds.values():
            world.down()
            world.take(1)
        for world in worlds.values():
            world.start()
        for world in worlds.values():
            world.up()
            eventually(lambda w=world: w.mta.sessions, 5)
        yield worlds


def flushed(world):
    return any(direction == ">" and text.startswith("250 2.0.0 Queuing")
               for session in world.mta.sessions for _, direction, text in list(session.transcript))


@pytest.mark.parametrize("name", sorted(TROUBLES))
def test_an_mta_in_trouble_holds_nobody_up(troubled, name):
    world = troubled[name]
    for _ in range(5):
        assert world.daemon.milter().rcpt("<alice@mail.test>").seconds < 1


@pytest.mark.parametrize("name", sorted(set(TROUBLES) - {"silent", "etrn-silent"}))
def test_the_flush_is_tried_again_once_the_mta_is_well(troubled, name):
    for world in troubled.values():
        world.mta.behave(etrn="250 2.0.0 Queuing started")
    eventually(lambda: flushed(troubled[name]), 16, lambda: troubled[name].mta.transcripts())


def test_at_most_one_a_second(lab):
    mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
    names = ["many%d.test" % n for n in range(5)]
    server = lab.server("mx1.many.test", recipients={"alice": "250 ok"})
    for name in names:
        lab.dns.mx(name, (10, "mx1.many.test"), (20, "mx2.example.net"))
    # without canaries, of which a primary hears one a second, they are back at the same moment
    daemon = lab.daemon({"flush": {"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)},
                         "probe": {"canary": "none"}}, domains=names)
    for name in names:
        daemon.wait_for_state(name, "up")
        daemon.learn("alice@" + name)
    server.stop()
    for name in names:
        daemon.wait_for_state(name, "down")
    for name in names:
        daemon.milter().send_message(rcpts=["<alice@%s>" % name])
    server.start()
    times = {}

    def all_flushed():
        for session in mta.sessions:
            for at, direction, text in list(session.transcript):
                if direction == "<" and text.startswith("ETRN "):
                    times.setdefault(text, session.started + at)
        return len(times) == 5
    eventually(all_flushed, 15)
    moments = sorted(times.values())
    assert all(later - earlier > 0.8 for earlier, later in zip(moments, moments[1:])), moments
    # over one connection
    assert len(mta.sessions) == 1


def test_flush_by_hand(lab):
    world = World(lab)
    code, _, parsed = world.daemon.ctl("--json", "flush", "mail.test")
    assert code == 0 and isinstance(parsed, dict)
    eventually(lambda: world.etrns() == ["ETRN mail.test"], 5)
    world.mta.change(etrn="459 4.7.1 Node not allowed")
    code, out, _ = world.daemon.ctl("flush", "mail.test")
    assert code == 1 and "459" in out + world.daemon.ctl_process("flush", "mail.test").stderr


def test_method_none(lab):
    world = World(lab)
    world.daemon.change_ini({"flush": {"method": "none"}})
    world.daemon.restart()
    world.down()
    world.take(1)
    world.up()
    time.sleep(2.5)
    assert not world.mta.sessions


def test_reload_to_none(lab):
    """Who turns it off wants no more of the rounds that are still to come."""
    world = World(lab)
    world.down()
    world.take(1)
    world.up()
    eventually(lambda: world.etrns() == ["ETRN mail.test"], 15)
    world.daemon.change_ini({"flush": {"method": "none"}})
    assert world.daemon.ctl("reload")[0] == 0
    time.sleep(12)                              # the second round is after ten seconds
    assert world.etrns() == ["ETRN mail.test"]


def test_a_flush_that_failed_is_not_lost_over_a_restart(tmp_path_factory):
    """The primary is back, our own MTA didn't take the flush, and then the daemon is restarted. Two
    worlds: one whose MTA refuses, and a crash; one whose MTA is away, and a restart."""
    with contextlib.ExitStack() as labs:
        refusing, away = (World(labs.enter_context(Lab(tmp_path_factory.mktemp(name))))
                          for name in ("refusing", "away"))
        worlds = refusing, away
        for world in worlds:
            world.stop()
        for world in worlds:
            world.down()
            world.take(1)
        refusing.mta.change(etrn="459 4.7.1 Node not allowed")
        away.mta.stop()
        marks = [world.daemon.mark() for world in worlds]
        for world in worlds:
            world.start()
        for world, mark in zip(worlds, marks):
            world.daemon.wait_for_log(r" warning: flush: domain=mail\.test", 15, mark)
        time.sleep(1.5)                         # a crash loses what is younger than a second
        for world in worlds:
            world.daemon.restart(crash=world is refusing)
            world.mta.forget()
            world.mta.behave(etrn="250 2.0.0 Queuing started")
            world.mta.start()
        for world in worlds:
            world.daemon.wait_for_state("mail.test", "up")
            eventually(lambda w=world: "ETRN mail.test" in w.etrns(), 20)
            assert "ETRN empty.test" not in world.etrns()
