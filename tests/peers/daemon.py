# SPDX-License-Identifier: BSD-2-Clause
#
# The daemon as a test subject: an ini file, a folder of its own for state and sockets, start,
# stop, crash, reload, its log, and backupmxctl. Programs are taken from $BACKUPMX_BUILD, or from
# the top of the source tree.
#
# Every stop looks for reports of the sanitizers, on stderr and in the files that a `log_path` of
# the sanitizers' options names; a report fails the test, whatever else the daemon did right. And
# every line of its log must be one that etc/log-lines.md knows.

import atexit
import contextlib
import glob
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from . import loglines
from .milter_client import MilterClient
from .waiting import eventually, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"     # of Debian's faketime

SANITIZER_REPORT = re.compile(
    r"ERROR: (?:Address|Leak|Memory)Sanitizer|WARNING: ThreadSanitizer|"
    r"\w+Sanitizer:DEADLYSIGNAL|runtime error:|SUMMARY: \w+Sanitizer")

EX_OK, EX_USAGE, EX_TEMPFAIL, EX_CONFIG = 0, 64, 75, 78


def program(name):
    build = os.environ.get("BACKUPMX_BUILD") or TOP
    return os.path.join(os.path.abspath(build), name)


def is_sanitized():
    """The daemon was built with AddressSanitizer or ThreadSanitizer."""
    with open(program("backupmx-milter"), "rb") as file:
        return re.search(rb"__[at]san_init", file.read()) is not None


def fast_time(times):
    """The environment of a daemon whose time runs `times` as fast as ours."""
    found = sorted(glob.glob(FAKETIME))
    assert found, "no %s: packaging/install-packages test" % FAKETIME
    return {"LD_PRELOAD": found[0], "FAKETIME": "+0 x%d" % times}


def ini_value(value):
    """A Python value as the ini file wants it. Durations and the like are given as text."""
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, (list, tuple, set)):
        return "{%s}" % ", ".join(ini_value(v) for v in value)
    text = str(value)
    if re.fullmatch(r"[A-Za-z0-9._:/@%-]+", text):
        return text
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def ini_text(sections):
    """{"milter": {...}, 'domain "example.test"': {...}} as the text of an ini file."""
    lines = []
    for section, keys in sections.items():
        lines.append("[%s]" % section)
        lines += ["%s = %s" % (key, ini_value(value)) for key, value in keys.items()]
        lines.append("")
    return "\n".join(lines)


def merged(*parts):
    """Ini dicts merged section by section, later ones win."""
    out = {}
    for part in parts:
        for section, keys in part.items():
            out.setdefault(section, {}).update(keys)
    return out


_started = []


@atexit.register
def _end_what_is_left():
    """A test that failed in an odd place leaves no daemon behind."""
    for process in _started:
        if process.poll() is None:
            process.kill()


class LogWatch:
    """Lines of a stream, kept with their times by a thread."""

    def __init__(self):
        self.lines = []

    def follow(self, stream, copy):
        def read():
            with stream, open(copy, "ab") as file:
                for raw in stream:
                    self.lines.append((time.monotonic(), raw.decode("utf-8", "surrogateescape")
                                       .rstrip("\n")))
                    file.write(raw)
                    file.flush()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def text(self, since=0):
        return "\n".join(line for _, line in self.lines[since:])


class Daemon:
    """One daemon, which may be stopped, killed and started again on the same state."""

    def __init__(self, folder, ini=None, listen="inet", dns=None, arguments=(), environment=None,
                 ignore_signals=()):
        """`ini` is a dict of sections (sockets and folders are filled in) or text as it stands.

        `ignore_signals` are ignored from the program's start on, as after nohup(1).
        """
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.state_dir = os.path.join(self.folder, "state")
        os.makedirs(self.state_dir, mode=0o750, exist_ok=True)
        self.ini_path = os.path.join(self.folder, "backupmx.ini")
        self.control_socket = os.path.join(self.folder, "control.sock")
        self.log_file = os.path.join(self.folder, "stderr.log")
        if listen == "unix":
            self.milter_address = os.path.join(self.folder, "milter.sock")
            self.milter_socket = "unix:" + self.milter_address
        elif listen == "inet6":
            port = free_port()
            self.milter_address = ("::1", port)
            self.milter_socket = "inet6:%d@::1" % port
        else:
            port = free_port()
            self.milter_address = ("127.0.0.1", port)
            self.milter_socket = "inet:%d@127.0.0.1" % port
        self.dns = dns
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.ignore_signals = list(ignore_signals)
        self.process = None
        self.log = LogWatch()
        self._reader = None
        self._checked = 0
        self.ini = {}
        self.write_ini(ini or {})

    # -- configuration

    def write_ini(self, ini):
        if isinstance(ini, str):
            text = ini
        else:
            base = {
                "milter": {"socket": self.milter_socket, "state_dir": self.state_dir,
                           "control_socket": self.control_socket},
                "log": {"level": "debug"},
            }
            if self.dns is not None:
                base["dns"] = {"servers": [self.dns.server]}
            self.ini = merged(base, ini)
            text = ini_text(self.ini)
        with open(self.ini_path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def change_ini(self, changes):
        """Write the file again with some keys changed (no reload)."""
        self.write_ini(merged(self.ini, changes))

    # -- life

    def __enter__(self):
        if not self.process:
            self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.destroy()

    def _environment(self):
        environment = dict(os.environ)
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        environment.update(self.environment)
        return environment

    def launch(self, arguments=None):
        """Start the program without waiting for anything."""
        def ignore():
            for number in self.ignore_signals:
                signal.signal(number, signal.SIG_IGN)

        if arguments is None:
            arguments = ["-f", "-l", "-c", self.ini_path, *self.arguments]
        self.process = subprocess.Popen(
            [program("backupmx-milter"), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._environment(),
            preexec_fn=ignore if self.ignore_signals else None)
        _started.append(self.process)
        self._reader = self.log.follow(self.process.stderr, self.log_file)
        return self.process

    def start(self, deadline=10.0):
        """Start and wait until the milter socket accepts."""
        self.launch()

        def ready():
            if self.process.poll() is not None:
                self._reader.join(2)
                raise AssertionError("daemon ended with %s at start:\n%s"
                                     % (self.process.returncode, self.log.text()))
            return self.accepts()
        eventually(ready, deadline, lambda: "milter socket accepts:\n" + self.log.text())
        return self

    def accepts(self):
        family = socket.AF_UNIX
        if not isinstance(self.milter_address, str):
            family = socket.AF_INET6 if ":" in self.milter_address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                probe.connect(self.milter_address)
                return True
            except OSError:
                return False

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, deadline=10.0, hurry=True):
        """SIGTERM; it must end with code 0 within 10 s and without a sanitizer's report.

        libmilter looks only every 5 s whether it shall stop, unless somebody connects: `hurry`
        does that, to save the tests' time.
        """
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is not None:
            self._reader.join(2)
            self.check_sanitizers()
            raise AssertionError("daemon had ended by itself with %s:\n%s"
                                 % (process.returncode, self.log.text()[-4000:]))
        process.send_signal(signal.SIGTERM)
        try:
            end = time.monotonic() + deadline
            while hurry and process.poll() is None and time.monotonic() < end:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                self.accepts()
            code = process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("daemon still ran %.0f s after SIGTERM:\n%s"
                                 % (deadline, self.log.text()[-4000:])) from None
        self._reader.join(5)
        self.check_sanitizers()
        self.check_log()
        assert code == 0, "daemon ended with %s after SIGTERM:\n%s" % (code,
                                                                      self.log.text()[-4000:])

    def kill(self):
        """kill -9: a crash."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        self._reader.join(5)
        self.check_sanitizers()
        self.check_log()

    def destroy(self):
        """Clean up after a test that failed already: no questions asked."""
        if self.process is not None:
            process, self.process = self.process, None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def restart(self, crash=False):
        if crash:
            self.kill()
        else:
            self.stop()
        self.start()

    def age_learned_domains(self, seconds):
        """As if nobody had asked for them for so long: only while the daemon doesn't run. The store
        holds the time as text."""
        with open(os.path.join(self.state_dir, "backupmx.mdb"), "r+b") as file:
            older, count = re.subn(
                rb'"asked":(\d{10})',
                lambda found: b'"asked":%010d' % (int(found[1]) - seconds), file.read())
            assert count
            file.seek(0)
            file.write(older)

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def resident_kilobytes(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1))

    def check_alive(self):
        code = self.process.poll()
        if code is not None:
            self._reader.join(2)
        assert code is None, "daemon ended with %s:\n%s" % (code, self.log.text()[-4000:])

    def check_log(self):
        """Each line since the last look keeps to the grammar."""
        lines = [line for _, line in self.log.lines[self._checked:]]
        self._checked += len(lines)
        problems = loglines.problems(lines)
        assert not problems, problems

    def check_sanitizers(self):
        reports = [line for _, line in self.log.lines if SANITIZER_REPORT.search(line)]
        pattern = [option.split("=", 1)[1].strip("'\"")
                   for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
                   for option in re.split(r"[: ]", self._environment().get(variable, ""))
                   if option.startswith("log_path=")]
        for path in pattern:
            if path in ("stderr", "stdout"):
                continue
            for report in glob.glob(glob.escape(path) + ".*"):
                with open(report, errors="replace") as file:
                    text = file.read()
                if SANITIZER_REPORT.search(text):
                    reports.append("%s:\n%s" % (report, text))
        assert not reports, "sanitizer report:\n%s\n%s" % ("\n".join(reports),
                                                           self.log.text()[-8000:])

    # -- log

    def mark(self):
        """A place in the log, to look for lines after it."""
        return len(self.log.lines)

    def log_lines(self, pattern, since=0):
        return [line for _, line in self.log.lines[since:] if re.search(pattern, line)]

    def wait_for_log(self, pattern, deadline=10.0, since=0):
        """The first line after `since` that matches; returns the match object."""
        compiled = re.compile(pattern)
        place = since

        def look():
            nonlocal place
            while place < len(self.log.lines):
                found = compiled.search(self.log.lines[place][1])
                place += 1
                if found:
                    return found
            if self.process is not None and self.process.poll() is not None \
                    and not self._reader.is_alive():
                raise AssertionError("daemon ended with %s, no log line %r:\n%s" % (
                    self.process.returncode, pattern, self.log.text(since)[-4000:]))
            return None
        return eventually(look, deadline,
                          lambda: "log line %r in:\n%s" % (pattern, self.log.text(since)[-8000:]))

    def no_log(self, pattern, since=0):
        lines = self.log_lines(pattern, since)
        assert not lines, "\n".join(lines)

    # -- the other two doors

    def milter(self, profile="postfix", **more):
        return MilterClient(self.milter_address, profile=profile, **more)

    def ctl(self, *arguments, timeout=20):
        """backupmxctl -s SOCKET arguments... Returns (exit code, stdout, parsed JSON or None)."""
        done = self.ctl_process(*arguments, timeout=timeout)
        try:
            parsed = json.loads(done.stdout)
        except ValueError:
            parsed = None
        return done.returncode, done.stdout, parsed

    def ctl_process(self, *arguments, timeout=20):
        command = [program("backupmxctl"), "-s", self.control_socket, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="surrogateescape", env=self._environment()) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                evidence = self._evidence_of_a_hang(process.pid)
                process.kill()
                raise AssertionError("no answer in %s s: %s\n%s" % (
                    timeout, command, evidence)) from None
        assert not SANITIZER_REPORT.search(err), err
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _evidence_of_a_hang(self, client):
        """Who waits for what: the client and the daemon, by the kernel's word."""
        told = []
        for pid in (client, self.process.pid):
            for name in ("wchan", "syscall", "status"):
                with contextlib.suppress(OSError):
                    with open("/proc/%d/%s" % (pid, name), encoding="utf-8") as file:
                        told.append("%d %s: %s" % (pid, name, file.read()[:400]))
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told.append(subprocess.run(["ss", "-xpe"], capture_output=True, text=True, timeout=10,
                                       check=False).stdout[:4000])
        return "\n".join(told + self.log.text().splitlines()[-40:])

    def ask(self, command, **request):
        """One request to the control socket, past backupmxctl: the envelope of the answer."""
        line = json.dumps({"command": command, **request}) + "\n"
        with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as answers:
            sock.settimeout(20)
            sock.connect(self.control_socket)
            sock.sendall(line.encode())
            return json.loads(answers.readline())

    def status(self, domain=None):
        """The JSON of `status`, or of one domain in it (None if it isn't there)."""
        _, out, parsed = self.ctl("--json", "status", *([domain] if domain else []))
        if parsed is None or "domains" not in parsed:
            if domain:
                return None
            raise AssertionError("status gave %r" % out)
        if domain is None:
            return parsed
        return next((d for d in parsed["domains"] if d["domain"] == domain), None)

    def explain(self, rcpt, *arguments):
        _, out, parsed = self.ctl("--json", "explain", *arguments, rcpt)
        assert isinstance(parsed, dict), "explain %s gave %r" % (rcpt, out)
        return parsed

    def learn(self, *addresses, client="198.51.100.77"):
        """Name recipients as a stranger's mail would while the primary is up, until they are
        known: the milter asks for them in the background. A stranger comes again, too: who names
        them before the first probe is through causes no question."""
        named = {}

        def known(address):
            if self.explain(address)["recipient"] != "unknown":
                return True
            if time.monotonic() - named.get(address, -10) > 2:
                self.milter().rcpt("<%s>" % address, client=client, name=None)
                named[address] = time.monotonic()
            return False

        for address in addresses:
            known(address)
        for address in addresses:
            eventually(lambda a=address: known(a), 10,
                       lambda a=address: "%s is known: %r\n%s" % (a, self.explain(a),
                                                                  self.log.text()[-3000:]))

    def wait_for_state(self, domain, state, deadline=10.0):
        """`state` is one word or a tuple of them."""
        states = (state,) if isinstance(state, str) else tuple(state)
        last = None

        def look():
            nonlocal last
            last = self.status(domain)
            return last is not None and last["state"] in states and last
        return eventually(look, deadline, lambda: "%s is %s, last seen %r\n%s" % (
            domain, "|".join(states), last, self.log.text()[-4000:]), pause=0.1)


def make_older(daemon, seconds):
    """As if nobody had asked for so long: only while the daemon doesn't run. The store holds the
    time as text."""
    path = os.path.join(daemon.state_dir, "backupmx.mdb")
    with open(path, "r+b") as file:
        data = file.read()
        older, count = re.subn(rb'"asked":(\d{10})',
                               lambda found: b'"asked":%010d' % (int(found[1]) - seconds), data)
        assert count
        file.seek(0)
        file.write(older)


def run_program(name, *arguments, timeout=20, environment=None):
    """Run a program to its end. Returns the CompletedProcess with text output."""
    merged_environment = dict(os.environ)
    merged_environment.update(environment or {})
    done = subprocess.run([program(name), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="surrogateescape",
                          timeout=timeout, env=merged_environment, check=False)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done
