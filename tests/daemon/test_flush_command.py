# SPDX-License-Identifier: BSD-2-Clause
#
# [flush] method = command: the same rounds and the same pace as ETRN, by a program that gets the
# domain as an argument.

import functools
import threading
import time

import pytest
from peers.loglines import fields
from peers.waiting import eventually

RECORD = """#!/bin/sh
{ date +%%s.%%N; for word; do printf '%%s\\n' "$word"; done; } > "%(folder)s/$$.new"
mv "%(folder)s/$$.new" "%(folder)s/$$.run"
%(then)s
"""


class World:
    """Domains with a primary each, and a program that flushes and writes down its arguments."""

    def __init__(self, lab, folder, domains=("mail.test", "empty.test"), arguments=("-s", "%d"),
                 start=None):
        self.folder = folder / "runs"
        self.folder.mkdir()
        self.program = folder / "flush"
        self.behave("exit 0")
        self.primaries = {name: lab.primary(name, recipients={"alice": "250 ok"})
                          for name in domains}
        self.daemon = (start or lab.daemon)({"flush": {"method": "command",
                                                       "command": [str(self.program), *arguments]}},
                                            {"probe": {"canary": "none"}}, domains=domains)
        for name in domains:
            self.daemon.wait_for_state(name, "up")
            self.daemon.learn("alice@" + name)

    def behave(self, then):
        self.program.write_text(RECORD % {"folder": self.folder, "then": then})
        self.program.chmod(0o755)

    def outage(self, mails):
        """Takes all primaries away, and mail for these domains. Returns the log's mark before."""
        mark = self.daemon.mark()
        for server in self.primaries.values():
            server.stop()
        for name in self.primaries:
            self.daemon.wait_for_state(name, "down")
        for name in mails:
            result = self.daemon.milter().send_message(rcpts=["<alice@%s>" % name])
            assert result.replies[0].action == "continue"
        for server in self.primaries.values():
            server.start()
        return mark

    def runs(self):
        """When each run began, and its arguments; in order."""
        lines = [file.read_text().split("\n")[:-1] for file in self.folder.glob("*.run")]
        return sorted((float(when), words) for when, *words in lines)


@pytest.fixture
def world(lab, tmp_path):
    return World(lab, tmp_path)


@pytest.fixture
def fast_world(lab, tmp_path, fast_daemon):
    """The round after ten seconds comes after two."""
    return World(lab, tmp_path, start=functools.partial(fast_daemon, 5))


def test_rounds(fast_world):
    world = fast_world
    mark = world.outage(["mail.test"] * 3)
    world.daemon.wait_for_log(r" notice: flush: domain=mail\.test method=command status=0 mails=3$",
                              15, mark)
    eventually(lambda: len(world.runs()) == 2, 15)
    (first, words), (second, again) = world.runs()
    assert words == again == ["-s", "mail.test"]
    assert second - first > 8 / 5
    assert not world.daemon.log_lines(r"flush: domain=empty\.test", mark)


def test_at_most_one_a_second_and_one_at_a_time(lab, tmp_path):
    names = ["many%d.test" % n for n in range(3)]
    world = World(lab, tmp_path, names, ["--site=%d/%d", "%d", "$(id)", "; true", "%s", ""])
    world.behave("sleep 1.3")
    mark = world.outage(names)
    for name in names:
        world.daemon.wait_for_log(r"flush: domain=%s method=command status=0" % name, 20, mark)
    runs = world.runs()[:3]
    assert all(later[0] - earlier[0] > 1.2 for earlier, later in zip(runs, runs[1:])), runs
    assert sorted(words for _, words in runs) == [
        ["--site=%s/%s" % (name, name), name, "$(id)", "; true", "%s", ""] for name in names]


def test_a_failure_is_told_and_tried_again(fast_world):
    world = fast_world
    world.behave("echo queue is locked >&2; exit 75")
    mark = world.outage(["mail.test"])
    found = world.daemon.wait_for_log(r" (\w+): flush: domain=mail\.test .*", 15, mark)
    values = fields(found.string)
    assert found[1] == "warning"
    assert (values["status"], values["mails"], values["text"]) == ("75", "1", "queue is locked")
    world.behave("kill -9 $$")
    found = world.daemon.wait_for_log(r"flush: domain=mail\.test method=command reason=signal-9 "
                                      r"mails=1$", 20, mark)
    # and not forgotten, for none has gone well
    world.behave("exit 0")
    world.daemon.restart()
    world.daemon.wait_for_log(r"flush: domain=mail\.test method=command status=0 mails=1$", 15,
                              mark)


def test_flush_by_hand(world):
    world.behave("echo 2 messages; exit 0")
    code, _, parsed = world.daemon.ctl("--json", "flush", "mail.test")
    assert code == 0 and parsed == {"domain": "mail.test", "method": "command", "status": 0,
                                    "text": "2 messages"}
    assert [words for _, words in world.runs()] == [["-s", "mail.test"]]
    code, out, _ = world.daemon.ctl("flush", "mail.test")
    assert code == 0 and out == "mail.test: the command ended with status 0: 2 messages\n"
    world.behave("echo no such site; exit 1")
    code, out, _ = world.daemon.ctl("flush", "mail.test")
    assert code == 1 and out == "mail.test: the command ended with status 1: no such site\n"
    world.program.chmod(0o644)
    done = world.daemon.ctl_process("flush", "mail.test")
    assert done.returncode == 1
    assert "the command of [flush] did not do it: failed: Permission denied" in done.stderr
    # an unknown domain is no argument for anything
    for name in ("-v", "$(id)", "stranger.test", "a b"):
        assert world.daemon.ctl("flush", name)[0] in (1, 2)
    assert len(world.runs()) == 3


def test_reload_to_and_fro(lab, tmp_path):
    mta = lab.server("mta.example.net", etrn="250 2.0.0 Queuing started")
    world = World(lab, tmp_path)

    def flushed(changes, pattern):
        world.daemon.change_ini({"flush": changes})
        assert world.daemon.ctl("reload")[0] == 0
        mark = world.daemon.mark()
        assert world.daemon.ctl("flush", "mail.test")[0] == 0
        world.daemon.wait_for_log(r"flush: domain=mail\.test " + pattern, 10, mark)

    flushed({}, "method=command status=0")
    flushed({"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)}, "method=etrn reply=250")
    flushed({"method": "command"}, "method=command status=0")
    assert len(mta.sessions) == 1
    world.daemon.change_ini({"flush": {"command": ""}})
    code, _, parsed = world.daemon.ctl("--json", "reload")
    assert code == 1 and "method: is command, and there is none" in parsed["error"]
    flushed({"method": "etrn"}, "method=etrn reply=250")


def test_stop_while_it_runs(world):
    world.behave("exec sleep 60")
    world.outage(["mail.test"])
    eventually(world.runs, 15)
    began = time.monotonic()
    world.daemon.stop()
    assert time.monotonic() - began < 10


def test_stop_while_an_operator_waits(world):
    world.behave("exec sleep 60")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(
        world.daemon.ctl_process("flush", "mail.test")))
    asking.start()
    eventually(world.runs, 15)
    world.daemon.stop()
    asking.join()
    assert (answers[0].returncode, answers[0].stderr) == (1, "backupmxctl: the daemon stops\n")
