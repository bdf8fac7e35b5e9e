# SPDX-License-Identifier: BSD-2-Clause
#
# The HTTP listener (DESIGN 6 [http], 11): what it serves, to whom, within which bounds, and that a
# reload takes it along. What the metrics say is test_metrics.py's.

import contextlib
import json
import re
import signal
import socket
import time

import pytest

from peers.http_client import Answer, drip, exchange, get, read_all
from peers.waiting import eventually, free_port

CONNECTIONS_MAX = 32            # of io/http.h
SECONDS_MAX = 15


@pytest.fixture(scope="module")
def world(module_lab):
    """A daemon with a listener, and its address."""
    module_lab.primary("up.test")
    port = free_port()
    daemon = module_lab.daemon({"http": {"listen": "127.0.0.1:%d" % port},
                                "milter": {"my_names": ["mx2.example.net", "Backup.Example.net"]}},
                               domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    return daemon, ("127.0.0.1", port)


def listens(address):
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=2):
        return True
    return False


# -- what is served

def test_health(world):
    answer = get(world[1], "/healthz")
    assert (answer.status, answer.text) == (200, "ok\n")


def test_status_is_the_command_s(world):
    daemon, address = world

    def same():
        answer = get(address, "/status.json")
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        return json.loads(answer.text) == daemon.status()
    eventually(same, 10, "the same document by HTTP and by backupmxctl")  # but for a probe between


def test_status_of_very_many_domains(lab):
    """Written step by step: others are served meanwhile, and whoever leaves is no loss."""
    names = ["d%04d.test" % number for number in range(3000)]
    path = lab.folder / "domains"
    path.write_text("".join(name + "\n" for name in names))
    address = ("127.0.0.1", free_port())
    http = {"http": {"listen": "%s:%d" % address}}
    daemon = lab.daemon(http, {"domains": {"domains_file": str(path)}, "log": {"level": "notice"}})
    request = b"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def ask(requests=1):
        sock = socket.create_connection(address, timeout=60)
        sock.sendall(request * requests)
        return sock

    waiting = [ask(), ask(2)]
    ask().close()
    assert get(address, "/healthz").status == 200
    for sock in waiting:
        with sock:
            answer = Answer(read_all(sock))
        assert answer.status == 200
        assert [domain["domain"] for domain in json.loads(answer.text)["domains"]] == names
    # a listener that closes meanwhile
    with ask(), ask() as late:
        daemon.change_ini({"http": {"listen": ""}})
        assert daemon.ctl("reload")[0] == 0
        read_all(late)
    daemon.change_ini(http)
    assert daemon.ctl("reload")[0] == 0
    with ask():
        daemon.stop()


def test_metrics_and_the_command(world):
    daemon, address = world
    answer = get(address, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    code, text, _ = daemon.ctl("metrics")
    assert code == 0
    assert re.findall(r"^# .*", text, re.M) == re.findall(r"^# .*", answer.text, re.M)
    code, _, parsed = daemon.ctl("--json", "metrics")
    assert code == 0 and parsed["text"].startswith("# HELP backupmx_")


@pytest.mark.parametrize("path,status", [
    ("/healthz?why=1", 200), ("/nothing", 404), ("/healthz/", 404), 
    ("/../etc/passwd", 404), ("/%68ealthz", 404), ("/metrics%00", 404), ("/" + "x" * 4000, 404),
], ids=lambda value: str(value)[:20])
def test_paths(world, path, status):
    assert get(world[1], path).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(world, method):
    answer = get(world[1], "/healthz", method=method, headers=["Content-Length: 0"])
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head(world):
    answer = get(world[1], "/healthz", method="HEAD")
    assert answer.status == 200
    assert answer.headers["content-length"] == "3"
    assert answer.body == b""


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/status.json", "/nothing"])
def test_headers(world, path):
    headers = get(world[1], path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


# -- to whom: a name of somebody else's would be another's page that reads us (DNS rebinding)

@pytest.mark.parametrize("host", [
    None, "127.0.0.1", "127.0.0.1:9726", "localhost", "LocalHost:9726", "[::1]", "[::1]:9726",
    "192.0.2.99:80", "mx2.example.net", "backup.example.NET:80", "mx2.example.net.",
])
def test_hosts_that_are_us(world, host):
    assert get(world[1], "/status.json", host=host).status == 200


@pytest.mark.parametrize("host", [
    "evil.test", "evil.test:9726", "localhost.evil.test", "127.0.0.1.evil.test", "up.test", "",
    "mx2.example.net@evil.test", "127.0.0.1:9726:1", "127.0.0.1:x", "[::1", "[::1]x", "[127.0.0.1]",
    "0x7f000001", "2130706433", "a b", "\xff\xfe", "'\"><script>", "x" * 4000,
], ids=lambda host: host[:20])
def test_hosts_that_are_not(world, host):
    answer = get(world[1], "/status.json", host=host)
    assert answer.status == 403
    assert b"script" not in answer.body and b"up.test" not in answer.body


def test_absolute_target(world):
    address = world[1]
    assert get(address, "http://127.0.0.1/healthz").status == 200
    assert get(address, "http://evil.test/healthz").status == 403


# -- bounds

@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /healthz\r\n\r\n", b"hello there how are you\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)) + b"\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n", b"GET /healthz HTTP/1.1\r\nno colon here\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT evil.test:25 HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\0b\r\n\r\n",
], ids=lambda data: data[:16].hex())
def test_garbage(world, request_bytes):
    """Refused or hung up on, and the next one is served."""
    daemon, address = world
    answer = exchange(address, request_bytes, is_all=True)
    assert answer.status is None or 400 <= answer.status < 600
    assert get(address, "/healthz").status == 200
    daemon.check_alive()


def test_two_requests_at_once(world):
    """A connection serves one: what comes behind it is nobody's."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = exchange(world[1], request * 3)
    assert answer.status == 200
    assert answer.body.count(b"HTTP/1") == 0


def test_connections_are_bounded(world):
    """Those beyond the bound wait, and are served when others have gone."""
    daemon, address = world
    held = [socket.create_connection(address, timeout=60) for _ in range(CONNECTIONS_MAX)]
    try:
        late = socket.create_connection(address, timeout=60)
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        late.settimeout(1)
        with pytest.raises(TimeoutError):
            late.recv(1)
        assert daemon.status("up.test")["state"] == "up"        # nobody else is held up
        for sock in held[:4]:
            sock.close()
        late.settimeout(60)
        assert read_all(late).startswith(b"HTTP/1.1 200 ")
        late.close()
    finally:
        for sock in held:
            sock.close()
    assert get(address, "/healthz").status == 200


def test_many_requests_hold_nobody_up(lab):
    """The loop has more to do than pages: thirty of them, asked for at once, and one question
    behind them that is answered first. Else probes would be late, and count for nothing."""
    names = ["one%d.test" % n for n in range(60)]
    lab.primary(names[0])
    for name in names[1:]:
        lab.dns.mx(name, (10, "mx1." + names[0]), (20, "mx2.example.net"))
    port = free_port()
    daemon = lab.daemon({"http": {"listen": "127.0.0.1:%d" % port}}, domains=names)
    daemon.wait_for_state(names[-1], "up")

    def share_waited():
        with contextlib.ExitStack() as stack:
            daemon.process.send_signal(signal.SIGSTOP)
            clients = []
            for _ in range(30):
                clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
                clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            control = stack.enter_context(socket.socket(socket.AF_UNIX))
            control.connect(daemon.control_socket)
            control.sendall(b'{"command":"version"}\n')
            began = time.monotonic()
            daemon.process.send_signal(signal.SIGCONT)
            assert control.recv(1000)
            waited = time.monotonic() - began
            assert all(read_all(client).startswith(b"HTTP/1.1 200 OK") for client in clients)
            return waited / (time.monotonic() - began)

    shares = [share_waited() for _ in range(3)]
    assert min(shares) < 0.33, shares


def test_slow_request(world):
    """Byte by byte, so that no idle time-out ever comes: the whole has its time."""
    started = time.monotonic()
    with socket.create_connection(world[1], timeout=60) as sock:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 4000
        assert drip(sock, request, 0.1, started + 3 * SECONDS_MAX)
    assert time.monotonic() - started > SECONDS_MAX / 3
    assert get(world[1], "/healthz").status == 200


# -- the listener

def test_off_by_default(lab):
    daemon = lab.daemon()
    daemon.no_log(r"http: ")


def test_reload_changes_the_address(lab):
    first, second = free_port(), free_port()
    daemon = lab.daemon()
    daemon.change_ini({"http": {"listen": "127.0.0.1:%d" % first}})
    assert daemon.ctl("reload")[0] == 0
    assert get(("127.0.0.1", first), "/healthz").status == 200
    daemon.change_ini({"http": {"listen": "127.0.0.1:%d" % second}})
    with socket.create_connection(("127.0.0.1", first), timeout=30) as open_one:
        open_one.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert daemon.ctl("reload")[0] == 0
        assert not listens(("127.0.0.1", first))
        assert read_all(open_one) == b""                # closed with its listener
    assert get(("127.0.0.1", second), "/healthz").status == 200
    daemon.change_ini({"http": {"listen": ""}})
    assert daemon.ctl("reload")[0] == 0
    assert not listens(("127.0.0.1", second))
    daemon.wait_for_log(r"http: state=off")


def test_reload_leaves_the_same_address_alone(lab):
    port = free_port()
    daemon = lab.daemon({"http": {"listen": "127.0.0.1:%d" % port}})
    with socket.create_connection(("127.0.0.1", port), timeout=30) as open_one:
        open_one.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert daemon.ctl("reload")[0] == 0
        open_one.sendall(b"Host: 127.0.0.1\r\n\r\n")
        assert read_all(open_one).startswith(b"HTTP/1.1 200 ")


def test_address_that_is_taken(lab):
    """At the start: an error in the log, and the daemon does its work. At a reload: it says so, and
    what was served before still is."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        daemon = lab.daemon({"http": {"listen": "127.0.0.1:%d" % taken}})
        daemon.wait_for_log(r"error: http: cannot listen on \[127\.0\.0\.1\]:%d: "
                            r"Address already in use" % taken)
        daemon.check_alive()
        free = free_port()
        daemon.change_ini({"http": {"listen": "127.0.0.1:%d" % free}})
        assert daemon.ctl("reload")[0] == 0
        daemon.change_ini({"http": {"listen": "127.0.0.1:%d" % taken}})
        done = daemon.ctl_process("reload")
        assert done.returncode == 1
        assert "[http] listen is not in force: cannot listen on [127.0.0.1]:%d" % taken \
            in done.stderr
        assert get(("127.0.0.1", free), "/healthz").status == 200
    assert daemon.ctl("reload")[0] == 0
    assert get(("127.0.0.1", taken), "/healthz").status == 200
    assert not listens(("127.0.0.1", free))


def test_same_port_of_all_addresses(lab):
    port = free_port()
    daemon = lab.daemon({"http": {"listen": "127.0.0.1:%d" % port}})
    daemon.no_log(r"warning: http:")
    daemon.change_ini({"http": {"listen": "0.0.0.0:%d" % port}})
    for _ in range(2):
        assert daemon.ctl("reload")[0] == 0
    assert get(("127.0.0.2", port), "/healthz").status == 200
    assert len(daemon.log_lines(r"warning: http: address=\[0\.0\.0\.0\]:%d is open to other hosts"
                                % port)) == 1


def test_ipv6(lab):
    port = free_port()
    daemon = lab.daemon({"http": {"listen": "[::1]:%d" % port}})
    assert get(("::1", port), "/healthz", host="[::1]:%d" % port).status == 200
    daemon.no_log(r"warning: http:")


@pytest.mark.parametrize("value", ["9726", "localhost:9726", "127.0.0.1", "127.0.0.1:0", "[::1]",
                                   "127.0.0.1:99999", "unix:/tmp/x"])
def test_values_that_are_none(lab, value):
    daemon = lab.daemon({"http": {"listen": value}}, start=False)
    done = daemon.launch(["-t", "-c", daemon.ini_path])
    assert done.wait(20) == 78
    daemon.wait_for_log(r"listen: .*; write ADDRESS:PORT, like 127\.0\.0\.1:9726")
    daemon.process = None
