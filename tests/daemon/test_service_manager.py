# SPDX-License-Identifier: BSD-2-Clause
#
# What the daemon tells systemd (sd_notify(3)), with a socket of ours in systemd's place, and the
# unit file by systemd's own judgement.

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from peers.daemon import TOP
from peers.waiting import eventually

UNITS = os.path.join(TOP, "packaging/systemd")


class Manager:
    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        while True:
            try:
                self.told.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def wait_for(self, words):
        """Until what was told, the watchdog's word left out, is this."""
        eventually(lambda: [word for word in self.hear() if word != "WATCHDOG=1"] == words, 10,
                   lambda: str(self.told))


def test_ready_reload_stop_and_alive(lab, tmp_path):
    with Manager(tmp_path / "notify") as manager:
        daemon = lab.daemon(environment={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"},
                            start=False)
        daemon.start()
        manager.wait_for(["READY=1"])
        eventually(lambda: manager.hear().count("WATCHDOG=1") > 5, 20, "it says that it is alive")
        daemon.process.send_signal(signal.SIGHUP)
        manager.wait_for(["READY=1", "RELOADING=1", "READY=1"])
        # a process that hangs says nothing
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        manager.hear()
        alive = manager.told.count("WATCHDOG=1")
        time.sleep(1)
        assert manager.hear().count("WATCHDOG=1") == alive
        daemon.process.send_signal(signal.SIGCONT)
        eventually(lambda: manager.hear().count("WATCHDOG=1") > alive, 10, "and goes on")
        daemon.stop()
        manager.wait_for(["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"])


@pytest.mark.parametrize("environment", [
    {}, {"WATCHDOG_USEC": "nonsense"}, {"WATCHDOG_USEC": "-5"},
    {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}], ids=["none", "nonsense", "negative", "other"])
def test_no_watchdog(lab, tmp_path, environment):
    with Manager(tmp_path / "notify") as manager:
        daemon = lab.daemon(environment={"NOTIFY_SOCKET": manager.path} | environment, start=False)
        daemon.start()
        manager.wait_for(["READY=1"])
        time.sleep(0.3)
        assert manager.hear() == ["READY=1"]


def copy_unit(name, folder):
    """As it is installed, as far as paths go."""
    source = os.path.join(UNITS, name)
    with open(source if os.path.exists(source) else f"{source}.in", encoding="utf-8") as file:
        (folder / name).write_text(file.read().replace("@sbindir@", "/usr/sbin"))
    return str(folder / name)


@pytest.mark.parametrize("names", [["backupmx-milter.service"],
                                   ["backupmx-drill@.service", "backupmx-drill@.timer"]],
                         ids=["milter", "drill"])
def test_units_have_no_odd_keys(tmp_path, names):
    """systemd-analyze ends with 0 all the same: it is what it says that counts."""
    units = [copy_unit(name, tmp_path) for name in names]
    done = subprocess.run(["systemd-analyze", "verify", *units], text=True, capture_output=True,
                          check=False)
    # the programs and pages are not installed here
    odd = [line for line in done.stderr.splitlines()
           if "is not executable" not in line and "Command 'man " not in line]
    assert odd == []


# A drill has to be root, for the MTA's queue.
@pytest.mark.parametrize("name,exposed", [("backupmx-milter.service", 2.0),
                                          ("backupmx-drill@.service", 3.0)])
def test_units_are_sandboxed(tmp_path, name, exposed):
    unit = copy_unit(name, tmp_path)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                           f"--threshold={int(exposed * 10)}", unit],
                          text=True, capture_output=True, check=False)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert done.returncode == 0 and float(level[1]) <= exposed, done.stdout


def test_the_timer_is_monthly():
    with open(os.path.join(UNITS, "backupmx-drill@.timer"), encoding="utf-8") as file:
        when = re.search(r"(?m)^OnCalendar=(.+)$", file.read())[1]
    done = subprocess.run(["systemd-analyze", "calendar", "--iterations=13", when], text=True,
                          capture_output=True, check=True)
    months = re.findall(r"(?m)(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\d+-\d+)-", done.stdout)
    assert len(months) == len(set(months)) == 13, done.stdout
