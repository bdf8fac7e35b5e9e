# SPDX-License-Identifier: BSD-2-Clause
#
# Programs run under a pseudo-terminal, as an operator sees them.

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_on_terminal(command, columns=80, environment=None, timeout=20):
    """Runs a program to its end with a terminal as its output. Returns (exit code, text)."""
    variables = {key: value for key, value in os.environ.items()
                 if key not in ("COLUMNS", "NO_COLOR")}
    variables["TERM"] = "xterm"
    variables.update(environment or {})
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
                          env=variables) as process:
        os.close(follower)
        out = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:             # the program has gone
                break
            if not part:
                break
            out += part
        os.close(leader)
        code = process.wait(timeout)
    return code, out.decode(errors="replace").replace("\r\n", "\n")


def widest(text):
    return max((len(line) for line in COLOUR.sub("", text).splitlines()), default=0)
