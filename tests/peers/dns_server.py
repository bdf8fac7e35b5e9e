# SPDX-License-Identifier: BSD-2-Clause
#
# A small programmable authoritative DNS server on UDP and TCP, for what real servers don't do on
# demand: SERVFAIL, silence, truncation, garbage, delays, all changed at run time. It counts the
# queries per name and type.
#
# A name that was given no record and no fault doesn't exist (NXDOMAIN); one that has records of
# other types only gives an empty answer (NODATA).

import collections
import contextlib
import ipaddress
import socket
import struct
import threading

from .waiting import eventually, free_port

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "OPT": 41, "TLSA": 52, "ANY": 255}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

# Faults besides the rcodes
SILENCE = "SILENCE"             # never answer
NODATA = "NODATA"               # the name exists, this type doesn't
GARBAGE = "GARBAGE"             # bytes that are no DNS message
TRUNCATE = "TRUNCATE"           # UDP answers with TC set and nothing in it: ask by TCP
TRUNCATE_DEAF = "TRUNCATE_DEAF"  # the same, and TCP never answers
SHORT = "SHORT"                 # a header that promises records which aren't there
LOOPING_NAME = "LOOPING_NAME"   # an answer whose name's compression pointer points at itself
WRONG_ID = "WRONG_ID"           # a good answer to another query


def _wire_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("utf-8", "surrogateescape")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def _read_name(message, position):
    labels = []
    while True:
        length = message[position]
        if length == 0:
            return ".".join(labels), position + 1
        if length > 63:
            raise ValueError("compressed or broken name in a question")
        labels.append(message[position + 1:position + 1 + length].decode("latin-1"))
        position += 1 + length


class DnsServer:
    """Listens on one loopback address, the same port for UDP and TCP."""

    def __init__(self, address="127.0.0.1", port=None):
        self.address = address
        self.port = port or free_port()
        self.queries = collections.Counter()    # (name, type) -> count
        self.log = []                           # (name, type, "udp" | "tcp")
        self._records = {}                      # (name, type) -> (ttl, [rdata as given])
        self._faults = {}                       # (name, type or None) -> fault
        self._delays = {}
        self._default_fault = None
        self._lock = threading.Lock()
        self._open = True
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind((address, self.port))
        self._tcp.listen(16)
        self._threads = [threading.Thread(target=serve, daemon=True)
                         for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._open = False
        with contextlib.suppress(OSError):
            self._udp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:    # none goes on with a number that is another file's by then
            thread.join()
        self._udp.close()
        self._tcp.close()

    @property
    def server(self):
        """As `[dns] servers` takes it."""
        return "%s:%d" % (self.address, self.port)

    # -- what the zone says

    def set(self, name, kind, values, ttl=60):
        """Records of one name and type. MX values are (preference, host); a null MX is (0, ".")."""
        with self._lock:
            self._faults.pop((name.lower(), kind), None)
            self._records[(name.lower(), kind)] = (ttl, list(values))

    def remove(self, name, kind=None):
        """The records are gone; without `kind` the whole name is, and gives NXDOMAIN."""
        with self._lock:
            for key in list(self._records):
                if key[0] == name.lower() and kind in (None, key[1]):
                    del self._records[key]

    def fail(self, name, fault, kind=None):
        """Let queries for `name` fail: an rcode's name or one of the faults above."""
        with self._lock:
            self._faults[(name.lower(), kind)] = fault

    def heal(self, name, kind=None):
        with self._lock:
            self._faults.pop((name.lower(), kind), None)

    def fail_all(self, fault):
        """Every query fails like this, until None is given."""
        with self._lock:
            self._default_fault = fault

    def delay(self, name, seconds):
        with self._lock:
            self._delays[name.lower()] = seconds

    def host(self, name, *addresses, ttl=60):
        """A and AAAA records of a host, replacing what it had."""
        self.remove(name)
        parsed = [ipaddress.ip_address(a) for a in addresses]
        for kind, version in (("A", 4), ("AAAA", 6)):
            of_kind = [str(a) for a in parsed if a.version == version]
            if of_kind:
                self.set(name, kind, of_kind, ttl)

    def mx(self, domain, *entries, ttl=60):
        self.set(domain, "MX", list(entries), ttl)

    # -- what was asked

    def count(self, name, kind=None):
        with self._lock:
            return sum(n for (asked, of), n in self.queries.items()
                       if asked == name.lower() and kind in (None, of))

    def names_asked(self):
        with self._lock:
            return {name for name, _ in self.queries}

    def wait_for_query(self, name, kind=None, count=1, deadline=10.0):
        return eventually(lambda: self.count(name, kind) >= count, deadline,
                          "query %s %s" % (name, kind))

    # -- serving

    def _serve_udp(self):
        while self._open:
            try:
                message, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if not message:
                continue
            reply, delay = self._answer(message, "udp")
            if reply is None:
                continue
            if delay:
                threading.Timer(delay, self._send_udp, (reply, peer)).start()
            else:
                self._send_udp(reply, peer)

    def _send_udp(self, reply, peer):
        with contextlib.suppress(OSError):
            self._udp.sendto(reply, peer)

    def _serve_tcp(self):
        while self._open:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,),
                             daemon=True).start()

    def _serve_connection(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            while True:
                head = self._exactly(connection, 2)
                if head is None:
                    return
                message = self._exactly(connection, struct.unpack("!H", head)[0])
                if message is None:
                    return
                reply, delay = self._answer(message, "tcp")
                if delay:
                    threading.Event().wait(delay)
                if reply is not None:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)

    @staticmethod
    def _exactly(connection, count):
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                return None
            data += part
        return data

    def _answer(self, message, transport):
        """The reply's bytes (None for silence) and how long to wait before sending them."""
        try:
            ident, flags, questions = struct.unpack("!HHH", message[:6])
            name, position = _read_name(message, 12)
            kind_number, _ = struct.unpack("!HH", message[position:position + 4])
        except (struct.error, IndexError, ValueError):
            return None, 0
        question = message[12:position + 4]
        has_edns = struct.unpack("!H", message[10:12])[0] > 0
        kind = TYPE_NAMES.get(kind_number, "TYPE%d" % kind_number)
        key = name.lower()
        with self._lock:
            self.queries[(key, kind)] += 1
            self.log.append((key, kind, transport))
            fault = self._faults.get((key, kind), self._faults.get((key, None),
                                                                   self._default_fault))
            delay = self._delays.get(key, 0)
        if fault == SILENCE or questions != 1:
            return None, 0
        if fault == TRUNCATE_DEAF and transport == "tcp":
            return None, 0
        if fault == GARBAGE:
            return message[:2] + b"\xff" * 21, delay
        reply_flags = 0x8400 | (flags & 0x0100) | 0x0080
        if fault in (TRUNCATE, TRUNCATE_DEAF) and transport == "udp":
            return struct.pack("!HHHHHH", ident, reply_flags | 0x0200, 1, 0, 0, 0) + question, delay
        if fault == SHORT:
            return struct.pack("!HHHHHH", ident, reply_flags, 1, 5, 0, 0) + question, delay
        if fault == LOOPING_NAME:
            here = 12 + len(question)
            record = struct.pack("!HHHIH", 0xC000 | here, kind_number, 1, 60, 2) + b"\0\0"
            return struct.pack("!HHHHHH", ident, reply_flags, 1, 1, 0, 0) + question + record, delay
        if fault == WRONG_ID:
            ident ^= 0x5555
        if fault in RCODES:
            rcode, answers = RCODES[fault], []
        elif fault == NODATA:
            rcode, answers = 0, []
        else:
            rcode, answers = self._look_up(key, kind)
        authority = b""
        if not answers and rcode in (0, 3):
            authority = self._soa(key)
        body = question + b"".join(answers) + authority
        extra = 0
        if has_edns:
            body += b"\0" + struct.pack("!HHIH", TYPES["OPT"], 1232, 0, 0)
            extra = 1
        if transport == "udp" and len(body) > (1220 if has_edns else 500):
            return struct.pack("!HHHHHH", ident, reply_flags | 0x0200, 1, 0, 0, 0) + question, delay
        header = struct.pack("!HHHHHH", ident, reply_flags | rcode, 1, len(answers),
                             1 if authority else 0, extra)
        return header + body, delay

    def _look_up(self, name, kind):
        answers = []
        for _ in range(8):
            with self._lock:
                found = self._records.get((name, kind))
                alias = self._records.get((name, "CNAME"))
                exists = any(key[0] == name for key in self._records)
            if found:
                ttl, values = found
                answers += [self._record(name, kind, ttl, value) for value in values]
                return 0, answers
            if not alias or kind == "CNAME":
                return (0 if exists or answers else 3), answers
            answers.append(self._record(name, "CNAME", alias[0], alias[1][0]))
            name = alias[1][0].rstrip(".").lower()
        return 0, answers

    @staticmethod
    def _record(name, kind, ttl, value):
        if isinstance(value, bytes):            # record data as it stands, however wrong
            data = value
        elif kind in ("A", "AAAA"):
            data = ipaddress.ip_address(value).packed
        elif kind == "MX":
            data = struct.pack("!H", value[0]) + _wire_name(value[1])
        elif kind in ("CNAME", "NS", "PTR"):
            data = _wire_name(value)
        elif kind == "TXT":
            data = bytes([len(value)]) + value.encode()
        else:
            raise ValueError("no way to write a %s record" % kind)
        return _wire_name(name) + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data

    @staticmethod
    def _soa(name):
        zone = name.rpartition(".")[2] or "test"
        data = (_wire_name("ns." + zone) + _wire_name("hostmaster." + zone)
                + struct.pack("!IIIII", 1, 3600, 600, 86400, 60))
        return _wire_name(zone) + struct.pack("!HHIH", TYPES["SOA"], 1, 60, len(data)) + data
