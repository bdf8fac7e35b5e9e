# SPDX-License-Identifier: BSD-2-Clause
#
# [notify] command: what a real program is told of, on which changes. What flaps is damped, many at
# once are one notice, and while this host is isolated that alone is told.

import re

import pytest
from peers.loglines import fields
from peers.notify_program import NotifyProgram
from peers.smtp_server import SILENCE
from peers.waiting import free_port

RFC3339 = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
VARIABLES = {"PATH", "LANG"} | {"BACKUPMX_" + name for name in (
    "EVENT", "DOMAIN", "STATE", "WAS", "REASON", "SINCE", "AFTER", "HOST", "CHANGES", "COUNT",
    "DOMAINS")}


@pytest.fixture
def program(tmp_path):
    return NotifyProgram(tmp_path)


def test_down_and_up(lab, program):
    server = lab.primary("one.test")
    lab.primary("two.test")
    daemon = lab.daemon(program.ini, domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    assert not program.notices()                    # the first state is no change
    server.stop()
    notice = program.wait(1)[0]
    raw = next(iter(program.folder.glob("*.notice"))).read_text().splitlines()
    assert {line.split("=", 1)[0] for line in raw} == VARIABLES
    after = notice.pop("AFTER")
    since = notice.pop("SINCE")
    path = notice.pop("PATH")
    assert notice == {"EVENT": "down", "DOMAIN": "one.test", "STATE": "down", "WAS": "up",
                      "REASON": "refused", "HOST": "mx2.example.net", "CHANGES": "0", "COUNT": "1",
                      "DOMAINS": "one.test", "LANG": "C"}
    assert path.startswith("/") and "/usr/bin" in path.split(":")
    assert 0 <= int(after) < 60 and re.fullmatch(RFC3339, since)
    assert since == daemon.status("one.test")["since"]
    found = daemon.wait_for_log(r" (\w+): notify: event=down domain=one\.test .*", 10)
    assert found[1] == "info"
    assert fields(found.string)["result"] == "ok" and int(fields(found.string)["ms"]) >= 0
    server.start()
    program.wait(2)
    assert program.told("EVENT", "WAS", "REASON") == [("down", "up", "refused"),
                                                      ("up", "down", "ok")]


def test_what_was_remembered_is_no_news(lab, program):
    server = lab.primary("one.test")
    daemon = lab.daemon(program.ini, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.restart()
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_log(r"probe: address=\S+ result=ok", 10)
    assert not program.notices()
    # but it is, if it isn't so any more
    daemon.stop()
    server.stop()
    daemon.start()
    program.wait(1)
    assert program.told("EVENT", "WAS") == [("down", "up")]
    daemon.restart()
    mark = daemon.mark()
    daemon.wait_for_log(r"probe: address=\S+ result=refused", 10, mark)
    server.start()
    program.wait(2)
    assert program.told("EVENT", "WAS") == [("down", "up"), ("up", "down")]


def test_flaps_are_damped(lab, program):
    server = lab.primary("one.test")
    daemon = lab.daemon(program.ini, {"probe": {"fall": 1}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    for state in ("down", "up") * 3:
        server.stop() if state == "down" else server.start()
        daemon.wait_for_state("one.test", state)
    program.wait(4)
    assert program.told("EVENT", "CHANGES") == [("down", "0"), ("up", "0")] * 2
    assert len(daemon.log_lines(r"health: domain=one\.test state=(up|down) was=(up|down)")) == 6


def test_many_at_once_are_one(lab, program):
    names = ["many%02d.test" % n for n in range(30)]
    server = lab.server("mx1.many.test")
    for name in names:
        lab.dns.mx(name, (10, "mx1.many.test"), (20, "mx2.example.net"))
    daemon = lab.daemon(program.ini, {"probe": {"canary": "none"}}, domains=names)
    for name in names:
        daemon.wait_for_state(name, "up")
    mark = daemon.mark()
    server.stop()
    notice = program.wait(1, 25)[0]
    assert notice["EVENT"] == "many" and notice["DOMAIN"] == ""
    assert (notice["STATE"], notice["WAS"], notice["REASON"]) == ("down", "up", "refused")
    assert notice["COUNT"] == "30"
    assert len(notice["DOMAINS"].split()) == 20 and set(notice["DOMAINS"].split()) <= set(names)
    daemon.wait_for_log(r"notify: event=many domains=30 result=ok", 10, mark)
    assert len(program.notices()) == 1


def test_isolation_is_one_notice(lab, program):
    reference = lab.server("ref.test", port=free_port(), banner=SILENCE)
    servers = [lab.primary(name) for name in ("one.test", "two.test")]
    daemon = lab.daemon(program.ini, {"probe": {"reference": [
        "%s:%d" % (reference.address, reference.port)]}}, domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    for server in (reference, *servers):
        server.stop()
    notice = program.wait(1, 20)[0]
    assert [notice[k] for k in ("EVENT", "STATE", "WAS")] == ["isolated", "isolated", "connected"]
    assert notice["DOMAIN"] == "" and re.fullmatch(RFC3339, notice["SINCE"])
    for server in (reference, *servers):
        server.start()
    notice = program.wait(2, 20)[1]
    assert [notice[k] for k in ("EVENT", "STATE", "WAS")] == ["connected", "connected", "isolated"]
    daemon.wait_for_log(r"notify: event=connected result=ok", 10)
    assert len(program.notices()) == 2


def test_reload(lab, tmp_path):
    first, second = NotifyProgram(tmp_path, name="first"), NotifyProgram(tmp_path, name="second")
    server = lab.primary("one.test")
    daemon = lab.daemon({"probe": {"fall": 1}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")

    def change(ini, state, code=0):
        daemon.change_ini(ini)
        assert daemon.ctl("reload")[0] == code
        server.stop() if state == "down" else server.start()
        daemon.wait_for_state("one.test", state)

    change(first.ini, "down")
    first.wait(1)
    change({"notify": {"command": "/no/such/program"}}, "up", 1)       # the old one stays
    first.wait(2)
    change(second.ini, "down")
    second.wait(1)
    change({"notify": {"command": ""}}, "up")
    change(first.ini, "down")
    first.wait(3)
    assert first.told("EVENT", "WAS") == [("down", "up"), ("up", "down"), ("down", "up")]
    assert second.told("EVENT") == [("down",)]
