# SPDX-License-Identifier: BSD-2-Clause
#
# An SMTP client that hides nothing: every command gives the real reply, with the time it took, and
# the whole dialogue is kept for evidence. It can send commands back to back (pipelined).

import base64
import re
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Reply:
    code: int
    lines: list
    seconds: float = 0.0

    @property
    def text(self):
        """The reply as one line, code and all."""
        return f"{self.code} " + " ".join(self.lines)

    @property
    def enhanced(self):
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}", self.lines[-1])
        return found.group() if found else None

    @property
    def log_id(self):
        """The id that the milter ends its texts with, the same as in its log."""
        found = re.search(r"\(id ([A-Za-z0-9]+)\)$", self.lines[-1])
        return found.group(1) if found else None

    def __str__(self):
        return self.text


@dataclass
class Sent:
    """What became of one message: the reply to each step, None for steps not reached."""
    mail: Reply
    rcpts: dict = field(default_factory=dict)
    data: Reply = None

    @property
    def accepted(self):
        return self.data is not None and self.data.code == 250


class SmtpSession:
    def __init__(self, host, server="192.0.2.20", port=25, source=None, helo="client.test",
                 timeout=60):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.dialogue = []
        with host.network():
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                self.socket.bind((source, 0))
            self.socket.connect((server, port))
        self.reader = self.socket.makefile("rb")
        self.banner = self._read_reply(time.monotonic())
        self.helo = self.command(f"EHLO {helo}") if helo else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.settimeout(2)
            self.socket.sendall(b"QUIT\r\n")
        except OSError:
            pass
        self.reader.close()
        self.socket.close()

    def _send(self, line):
        self.dialogue.append(f"C: {line}")
        self.socket.sendall(line.encode("utf-8", "surrogateescape") + b"\r\n")

    def _read_reply(self, since):
        lines = []
        while True:
            raw = self.reader.readline()
            if not raw:
                raise ConnectionError("the server closed the connection\n" + self.transcript())
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.dialogue.append(f"S: {line}")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines, time.monotonic() - since)

    def transcript(self):
        return "\n".join(self.dialogue)

    def command(self, line):
        since = time.monotonic()
        self._send(line)
        return self._read_reply(since)

    def pipelined(self, lines):
        """Sends all lines at once; each reply's time counts from the sending."""
        self.dialogue += [f"C: {line}" for line in lines]
        since = time.monotonic()
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())
        return [self._read_reply(since) for _ in lines]

    def authenticate(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {token}")

    def mail(self, sender="stranger@sender.test", parameters=""):
        return self.command(f"MAIL FROM:<{sender}> {parameters}".rstrip())

    def rcpt(self, recipient):
        return self.command(f"RCPT TO:<{recipient}>")

    def ask(self, recipient, sender="stranger@sender.test"):
        """The reply to one recipient; the transaction is taken back."""
        mail = self.mail(sender)
        if mail.code != 250:
            return mail
        reply = self.rcpt(recipient)
        self.command("RSET")
        return reply

    def send(self, recipients, text="", headers=(), sender="stranger@sender.test", parameters=""):
        """A whole message to those of the recipients that are accepted; `parameters` of MAIL."""
        if isinstance(recipients, str):
            recipients = [recipients]
        sent = Sent(self.mail(sender, parameters))
        if sent.mail.code != 250:
            return sent
        sent.rcpts = {recipient: self.rcpt(recipient) for recipient in recipients}
        if all(reply.code != 250 for reply in sent.rcpts.values()):
            self.command("RSET")
            return sent
        go_ahead = self.command("DATA")
        if go_ahead.code != 354:
            sent.data = go_ahead
            return sent
        message = [*headers, f"From: <{sender}>", "To: undisclosed-recipients:;",
                   f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}",
                   f"Subject: {text}", "", text or "(empty)"]
        # Bytes a header may hold that are not ASCII go out as they are.
        sent.data = self.command("\r\n".join([*message, "."]))
        return sent
