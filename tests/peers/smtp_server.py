# SPDX-License-Identifier: BSD-2-Clause
#
# A scripted SMTP server: it plays a primary MX (or, with ETRN, our own MTA) as well or as badly
# as a test wants, and keeps the whole conversation with times.
#
# What the server does at each stage is a *step*:
#
#   "250 2.1.5 ok"              a reply; "\n" between lines makes it a multi-line reply
#   Answer("...", delay=, drip=) the same, later, or byte by byte
#   SILENCE                     say nothing and wait for the peer to give up
#   RESET                       end the connection with a TCP reset
#   CLOSE                       end it with a plain FIN
#   Raw(b"...")                 these bytes and nothing else; close=True or reset=True ends it then
#   HangUp("421 ...")           a reply, then close
#   callable(session, argument) anything of the above, decided at run time
#
# `server.script` holds the steps and may be changed at any time, it is looked at when the
# stage is reached. `Blackhole` is the host that drops packets: connecting to it times out.

import contextlib
import dataclasses
import re
import socket
import ssl
import struct
import threading
import time

from .waiting import eventually

SILENCE, RESET, CLOSE = "SILENCE", "RESET", "CLOSE"


@dataclasses.dataclass(frozen=True)
class Answer:
    text: str
    delay: float = 0.0
    drip: float = 0.0                   # seconds between two bytes


@dataclasses.dataclass(frozen=True)
class Raw:
    data: bytes
    delay: float = 0.0
    close: bool = False                 # and then end the connection, by FIN
    reset: bool = False                 # or by RST


@dataclasses.dataclass(frozen=True)
class HangUp:
    text: str
    delay: float = 0.0


@dataclasses.dataclass
class Script:
    """Steps of each stage, and what EHLO offers."""
    banner: object = "220 {name} ESMTP"
    ehlo: object = None                 # None: the usual answer with `extensions`
    helo: object = "250 {name}"
    starttls: object = "220 2.0.0 go ahead"
    tls_handshake: object = None        # RESET, CLOSE, SILENCE or Raw instead of a handshake
    mail: object = "250 2.1.0 ok"
    rcpt: object = None                 # None: `recipients`, then `other_recipients`
    data: object = "554 5.5.1 no valid recipients"
    rset: object = "250 2.0.0 ok"
    noop: object = "250 2.0.0 ok"
    quit: object = HangUp("221 2.0.0 bye")
    etrn: object = "500 5.5.2 command not recognized"
    unknown: object = "500 5.5.2 command not recognized"
    accept: object = None               # RESET or CLOSE at once after accept()

    pipelining: bool = True
    smtputf8: bool = False
    offer_starttls: bool = False
    certificate: object = None          # Certificate of certificates.py
    extensions: tuple = ("8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 10240000")

    recipients: dict = dataclasses.field(default_factory=dict)  # address or local part -> step
    other_recipients: object = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"
    hang_up_after_refusals: int = None  # 421 and close once so many RCPTs were refused
    discards_pipelined: bool = False    # drop input that came before the reply was sent
    slow: float = 0.0                   # a tarpit: seconds before each reply


class Session:
    """One connection to the server: its transcript and what was counted."""

    def __init__(self, server, peer):
        self.server = server
        self.peer = peer
        self.started = time.monotonic()
        self.ended = None
        self.transcript = []            # (seconds since start, "<" peer's | ">" ours | "!", text)
        self.forget()
        self.helo_name = None
        self.tls = False
        self.tls_name = None            # server name indication, if given
        self.refusals = 0

    def forget(self):
        self.commands = []              # verbs, upper case
        self.lines = []                 # complete command lines
        self.rcpts = []                 # addresses asked, without angle brackets
        self.rcpt_replies = []          # (address, code)
        self.mail_from = []

    def note(self, direction, text):
        self.transcript.append((time.monotonic() - self.started, direction, text))

    def __str__(self):
        return "\n".join("%7.3f %s %s" % entry for entry in self.transcript)


class _End(Exception):
    """This connection is over."""


class SmtpServer:
    """Listens on one address and serves each connection in a thread of its own."""

    def __init__(self, address, port, name="mx1.example.test", **script):
        self.address = address
        self.port = port
        self.name = name
        self.script = Script(**script)
        self.sessions = []
        self._lock = threading.Lock()
        self._listener = None
        self._acceptor = None
        self._connections = set()       # by each one's own thread taken out before it is closed
        self._stopping = threading.Event()
        self.start()

    # -- life

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def endpoint(self):
        """As the daemon writes it: [address]:port."""
        return "[%s]:%d" % (self.address, self.port)

    def start(self):
        """Listen (again): the process is back."""
        if self._listener:
            return
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((self.address, self.port))
        listener.listen(128)
        self._listener = listener
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, args=(listener, self._stopping),
                                          daemon=True)
        self._acceptor.start()

    def stop(self):
        """Stop as a killed process does: refuses connections, open ones are reset."""
        if not self._listener:
            return
        self._stopping.set()
        # closing alone doesn't wake a thread that sits in accept()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        self.reset_connections()

    close = stop

    def reset_connections(self):
        """Each is reset by its own thread, which this wakes. Were it closed from here, that thread
        could be on its way into poll() with a number that is another file's by then, such as the
        end of a pipe to a program that is being started: it would hold that open for a minute."""
        with self._lock:
            for connection in self._connections:
                _make_closing_a_reset(connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR if isinstance(connection, ssl.SSLSocket)
                                        else socket.SHUT_RD)

    def say_to_all(self, line):
        """Say something to all who are connected without being asked, and close."""
        with self._lock:
            connections = list(self._connections)
        told = 0
        for connection in connections:
            with contextlib.suppress(OSError):  # it left before, or on hearing this
                connection.sendall((line + "\r\n").encode())
                told += 1
                connection.shutdown(socket.SHUT_RDWR)
        assert told, "nobody was there to be told"

    # -- what tests ask

    def change(self, **script):
        """Change steps at run time; stages not named keep theirs."""
        for key, value in script.items():
            if not hasattr(self.script, key):
                raise AttributeError(key)
            setattr(self.script, key, value)

    def behave(self, **script):
        """A new script: everything not named is as in a healthy server."""
        self.script = Script(**script)

    def forget(self):
        """Start counting anew. Sessions that are open still end up in `sessions` of before, unless
        they are used again: the daemon keeps an idle one for its next question."""
        with self._lock:
            self.sessions = []

    def remember(self, session):
        """A session goes on; if it had been forgotten, it counts from here."""
        with self._lock:
            if session not in self.sessions:
                session.forget()
                self.sessions.append(session)

    @property
    def open_sessions(self):
        return [s for s in self.sessions if s.ended is None]

    def rcpts(self):
        """All addresses asked, over all sessions."""
        return [rcpt for session in list(self.sessions) for rcpt in list(session.rcpts)]

    def commands(self):
        return [command for session in list(self.sessions) for command in list(session.commands)]

    def callout_sessions(self):
        """Sessions that got as far as MAIL: probes don't."""
        return [s for s in list(self.sessions) if s.mail_from]

    def transcripts(self):
        return "\n--\n".join(str(session) for session in list(self.sessions))

    def wait_for_rcpt(self, address, deadline=10.0):
        return eventually(lambda: address in self.rcpts(), deadline,
                          lambda: "RCPT %s at %s, saw:\n%s" % (address, self.endpoint,
                                                              self.transcripts()))

    def wait_for_sessions(self, count, deadline=10.0):
        return eventually(lambda: len(self.sessions) >= count, deadline,
                          lambda: "%d sessions at %s, saw %d" % (count, self.endpoint,
                                                                 len(self.sessions)))

    # -- serving

    def _accept(self, listener, stopping):
        while not stopping.is_set():
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            if stopping.is_set():
                _reset(connection)
                return
            session = Session(self, peer)
            with self._lock:
                self.sessions.append(session)
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, session, stopping),
                             daemon=True).start()

    def _serve(self, connection, session, stopping):
        conversation = _Conversation(self, connection, session, stopping)
        try:
            conversation.run()
        except (_End, OSError, ssl.SSLError, ValueError) as end:
            session.note("!", "end: %s" % (end or type(end).__name__))
        finally:
            session.ended = time.monotonic()
            with self._lock:
                self._connections -= {connection, conversation.sock}
            conversation.close()

    def connection_is_now(self, before, secure):
        """A TLS socket takes the descriptor from the one it wraps."""
        with self._lock:
            self._connections.discard(before)
            self._connections.add(secure)


class _Conversation:
    def __init__(self, server, connection, session, stopping):
        self.server = server
        self.raw = connection
        self.sock = connection
        self.session = session
        self.stopping = stopping
        self.buffer = b""
        self.held = b""                 # replies that go out together

    @property
    def script(self):
        return self.server.script

    def run(self):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(60)
        if self.script.accept is not None:
            self.do(self.script.accept)
        self.do(self.script.banner)
        while True:
            self.command(self.read_line())

    def close(self):
        with contextlib.suppress(OSError):
            self.flush()
        with contextlib.suppress(OSError):
            self.sock.close()
        with contextlib.suppress(OSError):
            self.raw.close()

    def send(self, data):
        """As real servers do: the replies to commands that came together go out together."""
        self.held += data
        if b"\n" not in self.buffer:
            self.flush()

    def flush(self):
        held, self.held = self.held, b""
        if held:
            self.sock.sendall(held)

    def read_line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(4096)
            if not data:
                raise _End("peer closed")
            self.buffer += data
            if len(self.buffer) > 1 << 20:
                raise _End("peer sent a line of a megabyte")
        if self.stopping.is_set():
            raise _End("server stopped")
        line, _, self.buffer = self.buffer.partition(b"\n")
        text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
        self.session.note("<", text)
        self.session.lines.append(text)
        return text

    # -- steps

    def do(self, step, argument="", **values):
        """Carry a step out. Returns the code of the reply, or None."""
        if callable(step):
            step = step(self.session, argument)
        if step in (SILENCE, RESET, CLOSE):
            self.flush()
        if step == SILENCE:
            self.session.note("!", "silent")
            self.wait_for_peer()
        if step == RESET:
            self.session.note("!", "reset")
            _reset(self.raw)
            raise _End("reset")
        if step == CLOSE:
            self.session.note("!", "close")
            raise _End("closed")
        if isinstance(step, Raw):
            self.pause(step.delay)
            self.session.note(">", repr(step.data[:200]))
            self.send(step.data)
            if step.reset:
                self.flush()
                _reset(self.raw)
            if step.close or step.reset:
                raise _End("closed")
            return None
        if isinstance(step, HangUp):
            self.pause(step.delay)
            self.reply(step.text, 0.0, values)
            raise _End("hung up")
        if isinstance(step, Answer):
            self.pause(step.delay)
            return self.reply(step.text, step.drip, values)
        return self.reply(step, 0.0, values)

    def pause(self, seconds):
        if seconds:
            self.flush()
        if seconds and self.stopping.wait(seconds):
            raise _End("server stopped")

    def wait_for_peer(self):
        """Silent until the peer closes; commands that come meanwhile are noted."""
        self.sock.settimeout(0.2)
        while not self.stopping.is_set():
            try:
                data = self.sock.recv(4096)
            except socket.timeout:
                continue
            if not data:
                raise _End("peer gave up")
            self.session.note("<", repr(data))
        raise _End("server stopped")

    def reply(self, text, drip, values):
        self.pause(self.script.slow)
        values.setdefault("name", self.server.name)
        for key, value in values.items():
            text = text.replace("{%s}" % key, value)
        lines = text.split("\n")
        code = lines[0][:3]
        out = []
        for number, line in enumerate(lines):
            last = number == len(lines) - 1
            if re.match(r"\d\d\d[ -]", line):
                line = line[:3] + (" " if last else "-") + line[4:]
            elif number and not re.match(r"\d\d\d", line):
                line = code + (" " if last else "-") + line
            out.append(line)
        data = ("\r\n".join(out) + "\r\n").encode("utf-8", "surrogateescape")
        if self.script.discards_pipelined:
            self.buffer = b""
        for line in out:
            self.session.note(">", line)
        if drip:
            self.flush()
            for position in range(len(data)):
                self.sock.sendall(data[position:position + 1])
                self.pause(drip)
        else:
            self.send(data)
        return int(code) if code.isdigit() else None

    # -- commands

    def command(self, line):
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        self.session.commands.append(verb)
        handler = getattr(self, "command_" + verb.lower(), None)
        if handler:
            handler(argument)
        else:
            self.do(self.script.unknown, line)

    def command_ehlo(self, argument):
        self.session.helo_name = argument
        step = self.script.ehlo
        if step is None:
            lines = ["250 {name}"]
            if self.script.pipelining:
                lines.append("PIPELINING")
            if self.script.smtputf8:
                lines.append("SMTPUTF8")
            if self.script.offer_starttls and not self.session.tls:
                lines.append("STARTTLS")
            if not (isinstance(self.script.etrn, str) and self.script.etrn.startswith("500")):
                lines.append("ETRN")
            lines += self.script.extensions
            step = "\n".join(lines)
        self.do(step, argument)

    def command_helo(self, argument):
        self.session.helo_name = argument
        self.do(self.script.helo, argument)

    def command_starttls(self, argument):
        if self.do(self.script.starttls, argument) != 220:
            return
        self.flush()
        if self.buffer:
            self.session.note("!", "plain text after STARTTLS: %r" % self.buffer)
        if self.script.tls_handshake is not None:
            self.do(self.script.tls_handshake)
            self.wait_for_peer()
        context = self.script.certificate.context()

        def remember_name(_socket, name, _context):
            self.session.tls_name = name

        context.sni_callback = remember_name
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.server.connection_is_now(self.raw, self.sock)
        self.session.tls = True
        self.session.note("!", "TLS %s" % self.sock.version())

    def command_mail(self, argument):
        self.server.remember(self.session)
        self.session.mail_from.append(argument)
        self.do(self.script.mail, argument)

    def command_rcpt(self, argument):
        found = re.match(r"TO:\s*<(.*)>", argument, re.I | re.S)
        address = found.group(1) if found else argument
        self.session.rcpts.append(address)
        script = self.script
        step = script.rcpt
        if step is None:
            local = address.rpartition("@")[0]
            step = script.recipients.get(address, script.recipients.get(local))
            if step is None:
                step = script.other_recipients
        code = self.do(step, address, rcpt=address)
        self.session.rcpt_replies.append((address, code))
        if code is not None and code >= 400:
            self.session.refusals += 1
            limit = script.hang_up_after_refusals
            if limit is not None and self.session.refusals >= limit:
                self.do(HangUp("421 4.7.0 {name} Error: too many errors"))

    def command_data(self, argument):
        self.do(self.script.data, argument)

    def command_rset(self, argument):
        self.do(self.script.rset, argument)

    def command_noop(self, argument):
        self.do(self.script.noop, argument)

    def command_etrn(self, argument):
        self.do(self.script.etrn, argument)

    def command_quit(self, argument):
        self.do(self.script.quit, argument)
        raise _End("quit")


def _make_closing_a_reset(connection):
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _reset(connection):
    """For the thread that serves it, and no other."""
    _make_closing_a_reset(connection)
    with contextlib.suppress(OSError):
        connection.close()


class Blackhole:
    """An address whose packets are dropped: connecting to it hangs until the peer gives up.

    A listener with a full backlog does that without any packet filter: Linux ignores further
    SYNs as long as nobody accepts.
    """

    def __init__(self, address, port):
        self.address = address
        self.port = port
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(0)
        self._fillers = []
        for _ in range(8):
            filler = socket.socket(family, socket.SOCK_STREAM)
            filler.settimeout(0.1)
            self._fillers.append(filler)
            try:
                filler.connect((address, port))
            except OSError:
                break                   # full: this SYN was dropped
        else:
            raise RuntimeError("the backlog never filled up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for filler in self._fillers:
            filler.close()
        self._listener.close()
