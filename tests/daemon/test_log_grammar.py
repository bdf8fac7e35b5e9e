# SPDX-License-Identifier: BSD-2-Clause
#
# The log's grammar, etc/log-lines.md, and the rules for logcheck, etc/logcheck. That each line of
# each test keeps to the grammar is seen to where daemons stop (peers/daemon.py); here are the
# grammar's own teeth, its examples, and what logcheck leaves of the log of an outage.

import os
import re
import subprocess

import pytest

from peers import loglines
from peers.daemon import TOP

DECISION = ("NOQUEUE: action=defer code=451 xcode=4.3.2 reason=primary-up row=10 "
            "client=[192.0.2.7] from=<a@b.test> to=<u@example.test> domain=example.test state=up "
            "recipient=unknown mode=enforce id=k3f9x2aa")
# Those that DESIGN section 7 gives, to the letter.
GIVEN = [
    DECISION,
    "isolated: state=on endpoints=0/6 references=0/1",
    "flush: domain=example.test method=etrn reply=250 mails=4",
    "callout: recipient=<u@example.test> verdict=valid code=250 endpoint=[192.0.2.10]:25",
    "health: domain=example.test state=down was=up reason=timeout endpoints=0/2 after=74s",
]
BROKEN = [
    DECISION + " more=1",
    DECISION.replace("row=10 ", ""),
    DECISION.replace("action=defer", "action=perhaps"),
    DECISION.replace("row=10 client=[192.0.2.7]", "client=[192.0.2.7] row=10"),
    DECISION.replace("<u@example.test>", "<u v@example.test>"),
    "health: domain=example.test state=down",
    "unheard: domain=example.test",
    "daemon: ready domains=many mode=enforce",
    "no topic at all",
    "flush: domain=example.test method=etrn reply=250 mails=4 text=\"\x1b[2J\"",
]
RULES = os.path.join(TOP, "etc", "logcheck", "backupmx-milter")
STAMPS = ["Nov  3 13:05:00", "2026-11-23T13:05:00.123456+01:00", "2026-11-23T13:05:00Z"]


@pytest.mark.parametrize("line", GIVEN)
def test_given_lines(line):
    assert loglines.grammar().problem(line) is None


@pytest.mark.parametrize("line", BROKEN)
def test_broken_lines_are_found(line):
    assert "etc/log-lines.md" in loglines.grammar().problem(line)


def test_levels_are_looked_at():
    stamp = "2026-11-23T13:05:00.123Z %s: "
    assert loglines.problem(stamp % "notice" + GIVEN[-1]) is None
    assert "came at level debug" in loglines.problem(stamp % "debug" + GIVEN[-1])
    assert "no log line" in loglines.problem("a line that begins with nothing")


def test_a_daemon_with_an_unknown_line_fails(lab):
    """The hook itself: a line that the grammar doesn't know fails the test that has it."""
    daemon = lab.daemon()
    daemon.log.lines.append((0, "2026-11-23T13:05:00.123Z info: unheard: domain=a.test"))
    with pytest.raises(AssertionError, match="add its form to"):
        daemon.stop()


# -- the log of an outage

@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """The log of a domain that comes, goes and comes back, with mail all the while, and how many
    recipients the daemon itself says it deferred."""
    from conftest import Lab
    with Lab(tmp_path_factory.mktemp("outage")) as lab:
        server = lab.primary("a.test", recipients={"alice": "250 ok"},
                             other_recipients="550 5.1.1 no such user")
        mta = lab.server("mta.test", etrn="250 queuing")
        daemon = lab.daemon({"flush": {"method": "etrn", "mta": "%s:%d" % (mta.address, mta.port)},
                             "log": {"level": "info"}}, domains=["a.test"])
        daemon.wait_for_state("a.test", "up")
        daemon.learn("alice@a.test", "nobody@a.test")
        for _ in range(130):
            daemon.milter().rcpt("<alice@a.test>")
        server.stop()
        daemon.wait_for_state("a.test", "down")
        daemon.milter().send_message(rcpts=["<alice@a.test>", "<nobody@a.test>", "<odd @a.test>"])
        server.start()
        daemon.wait_for_state("a.test", "up")
        daemon.wait_for_log("flush: domain=a.test")
        daemon.write_ini("[nonsense]\n")
        daemon.hup()
        daemon.wait_for_log("reload: result=refused")
        deferred = daemon.status("a.test")["counters"]["defer"]
        daemon.stop()
        return [line for _, line in daemon.log.lines], deferred


@pytest.fixture
def log(outage):
    return outage[0]


def left_by_logcheck(lines, tmp_path):
    """What the rules leave, as logcheck runs them: without comments, by grep -E -v -f."""
    with open(RULES, encoding="ascii") as file:
        rules = [line for line in file if line.strip() and not line.startswith("#")]
    cleaned = tmp_path / "rules"
    cleaned.write_text("".join(rules))
    done = subprocess.run(["grep", "-E", "-v", "-f", str(cleaned)], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("stamp", STAMPS)
def test_logcheck_leaves_what_matters(log, tmp_path, stamp):
    prefix = stamp + " mx2.example.net backupmx-milter[4711]: "
    lines = [(loglines.level(line), loglines.without_prefix(line)) for line in log]
    left = left_by_logcheck([prefix + line for _, line in lines], tmp_path)
    left = [line.removeprefix(prefix) for line in left]
    hidden = [line for _, line in lines if line not in left]
    for level, line in lines:
        if level == "info" or re.match(r"flush: .*reply=250|reload: result=ok domains", line):
            assert line in hidden
        else:
            assert line in left, "%s %s" % (level, line)
    topics = {line.split(":")[0] for line in hidden}
    assert {"NOQUEUE", "callout", "endpoint", "flush", "defers"} <= topics
    assert {"health", "daemon", "reload"} == {line.split(":")[0] for line in left}


def test_logcheck_hides_nothing_that_goes_on(tmp_path):
    """Rules go to the end of a line, or a stranger could hide one behind a routine one."""
    prefix = STAMPS[0] + " mx2 backupmx-milter[4711]: "
    for line in GIVEN[0:1] + GIVEN[2:4]:
        assert left_by_logcheck([prefix + line], tmp_path) == []
        assert left_by_logcheck([prefix + line + " and more"], tmp_path)
        assert left_by_logcheck([prefix.replace("backupmx-milter", "other") + line], tmp_path)


# -- reading it

def examples():
    with open(loglines.GRAMMAR, encoding="utf-8") as file:
        return re.findall(r"^    (\S.*LOG.*)$", file.read(), re.M)


@pytest.mark.parametrize("command", examples())
def test_examples_run(outage, tmp_path, command):
    """The one-liners say something of a real log."""
    log, deferred = outage
    path = tmp_path / "mail.log"
    path.write_text("".join("Nov 23 13:05:00 mx2 backupmx-milter[4711]: %s\n"
                            % loglines.without_prefix(line) for line in log))
    done = subprocess.run(["sh", "-c", command.replace("LOG", str(path))], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.strip(), command
    if "sum" in command:
        assert done.stdout.split() == ["sum", str(deferred)]


def test_there_are_examples():
    assert len(examples()) == 3
