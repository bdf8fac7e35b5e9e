# SPDX-License-Identifier: BSD-2-Clause
#
# `backupmxctl check` in a host of the lab, and its findings. Each id of the catalogue has a test
# with the fault and one without, marked @finding(ID, present=True) and present=False:
# tests/lint/check-ids holds the marks against the catalogue.

import json
import os
import pathlib
import shutil
import subprocess

from peers.daemon import SANITIZER_REPORT, program


def finding(*_ids, present):  # pylint: disable=unused-argument
    """Says of a test that it sees these findings as something to mend (present), or as in order."""
    return lambda function: function


class Findings:
    """What a check found. found["mx-ttl", "example.test"] is the finding of that subject, or the
    worst of several; found["mx-ttl"] the worst of all subjects. KeyError when there is none."""

    ORDER = ["ok", "note", "warning", "error"]

    def __init__(self, done):
        assert done.returncode in (0, 1), done.stdout + done.stderr
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        self.exit = done.returncode
        self.result = json.loads(done.stdout)
        self.list = self.result["findings"]
        assert self.exit == (self.result["worst"] == "error")

    def all(self, name, subject=None):
        return [found for found in self.list
                if found["id"] == name and subject in (None, found["subject"])]

    def __getitem__(self, key):
        name, subject = key if isinstance(key, tuple) else (key, None)
        found = self.all(name, subject)
        if not found:
            raise KeyError(f"no {key} in {[(f['id'], f['subject']) for f in self.list]}")
        return max(found, key=lambda one: self.ORDER.index(one["severity"]))

    def severity(self, name, subject=None):
        return self[name, subject]["severity"]

    def problems(self):
        """{(id, subject): severity} of all that isn't in order."""
        return {(one["id"], one["subject"]): one["severity"] for one in self.list
                if one["severity"] != "ok" and not one["unseen"]}


class Checker:
    """backupmxctl in a host, from a copy that every user may read. milter: the lab's daemon, whose
    configuration and socket are given to it; None: there is none. environment: what it gets
    besides ours."""

    def __init__(self, host, milter=None, environment=None):
        self.host = host
        self.environment = os.environ | (environment or {})
        self.program = pathlib.Path(host.scratch) / "checker" / "backupmxctl"
        self.program.parent.mkdir(exist_ok=True)
        shutil.copy(program("backupmxctl"), self.program)
        self.common = ["-s", "/nonexistent/control.sock"]
        if milter is not None:
            self.common = ["-c", milter.ini_path, "-s", milter.control_socket]

    def run(self, *arguments, user=None, timeout=60):
        """The command as it is: a CompletedProcess."""
        command = self.host.command([self.program, *self.common, *arguments], user=user)
        return subprocess.run(command, text=True, capture_output=True, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, env=self.environment)

    def check(self, *arguments, user=None, timeout=60):
        return Findings(self.run("--json", "check", *arguments, user=user, timeout=timeout))
