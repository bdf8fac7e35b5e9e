# SPDX-License-Identifier: BSD-2-Clause
#
# Completion of backupmxctl (etc/bash-completion) in real bash, with nothing of the package
# bash-completion around it. Whatever the help knows can be completed.

import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest

from peers.daemon import TOP, program, run_program

FILE = os.path.join(TOP, "etc", "bash-completion", "backupmxctl")
NOWHERE = ["-s", "/nonexistent/control.sock"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")

SCRIPT = """
source "$1"; shift
COMP_WORDS=(%s "$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_backupmxctl "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, cwd=None):
    """What is offered for the last of the words, which bash has split already."""
    done = subprocess.run(["bash", "--norc", "-c", SCRIPT % program("backupmxctl"), "bash", FILE,
                           *words], capture_output=True, text=True, timeout=20, cwd=cwd,
                          check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def the_help():
    return json.loads(run_program("backupmxctl", "help", "--json").stdout)


@pytest.fixture(scope="module")
def daemon(module_lab):
    module_lab.primary("up.test")
    module_lab.primary("down.test").stop()
    daemon = module_lab.daemon(domains=["up.test", "down.test"])
    daemon.wait_for_state("up.test", "up")
    return daemon


# -- whatever the help knows

def test_every_command_and_option():
    known = the_help()
    assert len(known["commands"]) >= 7
    everywhere = {option["name"] for option in known["options"]}

    def check(command, before):
        offered = complete(*before, "")
        assert command["name"] in offered
        words = [*before, command["name"]]
        assert command["name"] in complete("help", *words[:-1], "")
        if command["commands"]:
            for one in command["commands"]:
                check(one, words)
            return
        wanted = everywhere | {option["name"] for option in command["options"]}
        missing = wanted - set(complete(*words, "-"))
        assert not missing, (words, missing)
        for option in command["options"]:
            if option["value"] is None:
                continue
            # its value isn't taken for an argument, nor completed by options
            assert not [word for word in complete(*words, option["name"], "-")]

    for command in known["commands"]:
        check(command, [])


def test_values_are_those_that_are_taken(daemon):
    for words in (["recipients", "list", "--status"],):
        for value in complete(*words, ""):
            assert daemon.ctl(*words, value)[0] == 0, value
    assert complete("plan", "up.test", "--format", "") == ["zone", "nsupdate", "table"]
    formats = complete("recipients", "import", "--format", "")
    assert len(formats) >= 7
    for value in formats:
        assert daemon.ctl_process("recipients", "import", "/nonexistent", "--format",
                                  value).returncode == 1, value


# -- words in their places

@pytest.mark.parametrize("words,expected", [
    (["sta"], ["status"]),
    (["re"], ["recipients", "report", "reload"]),
    (["recipients", "ex"], ["export"]),
    (["help", "recipients", "im"], ["import"]),
    (["help", "fl"], ["flush"]),
    (["--json", "sta"], ["status"]),
    (NOWHERE + ["vers"], ["version"]),
    (["explain", "--cl"], ["--client"]),
    (["explain", "--client", "192.0.2.1", "--au"], ["--auth"]),
    (["explain", "--client", "=", "192.0.2.1", "--au"], ["--auth"]),
    (["recipients", "list", "--status", "in"], ["invalid"]),
    (["recipients", "list", "--status", "=", "in"], ["invalid"]),
    (["recipients", "import", "--format", "="],
     ["auto", "list", "map", "log", "postfix", "exim", "sendmail"]),
    (["version", ""], []),
    (["nonsense", ""], []),
    (["explain", "--name", ""], []),
])
def test_words(words, expected):
    assert complete(*words) == expected


def test_domains_come_from_the_daemon(daemon):
    at = ["-s", daemon.control_socket]
    assert sorted(complete(*at, "status", "")) == ["down.test", "up.test"]
    assert complete(*at, "flush", "u") == ["up.test"]
    assert complete("-c", daemon.ini_path, "status", "d") == ["down.test"]
    assert complete(*at, "status", "up.test", "") == []
    assert complete(*at, "explain", "alice", "@", "u") == ["@up.test"]
    assert sorted(complete(*at, "recipients", "forget", "@")) == ["@down.test", "@up.test"]
    assert complete(*at, "recipients", "import", "--domain", "u") == ["up.test"]


def test_without_a_daemon_nothing_is_said():
    assert complete(*NOWHERE, "status", "") == []


def test_files(tmp_path):
    (tmp_path / "users list.txt").write_text("")
    (tmp_path / "users").mkdir()
    assert sorted(complete("recipients", "import", "us", cwd=tmp_path)) == ["users",
                                                                            "users list.txt"]
    assert complete("-c", "users l", cwd=tmp_path) == ["users list.txt"]


# -- as people use it

def shown(typed):
    """What stands on a terminal after the bash there went back to overwrite some of it."""
    out = []
    for char in typed:
        if char == "\b":
            out.pop()
        else:
            out.append(char)
    return "".join(out)


class Terminal:
    """An interactive bash under a pseudo-terminal."""

    def __init__(self, cwd):
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "> ", "HOME": str(cwd),
                       "INPUTRC": "/dev/null", "LC_ALL": "C"}
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 250, 0, 0))
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=follower,
                                        stdout=follower, stderr=follower, cwd=cwd,
                                        env=environment, start_new_session=True)
        os.close(follower)
        self.leader = leader

    def type(self, text, until):
        """Types, and reads until it says `until`."""
        os.write(self.leader, text.encode())
        seen, end = "", time.monotonic() + 15
        while until not in shown(seen) and time.monotonic() < end:
            if select.select([self.leader], [], [], 0.5)[0]:
                seen += os.read(self.leader, 4096).decode(errors="replace")
        assert until in shown(seen), seen

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.leader)


def test_in_an_interactive_shell(daemon, tmp_path):
    (tmp_path / "users.txt").write_text("")
    shell = Terminal(tmp_path)
    try:
        shell.type("bind 'set bell-style none'; source '%s'; PATH=%s:$PATH; echo do''ne\n"
                   % (FILE, os.path.dirname(program("backupmxctl"))), "done")
        line = "backupmxctl -s %s " % daemon.control_socket
        shell.type(line + "stat\tu\t", "status up.test ")
        shell.type("\x15" + line + "recipients import --format=pos\tuse\t",
                   "--format=postfix users.txt ")
        shell.type("\x15" + line + "explain alice@do\t", "explain alice@down.test ")
    finally:
        shell.close()
