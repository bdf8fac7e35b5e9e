# SPDX-License-Identifier: BSD-2-Clause
#
# The peers against Python's own clients and each other: a test tier stands on them, so they have to
# be right. Needs neither the daemon nor the network.

import os
import smtplib
import socket
import ssl
import struct
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from peers import dns_server, loglines, milter_client                       # noqa: E402
from peers.certificates import Authority                                    # noqa: E402
from peers.daemon import ini_text                                           # noqa: E402
from peers.smtp_server import (CLOSE, RESET, SILENCE, Answer, Blackhole, HangUp,  # noqa: E402
                               Raw, SmtpServer)
from peers.waiting import eventually, free_port, next_address               # noqa: E402


@pytest.fixture
def server():
    with SmtpServer(next_address(), free_port(), recipients={"alice": "250 2.1.5 ok"}) as server:
        yield server


def client(server, timeout=5):
    return smtplib.SMTP(server.address, server.port, timeout=timeout)


def test_healthy_session(server):
    with client(server) as smtp:
        assert smtp.ehlo()[0] == 250
        assert smtp.has_extn("PIPELINING") and not smtp.has_extn("SMTPUTF8")
        assert smtp.mail("")[0] == 250
        assert smtp.rcpt("alice@example.test")[0] == 250
        assert smtp.rcpt("bob@example.test")[0] == 550
    session, = server.sessions
    eventually(lambda: session.ended, 5)
    assert session.commands == ["EHLO", "MAIL", "RCPT", "RCPT", "QUIT"]
    assert session.rcpts == ["alice@example.test", "bob@example.test"]
    assert session.rcpt_replies == [("alice@example.test", 250), ("bob@example.test", 550)]
    assert session.refusals == 1


def test_refusals_end_the_session(server):
    server.change(hang_up_after_refusals=2)
    smtp = client(server)
    smtp.ehlo()
    smtp.mail("")
    assert smtp.rcpt("x@example.test")[0] == 550
    smtp.putcmd("rcpt", "TO:<y@example.test>")
    lines = smtp.file or smtp.sock.makefile("rb")
    assert lines.readline().startswith(b"550 ") and lines.readline().startswith(b"421 ")
    assert lines.readline() == b""


@pytest.mark.parametrize("step,received,end", [
    (SILENCE, b"", "timeout"), (RESET, b"", "reset"), (CLOSE, b"", "close"),
    (Raw(b"\xff\xfe\r\n", close=True), b"\xff\xfe\r\n", "close"),
    (HangUp("554 no"), b"554 no\r\n", "close"),
    (HangUp("554-a\nb"), b"554-a\r\n554 b\r\n", "close"),
    (Answer("220 x", drip=0.2), b"22", "timeout"), (Answer("220 x", delay=3), b"", "timeout"),
    (lambda session, argument: "421 later", b"421 later\r\n", "timeout"),
])
def test_broken_banners(server, step, received, end):
    server.change(banner=step)
    until = time.monotonic() + 0.5
    data, seen = b"", "timeout"
    with socket.create_connection((server.address, server.port)) as sock:
        while time.monotonic() < until:
            sock.settimeout(max(until - time.monotonic(), 0.001))
            try:
                part = sock.recv(100)
            except socket.timeout:
                break
            except ConnectionResetError:
                seen = "reset"
                break
            if not part:
                seen = "close"
                break
            data += part
    assert seen == end
    assert data[:len(received)] == received
    assert len(data) <= max(len(received), 3)


def test_stop_start_and_blackhole(server):
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        client(server)
    with Blackhole(server.address, server.port):
        with pytest.raises(socket.timeout):
            client(server, timeout=1.2)
    server.start()
    client(server).quit()


@pytest.mark.parametrize("how", ["stop", "reset_connections"])
def test_who_is_waited_for_is_reset(server, how):
    """While the server's thread sits in poll(). That keeps the file whose number it was given: were it
    closed under the thread, nobody would hear of it, and a signal would send the thread back into
    poll() with whatever has that number then."""
    with socket.create_connection((server.address, server.port), timeout=5) as idle:
        assert idle.recv(100).startswith(b"220 ")
        serving = server.sessions[0]
        getattr(server, how)()
        with pytest.raises(ConnectionResetError):
            idle.recv(100)
    eventually(lambda: serving.ended, 5)


def test_tls(server, tmp_path):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    server.behave(offer_starttls=True, certificate=authority.issue("mx1.example.test"))
    with client(server) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        assert not smtp.has_extn("STARTTLS")
    assert server.sessions[0].tls
    server.change(certificate=authority.issue("mx1.example.test", days=-1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        client(server).starttls(context=context)


def test_dns():
    with dns_server.DnsServer() as dns:
        dns.mx("example.test", (10, "mx1.example.test"), ttl=300)

        def ask(name, kind):
            query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + dns_server._wire_name(name) \
                + struct.pack("!HH", dns_server.TYPES[kind], 1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.3)
                sock.sendto(query, (dns.address, dns.port))
                reply = sock.recv(4096)
            ident, flags, _, answers = struct.unpack("!HHHH", reply[:8])
            assert ident == 7
            return flags & 15, bool(flags & 0x200), answers

        assert ask("example.test", "MX") == (0, False, 1)
        assert ask("EXAMPLE.test", "A") == (0, False, 0)
        assert ask("nowhere.test", "A") == (3, False, 0)
        dns.fail("example.test", "SERVFAIL")
        assert ask("example.test", "MX") == (2, False, 0)
        dns.fail("example.test", "TRUNCATE")
        assert ask("example.test", "MX") == (0, True, 0)
        dns.fail("example.test", "SILENCE")
        with pytest.raises(socket.timeout):
            ask("example.test", "MX")
        dns.heal("example.test")
        assert ask("example.test", "MX") == (0, False, 1)
        assert dns.count("example.test", "MX") == 5
        assert dns.count("example.test") == 6


class Filter:
    """A filter of a few lines that answers with what the test gives it."""

    def __init__(self, protocol=0, actions=0x1FF, symlist=b"", replies=None):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(5)
        self.packets = []
        self.negotiation = struct.pack("!III", 6, actions, protocol) + symlist
        self.replies = replies or {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.listener.accept()
        stream = connection.makefile("rwb")
        while True:
            try:
                head = stream.read(4)
            except ConnectionError:
                return
            if len(head) < 4:
                return
            packet = stream.read(struct.unpack("!I", head)[0])
            self.packets.append(packet)
            letter = packet[:1]
            if letter == b"O":
                answers = [b"O" + self.negotiation]
            elif letter in b"DKAQ":
                continue
            else:
                answers = self.replies.get(letter, [b"c"])
            for answer in answers:
                stream.write(struct.pack("!I", len(answer)) + answer)
            stream.flush()

    def steps(self):
        """Letters of all packets but macros, once the session has ended."""
        eventually(lambda: self.packets and self.packets[-1] == b"Q", 2)
        return b"".join(p[:1] for p in self.packets if p[:1] != b"D")

    def client(self, profile="postfix"):
        return milter_client.MilterClient(self.listener.getsockname(), profile, timeout=2)


def test_milter_steps_and_macros():
    small = Filter()
    with small.client().connect(client="192.0.2.7", auth="joe") as session:
        session.message("<a@b.test>", ["<Alice@Example.test>"], headers=[("Subject", "x")])
    assert small.steps() == b"OCHMRTLNBEQ"
    macros = {p[1:2]: p for p in small.packets if p[:1] == b"D"}
    assert b"{rcpt_addr}\0alice@Example.test\0{rcpt_host}\0Example.test\0" in macros[b"R"]
    assert b"{auth_authen}\0joe\0" in macros[b"M"]
    assert b"{client_addr}" not in macros[b"C"]
    assert not macros[b"R"].startswith(b"DRi\0")


def test_milter_negotiation_is_honoured():
    small = Filter(protocol=milter_client.P_NOHELO | milter_client.P_NODATA
                   | milter_client.P_NOBODY | milter_client.P_NR_HDR | milter_client.P_NOEOH
                   | milter_client.P_NR_CONN | milter_client.P_NR_MAIL,
                   symlist=struct.pack("!I", 0) + b"{client_addr}, v\0",
                   replies={b"L": [], b"C": [], b"M": []})
    with small.client("sendmail").connect(client="2001:db8::7") as session:
        result = session.message("<a@b.test>", ["<u@example.test>"], headers=[("Subject", "x")])
    assert result.eom.action == "continue"
    assert small.steps() == b"OCMRLEQ"
    macros = {p[1:2]: p for p in small.packets if p[:1] == b"D"}
    assert macros[b"C"] == b"DC{client_addr}\x002001:db8::7\0v\x008.17.1\0"


@pytest.mark.parametrize("profile,ascending", [("postfix", ["2"]), ("sendmail", [])])
def test_milter_header_deletion(profile, ascending):
    """Both MTAs agree only on deletions from the last copy to the first."""
    def delete(index):
        return b"m" + struct.pack("!I", index) + b"X-A\0\0"
    headers = [("X-A", "1"), ("X-A", "2")]
    for order, left in (((2, 1), []), ((1, 2), ascending)):
        small = Filter(replies={b"E": [delete(n) for n in order]
                                + [b"i" + struct.pack("!I", 0) + b"Tag\0t\0", b"c"]})
        with small.client(profile).connect() as session:
            result = session.message("<a@b.test>", ["<u@example.test>"], headers=headers)
        assert result.headers[0] == ("Tag", "t")
        assert result.header_values("X-A") == left


@pytest.mark.parametrize("replies", [{b"R": [b"a"]}, {b"C": [b"a"]}, {b"E": [b"d"]},
                                     {b"R": [b"s"]}, {b"R": [b"i\0\0\0\0a\0b\0"]},
                                     {b"R": [b"ynonsense\0"]}])
def test_milter_forbidden_replies_are_noticed(replies):
    small = Filter(replies=replies)
    with pytest.raises(milter_client.ProtocolError):
        with small.client().connect() as session:
            session.message("<a@b.test>", ["<u@example.test>"])


def test_milter_changes_need_to_be_negotiated():
    small = Filter(actions=0, replies={b"E": [b"h" + b"X\0y\0", b"c"]})
    with pytest.raises(milter_client.ProtocolError, match="negotiated"):
        small.client().send_message()


def test_log_lines():
    line = ('2026-11-23T13:05:00.123Z info: NOQUEUE: action=defer code=451 to="<a \\"b\\"@c>" id=x')
    assert loglines.level(line) == "info"
    assert loglines.fields(line) == {"": "NOQUEUE", "action": "defer", "code": "451",
                                     "to": '<a "b"@c>', "id": "x"}
    for broken in ("x: a=1 a=2", "x: a=1 stray", 'x: a="open'):
        with pytest.raises(ValueError):
            loglines.fields(broken)


def test_ini_text():
    assert ini_text({"milter": {"my_names": ["a.test", "b c"], "tag": True},
                     'domain "x.test"': {"port": 25}}) == \
        '[milter]\nmy_names = {a.test, "b c"}\ntag = yes\n\n[domain "x.test"]\nport = 25\n'


def test_eventually_gives_up():
    started = time.monotonic()
    with pytest.raises(AssertionError, match="never comes"):
        eventually(lambda: False, 0.2, "what never comes")
    assert time.monotonic() - started < 2
