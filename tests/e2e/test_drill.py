# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl drill with real Postfix on both sides: it passes, with the message really seen held; it
# fails at the right step, with advice; and wherever it is stopped, nothing is left behind. Programs
# of the MTA are held up by a script before them, so that a drill can be caught at a certain place.

import json
import os
import pathlib
import re
import signal
import subprocess
from contextlib import contextmanager

import pytest

from lab import outage
from lab.milter import USER
from lab.postfix import MAILBOXES
from peers import schemas
from peers.daemon import TOP
from peers.waiting import eventually
from story import GO_TO_PRIMARY, expect, nothing_bounced, the_tag, until_up

DOMAIN, KNOWN = "example.test", "alice@example.test"
PLAIN = ["accepted", "tagged", "queue-id", "left-queue", "delivered"]
HELD = ["accepted", "tagged", "queue-id", "held", "released", "left-queue", "delivered"]
MTA = "postfix"
MILTER_SETTINGS = {}


@pytest.fixture(scope="module")
def ready(lab):
    until_up(lab)
    lab.learn(KNOWN)
    return lab


def drill(lab, *options, **how):
    """Runs one to its end; returns (exit code, what it says as JSON)."""
    done = start(lab, "--json", *options, **how)
    out, err = done.communicate(timeout=60)
    assert err == ""
    parsed = json.loads(out)
    if "error" not in parsed:
        schemas.validate("drill", parsed)
        assert (done.returncode == 0) == (parsed["result"] == "PASS")
    return done.returncode, parsed


def start(lab, *options, recipient=KNOWN, user=None, path=None, within=()):
    environment = lab.milter._environment()
    if path is not None:
        environment["PATH"] = f"{path}:{environment.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"
    return lab.backup_host.start(
        [*within, lab.milter.programs / "backupmxctl", "-s", lab.milter.control_socket, "drill",
         DOMAIN, "--to", recipient, *options], user=user, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def steps_of(parsed):
    return {step["step"]: step for step in parsed["steps"]}


def results_of(parsed):
    return [(step["step"], step["result"]) for step in parsed["steps"]]


def failed_at(parsed, name):
    """It failed there, with advice, and got no further; returns the step."""
    results = [step["result"] for step in parsed["steps"]]
    at = [step["step"] for step in parsed["steps"]].index(name)
    assert parsed["result"] == "FAIL"
    assert results[at] == "FAIL" and "FAIL" not in results[:at], parsed
    assert set(results[at + 1:]) <= {"SKIP"}, parsed
    return parsed["steps"][at]


def nothing_left(lab, mark):
    """No message, no token, no force; whoever writes meanwhile gets the real state."""
    assert not lab.backup.queue(), lab.backup.queue_listing()
    lab.milter.wait_for_log(rf"drill: domain={DOMAIN} result=fail", 10, mark)
    status = lab.milter.status(DOMAIN)
    assert status["forced_until"] is None and status["state"] == "up", status


def deliveries(lab):
    return lab.primary.deliveries(KNOWN, "Fire drill of the backup MX")


@contextmanager
def held_up(lab, program):
    """A folder for PATH in which that program waits: (folder, reached(), let_go())."""
    folder = pathlib.Path(lab.milter.folder) / f"slow-{program}"
    folder.mkdir(exist_ok=True)
    at, go = folder / "at", folder / "go"
    script = folder / program
    script.write_text(f"#!/bin/sh\necho $$ >{at}\n"
                      f"while [ ! -e {go} ]; do sleep 0.05; done\nexec /usr/sbin/{program} \"$@\"\n")
    script.chmod(0o755)
    for path in (at, go):
        path.unlink(missing_ok=True)
    try:
        yield (folder, lambda: eventually(at.exists, 20, f"{program} is called"), go.touch)
    finally:
        go.touch()


# ---- it passes

def test_passes(ready):
    lab, before, mark = ready, len(deliveries(ready)), ready.milter.mark()
    code, parsed = drill(lab)
    assert code == 0 and results_of(parsed) == [(name, "PASS") for name in PLAIN]
    assert parsed["recipient"] == KNOWN and parsed["notes"] == []
    seen = steps_of(parsed)
    assert "row 5 (primary-down), recipient valid" in seen["accepted"]["seen"]
    assert "(in the queued message)" in seen["tagged"]["seen"] or (
        "(by the milter's word)" in seen["tagged"]["seen"])
    assert seen["delivered"]["seen"].startswith("status=sent (250 2.0.0 Ok: queued as ")
    assert seen["queue-id"]["seen"] == parsed["queue_id"]
    assert f" {parsed['queue_id']}: client=localhost" in lab.backup.log_text()
    lab.milter.wait_for_log(rf"drill: domain={DOMAIN} result=pass", 10, mark)
    lab.primary.wait_queue_empty(5)
    new = deliveries(lab)[before:] if before else deliveries(lab)
    assert len(new) == 1
    tag = the_tag(new[0].text)
    assert tag["primary"] == "down" and f"id={tag['id']}" in seen["tagged"]["seen"]
    assert "Return-Path: <>" in new[0].text and "\nAuto-Submitted: auto-generated\n" in new[0].text
    assert "You can delete it." in new[0].text
    nothing_bounced(lab)


def test_passes_with_hold_and_is_really_held(ready):
    lab, before = ready, len(deliveries(ready))
    with held_up(lab, "postsuper") as (path, reached, let_go):
        process = start(lab, "--json", "--hold", path=path)
        reached()
        [entry] = lab.backup.queue()
        assert (entry["queue_name"], entry["sender"]) == ("hold", "MAILER-DAEMON")
        assert len(deliveries(lab)) == before
        # and nobody else notices
        expect(lab.ask(KNOWN), GO_TO_PRIMARY, KNOWN)
        let_go()
        out, _ = process.communicate(timeout=60)
    parsed = json.loads(out)
    schemas.validate("drill", parsed)
    assert process.returncode == 0 and results_of(parsed) == [(name, "PASS") for name in HELD]
    assert parsed["queue_id"] == entry["queue_id"]
    assert steps_of(parsed)["tagged"]["seen"].endswith("(in the queued message)")
    assert steps_of(parsed)["released"]["ms"] > 0
    eventually(lambda: len(deliveries(lab)) == before + 1, 5)
    assert not lab.backup.queue()


def test_text_tells_each_step_as_it_happens(ready):
    lab = ready
    with held_up(lab, "postsuper") as (path, reached, let_go):
        process = start(lab, "--hold", path=path)
        lines = [process.stdout.readline() for _ in range(2)]
        while "held" not in lines[-1]:
            lines.append(process.stdout.readline())
        assert process.poll() is None
        reached()
        let_go()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    text = "".join(lines) + out
    assert re.findall(r"(?m)^  (PASS|FAIL|SKIP)  (\S+) +", text) == [
        ("PASS", name) for name in HELD]
    assert text.endswith("result: PASS\n") and re.search(r"PASS  held +\d+ ms: ", text)


def test_without_root(ready):
    code, parsed = drill(ready, user=USER)
    assert code == 0 and parsed["result"] == "PASS", parsed
    assert steps_of(parsed)["tagged"]["seen"].endswith("(by the milter's word)")
    assert steps_of(parsed)["left-queue"]["result"] == "PASS"
    code, parsed = drill(ready, "--hold", user=USER)
    assert code == 1 and "--hold needs root" in parsed["error"]
    # nor is what can't be seen made up
    code, parsed = drill(ready, "--hold", "--mta-config", "/nonexistent")
    assert code == 1 and "nothing was sent; --mta-config" in parsed["error"]
    assert not ready.backup.queue()
    code, parsed = drill(ready, "--mail-log", "/nonexistent/mail.log", "--mta-config", "/etc/postfix")
    assert code == 0 and steps_of(parsed)["delivered"]["result"] == "SKIP"
    advice = steps_of(parsed)["delivered"]["advice"]
    assert "--mail-log" in advice
    assert advice.endswith(f"journalctl --since -1h --grep {parsed['queue_id']}")


def test_with_the_rights_of_the_unit(ready):
    unit = (pathlib.Path(TOP) / "packaging/systemd/backupmx-drill@.service.in").read_text()
    rights = re.search(r"(?m)^CapabilityBoundingSet=(.+)$", unit)[1].lower().replace("cap_", "+")
    code, parsed = drill(ready, "--hold", within=[
        "setpriv", "--no-new-privs", f"--bounding-set=-all,{','.join(rights.split())}", "--"])
    assert code == 0 and results_of(parsed) == [(name, "PASS") for name in HELD], parsed


# ---- it fails

def test_primary_blocked(ready):
    lab, mark = ready, ready.milter.mark()
    for options in (["--hold"], []):
        with outage.unreachable(lab.primary_host):
            code, parsed = drill(lab, "--wait", "2s", *options)
        assert code == 1
        step = failed_at(parsed, "left-queue")
        assert "No route to host" in step["seen"], step
        assert "backupmxctl probe example.test" in step["advice"]
        assert parsed["notes"] == [f"message {parsed['queue_id']} was removed from the queue"]
        until_up(lab)
        nothing_left(lab, mark)


def test_recipient_not_known(ready):
    lab, mark = ready, ready.milter.mark()
    code, parsed = drill(lab, "--hold", recipient="bob@example.test")
    step = failed_at(parsed, "accepted")
    assert code == 1 and "451 4.4.1" in step["seen"]
    assert "drill again" in step["advice"]
    assert "backupmxctl recipients import" in step["advice"]
    assert parsed["queue_id"] is None
    nothing_left(lab, mark)
    # the drill itself has the primary asked
    lab.milter.wait_for_log(r"callout: recipient=<bob@example\.test> verdict=valid ", 30, mark)
    eventually(lambda: lab.milter.explain("bob@example.test")["recipient"] == "valid", 10,
               "bob is remembered")
    assert drill(lab, "--hold", recipient="bob@example.test")[0] == 0


def test_primary_refuses_what_we_pass_on(ready):
    """It was accepted and left the queue, by a bounce: that is no success."""
    lab, mark = ready, ready.milter.mark()
    lab.primary.write_mailboxes([name for name in MAILBOXES if name != "alice"])
    lab.primary.reload()
    try:
        code, parsed = drill(lab)
    finally:
        lab.primary.write_mailboxes(MAILBOXES)
        lab.primary.reload()
    step = failed_at(parsed, "delivered")
    assert code == 1 and "status=bounced" in step["seen"] and "bounce" in step["advice"]
    nothing_left(lab, mark)


def test_wrong_usage(ready):
    lab = ready
    for arguments, wanted in (
            (["drill", DOMAIN], "--to ADDR is missing"),
            (["drill", DOMAIN, "--to", "nobody"], "no mail address"),
            (["drill", DOMAIN, "--to", "alice@other.test"], "not of that domain"),
            (["drill", DOMAIN, "--to", KNOWN, "--wait", "0"], "write 1s to 1h")):
        done = lab.milter.ctl_process(*arguments)
        assert done.returncode == 2 and wanted in done.stderr, done
    done = lab.milter.ctl_process("drill", "foreign.test", "--to", "alice@foreign.test")
    assert done.returncode == 1 and "no domain of ours" in done.stderr
    done = lab.milter.ctl_process("-s", "/nonexistent/control.sock", "drill", DOMAIN, "--to", KNOWN)
    assert done.returncode == 3


# ---- it is stopped

# Before postcat the message is held; while postsuper runs, it is being released.
@pytest.mark.parametrize("number,program", [(signal.SIGINT, "postcat"), (signal.SIGHUP, "postcat"),
                                            (signal.SIGTERM, "postsuper")])
def test_stopped_while_held(ready, number, program):
    lab, mark, before = ready, ready.milter.mark(), len(deliveries(ready))
    with outage.unreachable(lab.primary_host), held_up(lab, program) as (path, reached, let_go):
        process = start(lab, "--hold", path=path)
        reached()
        assert [entry["queue_name"] for entry in lab.backup.queue()] == ["hold"]
        process.send_signal(number)
        let_go()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1 and f"interrupted by {number.name}" in out
        assert re.search(r"note: message \w+ was\s+removed from the queue", out)
        assert not lab.backup.queue()
    until_up(lab)
    nothing_left(lab, mark)
    # what Postfix is about to deliver when it is removed may arrive all the same
    assert program == "postsuper" or len(deliveries(lab)) == before


def test_stopped_while_waiting(ready):
    lab, mark = ready, ready.milter.mark()
    with outage.packets_dropped(lab.primary_host):
        process = start(lab, "--hold")
        while "released" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1 and "interrupted by SIGTERM" in out
        assert not lab.backup.queue()
    until_up(lab)
    nothing_left(lab, mark)


def test_nobody_reads_it(ready):
    lab, mark = ready, ready.milter.mark()
    with held_up(lab, "postcat") as (path, reached, let_go):
        process = start(lab, "--hold", path=path)
        reached()
        process.stdout.close()
        let_go()
        process.stdout = None
        process.communicate(timeout=60)
    assert process.returncode == 1
    nothing_left(lab, mark)


@pytest.mark.parametrize("restrictions", ["smtpd_recipient_restrictions",
                                          "smtpd_end_of_data_restrictions"])
def test_stopped_in_the_dialogue(ready, restrictions):
    """At RCPT nothing has begun; at the end of the message the MTA has it all the same."""
    lab = ready
    lab.backup.reconfigure(**{restrictions: "sleep 2"})
    try:
        mark, before = lab.milter.mark(), len(deliveries(lab))
        logged = len(lab.backup.log_text())
        process = start(lab, "--hold")
        lab.milter.wait_for_log("drill: .*state=begun", 10, mark)
        if "data" in restrictions:
            lab.milter.wait_for_log("action=accept .* drill=yes", 10, mark)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        # the MTA has made up its mind, too
        eventually(lambda: (lab.backup.log_text()[logged:].count("connect from localhost")
                            == 2 * lab.backup.log_text()[logged:].count("disconnect from localhost")
                            > 0), 10)
    finally:
        lab.backup.reconfigure(**{restrictions: ""})
    assert process.returncode == 1 and "interrupted by SIGINT" in out
    nothing_left(lab, mark)
    assert len(deliveries(lab)) == before


def test_killed_and_the_next_one_cleans_up(ready):
    lab, before = ready, len(deliveries(ready))
    with held_up(lab, "postsuper") as (path, reached, _):
        process = start(lab, "--hold", path=path)
        reached()
        os.kill(process.program_pid, signal.SIGKILL)
        process.communicate(timeout=60)
        # what it was just about to run goes with it
        lab.backup_host.run(["sh", "-c", f"kill -KILL $(cat {path}/at)"])
        [entry] = lab.backup.queue()
        assert entry["queue_name"] == "hold"
        # another's held mail from <> is none of ours
        with lab.session(host=lab.backup_host, server="127.0.0.1") as session:
            other = session.send("user1@example.test", "a-bounce-on-hold", sender="")
        assert other.accepted
        other_id = other.data.text.split()[-1]
        lab.backup_host.run(["postsuper", "-h", other_id], check=False)
    code, parsed = drill(lab, "--hold")
    assert code == 0 and parsed["result"] == "PASS", parsed
    assert parsed["notes"] == [
        "1 held message of a drill that was killed was removed from the queue"]
    assert entry["queue_id"] not in [left["queue_id"] for left in lab.backup.queue()]
    eventually(lambda: len(deliveries(lab)) == before + 1, 5)
    lab.backup_host.run(["postsuper", "-d", other_id])


def test_killed_while_the_mta_was_at_work(ready):
    """Its message comes to be held when the next one has looked for such already."""
    lab = ready
    with held_up(lab, "postsuper") as (path, reached, _):
        process = start(lab, "--hold", path=path)
        reached()
        os.kill(process.program_pid, signal.SIGKILL)
        process.communicate(timeout=60)
        lab.backup_host.run(["sh", "-c", f"kill -KILL $(cat {path}/at)"])
    [entry] = lab.backup.queue()
    lab.backup_host.run(["postsuper", "-H", entry["queue_id"]], check=False)
    with held_up(lab, "postcat") as (path, reached, let_go):
        process = start(lab, "--json", path=path)
        reached()
        lab.backup_host.run(["postsuper", "-h", entry["queue_id"]], check=False)
        let_go()
        parsed = json.loads(process.communicate(timeout=60)[0])
    assert parsed["result"] == "PASS", parsed
    assert parsed["notes"] == [
        "1 held message of a drill that was killed was removed from the queue"]
    assert not lab.backup.queue(), lab.backup.queue_listing()


def test_killed_again_and_again(ready):
    """The tokens of those that were killed are withdrawn, and there is room for the next one."""
    lab, mark = ready, ready.milter.mark()
    given = []
    for _ in range(20):
        answer = lab.milter.ask("drill", domain=DOMAIN, recipient=KNOWN, hold=True)
        given += [answer["result"]["token"]] if answer["exit"] == 0 else []
    assert len(given) < 20          # no room
    code, parsed = drill(lab)
    assert code == 0 and parsed["notes"] == [], parsed
    assert len(lab.milter.log_lines("drill: .* result=unfinished", mark)) == len(given)
    for token in given:
        answer = lab.milter.ask("drill_result", token=token)
        assert answer["exit"] != 0 or answer["result"]["ended"] == "fail"


def test_nobody_can_hold_it_up(ready):
    """Who may not drill can't take its turn."""
    lab = ready
    folder = os.path.dirname(lab.milter.control_socket)
    drill(lab)
    locks = [folder, *(entry.path for entry in os.scandir(folder))]
    script = ("import fcntl, os, sys, time\n"
              "for path in sys.argv[1:]:\n"
              "    try: fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
              "    except OSError: pass\n"
              "print('ready', flush=True); time.sleep(60)\n")
    with subprocess.Popen(["/usr/bin/python3", "-c", script, *locks], user=65432, group=65432,
                          extra_groups=[], text=True, stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout.readline() == "ready\n"
            code, parsed = drill(lab)
        finally:
            stranger.kill()
    assert code == 0 and parsed["notes"] == [], parsed


# ---- the milter isn't in it

def test_mta_asks_no_milter(ready):
    """No ordinary mail is sent in place of a drill."""
    lab, before = ready, len(deliveries(ready))
    milters = lab.backup.settings["smtpd_milters"]
    lab.backup.reconfigure(smtpd_milters="")
    try:
        mark = lab.milter.mark()
        code, parsed = drill(lab)
    finally:
        lab.backup.reconfigure(smtpd_milters=milters)
    step = failed_at(parsed, "accepted")
    assert code == 1 and "the milter has not seen the drill" in step["seen"]
    assert "smtpd_milters" in step["advice"]
    nothing_left(lab, mark)
    assert len(deliveries(lab)) == before


def test_shadow_mode(ready):
    lab = ready
    lab.configure_milter({"milter": {"mode": "shadow"}})
    try:
        assert lab.milter.ctl("reload")[0] == 0
        code, parsed = drill(lab)
    finally:
        lab.configure_milter()
        assert lab.milter.ctl("reload")[0] == 0
    step = failed_at(parsed, "accepted")
    assert code == 1 and "shadow" in step["seen"] and "mode = enforce" in step["advice"]


def test_stopped_milter(ready):
    lab = ready
    lab.milter.stop()
    try:
        code, parsed = drill(lab, "--hold")
    finally:
        lab.milter.start()
    assert code == 3 and "control.sock" in parsed["error"]
    assert not lab.backup.queue()
