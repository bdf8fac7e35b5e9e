# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl and the control socket behind it (DESIGN section 8): what the commands print, their
# JSON, their exit codes, and that no request, however broken, hurts the daemon.

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from peers.daemon import program, run_program
from peers.waiting import eventually

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
OK, NO, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture(scope="module")
def world(module_lab):
    lab = module_lab
    up = lab.primary("up.test", recipients={"alice": "250 ok", "control": "250 ok"})
    down = lab.primary("down.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon({"milter": {"exempt_clients": ["203.0.113.0/24"]}},
                        domains=["up.test", "down.test"])
    for domain in ("up.test", "down.test"):
        daemon.wait_for_state(domain, "up")
        daemon.learn("alice@" + domain)
    daemon.learn("nobody@up.test")
    assert daemon.explain("nobody@up.test")["recipient"] == "invalid"
    down.stop()
    daemon.wait_for_state("down.test", "down")
    return daemon, up, down


# -- status

def test_status_json(world):
    daemon, up, _ = world
    code, _, parsed = daemon.ctl("--json", "status")
    assert code == OK
    assert {"domains", "isolated", "mode", "version"} <= set(parsed)
    assert parsed["isolated"] is False
    assert parsed["mode"] == "enforce"
    assert re.match(r"\d+\.\d+", parsed["version"])
    assert {d["domain"] for d in parsed["domains"]} == {"up.test", "down.test"}
    domain = next(d for d in parsed["domains"] if d["domain"] == "up.test")
    assert {"domain", "state", "since", "reason", "recovering", "forced_until", "source",
            "senders_set", "forwarding_set", "endpoints", "recipients", "counters"} <= set(domain)
    assert domain["state"] == "up" and domain["reason"] == "ok"
    assert re.fullmatch(TIME, domain["since"])
    assert domain["recovering"] is False
    assert domain["forced_until"] is None
    endpoint, = domain["endpoints"]
    assert endpoint["endpoint"] == up.endpoint
    assert endpoint["state"] == "up" and endpoint["reason"] == "ok"
    assert re.fullmatch(TIME, endpoint["since"]) and re.fullmatch(TIME, endpoint["last_probe"])
    assert sorted(endpoint["sets"]) == ["forwarding", "senders"]
    assert any("mx1.up.test" in json.dumps(item) for item in domain["senders_set"])
    assert all(isinstance(v, int) for k, v in domain["recipients"].items()
               if k in ("valid", "invalid"))
    assert domain["recipients"]["valid"] == 1
    assert domain["recipients"]["invalid"] == 1
    assert isinstance(domain["counters"], dict)


def test_status_of_one_domain(world):
    daemon, _, _ = world
    code, _, parsed = daemon.ctl("--json", "status", "up.test")
    assert code == OK and [d["domain"] for d in parsed["domains"]] == ["up.test"]
    code, _, parsed = daemon.ctl("status", "down.test", "--json")
    assert code == NO and parsed["domains"][0]["state"] == "down"
    assert parsed["domains"][0]["reason"] == "refused"
    code, _, parsed = daemon.ctl("--json", "status", "UP.Test")
    assert code == OK
    code, _, parsed = daemon.ctl("--json", "status", "foreign.test")
    assert code == NO and "error" in parsed


def test_status_for_people(world):
    daemon, _, _ = world
    code, out, parsed = daemon.ctl("status")
    assert code == OK and parsed is None
    assert re.search(r"up\.test.*\bup\b", out)
    assert re.search(r"down\.test.*\bdown\b", out)
    code, out, _ = daemon.ctl("status", "down.test")
    assert code == NO
    assert "refused" in out


# -- explain

def test_explain_json(world):
    daemon, _, _ = world
    code, _, parsed = daemon.ctl("--json", "explain", "alice@up.test")
    assert code in (OK, NO)
    assert {"row", "action", "code", "xcode", "text", "reason", "state", "recipient",
            "inputs"} <= set(parsed)
    assert (parsed["row"], parsed["action"], parsed["reason"]) == (10, "defer", "primary-up")
    assert (parsed["code"], parsed["xcode"]) == (451, "4.3.2")
    assert "primary MX is available, please deliver there" in parsed["text"]
    assert parsed["state"] == "up" and parsed["recipient"] == "valid"
    assert isinstance(parsed["inputs"], dict) and parsed["inputs"]


@pytest.mark.parametrize("arguments,row,reason", [
    (["alice@up.test"], 10, "primary-up"),
    (["<Alice@UP.test>"], 10, "primary-up"),
    (["nobody@up.test"], 3, "invalid-recipient"),
    (["alice@down.test"], 5, "primary-down"),
    (["new@down.test"], 7, "unknown-recipient"),
    (["x@foreign.test"], 2, "not-ours"),
    (["--auth", "nobody@up.test"], 1, "exempt"),
    (["--client", "203.0.113.7", "nobody@up.test"], 1, "exempt"),
    (["--client", "203.0.114.7", "nobody@up.test"], 3, "invalid-recipient"),
    (["--client", "2001:db8::1", "--name", "x.example.org", "--from", "<a@b.test>",
      "alice@up.test"], 10, "primary-up"),
    (["--from", "", "alice@up.test"], 10, "primary-up"),
    (["--from", "<>", "alice@down.test"], 5, "primary-down"),
])
def test_explain_rows(world, arguments, row, reason):
    daemon, _, _ = world
    _, out, parsed = daemon.ctl("--json", "explain", *arguments)
    assert (parsed["row"], parsed["reason"]) == (row, reason), out
    code, out, _ = daemon.ctl("explain", *arguments)
    assert reason in out and code in (OK, NO)


def test_explain_changes_nothing_and_never_waits(world):
    daemon, up, _ = world
    asked = len(up.rcpts())
    for _ in range(10):
        started = time.monotonic()
        assert daemon.explain("neverseen@up.test")["recipient"] == "unknown"
        assert time.monotonic() - started < 2
    time.sleep(1)
    assert len(up.rcpts()) == asked


# -- exit codes

@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["status", "a.test", "b.test"], ["explain"], ["flush"], ["--nonsense"],
    ["explain", "--client", "no-address", "a@up.test"], ["explain", "--client"],
    ["reload", "surplus"], ["-x", "status"],
])
def test_usage_errors(world, arguments):
    daemon, _, _ = world
    done = daemon.ctl_process(*arguments)
    assert done.returncode == USAGE, (done.stdout, done.stderr)
    assert done.stderr


def test_daemon_not_reachable(tmp_path):
    for path in (tmp_path / "nowhere.sock", tmp_path):
        done = run_program("backupmxctl", "-s", str(path), "status")
        assert done.returncode == UNREACHABLE and done.stderr
        done = run_program("backupmxctl", "-s", str(path), "--json", "status")
        assert done.returncode == UNREACHABLE
        assert "error" in json.loads(done.stdout)


def test_socket_from_the_ini_file(world):
    daemon, _, _ = world
    done = run_program("backupmxctl", "-c", daemon.ini_path, "--json", "status", "up.test")
    assert done.returncode == OK and json.loads(done.stdout)["domains"]


def test_version(world):
    daemon, _, _ = world
    code, out, _ = daemon.ctl("version")
    assert code == OK and re.search(r"\d+\.\d+", out)
    code, _, parsed = daemon.ctl("--json", "version")
    assert code == OK and parsed["version"] == daemon.status()["version"]


def test_reload(world):
    daemon, _, _ = world
    mark = daemon.mark()
    code, _, _ = daemon.ctl("reload")
    assert code == OK
    daemon.wait_for_log("reload", 5, mark)
    code, _, parsed = daemon.ctl("reload", "--json")
    assert code == OK and isinstance(parsed, dict)


def test_flush_of_an_unknown_domain(world):
    daemon, _, _ = world
    code, _, parsed = daemon.ctl("--json", "flush", "foreign.test")
    assert code == NO and "error" in parsed


# -- the socket itself

def test_socket_mode(world):
    daemon, _, _ = world
    found = os.stat(daemon.control_socket)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660


JUNK = [
    b"", b"\n", b"\0", b"\0" * 1000, b"status", b"status\0\n", b"\xff\xfe\xfd\n", b"{}\n",
    b"{\"command\": 1}\n", b"{\"command\": \"status\"}\n", b"[]\n", b"null\n", b"\"status\"\n",
    b"[" * 50000 + b"\n", b"{\"a\":" * 20000 + b"\n", b"GET / HTTP/1.1\r\n\r\n",
    b"status " + b"x" * 100000 + b"\n", b"x" * 2000000, b"explain \x1b[2J\n", b"flush ../../etc\n",
    b"status\nstatus\nstatus\n", b"{\"command\":\"explain\",\"arguments\":[null,{},[]]}\n",
    b"[\"explain\", \"" + b"a" * 70000 + b"@up.test\"]\n", b"%s%n%s%n\n",
]


@pytest.mark.parametrize("ending", ["close", "shutdown", "linger"])
def test_garbage_never_hurts(world, ending):
    daemon, _, _ = world
    for junk in JUNK:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(daemon.control_socket)     # blocks while the backlog is full
        sock.settimeout(5)
        try:
            sock.sendall(junk)
            if ending == "shutdown":
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            elif ending == "linger":
                sock.settimeout(0.05)
                sock.recv(65536)
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            pass                        # it hung up on us: its right
        sock.close()
    daemon.check_alive()
    assert daemon.ctl("status")[0] == OK


def test_silent_and_slow_clients_block_nobody(world):
    daemon, _, _ = world
    sockets = []
    for _ in range(60):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(2)
        try:
            sock.connect(daemon.control_socket)
            sock.sendall(b"st")
        except OSError:
            pass
        sockets.append(sock)
    # the milter side doesn't notice
    started = time.monotonic()
    assert daemon.milter().rcpt("<alice@up.test>").code == 451
    assert time.monotonic() - started < 1
    for sock in sockets:
        sock.close()
    eventually(lambda: daemon.ctl("status")[0] == OK, 10)


def test_many_commands_at_once(world):
    daemon, _, _ = world
    codes = []

    def ask():
        codes.append(daemon.ctl("--json", "status")[0])

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [OK] * 20


def test_long_answers_hold_nobody_up(lab):
    """Fifteen that ask for all at once, and one with a short question behind them."""
    names = ["one%d.test" % n for n in range(100)]
    lab.primary(names[0])
    for name in names[1:]:
        lab.dns.mx(name, (10, "mx1." + names[0]), (20, "mx2.example.net"))
    daemon = lab.daemon(domains=names)
    daemon.wait_for_state(names[-1], "up")

    def share_waited():
        with contextlib.ExitStack() as stack:
            daemon.process.send_signal(signal.SIGSTOP)
            clients = []
            for command in ["status", "report", "metrics"] * 5 + ["version"]:
                clients.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
                clients[-1].connect(daemon.control_socket)
                clients[-1].sendall(json.dumps({"command": command}).encode() + b"\n")
            began = time.monotonic()
            daemon.process.send_signal(signal.SIGCONT)
            assert clients.pop().recv(1000)
            waited = time.monotonic() - began
            for client in clients:
                assert stack.enter_context(client.makefile("rb")).readline().endswith(b"}\n")
            return waited / (time.monotonic() - began)

    shares = [share_waited() for _ in range(3)]
    assert min(shares) < 0.33, shares


def test_who_asks_and_does_not_read(world):
    """Gets all answers in the end, and doesn't fill the daemon's memory with them meanwhile."""
    daemon, _, _ = world
    before = daemon.resident_kilobytes()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(daemon.control_socket)
        sock.settimeout(20)
        sock.sendall(b'{"command":"metrics"}\n' * 4000)
        time.sleep(3)
        grown = daemon.resident_kilobytes() - before
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as answers:
            sizes = [len(line) for line in answers]
    assert len(sizes) == 4000 and min(sizes) > 5000
    assert grown < 8000, "%d kB more, %d MB were asked for" % (grown, sum(sizes) // 1000000)


@pytest.mark.parametrize("word", ["a@b\nc", "\x1b[2J@up.test", "a\"b\\@up.test", "x" * 5000,
                                  "\u00e4@up.test", "", " ", "%s%n@up.test", "@", "<>", "--"])
def test_strange_arguments(world, word):
    daemon, _, _ = world
    done = daemon.ctl_process("--json", "explain", word)
    assert done.returncode in (OK, NO, USAGE)
    if done.stdout:
        json.loads(done.stdout)
    done = daemon.ctl_process("explain", word)
    assert "\x1b" not in done.stdout
    daemon.check_alive()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_changing_commands_need_root_or_the_daemons_user(world):
    daemon, _, _ = world
    folder = daemon.folder
    # let others reach the socket at all, as a group member would
    path = folder
    opened = []
    while path != "/":
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if not mode & 0o001:
            os.chmod(path, mode | 0o011)
            opened.append((path, mode))
        path = os.path.dirname(path)
    os.chmod(daemon.control_socket, 0o666)
    try:
        def as_nobody(*arguments):
            def drop():
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            return subprocess.run(["/proc/self/fd/%d" % binary, "-s", daemon.control_socket,
                                   *arguments], capture_output=True, text=True, preexec_fn=drop,
                                  pass_fds=[binary], timeout=10, check=False)
        binary = os.open(program("backupmxctl"), os.O_RDONLY)
        try:
            assert as_nobody("status").returncode == OK
            for command in (["recipients", "list"], ["recipients", "show", "alice@up.test"],
                            ["recipients", "export"]):
                assert as_nobody(*command).returncode == OK, command
            for command in (["reload"], ["flush", "up.test"],
                            ["recipients", "forget", "alice@up.test"],
                            ["recipients", "forget", "@up.test"],
                            ["recipients", "import", "/etc/hostname", "--domain", "up.test"]):
                done = as_nobody(*command)
                assert done.returncode == NO, (command, done.stdout, done.stderr)
                assert "as root" in done.stderr, (command, done.stderr)
            assert daemon.explain("alice@up.test")["recipient"] == "valid"
        finally:
            os.close(binary)
    finally:
        os.chmod(daemon.control_socket, 0o660)
        for path, mode in opened:
            os.chmod(path, mode)
