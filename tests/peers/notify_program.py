# SPDX-License-Identifier: BSD-2-Clause
#
# A script for [notify] command that writes down what it was given.

from .waiting import eventually

# The environment as it was given: the shell adds some of its own.
RECORD = """
file=$(mktemp "%s/XXXXXXXX.new")
tr '\\0' '\\n' < /proc/$$/environ > "$file"
mv "$file" "${file%%.new}.notice"
"""


class NotifyProgram:
    """A script for [notify] command, and what its runs have written."""

    def __init__(self, folder, then="exit 0", name="notify"):
        self.folder = folder / (name + ".d")
        self.folder.mkdir()
        self.path = folder / name
        self.write(then)

    def write(self, then):
        self.path.write_text("#!/bin/sh\n" + RECORD % self.folder + then + "\n")
        self.path.chmod(0o755)

    @property
    def ini(self):
        return {"notify": {"command": str(self.path)}}

    def notices(self):
        """What each run was given, oldest first, without the BACKUPMX_."""
        files = sorted(self.folder.glob("*.notice"), key=lambda f: f.stat().st_mtime_ns)
        return [{key.replace("BACKUPMX_", ""): value for key, value in
                 (line.split("=", 1) for line in file.read_text().splitlines())}
                for file in files]

    def told(self, *keys):
        return [tuple(notice[key] for key in keys) for notice in self.notices()]

    def wait(self, count, deadline=15):
        eventually(lambda: len(self.notices()) >= count, deadline,
                   lambda: "%d notices: %r" % (count, self.notices()))
        return self.notices()
