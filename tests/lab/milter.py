# SPDX-License-Identifier: BSD-2-Clause
#
# backupmx-milter and backupmxctl in the backup's host. The daemon runs as an ordinary user, so that
# packet filters can tell its connections from the MTA's, and from a copy of the programs that this
# user may read. Life, log and sanitizer checks are those of peers.daemon.

import os
import pathlib
import re
import shutil
import subprocess

from peers import loglines
from peers.daemon import SANITIZER_REPORT, Daemon, program

USER = 65534  # nobody: nothing else of the backup's host runs as that
PORT = 8899
PROGRAMS = ("backupmx-milter", "backupmxctl")
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")

# Times are short, so that an outage takes seconds. No limits on callouts: all mail of a test comes
# from one client.
SETTINGS = {
    "milter": {
        "socket": f"inet:{PORT}@127.0.0.1",
        "exempt_clients": ["127.0.0.0/8", "::1", "192.0.2.31", "2001:db8::31"],
    },
    "policy": {"recovery_grace": "1s"},
    "probe": {
        "interval": "2s",
        "fast_interval": "1s",
        "down_interval": "1s",
        "connect_timeout": "2s",
        "timeout": "3s",
        "rise": 2,
        "fall": 3,
        "jitter": "0%",
    },
    "recipients": {
        "callout_rate": 1000,
        "callout_refusals": 100000,
        "callouts_per_client": 100000,
    },
    "flush": {"mta": "127.0.0.1:25"},
    "dns": {"timeout": "2s"},
}


class Milter(Daemon):
    def __init__(self, host):
        self.host = host
        folder = host.scratch / "milter"
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        for name in PROGRAMS:
            if not os.path.exists(program(name)):
                raise FileNotFoundError(
                    f"{program(name)} is missing: build it, or let BACKUPMX_BUILD name a build")
            shutil.copy(program(name), self.programs / name)
        super().__init__(folder, SETTINGS)
        self.milter_address = ("127.0.0.1", PORT)
        for path in (self.folder, self.state_dir):
            os.chown(path, USER, USER)
        os.chmod(self.folder, 0o755)

    def _environment(self):
        """Sanitizers report into files, and their suppressions are where our user can read them."""
        environment = super()._environment() | {"LC_ALL": "C"}
        for name in SANITIZERS:
            options = environment.get(name, "")
            found = re.search(r"suppressions=([^:\s]+)", options)
            if found:
                copy = os.path.join(self.folder, f"{name}.suppressions")
                shutil.copy(found.group(1), copy)
                options = options.replace(found.group(1), copy)
            environment[name] = f"{options}:log_path={self.folder}/sanitizer".lstrip(":")
        return environment

    # The daemon's and the tool's place is inside the host.

    def launch(self, arguments=None):
        if arguments is None:
            arguments = ["-f", "-l", "-c", self.ini_path]
        self.process = self.host.start(
            [self.programs / "backupmx-milter", *arguments], user=USER, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self._environment())
        self._reader = self.log.follow(self.process.stderr, self.log_file)
        return self.process

    def start(self, deadline=30.0):
        # A copy under a sanitizer takes its time to start when several labs run at once.
        return super().start(deadline)

    def accepts(self):
        address, port = self.milter_address
        return self.host.accepts(port, address)

    def ctl_process(self, *arguments, timeout=20):
        done = self.host.run([self.programs / "backupmxctl", "-s", self.control_socket, *arguments],
                             check=False, timeout=timeout, env=self._environment())
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done

    def forget_everything(self):
        """As if it had never run here. Only while it doesn't."""
        for path in pathlib.Path(self.state_dir).iterdir():
            path.unlink()

    # What tests of the whole most often wait for.

    def wait_for_health(self, domain, state, since=0, deadline=30.0):
        """The line that says a domain changed to this state."""
        return self.wait_for_log(
            rf"health: domain={re.escape(domain)} state={state} was=(?P<was>\S+)"
            r"(?: .*?reason=(?P<reason>\S+))?", deadline, since)

    def decision_line(self, reply, deadline=5.0):
        """The log line that belongs to a reply, by the id in its text."""
        assert reply.log_id, f"no id in {reply}"
        return self.wait_for_log(rf"action=.* id={reply.log_id}\b", deadline).string

    def decisions(self, recipient, since=0):
        """All decisions of one recipient, oldest first."""
        return [loglines.fields(line)
                for line in self.log_lines(rf"action=.* to=<{re.escape(recipient)}>", since)]
