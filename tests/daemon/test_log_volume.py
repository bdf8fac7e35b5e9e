# SPDX-License-Identifier: BSD-2-Clause
#
# The log under attack (DESIGN section 7): however many recipients are deferred, the lines are
# bounded, what has no line is counted, and of accepts and rejects each has its line.

import collections
import re

import pytest

from peers.loglines import fields, without_prefix
from peers.waiting import eventually

CLIENT_LINES, DOMAIN_LINES = 100, 500       # a minute; milter/mta/defer_log.c
LONGEST = 2047


@pytest.fixture
def attacked(lab, tmp_path):
    """attacked(ini...): a daemon for up.test and calm.test, whose primaries are up, and down.test,
    where alice is all there is."""
    def start(*ini):
        users = tmp_path / "users"
        users.write_text("alice\n")
        for domain in ("up.test", "calm.test"):
            lab.primary(domain, recipients={})
        lab.primary("down.test").stop()
        daemon = lab.daemon({"recipients": {"callout": False},
                             'domain "down.test"': {"recipients_file": str(users),
                                                    "recipients_complete": True}},
                            *ini, domains=["up.test", "calm.test"])
        for domain, state in (("up.test", "up"), ("calm.test", "up"), ("down.test", "down")):
            daemon.wait_for_state(domain, state)
        return daemon
    return start


class Counts:
    """What the log says of decisions, and what it says that it left out."""

    def __init__(self, daemon, since=0):
        self.lines = collections.Counter()
        self.lines_of = collections.Counter()
        self.suppressed = 0
        for line in daemon.log_lines(r" (?:action=|defers: )", since):
            line = without_prefix(line)
            if re.match(r"\w+: action=|defers: ", line):
                pairs = fields(line)
                self.suppressed += int(pairs.get("suppressed", 0))
                if "action" in pairs:
                    self.lines[pairs["action"]] += 1
                    self.lines_of[pairs["action"], pairs["domain"]] += 1

    @property
    def deferred(self):
        return self.lines["defer"] + self.suppressed


def attack(daemon, recipients, client="192.0.2.7"):
    """Names them all in one session; returns the actions."""
    with daemon.milter().connect(client=client, name=None) as session:
        session.mail("<stranger@sender.test>")
        return collections.Counter(session.rcpt(rcpt).action for rcpt in recipients)


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_one_network_guesses_names(attacked, mode):
    daemon = attacked({"milter": {"mode": mode}})
    names = []
    for i in range(2000):
        names.append("<guess%d@up.test>" % i)
        if i % 10 == 0:
            names += ["<alice@down.test>", "<guess%d@down.test>" % i]
    mark = daemon.mark()
    attack(daemon, names[:1200], "192.0.2.7")
    attack(daemon, names[1200:], "192.0.2.8")
    # another one, whom nobody is to miss because of that
    attack(daemon, ["<bob@up.test>"], "198.51.100.9")
    eventually(lambda: daemon.log_lines(r"to=<bob@up\.test>", mark), 10)
    daemon.stop()
    counts = Counts(daemon, mark)
    assert counts.deferred == 2001
    assert CLIENT_LINES < counts.lines["defer"] <= 1 + 2 * CLIENT_LINES    # two minutes at most
    assert counts.lines["accept"] == counts.lines["reject"] == 200
    summaries = [fields(line) for line in daemon.log_lines(" defers: ", mark)]
    assert all(line["client"] == "192.0.2.0/24" and line["domain"] == "up.test"
               and line["reason"] == "primary-up" for line in summaries)


def test_a_level_that_tells_less(attacked):
    """What was left out until then is told, and nothing more."""
    daemon = attacked()
    mark = daemon.mark()
    attack(daemon, ["<guess%d@up.test>" % i for i in range(300)])
    daemon.change_ini({"log": {"level": "warning"}})
    assert daemon.ctl("reload")[0] == 0
    attack(daemon, ["<guess%d@up.test>" % i for i in range(300)])
    daemon.stop()
    assert Counts(daemon, mark).deferred == 300


def test_many_networks(attacked):
    daemon = attacked()
    mark = daemon.mark()
    with daemon.milter().connect(client="10.0.0.1", name=None) as session:
        for i in range(2500):
            session.abort()
            session.quit_nc(client="10.%d.%d.7" % (i // 250, i % 250), name=None)
            session.mail("<stranger@sender.test>")
            assert session.rcpt("<guess%d@up.test>" % i).code == 451
    for i in range(5):
        attack(daemon, ["<bob%d@calm.test>" % i, "<alice@down.test>"], "198.51.100.9")
    eventually(lambda: daemon.log_lines(r"to=<bob4@calm\.test>", mark), 10)
    daemon.stop()
    counts = Counts(daemon, mark)
    assert counts.deferred == 2505
    assert counts.lines_of["defer", "calm.test"] == counts.lines["accept"] == 5
    assert DOMAIN_LINES <= counts.lines_of["defer", "up.test"] <= 2 * DOMAIN_LINES


def test_the_count_comes_by_itself(lab, fast_daemon):
    """The next line tells what had none; when nobody comes again, a minute later the log has it
    all."""
    lab.primary("up.test", recipients={})
    daemon = fast_daemon(20, {"recipients": {"callout": False}}, domains=["up.test"])
    daemon.wait_for_state("up.test", "up", 20)
    mark = daemon.mark()
    named = 0

    def next_line_tells():
        nonlocal named
        attack(daemon, ["<guess%d@up.test>" % i for i in range(20)])
        named += 20
        return daemon.log_lines(r"action=defer .* id=\w{8} suppressed=\d+$", mark)
    eventually(next_line_tells, 20, "a line that says suppressed=")
    attack(daemon, ["<guess%d@up.test>" % i for i in range(400)])
    named += 400
    eventually(lambda: Counts(daemon, mark).deferred == named, 20,
               lambda: "%d told: %r" % (named, vars(Counts(daemon, mark))))
    assert daemon.log_lines(" info: defers: suppressed=", mark)
    daemon.stop()
    assert Counts(daemon, mark).deferred == named


def test_limits_are_said_once(lab, fast_daemon):
    """That strangers use up an allowance is one notice when it begins, and one when it is over."""
    lab.primary("up.test", recipients={}, other_recipients="550 5.1.1 no such user")
    daemon = fast_daemon(100, {"recipients": {"callouts_per_client": 3}}, domains=["up.test"])
    daemon.wait_for_state("up.test", "up", 20)
    attack(daemon, ["<guess%d@up.test>" % i for i in range(50)])
    found = daemon.wait_for_log(r" notice: (limit: name=callouts_per_client state=reached .*)", 10)
    assert fields(found.group(1))["client"] == "[192.0.2.7]"
    over = fields(daemon.wait_for_log(r" notice: (limit: .*state=over.*)", 30).group(1))
    assert over["name"] == "callouts_per_client"
    assert 10 <= int(over["hits"]) <= 50
    assert len(daemon.log_lines("limit: name=callouts_per_client state=reached")) == 1


def test_the_longest_line(lab):
    """What a stranger writes never cuts off the id, nor what stands before it."""
    label = "l" * 60
    domain = ".".join([label, label, label, "long.test"])
    lab.primary(domain, recipients={})
    daemon = lab.daemon(domains=[domain])
    daemon.wait_for_state(domain, "up")
    sender = '<"' + '\\"' * 600 + '"@sender.test>'
    recipient = '<"' + '\\"' * 300 + '"@%s>' % domain
    with daemon.milter().connect(client="2001:db8:1111:2222:3333:4444:5555:6666",
                                 name=None) as session:
        session.mail(sender)
        replies = [session.rcpt(recipient) for _ in range(3)]
    for reply in replies:
        ident = re.search(r"\(id (\w{8})\)", reply.text).group(1)
        line = without_prefix(daemon.wait_for_log("id=%s.*" % ident).string)
        assert 1500 < len(line) <= LONGEST
        assert fields(line)["id"] == ident
        assert fields(line)["domain"] == domain


def test_answers_without_end(lab):
    """A primary that is asked and asked fills no log either; what it said no line of is counted."""
    names = ["guess%d" % i for i in range(1400)]
    lab.primary("up.test", recipients={name: "250 ok" for name in names})
    daemon = lab.daemon(domains=["up.test"])
    daemon.wait_for_state("up.test", "up")
    for start in range(0, len(names), 100):
        batch = ["%s@up.test" % name for name in names[start:start + 100]]
        attack(daemon, ["<%s>" % name for name in batch])
        daemon.learn(batch[-1])     # not faster than it is asked about
    known = daemon.status("up.test")["recipients"]["valid"]
    daemon.stop()
    lines = daemon.log_lines(r" callout: recipient=<guess\d+@up\.test> verdict=valid ")
    left_out = sum(int(fields(line)["left_out"])
                   for line in daemon.log_lines(" info: log: kind=callout "))
    assert left_out > 0
    assert len(lines) + left_out >= known > 1000
