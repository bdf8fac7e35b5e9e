# SPDX-License-Identifier: BSD-2-Clause
#
# The daemon of a clean root, started, asked to reload and stopped as its unit says: see sandbox.py.

import os
import pathlib
import signal
import socket
import subprocess

from peers.waiting import eventually

UNIT = "lib/systemd/system/backupmx-milter.service"
SANDBOX = pathlib.Path(__file__).with_name("sandbox.py")


class Service:
    def __init__(self, root, unit=None):
        self.root = root
        self.unit = unit or root.path(UNIT)
        self.process = None
        self.errors = root.host.scratch / "service.log"

    def _command(self, which):
        return ["unshare", "--mount", "--propagation", "private", "/usr/bin/python3", SANDBOX,
                self.root.folder, self.unit, which]

    def start(self):
        """Returns when it says that it is ready, as Type=notify has it."""
        self.root.path("run/systemd").mkdir(exist_ok=True)
        path = self.root.path("run/systemd/notify")
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(str(path))
            path.chmod(0o777)
            notices.settimeout(0.2)
            with open(self.errors, "ab") as errors:
                self.process = self.root.host.start(self._command("ExecStart"), stderr=errors,
                                                    stdin=subprocess.DEVNULL)
            eventually(lambda: self._said(notices, b"READY=1"), 60,
                       lambda: "the daemon is ready\n" + self.log())
        path.unlink()

    def _said(self, notices, word):
        assert self.process.poll() is None, self.log()
        try:
            return word in notices.recv(4096)
        except TimeoutError:
            return False

    def log(self):
        return "".join(path.read_text(errors="replace")
                       for path in (self.errors, self.root.host.syslog_file) if path.exists())

    def reload(self):
        self.root.host.run(self._command("ExecReload"))

    def pid(self):
        found = self.root.host.processes("backupmx-milter")
        assert len(found) == 1, found
        return found[0]

    def stop(self):
        """As systemctl stop: SIGTERM, a clean end, and the runtime folder is gone."""
        os.kill(self.pid(), signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log()
        self.process = None
        self.root.host.run(["rm", "-rf", self.root.path("run/backupmx-milter")])
