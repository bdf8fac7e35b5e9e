# SPDX-License-Identifier: BSD-2-Clause
#
# etc/nagios/check_backupmx, the plugin for Nagios and Icinga: what it says and how it exits, for
# answers that a program in backupmxctl's place gives, and for real daemons in their states.

import os
import re
import subprocess
import time

import pytest

from peers.daemon import TOP, program
from peers.smtp_server import Blackhole
from peers.waiting import eventually, free_port, next_address

PLUGIN = os.path.join(TOP, "etc/nagios/check_backupmx")
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
WORDS = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]

PERFDATA = re.compile(r"([a-z_]+)=([0-9]+(?:\.[0-9]+)?)(s|B|c)?;([0-9]*);([0-9]*);([0-9]*)"
                      r"(?:;([0-9]*))?")


class Answer:
    """What the plugin printed, held to the rules of plugins: the word fits the code, one bar and
    only performance data behind it, no bar in the lines that follow."""

    def __init__(self, done):
        assert not done.stderr, done.stderr
        self.code = done.returncode
        self.all = done.stdout
        first, *self.more = done.stdout.rstrip("\n").split("\n")
        self.text, _, perfdata = first.partition(" | ")
        self.perf = {}
        assert self.text.startswith("BACKUPMX %s - " % WORDS[self.code]), first
        assert "|" not in self.text and not any("|" in line for line in self.more), done.stdout
        for item in perfdata.split():
            found = PERFDATA.fullmatch(item)
            assert found, item
            self.perf[found[1]] = float(found[2])
        assert all(line.isprintable() for line in (first, *self.more)), done.stdout

    def __repr__(self):
        return "%d: %s" % (self.code, self.all)


def run(*arguments, **environment):
    return subprocess.run([PLUGIN, *arguments], capture_output=True, text=True, timeout=30,
                          env={**os.environ, **environment}, check=False)


# ---- answers from a program in backupmxctl's place ----

def metrics(states=None, **changes):
    """What a daemon would say, with these {domain: state}; a value None leaves a metric out."""
    single = {"isolated": 0, "config_reload_success": 1, "waiting": 1, "connections": 7,
              "loop_lag_seconds": "0.000213", "store_bytes": 2097152, **changes}
    lines = ["# HELP backupmx_domain_up 1 while the domain's primary counts as up, else 0.",
             "# TYPE backupmx_domain_up gauge"]
    for domain, state in (states or {}).items():
        if state != "not-backup":
            lines.append('backupmx_domain_up{domain="%s"} %d' % (domain, state.endswith("up")))
        lines.append('backupmx_domain_state{domain="%s",state="%s"} 1' % (domain, state))
        lines.append('backupmx_endpoint_up{endpoint="[192.0.2.%d]:25"} %d'
                     % (len(lines), state.endswith("up")))
    lines += ['backupmx_decisions_total{action="accept",reason="primary-down"} 40',
              'backupmx_decisions_total{action="accept",reason="recovering"} 2',
              'backupmx_decisions_total{action="defer",reason="primary-up"} 4000000000',
              'backupmx_decision_seconds_bucket{le="+Inf"} 7',
              'backupmx_recipients_entries{status="valid"} 1.2e+06',
              'backupmx_build_info{version="0.4.0"} 1']
    lines += ["backupmx_%s %s" % item for item in single.items() if item[1] is not None]
    return "\n".join(lines) + "\n"


@pytest.fixture
def says(tmp_path):
    """says(TEXT, CODE, *ARGUMENTS): the plugin's Answer when backupmxctl says that."""
    def ask(text, code, *arguments, errors="", seconds=0):
        (tmp_path / "answer").write_bytes(text if isinstance(text, bytes) else text.encode())
        (tmp_path / "errors").write_text(errors)
        fake = tmp_path / "backupmxctl"
        fake.write_text('#!/bin/sh\necho "$@" >"%s/asked"\ncat "%s/errors" >&2\nsleep %s\n'
                        'cat "%s/answer"\nexit %d\n' % (
                             tmp_path, tmp_path, seconds, tmp_path, code))
        fake.chmod(0o755)
        return Answer(run("-x", str(fake), *arguments))
    return ask


UP = {"a.test": "up", "b.test": "up", "c.test": "up"}
DOWN = {**UP, "b.test": "down"}


@pytest.mark.parametrize("states, changes, arguments, code, text", [
    (UP, {}, (), OK, "3 domains up"),
    ({"a.test": "up"}, {}, (), OK, "1 domain up"),
    (DOWN, {}, (), WARNING, "b.test down; 2 of 3 domains up"),
    (DOWN, {}, ("-c", "down,sick"), CRITICAL, "b.test down; 2 of 3 domains up"),
    (DOWN, {}, ("--warning=", "--critical", "sick"), OK, "2 of 3 domains up"),
    (DOWN, {}, ("-w", "up"), WARNING, "a.test up, c.test up; 2 of 3 domains up"),
    (DOWN, {}, ("-d", "C.Test."), OK, "1 domain up"),
    (DOWN, {}, ("-da.test", "--domain=b.test"), WARNING, "b.test down; 1 of 2 domains up"),
    ({**DOWN, "a.test": "sick"}, {}, (), CRITICAL,
     "a.test sick, b.test down; 1 of 3 domains up"),
    ({"a.test": "unknown"}, {}, (), WARNING, "a.test unknown; 0 of 1 domain up"),
    ({"a.test": "not-backup"}, {}, (), WARNING, "a.test not-backup; 0 of 1 domain up"),
    ({"a.test": "forced-up"}, {}, (), WARNING, "a.test forced-up; 1 of 1 domain up"),
    ({"a.test": "forced-down"}, {}, ("-w", "down"), OK, "0 of 1 domain up"),
    (UP, {"isolated": 1}, (), CRITICAL,
     "this host is isolated: neither primaries nor references answer; 3 of 3 domains up"),
    (UP, {"config_reload_success": 0}, (), WARNING,
     "the last reload was refused, the old settings are in force; 3 of 3 domains up"),
    (UP, {}, ("-d", "a.test", "-d", "z.test"), UNKNOWN,
     "z.test is not in the metrics; 1 of 1 domain up"),
    (DOWN, {}, ("-d", "b.test", "-d", "z.test"), WARNING,
     "z.test is not in the metrics, b.test down; 0 of 1 domain up"),
    ({}, {}, (), OK,
     "runs; no domain in its metrics (learned ones need [http] domain_metrics = all)"),
    ({"%d.test" % i: "down" for i in range(8)}, {}, (), WARNING,
     "0.test down, 1.test down, 2.test down, 3.test down, 4.test down and 3 more; "
     "0 of 8 domains up"),
])
def test_a_state_and_what_is_said_of_it(says, states, changes, arguments, code, text):
    answer = says(metrics(states, **changes), 0, *arguments)
    assert answer.code == code, answer
    assert answer.text == "BACKUPMX %s - %s" % (WORDS[code], text)


def test_performance_data(says):
    answer = says(metrics(DOWN), 0)
    assert answer.perf == {
        "up": 2, "down": 1, "sick": 0, "isolated": 0, "endpoints_up": 2, "valid": 1200000,
        "accepted": 42, "deferred": 4e9, "rejected": 0, "waiting": 1, "loop_lag": 0.000213,
        "store": 2097152}
    assert " up=2;;;0;3 " in answer.all and " deferred=4000000000c;;;0 " in answer.all
    assert " loop_lag=0.000213s;;;0 " in answer.all and answer.all.count("|") == 1
    # what the daemon hasn't counted yet is no zero
    uncounted = re.sub(r"backupmx_recipients_entries.*\n", "", metrics(DOWN))
    assert "valid" not in says(uncounted, 0).perf


def test_the_lines_that_follow(says):
    assert says(metrics(UP), 0).more == []
    answer = says(metrics(DOWN), 0)
    assert answer.more == ["domain b.test is down", "endpoint [192.0.2.7]:25 is not up"]
    verbose = says(metrics(DOWN), 0, "-v").more
    assert verbose[0] == "backupmx-milter 0.4.0"
    assert [line.split()[-1] for line in verbose[1:4]] == ["up", "down", "up"]
    assert len(verbose) == 7


def test_hostile_names_end_no_line_and_begin_no_data(says):
    answer = says(metrics({r"a|b=9;\"},x\\": "down", "c\\nd'e": "up"}), 0, "-v")
    assert answer.code == WARNING
    assert answer.perf["up"] == 1 and answer.perf["down"] == 1
    assert "a?b?9???" in answer.text


@pytest.mark.parametrize("text", [
    "", "\n\n", "<html><body>It works!</body></html>\n", b"\x00\xff\xfe\x80\n" * 50,
    metrics(UP)[:300], metrics(UP) + "backupmx_isolated", metrics(UP) + "backupmx_isolated x\n",
    metrics(UP) + 'backupmx_domain_up{domain="a.test" 1\n', metrics(UP) + "and so on\n",
    metrics(UP, isolated=None), metrics(UP, config_reload_success=None), "# all is well\n",
    "node_load1 0.5\n", "backupmx_build_info 1\n",
])
def test_an_answer_that_makes_no_sense(says, text):
    answer = says(text, 0)
    assert answer.code == UNKNOWN and not answer.perf, answer
    assert len(answer.more) == 0


def test_chatter_before_the_answer_is_passed_over(says):
    answer = says(metrics(UP), 0, errors="sudo: unable to resolve host mx2: Name or service\n")
    assert answer.code == OK, answer


@pytest.mark.parametrize("code, errors, result, text", [
    (3, "backupmxctl: /x/control.sock: No such file or directory: is backupmx-milter running?\n",
     CRITICAL, "is backupmx-milter running?"),
    (3, "backupmxctl: /x|y: no answer from the daemon\n", CRITICAL, "/x/y: no answer"),
    (3, "backupmxctl: /x: Permission denied: you may not use this socket: be root, or in its "
     "group\n", UNKNOWN, "be root, or in its group"),
    (1, "sudo: a password is required\n", UNKNOWN, "a password is required"),
    (2, "backupmxctl: metrics: no such command; try: backupmxctl -h\n", UNKNOWN,
     "ended with 2: backupmxctl: metrics: no such command"),
])
def test_a_program_that_fails(says, code, errors, result, text):
    answer = says("", code, errors=errors)
    assert answer.code == result and text in answer.text, answer


def test_patience_has_an_end(says):
    started = time.monotonic()
    answer = says(metrics(UP), 0, "-t", "1", seconds=9)
    assert time.monotonic() - started < 8
    assert answer.code == CRITICAL and answer.text.endswith("within 1 s"), answer


def test_an_awk_that_does_not_run(says, tmp_path):
    (tmp_path / "awk").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "awk").chmod(0o755)
    says(metrics(UP), 0)
    answer = Answer(run("-x", str(tmp_path / "backupmxctl"),
                        PATH="%s:%s" % (tmp_path, os.environ["PATH"])))
    assert answer.code == UNKNOWN and "awk" in answer.text, answer


def test_what_the_program_is_asked(says, tmp_path):
    says(metrics(UP), 0, "-C", "/etc/my backup.ini", "-s", "/run/x.sock")
    assert (tmp_path / "asked").read_text() == "-c /etc/my backup.ini -s /run/x.sock metrics\n"
    says(metrics(UP), 0)
    assert (tmp_path / "asked").read_text() == "metrics\n"


@pytest.mark.parametrize("arguments, text", [
    (("-q",), "-q: no such option"), (("all",), "all: no such option"),
    (("-w", "down,broken"), "-w: there is no state broken"), (("-c", "10:20"), "-c takes states"),
    (("-t", "0"), "-t takes seconds"), (("-t", "soon"), "-t takes seconds"), (("-t",), "-t needs"),
    (("-d", ""), "-d takes a domain"), (("-d", "a b"), "-d takes a domain"),
    (("-u", "http://127.0.0.1/", "-s", "/x"), "-u goes without"),
    (("-x", "/nowhere/backupmxctl"), "can't run /nowhere/backupmxctl"),
])
def test_wrong_usage(arguments, text):
    answer = Answer(run(*arguments))
    assert answer.code == UNKNOWN and text in answer.text, answer


def test_help_and_version():
    for option in ("-h", "--help"):
        done = run(option)
        assert done.returncode == UNKNOWN and not done.stderr       # the plugins' guidelines
        assert "usage: check_backupmx" in done.stdout
        assert all(len(line) < 80 for line in done.stdout.split("\n")), done.stdout
    for option in ("-V", "--version"):
        assert re.fullmatch(r"check_backupmx v[0-9.]+ \(backupmx-milter\)\n", run(option).stdout)


# ---- real daemons ----

class Asked:
    """A daemon that listens for HTTP, and the plugin's questions to it by both doors."""

    def __init__(self, lab, *ini, **more):
        self.url = "http://127.0.0.1:%d/metrics" % free_port()
        listen = self.url.split("/")[2]
        self.daemon = lab.daemon({"http": {"listen": listen}}, *ini, **more)

    def ask(self, *arguments):
        return Answer(run("-x", program("backupmxctl"), "-s", self.daemon.control_socket,
                          *arguments))

    def ask_by_http(self, *arguments):
        return Answer(run("-u", self.url, *arguments))

    def wait_for(self, code, text, *arguments):
        """Until that is said, by both doors."""
        last = None

        def look():
            nonlocal last
            last = self.ask(*arguments)
            return last.code == code and text in last.text and last
        eventually(look, 20, lambda: "%s %r, last %r" % (WORDS[code], text, last), pause=0.3)
        by_http = self.ask_by_http(*arguments)
        assert (by_http.code, by_http.text) == (last.code, last.text)
        assert set(by_http.perf) == set(last.perf)
        return last


def test_a_daemon_that_is_well_then_gone(lab):
    lab.primary("one.test")
    lab.primary("two.test")
    asked = Asked(lab, domains=["one.test", "two.test"])
    answer = asked.wait_for(OK, "2 domains up")
    assert answer.perf["up"] == 2 and answer.perf["endpoints_up"] == 2
    assert asked.ask("-v").more[0].startswith("backupmx-milter ")
    assert asked.ask("-d", "three.test").code == UNKNOWN
    wrong_page = Answer(run("-u", asked.url.replace("/metrics", "/nowhere")))
    assert wrong_page.code == CRITICAL and "404" in wrong_page.text
    asked.daemon.stop()
    for arguments in (("-x", program("backupmxctl"), "-s", asked.daemon.control_socket),
                      ("-u", asked.url)):
        answer = Answer(run(*arguments))
        assert answer.code == CRITICAL and not answer.perf, answer


def test_sick_and_not_backup(lab):
    lab.primary("sick.test", ehlo="550 5.7.1 not you", helo="550 5.7.1 not you")
    lab.dns.mx("stray.test", (10, "elsewhere.test"))
    asked = Asked(lab, domains=["sick.test", "stray.test"])
    asked.wait_for(CRITICAL, "sick.test sick, stray.test not-backup; 0 of 2 domains up")
    assert asked.ask("-d", "stray.test").code == WARNING


def test_a_refused_reload(lab):
    lab.primary("one.test")
    asked = Asked(lab, domains=["one.test"])
    asked.wait_for(OK, "1 domain up")
    asked.daemon.change_ini({"probe": {"interval": "soon"}})
    assert asked.daemon.ctl("reload")[0] == 1
    asked.wait_for(WARNING, "the last reload was refused")
    asked.daemon.change_ini({"probe": {"interval": "1s"}})
    assert asked.daemon.ctl("reload")[0] == 0
    asked.wait_for(OK, "1 domain up")


def test_an_isolated_host(lab):
    primary, reference = lab.primary("one.test"), lab.server("ref.test")
    asked = Asked(lab, {"probe": {"reference": [reference.endpoint]}}, domains=["one.test"])
    asked.wait_for(OK, "1 domain up")
    primary.stop()
    reference.stop()
    answer = asked.wait_for(CRITICAL, "this host is isolated")
    assert answer.perf["isolated"] == 1 and answer.perf["up"] == 1
    primary.start()
    asked.wait_for(OK, "1 domain up")


def test_learned_domains_and_one_that_sleeps(lab):
    """Nobody looks at a sleeper: it is no trouble."""
    lab.primary("new.test", recipients={"alice": "250 ok"})
    asked = Asked(lab, {"http": {"domain_metrics": "all"}})
    asked.wait_for(OK, "runs; no domain in its metrics")
    asked.daemon.learn("alice@new.test")
    asked.wait_for(OK, "1 domain up")
    asked.daemon.stop()
    asked.daemon.age_learned_domains(86500)
    asked.daemon.start()
    assert asked.daemon.status("new.test")["asleep"]
    asked.wait_for(OK, "runs; no domain in its metrics")
    asked.daemon.milter().rcpt("<alice@new.test>")
    asked.wait_for(OK, "1 domain up")


def test_a_daemon_that_hangs(lab):
    """One that accepts and says nothing, as a stopped process does."""
    address = next_address()
    hole = Blackhole(address, lab.port)
    lab.others.append(hole)
    answer = Answer(run("-t", "1", "-u", "http://%s:%d/metrics" % (address, lab.port)))
    assert answer.code == CRITICAL and not answer.perf, answer
