# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl probe (DESIGN section 8): the dialogue with each endpoint of a domain, as the prober
# would have it, step by step. It goes nowhere else, counts for nothing, and holds nobody up.

import json
import os
import subprocess
import time

import pytest

from peers.daemon import program
from peers.smtp_server import RESET, SILENCE, Answer, Raw
from peers.waiting import eventually, next_address

OK, NO, USAGE = 0, 1, 2
SELDOM = {"interval": "1h", "fast_interval": "1h", "down_interval": "1h"}


def probe(daemon, domain="probe.test"):
    code, out, parsed = daemon.ctl("--json", "probe", domain)
    assert parsed is not None, out
    return code, parsed


def said(endpoint):
    return [(step["what"], step["text"]) for step in endpoint["steps"]]


def texts(endpoint, what):
    return [text for step, text in said(endpoint) if step == what]


@pytest.fixture
def world(lab):
    """A primary, and a daemon that leaves it alone once it has found it up."""
    source = next_address()
    server = lab.primary("probe.test")
    daemon = lab.daemon({"probe": dict(SELDOM, source_address=[source])}, domains=["probe.test"])
    daemon.wait_for_state("probe.test", "up")
    server.forget()
    return daemon, server, source


def test_a_dialogue(world):
    daemon, server, source = world
    code, parsed = probe(daemon, "PROBE.test")
    assert code == OK
    assert (parsed["domain"], parsed["ok"]) == ("probe.test", True)
    endpoint, = parsed["endpoints"]
    assert endpoint["endpoint"] == server.endpoint and endpoint["host"] == "mx1.probe.test"
    assert sorted(endpoint["sets"]) == ["forwarding", "senders"]
    assert endpoint["result"] == "ok" and isinstance(endpoint["ms"], int)
    steps = said(endpoint)
    assert steps[:4] == [
        ("connect", "to %s from [%s]" % (server.endpoint, source)), ("connect", "connected"),
        ("received", "220 mx1.probe.test ESMTP"), ("sent", "EHLO mx2.example.net")]
    assert steps[4] == ("received", "250-mx1.probe.test")
    assert ("received", "250-PIPELINING") in steps
    assert steps[-3:] == [("sent", "QUIT"), ("received", "221 2.0.0 bye"), ("closed", "after QUIT")]
    times = [step["ms"] for step in endpoint["steps"]]
    assert times == sorted(times) and 0 <= times[0] <= endpoint["ms"] <= times[-1]
    # nothing but that, and only once
    session, = server.sessions
    assert session.commands == ["EHLO", "QUIT"] and session.peer[0] == source


def test_for_people(world):
    daemon, server, _ = world
    server.change(banner="220 mx1.probe.test " + "long " * 90 + "\x1b[2Jend",
                  ehlo=None)
    code, out, _ = daemon.ctl("probe", "probe.test")
    assert code == OK
    assert max(map(len, out.splitlines())) <= 80
    assert "<- 220 mx1.probe.test long" in out and "-> EHLO mx2.example.net" in out
    assert "?[2Jend" in out.replace("\n" + 15 * " ", "") and "\x1b" not in out
    assert "result: ok after" in out and "a primary is fit to take mail" in out
    server.stop()
    code, out, _ = daemon.ctl("probe", "probe.test")
    assert code == NO
    assert "closed: refused" in out and "no primary is fit to take mail" in out
    code, out, _ = daemon.ctl("probe", "--help")
    assert code == OK and "counts for nothing" in out


def test_sick_all_the_same(lab):
    """It asks for no recipient: that must not look like a contradiction to status."""
    server = lab.primary("probe.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon({"probe": {"canary_interval": "1s"}}, domains=["probe.test"])
    daemon.wait_for_state("probe.test", "up")
    daemon.learn("alice@probe.test")
    server.change(recipients={"alice": "550 5.1.1 no such user"})
    daemon.wait_for_state("probe.test", "sick", 20)
    code, parsed = probe(daemon)
    assert (code, parsed["ok"], parsed["state"]) == (OK, True, "sick")
    _, out, _ = daemon.ctl("probe", "probe.test")
    assert "all the same it is sick: it refuses recipients" in " ".join(out.split())


@pytest.mark.parametrize("script,result,last", [
    (dict(banner="554 5.3.2 no service"), "banner-5xx", ("received", "554 5.3.2 no service")),
    (dict(banner="421 later"), "banner-4xx", ("received", "421 later")),
    (dict(ehlo="451 not now"), "ehlo-4xx", ("received", "451 not now")),
    (dict(ehlo="500 what", helo="550 no"), "ehlo-5xx", ("received", "550 no")),
    (dict(banner="220 mx2.example.net ESMTP"), "loop", ("received", "220 mx2.example.net ESMTP")),
    (dict(banner=Raw(b"HTTP/1.1 400 Bad Request\r\nServer: \xff\x00\x07x\r\n", close=True)),
     "protocol", ("received", "Server: ???x")),
    (dict(banner=Raw(b"220 no end of the line", close=True)), "lost",
     ("received", "220 no end of the line")),
    (dict(banner=SILENCE), "timeout", ("connect", "connected")),
    (dict(accept=RESET), "reset", ("connect", "connected")),
    (dict(ehlo=RESET), "reset", ("sent", "EHLO mx2.example.net")),
])
def test_troubles(world, script, result, last):
    daemon, server, _ = world
    server.change(**script)
    code, parsed = probe(daemon)
    assert code == NO and parsed["ok"] is False
    endpoint, = parsed["endpoints"]
    assert endpoint["result"] == result
    assert said(endpoint)[-2:] == [last, ("closed", result)]


@pytest.mark.parametrize("step,how", [(SILENCE, "no answer to QUIT"), (RESET, "after QUIT")])
def test_quit_is_no_part_of_it(world, step, how):
    daemon, server, _ = world
    server.change(quit=step)
    code, parsed = probe(daemon)
    endpoint, = parsed["endpoints"]
    assert code == OK and endpoint["result"] == "ok" and endpoint["ms"] < 2500
    assert said(endpoint)[-1] == ("closed", how)


def test_bounded(world):
    daemon, server, _ = world
    server.change(banner="\n".join("220 line %d %s" % (n, "x" * 1500) for n in range(120)))
    code, parsed = probe(daemon)
    endpoint, = parsed["endpoints"]
    assert code == OK and endpoint["result"] == "ok"
    assert len(endpoint["steps"]) == 102
    assert all(len(step["text"]) < 512 for step in endpoint["steps"])
    assert said(endpoint)[-2:] == [("received", "(more is left out)"), ("closed", "after QUIT")]


def test_tls(lab, authority):
    server = lab.primary("tls.test", offer_starttls=True,
                         certificate=authority.issue("mx1.tls.test"))
    daemon = lab.daemon({"probe": {"level": "starttls"}}, domains=["tls.test"])
    daemon.wait_for_state("tls.test", "up")
    code, parsed = probe(daemon, "tls.test")
    endpoint, = parsed["endpoints"]
    assert code == OK
    described, = texts(endpoint, "tls")
    assert described.startswith("TLSv1.") and "certificate of mx1.tls.test until 20" in described
    assert texts(endpoint, "sent") == ["EHLO mx2.example.net", "STARTTLS", "EHLO mx2.example.net",
                                       "QUIT"]
    assert "TLS stands: TLSv1." in daemon.ctl("probe", "tls.test")[1]
    server.change(tls_handshake=RESET)
    code, parsed = probe(daemon, "tls.test")
    endpoint, = parsed["endpoints"]
    assert (code, endpoint["result"], texts(endpoint, "tls")) == (NO, "tls-fail", [])


def test_level_connect(lab):
    lab.primary("level.test")
    daemon = lab.daemon({'domain "level.test"': {"level": "connect"}})
    daemon.wait_for_state("level.test", "up")
    code, parsed = probe(daemon, "level.test")
    endpoint, = parsed["endpoints"]
    assert code == OK and texts(endpoint, "sent") == ["QUIT"]


def test_both_sets(lab):
    """What senders use and what mail is forwarded to; only the latter decides."""
    sender = lab.primary("sets.test")
    forward = lab.server("inside.sets.test")
    daemon = lab.daemon({'domain "sets.test"': {"primary": ["inside.sets.test"]}})
    daemon.wait_for_state("sets.test", "up")
    eventually(lambda: len(daemon.status("sets.test")["endpoints"]) == 2, 10)
    forward.stop()
    code, parsed = probe(daemon, "sets.test")
    assert code == NO and parsed["ok"] is False
    by_host = {endpoint["host"]: endpoint for endpoint in parsed["endpoints"]}
    assert by_host["mx1.sets.test"]["sets"] == ["senders"]
    assert by_host["mx1.sets.test"]["result"] == "ok"
    assert by_host["inside.sets.test"]["sets"] == ["forwarding"]
    assert by_host["inside.sets.test"]["result"] == "refused"
    forward.start()
    sender.stop()
    code, parsed = probe(daemon, "sets.test")
    assert code == OK and parsed["ok"] is True


def test_it_counts_for_nothing(lab):
    """What agrees is no sample; what disagrees brings the next real probe, and that counts."""
    server = lab.primary("count.test")
    daemon = lab.daemon({"probe": dict(SELDOM, fast_interval="2s", fall=1)}, domains=["count.test"])
    daemon.wait_for_state("count.test", "up")
    before = daemon.status("count.test")["endpoints"]
    time.sleep(2)
    assert probe(daemon, "count.test")[0] == OK
    time.sleep(0.5)
    assert daemon.status("count.test")["endpoints"] == before
    assert len(server.sessions) == 2
    mark = daemon.mark()
    server.stop()
    code, _, _ = daemon.ctl("probe", "count.test")
    assert code == NO
    daemon.wait_for_log(r"probe: address=.* result=refused", 5, mark)
    daemon.wait_for_state("count.test", "down")


def test_what_it_does_not_take(lab):
    lab.dns.mx("alone.test", (10, "mx2.example.net"))
    lab.dns.mx("lost.test", (10, "nowhere.lost.test"), (20, "mx2.example.net"))
    daemon = lab.daemon(domains=["alone.test", "lost.test"])
    daemon.wait_for_state("alone.test", "not-backup")
    daemon.wait_for_state("lost.test", "down")
    for arguments, code, says in (
            ([], USAGE, "usage"), (["a.test", "b.test"], USAGE, "usage"),
            (["foreign.test"], NO, "no domain of ours"),
            (["not a domain"], NO, "no domain of ours"),
            (["alone.test"], NO, "not-backup"), (["lost.test"], NO, "no address of a primary")):
        got, out, parsed = daemon.ctl("--json", "probe", *arguments)
        assert got == code and says in parsed["error"], out
    assert daemon.status("foreign.test") is None


def test_a_subdomain_that_nobody_asked_for_yet(lab):
    """Its hosts have to be looked up first."""
    server = lab.primary("a.parent.test")
    daemon = lab.daemon(domains=[".parent.test"])
    code, parsed = probe(daemon, "a.parent.test")
    assert code == OK and parsed["endpoints"][0]["endpoint"] == server.endpoint


def started(daemon, domain="probe.test"):
    return subprocess.Popen([program("backupmxctl"), "-s", daemon.control_socket, "--json", "probe",
                             domain], stdout=subprocess.PIPE, text=True)


def test_one_at_a_time_and_clients_that_go(world):
    daemon, server, _ = world
    server.change(banner=Answer("220 mx1.probe.test ESMTP", delay=1.5))
    first = started(daemon)
    eventually(lambda: server.open_sessions, 5)
    code, parsed = probe(daemon)
    assert code == NO and "already" in parsed["error"]
    # others are served meanwhile
    assert daemon.ctl("version")[0] == OK
    assert json.loads(first.communicate(timeout=10)[0])["ok"] is True
    # one that goes away in the middle hurts nobody
    second = started(daemon)
    eventually(lambda: server.open_sessions, 5)
    second.kill()
    second.communicate()
    eventually(lambda: not server.open_sessions, 5)
    time.sleep(0.2)
    assert probe(daemon)[0] == OK
    # and the daemon may stop in the middle of one
    third = started(daemon)
    eventually(lambda: server.open_sessions, 5)
    daemon.stop()
    assert "the daemon stops" in json.loads(third.communicate(timeout=10)[0])["error"]
    assert third.returncode == NO


def test_the_domain_goes_in_the_middle(world):
    daemon, server, _ = world
    server.change(banner=Answer("220 mx1.probe.test ESMTP", delay=1.5))
    first = started(daemon)
    eventually(lambda: server.open_sessions, 5)
    with open(daemon.ini_path) as file:
        text = file.read()
    with open(daemon.ini_path, "w") as file:
        file.write(text.replace('[domain "probe.test"]', '[domain "other.test"]'))
    assert daemon.ctl("reload")[0] == OK
    assert daemon.status("probe.test") is None
    parsed = json.loads(first.communicate(timeout=10)[0])
    assert parsed["ok"] is True and parsed["endpoints"][0]["result"] == "ok"


def test_longer_than_an_idle_client_may_stay(lab, fast_daemon):
    server = lab.primary("slow.test")
    daemon = fast_daemon(20, {"probe": {"timeout": "2000s"}}, domains=["slow.test"])
    daemon.wait_for_state("slow.test", "up")
    server.change(banner=Answer("220 mx1.slow.test ESMTP", delay=3.0))   # a minute, by its clock
    code, parsed = probe(daemon, "slow.test")
    assert code == OK and parsed["endpoints"][0]["ms"] > 40000


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody else, which only root can")
@pytest.mark.parametrize("request_", [{"command": "probe", "domain": "probe.test"},
                                      {"command": "force", "domain": "probe.test", "state": "up"}])
def test_not_for_everybody(world, request_):
    daemon, server, _ = world
    os.chmod(daemon.control_socket, 0o666)
    os.chmod(daemon.folder, 0o755)
    client = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("control.sock")
    connection.sendall(sys.argv[1].encode() + b"\\n")
    print(connection.makefile().readline())
"""
    done = subprocess.run(["/usr/bin/python3", "-I", "-c", client, json.dumps(request_)],
                          cwd=daemon.folder, user=65534, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["exit"] == NO and "root" in answer["error"]
    assert not server.sessions and daemon.status("probe.test")["state"] == "up"
