# SPDX-License-Identifier: BSD-2-Clause
#
# The program of [notify] command, run without a shell: what it gets, and that the daemon goes on
# whatever it does.

import os
import re
import signal
import subprocess

import pytest
from peers.daemon import TOP, run_program
from peers.loglines import fields
from peers.notify_program import NotifyProgram
from peers.waiting import eventually


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_fails_is_logged(lab, tmp_path):
    program = NotifyProgram(tmp_path, 'echo first; printf "no\\033[31m \\"luck\\"\\n" >&2; exit 3')
    server = lab.primary("one.test")
    daemon = lab.daemon(program.ini, {"probe": {"fall": 1}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")

    def change(event, result, text):
        mark = daemon.mark()
        server.stop() if event == "down" else server.start()
        found = daemon.wait_for_log(r" (\w+): notify: event=%s domain=one\.test .*" % event, 15,
                                    mark)
        assert found[1] == "warning"
        values = fields(found.string)
        assert (values["result"], values.get("text")) == (result, text), found.string

    change("down", "exit-3", 'no?[31m "luck"')
    program.write("kill -9 $$")
    change("up", "signal-9", None)
    program.path.chmod(0o644)
    change("down", "failed", "Permission denied")
    program.path.unlink()
    change("up", "failed", "No such file or directory")


def test_a_program_that_hangs_is_ended(lab, tmp_path, fast_daemon):
    """Thirty seconds, by a clock that runs ten times as fast; nobody waits for it."""
    program = NotifyProgram(tmp_path, "echo $$; sleep 1000 & echo $!; wait")
    server = lab.primary("one.test", recipients={"alice": "250 ok"})
    daemon = fast_daemon(10, program.ini, domains=["one.test"])
    daemon.wait_for_state("one.test", "up", 20)
    server.stop()
    program.wait(1, 30)
    assert daemon.milter().rcpt("<alice@one.test>").seconds < 1
    found = daemon.wait_for_log(r"notify: event=down domain=one\.test result=timeout .*", 30)
    values = fields(found.string)
    assert int(values["ms"]) >= 29000
    eventually(lambda: not alive(int(values["text"])))      # nor is what it started


def test_arguments_are_never_for_a_shell(lab, tmp_path):
    touched = tmp_path / "touched"
    hostile = ["$(touch %s)" % touched, "; touch %s" % touched, "`touch %s`" % touched, "a  b", "",
               "%d", "*", "it's", "-x"]
    script = tmp_path / "arguments"
    script.write_text("#!/bin/sh\nfor word; do printf '%%s\\n' \"$word\"; done > %s/new\n"
                      "mv %s/new %s/words\n" % ((tmp_path,) * 3))
    script.chmod(0o755)
    server = lab.primary("one.test")
    daemon = lab.daemon({"notify": {"command": [str(script), *hostile]}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    server.stop()
    eventually(lambda: (tmp_path / "words").exists(), 15)
    assert (tmp_path / "words").read_text().split("\n")[:-1] == hostile
    assert not touched.exists()


def test_nothing_of_the_daemons_goes_along(lab, tmp_path):
    """No open file, no ignored signal, none of the daemon's own environment."""
    files, status = tmp_path / "files", tmp_path / "status"
    program = NotifyProgram(tmp_path, "ls /proc/$$/fd > %s; cat /proc/$$/status > %s; exit 1"
                                      % (files, status))
    server = lab.primary("one.test")
    daemon = lab.daemon(program.ini, domains=["one.test"], environment={"SECRET": "hidden"})
    daemon.wait_for_state("one.test", "up")
    connections = [daemon.milter() for _ in range(3)]
    for connection in connections:
        connection.rcpt("<alice@one.test>")
    server.stop()
    daemon.wait_for_log(r"notify: .*result=exit-1 .*", 15)
    opened = {int(name) for name in files.read_text().split()}
    assert {fd for fd in opened if fd < 10} == {0, 1, 2}        # those above are the shell's own
    assert len(opened) <= 5
    masks = dict(re.findall(r"(?m)^(Sig\w+):\s+(\w+)$", status.read_text()))
    assert int(masks["SigIgn"], 16) & ~0x180000000 == 0     # two are the C library's
    assert "SECRET" not in program.notices()[0]


def test_one_domain_in_order_and_two_programs_at_a_time(lab, tmp_path):
    program = NotifyProgram(tmp_path, 'log=%s; echo "+ $BACKUPMX_DOMAIN $BACKUPMX_EVENT" >> $log; '
                                      'case $BACKUPMX_DOMAIN$BACKUPMX_EVENT in '
                                      'one.testdown) sleep 5;; *) sleep 0.7;; esac; '
                                      'echo "- $BACKUPMX_DOMAIN $BACKUPMX_EVENT" >> $log'
                                      % (tmp_path / "order"))
    names = ["one.test", "two.test", "three.test", "four.test"]
    servers = [lab.primary(name) for name in names]
    daemon = lab.daemon(program.ini, {"probe": {"fall": 1}}, domains=names)
    for name in names:
        daemon.wait_for_state(name, "up")
    for server in servers:
        server.stop()
    for name in names:
        daemon.wait_for_state(name, "down")
    for server in servers:
        server.start()
    # one that is back before anybody was told of it, is told of by nobody
    log = tmp_path / "order"
    eventually(lambda: log.exists() and "- one.test up" in log.read_text(), 30,
               lambda: log.read_text())
    running, most = set(), 0
    for line in (tmp_path / "order").read_text().splitlines():
        sign, domain, event = line.split()
        if sign == "+":
            assert domain not in {d for d, _ in running}
            running.add((domain, event))
        else:
            running.remove((domain, event))
        most = max(most, len(running))
    assert most == 2
    for name in names:
        told = [event for domain, event in program.told("DOMAIN", "EVENT") if domain == name]
        assert told == ["down", "up"][:len(told)] and (told[1:] or name != "one.test"), (name, told)


def test_stop_while_one_runs(lab, tmp_path):
    """It is told to end, and made to if it won't."""
    program = NotifyProgram(tmp_path, "echo $$ > %s/$BACKUPMX_DOMAIN.pid; "
                                      "case $BACKUPMX_DOMAIN in soft.test) exec sleep 60;; esac; "
                                      "trap '' TERM; while :; do sleep 1; done" % tmp_path)
    names = ["soft.test", "deaf.test"]
    servers = [lab.primary(name) for name in names]
    daemon = lab.daemon(program.ini, domains=names)
    for name in names:
        daemon.wait_for_state(name, "up")
    for server in servers:
        server.stop()
    pids = []
    for name in names:
        file = tmp_path / (name + ".pid")
        pids.append(int(eventually(lambda f=file: f.exists() and f.read_text().strip(), 15)))
        assert alive(pids[-1]) and os.getpgid(pids[-1]) == pids[-1]
    daemon.stop()
    assert not any(alive(pid) for pid in pids)


def test_the_daemon_is_killed(lab, tmp_path):
    """What runs then may end by itself; the next daemon doesn't mind."""
    program = NotifyProgram(tmp_path, "sleep 2")
    server = lab.primary("one.test")
    daemon = lab.daemon(program.ini, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    server.stop()
    program.wait(1)
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.start()
    server.start()
    program.wait(2)
    assert program.told("EVENT") == [("down",), ("up",)]


@pytest.mark.parametrize("value,what", [
    ("notify-me", '"notify-me" is no absolute path'),
    ("/no/such/program --to ops", 'cannot run "/no/such/program": No such file or directory'),
    ("/etc/passwd", 'cannot run "/etc/passwd": Permission denied'),
    ("/bin/sh -c 'x", "has no closing quote"),
])
def test_what_t_says(lab, value, what):
    daemon = lab.daemon(start=False)
    with open(daemon.ini_path, "a", encoding="utf-8") as file:
        file.write("[notify]\ncommand = %s\n" % value)
    done = run_program("backupmx-milter", "-t", "-c", daemon.ini_path)
    assert done.returncode == 78
    lines = len(open(daemon.ini_path, encoding="utf-8").read().splitlines())
    assert "%s:%d: command: %s" % (daemon.ini_path, lines, what) in done.stderr
    with open(daemon.ini_path, "r+", encoding="utf-8") as file:
        text = file.read().replace("command = " + value, "command = /bin/sh -c 'exit 0'  # fine")
        file.seek(0)
        file.truncate()
        file.write(text)
    assert run_program("backupmx-milter", "-t", "-c", daemon.ini_path).returncode == 0


@pytest.mark.parametrize("facts,subject,before", [
    (dict(EVENT="down", WAS="up", REASON="timeout"), "a.test: the primary MX is down (timeout)",
     "up, for 9 seconds"),
    (dict(EVENT="up", WAS="down"), "a.test: the primary MX is up again", "down, for 9 seconds"),
    # it was up all the time
    (dict(EVENT="up", WAS="forced-down"), "a.test: not forced-down any more, the primary MX is up",
     "forced-down, for 9 seconds"),
    (dict(EVENT="isolated", DOMAIN="", WAS="connected", AFTER="0"),
     "mx2.test has lost its own connection", "connected"),
    (dict(EVENT="many", DOMAIN="", STATE="down", COUNT="21", WAS="mixed", AFTER="0"),
     "21 domains: the primary MX is down", "mixed"),
])
def test_what_the_example_writes(tmp_path, facts, subject, before):
    sendmail = tmp_path / "sendmail"
    sendmail.write_text('#!/bin/sh\necho "$@"\ncat\n')
    sendmail.chmod(0o755)
    known = dict(DOMAIN="a.test", STATE=facts["EVENT"], REASON="", SINCE="2026-11-23T13:05:00Z",
                 AFTER="9", HOST="mx2.test", CHANGES="0", COUNT="1", DOMAINS="")
    environment = {"BACKUPMX_" + name: value for name, value in (known | facts).items()}
    done = subprocess.run([os.path.join(TOP, "etc/examples/notify-mail"), "ops@elsewhere.example"],
                          env=environment | {"PATH": os.environ["PATH"], "SENDMAIL": str(sendmail)},
                          capture_output=True, text=True, timeout=10, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "-i -f <> -- ops@elsewhere.example"
    assert "Subject: [backupmx] " + subject in lines
    assert "before:  " + before in lines
