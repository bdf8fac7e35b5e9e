# SPDX-License-Identifier: BSD-2-Clause
#
# The MTA's side of the milter protocol (version 6), as Postfix and Sendmail speak it.
#
# A MilterClient knows where the filter listens and which MTA to play; `connect()` gives a
# MilterSession, one SMTP client's connection, on which messages are sent. The steps and replies
# that the filter negotiated away are left out just as the MTAs leave them out, macros are sent
# per stage, including for steps that are left out (both MTAs do that), and {client_addr} or any
# other macro beyond the MTA's default list is sent only when the filter asked for it by
# SETSYMLIST in its negotiation.
#
# Every reply to every step is kept in `session.replies`. A reply that would take a message out
# of the filter's and the MTA's hands (SMFIR_ACCEPT, SMFIR_DISCARD) or that the protocol doesn't
# allow at that step raises ProtocolError unless `allow_accept` is given: the product promises
# never to send one, so each test that talks to it checks that promise.

import dataclasses
import re
import socket
import struct
import time

# Commands, MTA to filter
CMD_ABORT, CMD_BODY, CMD_CONNECT, CMD_MACRO = b"A", b"B", b"C", b"D"
CMD_BODYEOB, CMD_HELO, CMD_QUIT_NC, CMD_HEADER = b"E", b"H", b"K", b"L"
CMD_MAIL, CMD_EOH, CMD_OPTNEG, CMD_QUIT = b"M", b"N", b"O", b"Q"
CMD_RCPT, CMD_DATA, CMD_UNKNOWN = b"R", b"T", b"U"

# Replies, filter to MTA
REPLY_NAMES = {
    b"c": "continue", b"a": "accept", b"d": "discard", b"r": "reject", b"t": "tempfail",
    b"y": "replycode", b"s": "skip", b"4": "shutdown", b"f": "conn_fail",
}
RPL_PROGRESS = b"p"
RPL_ADDRCPT, RPL_DELRCPT, RPL_ADDRCPT_PAR = b"+", b"-", b"2"
RPL_ADDHEADER, RPL_INSHEADER, RPL_CHGHEADER = b"h", b"i", b"m"
RPL_REPLBODY, RPL_CHGFROM, RPL_QUARANTINE = b"b", b"e", b"q"

# What a filter may do (SMFIF_*), as bits of the actions word
ACT_ADDHDRS, ACT_CHGBODY, ACT_ADDRCPT, ACT_DELRCPT = 0x01, 0x02, 0x04, 0x08
ACT_CHGHDRS, ACT_QUARANTINE, ACT_CHGFROM = 0x10, 0x20, 0x40
ACT_ADDRCPT_PAR, ACT_SETSYMLIST = 0x80, 0x100
ACT_ALL = 0x1FF

# Steps left out (SMFIP_NO*) and steps without a reply (SMFIP_NR_*), bits of the protocol word
P_NOCONNECT, P_NOHELO, P_NOMAIL, P_NORCPT = 0x01, 0x02, 0x04, 0x08
P_NOBODY, P_NOHDRS, P_NOEOH, P_NR_HDR = 0x10, 0x20, 0x40, 0x80
P_NOUNKNOWN, P_NODATA, P_SKIP, P_RCPT_REJ = 0x100, 0x200, 0x400, 0x800
P_NR_CONN, P_NR_HELO, P_NR_MAIL, P_NR_RCPT = 0x1000, 0x2000, 0x4000, 0x8000
P_NR_DATA, P_NR_UNKN, P_NR_EOH, P_NR_BODY = 0x10000, 0x20000, 0x40000, 0x80000
P_HDR_LEADSPC = 0x100000
P_ALL = 0x1FFFFF

LEAVE_OUT = {
    CMD_CONNECT: P_NOCONNECT, CMD_HELO: P_NOHELO, CMD_MAIL: P_NOMAIL, CMD_RCPT: P_NORCPT,
    CMD_DATA: P_NODATA, CMD_HEADER: P_NOHDRS, CMD_EOH: P_NOEOH, CMD_BODY: P_NOBODY,
    CMD_UNKNOWN: P_NOUNKNOWN,
}
NO_REPLY = {
    CMD_CONNECT: P_NR_CONN, CMD_HELO: P_NR_HELO, CMD_MAIL: P_NR_MAIL, CMD_RCPT: P_NR_RCPT,
    CMD_DATA: P_NR_DATA, CMD_HEADER: P_NR_HDR, CMD_EOH: P_NR_EOH, CMD_BODY: P_NR_BODY,
    CMD_UNKNOWN: P_NR_UNKN,
}

# Stages for which a filter may ask for its own list of macros (SMFIM_*)
STAGE_NUMBERS = {0: "connect", 1: "helo", 2: "mail", 3: "rcpt", 4: "data", 5: "eom", 6: "eoh"}

DEFAULT_MACROS = {
    "postfix": {
        "connect": ["j", "{daemon_name}", "{daemon_addr}", "v", "_"],
        "helo": ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
        "mail": ["i", "{auth_type}", "{auth_authen}", "{auth_author}",
                 "{mail_addr}", "{mail_host}", "{mail_mailer}"],
        "rcpt": ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
        "data": ["i"], "eoh": ["i"], "eom": ["i"],
    },
    "sendmail": {
        "connect": ["j", "_", "{daemon_name}", "{if_name}", "{if_addr}"],
        "helo": ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
        "mail": ["i", "{auth_type}", "{auth_authen}", "{auth_ssf}", "{auth_author}",
                 "{mail_mailer}", "{mail_host}", "{mail_addr}"],
        "rcpt": ["{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"],
        "data": ["i"], "eoh": ["i"], "eom": ["{msg_id}"],
    },
}

OUR_HOST = "mx2.example.net"


class ProtocolError(AssertionError):
    """The filter broke the milter protocol, or a promise about which replies it gives."""


class ConnectionLost(ProtocolError):
    """The filter closed the connection where a reply was due."""


@dataclasses.dataclass
class Reply:
    """The filter's answer to one step.

    `action` is a word of REPLY_NAMES, or "none" for a step that was left out or has no reply.
    `code`, `xcode` and `text` are filled from a reply code; `text` starts after the enhanced code.
    """
    action: str
    raw: str = ""
    code: int = None
    xcode: str = None
    text: str = ""
    seconds: float = 0.0

    @property
    def accepted(self):
        return self.action in ("continue", "none", "accept")

    @property
    def message_id(self):
        """The id that ends every reply text of ours, or None."""
        found = re.search(r" \(id ([a-z0-9]{8})\)$", self.text)
        return found.group(1) if found else None

    @classmethod
    def from_packet(cls, letter, data, seconds):
        action = REPLY_NAMES[letter]
        if action != "replycode":
            return cls(action, seconds=seconds)
        raw = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        found = re.match(r"([245]\d\d)[ -](?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?(.*)\Z", raw, re.S)
        if not found:
            raise ProtocolError("reply code of a strange form: %r" % raw)
        return cls(action, raw, int(found.group(1)), found.group(2), found.group(3), seconds)


@dataclasses.dataclass
class Modification:
    """One change that the filter asked for at end of message."""
    kind: str                   # add-header insert-header change-header add-rcpt del-rcpt ...
    name: str = ""
    value: str = ""
    index: int = None


class MessageResult:
    """What became of one message: the filter's answers and what the MTA would do."""

    def __init__(self, mail_from, rcpts):
        self.mail_from = mail_from
        self.rcpts = list(rcpts)
        self.mail = None                # Reply to MAIL
        self.replies = []               # Reply per RCPT, in order
        self.eom = None                 # Reply at end of message, None if it never got there
        self.modifications = []
        self.working = []               # (name, value or None once deleted)

    def reply(self, rcpt):
        return self.replies[self.rcpts.index(rcpt)]

    @property
    def accepted_rcpts(self):
        return [r for r, reply in zip(self.rcpts, self.replies) if reply.accepted]

    @property
    def headers(self):
        """(name, value) of the headers as the MTA would write them, after the modifications."""
        return [(name, value) for name, value in self.working if value is not None]

    def header_values(self, name):
        """Values of all headers of that name after the modifications, top first."""
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def of_kind(self, kind):
        return [m for m in self.modifications if m.kind == kind]


def recipient_macros(profile, rcpt, mailer="relay", host=None):
    """{rcpt_*} as the MTA would fill them for a recipient as typed."""
    bare = rcpt.strip()
    if bare.startswith("<") and bare.endswith(">"):
        bare = bare[1:-1]
    if bare.startswith("@") and ":" in bare:                    # source route
        bare = bare.split(":", 1)[1]
    local, at, domain = bare.rpartition("@")
    if not at:
        local, domain = domain, ""
    if profile == "postfix":
        address = local.lower() + at + domain
        default_host = domain
    else:
        address = bare
        default_host = domain + "." if domain else ""
        mailer = {"relay": "esmtp", "smtp": "esmtp"}.get(mailer, mailer)
    return {"{rcpt_addr}": address, "{rcpt_mailer}": mailer,
            "{rcpt_host}": default_host if host is None else host}


class MilterClient:
    """Where the filter listens and which MTA is played. `address` is (host, port) or a path."""

    def __init__(self, address, profile="postfix", timeout=30.0, host=OUR_HOST,
                 version=6, actions=ACT_ALL, protocol=P_ALL):
        self.address = address
        self.profile = profile
        self.timeout = timeout
        self.host = host
        self.version = version
        self.actions = actions
        self.protocol = protocol

    def open_socket(self):
        if isinstance(self.address, str):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(self.timeout)
        try:
            sock.connect(self.address)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            sock.close()
            raise
        return sock

    def connect(self, client="192.0.2.7", name="client.example.org", helo="client.example.org",
                auth=None, daemon_name="smtpd", profile=None, macros=None, without_macros=(),
                allow_accept=False, family=None, client_port=40000):
        """Open a connection of an SMTP client and take it past HELO.

        `name` is the client's verified name, None if it has none. `auth` is the login name of an
        authenticated client. `macros` adds or replaces values; a macro named in `without_macros`
        is never sent ("*" for all): the filter must bear that.
        """
        session = MilterSession(self, profile or self.profile, macros or {}, without_macros,
                                allow_accept)
        try:
            session.negotiate()
            session.begin(client, name, helo, auth, daemon_name, family, client_port)
        except BaseException:
            session.close()
            raise
        return session

    def send_message(self, client="192.0.2.7", name="client.example.org",
                     mail_from="<sender@example.org>", rcpts=("<user@example.test>",),
                     headers=(("Subject", "test"),), body=b"test\r\n", **more):
        """One connection, one message, QUIT. Returns a MessageResult."""
        per_message = {key: more.pop(key) for key in
                       ("mail_args", "rcpt_args", "mailer", "rcpt_host", "stop_after_rcpt")
                       if key in more}
        with self.connect(client=client, name=name, **more) as session:
            return session.message(mail_from, rcpts, headers=headers, body=body, **per_message)

    def rcpt(self, rcpt, **more):
        """Ask about one recipient and leave before DATA. Returns the Reply."""
        return self.send_message(rcpts=[rcpt], stop_after_rcpt=True, **more).replies[0]


class MilterSession:
    """One SMTP client's connection. Not thread-safe: one thread per session."""

    _queue_ids = 0

    def __init__(self, client, profile, macros, without_macros, allow_accept):
        self.client = client
        self.profile = profile
        self.allow_accept = allow_accept
        self.without_macros = set(without_macros)
        self.values = {"j": client.host, "{daemon_name}": "smtpd",
                       "{daemon_addr}": "127.0.0.1", "{if_name}": client.host,
                       "{if_addr}": "127.0.0.1",
                       "v": "Postfix 3.7.11" if profile == "postfix" else "8.17.1"}
        self.overrides = macros
        self.lists = {stage: list(names) for stage, names in DEFAULT_MACROS[profile].items()}
        self.replies = []                       # (step, Reply) of everything
        self.negotiated_protocol = 0
        self.negotiated_actions = 0
        self.asked_macros = {}                  # stage -> names, from SETSYMLIST
        self.in_message = False
        self.gone = False
        self.dead_reply = None                  # a 421 or shutdown ended the SMTP session
        self.sock = client.open_socket()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None and not self.gone:
            self.quit()
        self.close()

    # -- packets

    def send_packet(self, command, data=b""):
        self.sock.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def _receive_exactly(self, count):
        parts = []
        while count:
            try:
                part = self.sock.recv(count)
            except ConnectionError as error:
                raise ConnectionLost("filter reset the connection: %s" % error) from error
            except socket.timeout as error:
                raise ProtocolError("no reply from the filter within %s s"
                                    % self.sock.gettimeout()) from error
            if not part:
                raise ConnectionLost("filter closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def receive_packet(self):
        length, = struct.unpack("!I", self._receive_exactly(4))
        if not 1 <= length <= 1 << 20:
            raise ProtocolError("packet of %d bytes" % length)
        packet = self._receive_exactly(length)
        return packet[:1], packet[1:]

    # -- negotiation

    def negotiate(self):
        self.send_packet(CMD_OPTNEG, struct.pack("!III", self.client.version, self.client.actions,
                                                 self.client.protocol))
        command, data = self.receive_packet()
        if command != CMD_OPTNEG or len(data) < 12:
            raise ProtocolError("bad answer to the negotiation: %r %r" % (command, data))
        version, self.negotiated_actions, self.negotiated_protocol = struct.unpack("!III",
                                                                                   data[:12])
        if version > self.client.version or version < 2:
            raise ProtocolError("filter wants protocol version %d" % version)
        if self.negotiated_actions & ~self.client.actions:
            raise ProtocolError("filter wants actions that weren't offered: %x"
                                % self.negotiated_actions)
        if self.negotiated_protocol & ~self.client.protocol:
            raise ProtocolError("filter wants protocol bits that weren't offered: %x"
                                % self.negotiated_protocol)
        rest = data[12:]
        while rest:
            stage_number, = struct.unpack("!I", rest[:4])
            names, _, rest = rest[4:].partition(b"\0")
            stage = STAGE_NUMBERS[stage_number]
            wanted = names.decode().replace(",", " ").split()
            self.asked_macros[stage] = wanted
            if self.client.actions & ACT_SETSYMLIST:
                self.lists[stage] = wanted      # it replaces the stage's list

    # -- steps

    def send_macros(self, command, stage):
        pairs = []
        for name in self.lists.get(stage, ()):
            if name in self.without_macros or "*" in self.without_macros:
                continue
            value = self.overrides.get(name, self.values.get(name))
            if value is None:
                value = self.values.get("{%s}" % name)
            if value is not None:
                pairs.append(_text(name) + b"\0" + _text(value) + b"\0")
        if pairs or self.profile == "postfix":
            self.send_packet(CMD_MACRO, command + b"".join(pairs))

    def step(self, command, data=b"", stage=None):
        """One step: its macros, the command unless negotiated away, and the reply if one is due."""
        if stage:
            self.send_macros(command, stage)
        if LEAVE_OUT.get(command, 0) & self.negotiated_protocol:
            return Reply("none")
        started = time.monotonic()
        self.send_packet(command, data)
        if NO_REPLY.get(command, 0) & self.negotiated_protocol:
            return Reply("none")
        return self._reply(command, started)

    def _reply(self, command, started, on_modification=None):
        while True:
            letter, data = self.receive_packet()
            if letter == RPL_PROGRESS:
                continue
            if letter in REPLY_NAMES:
                break
            if on_modification is None:
                raise ProtocolError("%r in answer to %r" % (letter, command))
            on_modification(letter, data)
        reply = Reply.from_packet(letter, data, time.monotonic() - started)
        self.replies.append((command.decode(), reply))
        if reply.action in ("accept", "discard") and not self.allow_accept:
            raise ProtocolError("SMFIR_%s in answer to %s: the milter may only object or "
                                "continue" % (reply.action.upper(), command.decode()))
        if reply.action == "skip" and command not in (CMD_BODY, CMD_HEADER):
            raise ProtocolError("SMFIR_SKIP in answer to %s" % command.decode())
        if reply.action == "shutdown" or reply.code == 421:
            self.dead_reply = reply
        return reply

    def begin(self, client, name, helo, auth, daemon_name, family, client_port):
        ipv6 = client is not None and ":" in client
        shown = "[IPv6:%s]" % client if ipv6 and self.profile == "sendmail" else "[%s]" % client
        if self.profile == "postfix":
            host = name or "unknown"
        else:
            host = name or shown
        self.values["{daemon_name}"] = daemon_name
        self.values["{client_addr}"] = client
        self.values["{client_name}"] = name or "unknown"
        self.values["{client_ptr}"] = name or "unknown"
        self.values["{client_port}"] = str(client_port)
        self.values["{client_resolve}"] = "OK" if name else "FAIL"
        self.values["_"] = "%s %s" % (host, shown) if name else shown
        if auth:
            self.values.update({"{auth_authen}": auth, "{auth_type}": "PLAIN",
                                "{auth_author}": None, "{auth_ssf}": "0"})
        if family is None:
            family = "U" if client is None else "6" if ipv6 else "4"
        data = _text(host) + b"\0" + family.encode()
        if family != "U":
            address = "IPv6:" + client if ipv6 and self.profile == "sendmail" else client
            data += struct.pack("!H", client_port) + _text(address) + b"\0"
        self.connect_reply = self.step(CMD_CONNECT, data, "connect")
        self.helo_reply = None
        if helo is not None and self.connect_reply.accepted:
            self.helo_reply = self.step(CMD_HELO, _text(helo) + b"\0", "helo")

    def mail(self, mail_from, args=()):
        if self.profile == "sendmail":
            self._new_queue_id()
        self.values["{mail_addr}"] = _shown(mail_from).strip("<>")
        self.values["{mail_host}"] = self.values["{mail_addr}"].rpartition("@")[2]
        self.values["{mail_mailer}"] = "smtp" if self.profile == "postfix" else "esmtp"
        self.in_message = True
        data = b"".join(_text(part) + b"\0" for part in (mail_from, *args))
        return self.step(CMD_MAIL, data, "mail")

    def rcpt(self, rcpt, args=(), mailer="relay", host=None):
        self.values.update(recipient_macros(self.profile, _shown(rcpt), mailer, host))
        data = b"".join(_text(part) + b"\0" for part in (rcpt, *args))
        reply = self.step(CMD_RCPT, data, "rcpt")
        if reply.accepted and "i" not in self.values:
            self._new_queue_id()                # Postfix opens its queue file only now
        return reply

    def _new_queue_id(self):
        MilterSession._queue_ids += 1
        self.values["i"] = "%s%09d" % ("4Q" if self.profile == "postfix" else "3AN",
                                       MilterSession._queue_ids)

    def content(self, headers, body, result):
        """DATA to end of message. Fills `result` with the answer and the modifications."""
        result.working = [(name, value) for name, value in headers]
        reply = self.step(CMD_DATA, stage="data")
        if not reply.accepted:
            result.eom = reply
            return
        leading = " " if self.negotiated_protocol & P_HDR_LEADSPC else ""
        for name, value in headers:
            reply = self.step(CMD_HEADER, _text(name) + b"\0" + _text(leading + value) + b"\0")
            if not reply.accepted:
                result.eom = reply
                return
        self.step(CMD_EOH, stage="eoh")
        for start in range(0, len(body), 65535):
            if self.step(CMD_BODY, body[start:start + 65535]).action == "skip":
                break
        self.send_macros(CMD_BODYEOB, "eom")
        started = time.monotonic()
        self.send_packet(CMD_BODYEOB)
        result.eom = self._reply(CMD_BODYEOB, started,
                                 lambda letter, data: self._modify(result, letter, data))
        self.in_message = False

    def _need(self, action, what):
        if not self.negotiated_actions & action:
            raise ProtocolError("%s without having negotiated it" % what)

    def _modify(self, result, letter, data):
        """Keep one modification, and do to the headers what the MTA would do."""
        parts = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")]
        if letter in (RPL_ADDHEADER, RPL_INSHEADER, RPL_CHGHEADER):
            index = None
            if letter != RPL_ADDHEADER:
                index, = struct.unpack("!I", data[:4])
                parts = [p.decode("utf-8", "surrogateescape") for p in data[4:].split(b"\0")]
            name, value = parts[0], parts[1]
            if letter == RPL_ADDHEADER:
                self._need(ACT_ADDHDRS, "ADDHEADER")
                kind = "add-header"
                result.working.append((name, value))
            elif letter == RPL_INSHEADER:
                self._need(ACT_ADDHDRS, "INSHEADER")
                kind = "insert-header"
                result.working.insert(index, (name, value))
            else:
                self._need(ACT_CHGHDRS, "CHGHEADER")
                kind = "change-header"
                self._change_header(result, name, index, value)
            result.modifications.append(Modification(kind, name, value, index))
        elif letter == RPL_ADDRCPT:
            self._need(ACT_ADDRCPT, "ADDRCPT")
            result.modifications.append(Modification("add-rcpt", parts[0]))
        elif letter == RPL_ADDRCPT_PAR:
            self._need(ACT_ADDRCPT_PAR, "ADDRCPT_PAR")
            result.modifications.append(Modification("add-rcpt", parts[0],
                                                     parts[1] if len(parts) > 2 else ""))
        elif letter == RPL_DELRCPT:
            self._need(ACT_DELRCPT, "DELRCPT")
            result.modifications.append(Modification("del-rcpt", parts[0]))
        elif letter == RPL_QUARANTINE:
            self._need(ACT_QUARANTINE, "QUARANTINE")
            result.modifications.append(Modification("quarantine", value=parts[0]))
        elif letter == RPL_CHGFROM:
            self._need(ACT_CHGFROM, "CHGFROM")
            result.modifications.append(Modification("change-from", parts[0]))
        elif letter == RPL_REPLBODY:
            self._need(ACT_CHGBODY, "REPLBODY")
            result.modifications.append(Modification("replace-body"))
        else:
            raise ProtocolError("unknown modification %r" % letter)

    def _change_header(self, result, name, index, value):
        """CHGHEADER: the index-th header of that name, from 1; an empty value deletes it.

        In Postfix a deleted header no longer counts for later indices, in Sendmail it does. A
        filter that deletes several copies has to go from the last to the first to suit both.
        """
        counts_deleted = self.profile == "sendmail"
        places = [place for place, (n, v) in enumerate(result.working)
                  if n.lower() == name.lower() and (v is not None or counts_deleted)]
        if 1 <= index <= len(places):
            result.working[places[index - 1]] = (name, value or None)
        elif value:
            result.working.append((name, value))

    def message(self, mail_from, rcpts, headers=(("Subject", "test"),), body=b"test\r\n",
                mail_args=(), rcpt_args=None, mailer="relay", rcpt_host=None,
                stop_after_rcpt=False):
        """One message. Content is sent only if a recipient was accepted, as an MTA does."""
        result = MessageResult(mail_from, rcpts)
        result.mail = self.mail(mail_from, mail_args)
        if result.mail.accepted:
            for rcpt in rcpts:
                args = (rcpt_args or {}).get(rcpt, ())
                result.replies.append(self.rcpt(rcpt, args, mailer, rcpt_host))
                if self.dead_reply:
                    break
        if not self.dead_reply and not stop_after_rcpt and result.accepted_rcpts:
            self.content(list(headers), body, result)
        if self.in_message:
            self.abort()
        self.values.pop("i", None)
        return result

    # -- endings

    def abort(self):
        """The message is dropped (RSET, or a refused DATA). There is no reply to it."""
        self.in_message = False
        self.values.pop("i", None)
        self.send_packet(CMD_ABORT)

    def quit(self):
        if not self.gone:
            self.gone = True
            try:
                self.send_packet(CMD_QUIT)
            except OSError:
                pass

    def quit_nc(self, **begin):
        """End of this SMTP client's connection; the socket is kept for the next one."""
        self.send_packet(CMD_QUIT_NC)
        self.in_message = False
        self.values.pop("i", None)
        self.values.pop("{auth_authen}", None)
        arguments = dict(client="192.0.2.7", name="client.example.org", helo="client.example.org",
                         auth=None, daemon_name="smtpd", family=None, client_port=40000)
        arguments.update(begin)
        self.begin(**arguments)

    def close(self):
        self.gone = True
        self.sock.close()


def _text(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def _shown(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
