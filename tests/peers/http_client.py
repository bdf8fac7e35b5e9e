# SPDX-License-Identifier: BSD-2-Clause
#
# Requests to the daemon's HTTP listener, byte by byte where need be, and the metrics it answers
# with.

import re
import socket
import subprocess
import time


class Answer:
    """A response: `status` is None when the server said nothing before it closed."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        found = re.match(r"HTTP/1\.[01] (\d{3}) ", lines[0])
        self.status = int(found.group(1)) if found else None
        self.headers = {name.lower(): value.strip()
                        for name, _, value in (line.partition(":") for line in lines[1:])}

    @property
    def text(self):
        return self.body.decode()


def exchange(address, request, timeout=60.0, is_all=False):
    """Sends bytes as they are and reads until the server closes; with `is_all` the server
    hears that nothing will come behind them."""
    with socket.create_connection(address, timeout=timeout) as sock:
        try:
            sock.sendall(request)
            if is_all:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass                                # it has closed already: what did it say?
        return Answer(read_all(sock))


def read_all(sock):
    got = b""
    while True:
        try:
            more = sock.recv(65536)
        except ConnectionError:
            return got
        if not more:
            return got
        got += more


def get(address, path="/", host="127.0.0.1", method="GET", headers=()):
    lines = ["%s %s HTTP/1.1" % (method, path)]
    if host is not None:
        lines.append("Host: " + host)
    lines += headers
    return exchange(address, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


SAMPLE = re.compile(r'(backupmx_[a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"')


class Metrics:
    """Prometheus text, read strictly: each line but comments is a sample, each series stands
    once."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        for line in text.splitlines():
            if line.startswith("# "):
                continue
            found = SAMPLE.fullmatch(line)
            assert found, "no sample: %r" % line
            labels = frozenset((name, re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]),
                                             value))
                               for name, value in LABEL.findall(found.group(2) or ""))
            key = (found.group(1).removeprefix("backupmx_"), labels)
            assert key not in self.samples, "twice: %r" % line
            self.samples[key] = float(found.group(3))

    def value(self, name, **labels):
        """One sample; None when there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def series(self, name):
        """{value of the only label, or the labels: sample} of a family."""
        out = {}
        for (family, labels), value in self.samples.items():
            if family == name:
                key = next(iter(labels))[1] if len(labels) == 1 else labels
                out[key] = value
        return out

    def decisions(self):
        """{(action, reason): count}, without those that never happened."""
        return {(dict(labels)["action"], dict(labels)["reason"]): int(value)
                for (family, labels), value in self.samples.items()
                if family == "decisions_total" and value}


def scrape(address):
    answer = get(address, "/metrics")
    assert answer.status == 200, answer.body[:500]
    return Metrics(answer.text)


def promtool_check(text):
    """promtool's complaints about the text; empty when it has none."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    return "" if done.returncode == 0 and not done.stderr else \
        "%d\n%s%s" % (done.returncode, done.stdout, done.stderr)


def drip(sock, data, pause, until):
    """Sends byte by byte until `until` (time.monotonic()); True when the server has closed
    before."""
    sock.settimeout(pause)
    for byte in data:
        if time.monotonic() > until:
            return False
        try:
            sock.send(bytes([byte]))
            if sock.recv(1) == b"":
                return True
        except socket.timeout:
            continue
        except OSError:
            return True
    return False
