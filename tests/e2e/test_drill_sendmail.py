# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl drill with Sendmail as the backup's MTA: its own queue, its own quarantine, its own log.

import os
import signal

from lab import outage
from peers.waiting import eventually
from story import the_tag, until_up
from test_drill import (DOMAIN, HELD, KNOWN, PLAIN, deliveries, drill, failed_at, nothing_left,
                        ready, results_of, start, steps_of)  # noqa: F401 (ready is a fixture)

MTA = "sendmail"
MILTER_SETTINGS = {}

# Only lifting the quarantine waits, not looking at the queue.
SCRIPT = """#!/bin/sh
case " $* " in *" -Q "*) echo $$ >{at}; while [ ! -e {go} ]; do sleep 0.05; done;; esac
exec /usr/sbin/sendmail "$@"
"""


def log_of(lab):
    return ["--mail-log", str(lab.backup.log)]


def held(lab):
    return [line for line in lab.backup_host.run(["sendmail", "-bp", "-qQ"]).splitlines()
            if "QUARANTINE: backupmx drill" in line]


def held_up(lab, name):
    folder = lab.backup_host.scratch / name
    folder.mkdir()
    script = folder / "sendmail"
    script.write_text(SCRIPT.format(at=folder / "at", go=folder / "go"))
    script.chmod(0o755)
    return folder


def test_passes(ready):  # noqa: F811
    lab, before = ready, len(deliveries(ready))
    code, parsed = drill(lab, *log_of(lab))
    assert code == 0 and results_of(parsed) == [(name, "PASS") for name in PLAIN], parsed
    assert steps_of(parsed)["delivered"]["seen"].startswith("status=Sent (Ok: queued as ")
    code, parsed = drill(lab, "--hold", *log_of(lab))
    assert code == 0 and results_of(parsed) == [(name, "PASS") for name in HELD], parsed
    assert steps_of(parsed)["held"]["seen"] == "in the queue of Sendmail, held"
    eventually(lambda: len(deliveries(lab)) == before + 2, 10)
    assert the_tag(deliveries(lab)[0].text)["primary"] == "down"


def test_primary_blocked(ready):  # noqa: F811
    lab, mark = ready, ready.milter.mark()
    with outage.unreachable(lab.primary_host):
        code, parsed = drill(lab, "--hold", "--wait", "4s")
    step = failed_at(parsed, "left-queue")
    assert code == 1 and "No route to host" in step["seen"], step
    assert parsed["notes"] == [f"message {parsed['queue_id']} was removed from the queue"]
    assert not list(lab.backup_host.path("/var/spool/mqueue").glob("?f*"))
    until_up(lab)
    nothing_left(lab, mark)


def test_stopped_while_held(ready):  # noqa: F811
    lab, mark, before = ready, ready.milter.mark(), len(deliveries(ready))
    folder = held_up(lab, "stopped")
    process = start(lab, "--hold", path=folder)
    eventually((folder / "at").exists, 20)
    assert len(held(lab)) == 1
    with outage.unreachable(lab.primary_host):
        process.send_signal(signal.SIGTERM)
        (folder / "go").touch()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1 and "interrupted by SIGTERM" in out
        assert not list(lab.backup_host.path("/var/spool/mqueue").glob("?f*"))
    until_up(lab)
    nothing_left(lab, mark)
    assert len(deliveries(lab)) == before


def test_killed_and_the_next_one_cleans_up(ready):  # noqa: F811
    lab, before = ready, len(deliveries(ready))
    folder = held_up(lab, "killed")
    process = start(lab, "--hold", path=folder)
    eventually((folder / "at").exists, 20)
    os.kill(process.program_pid, signal.SIGKILL)
    process.communicate(timeout=60)
    lab.backup_host.run(["sh", "-c", f"kill -KILL $(cat {folder}/at)"])
    assert len(held(lab)) == 1
    code, parsed = drill(lab, "--hold")
    assert code == 0 and steps_of(parsed)["left-queue"]["result"] == "PASS", parsed
    assert parsed["notes"] == [
        "1 held message of a drill that was killed was removed from the queue"]
    assert not held(lab) and lab.milter.status(DOMAIN)["state"] == "up"
    eventually(lambda: len(deliveries(lab)) == before + 1, 10)
    assert KNOWN == parsed["recipient"]
