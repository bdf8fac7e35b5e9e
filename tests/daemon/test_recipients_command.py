# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl recipients (DESIGN section 8): what the memory holds, how it is filled from lists, map
# sources and mail logs, and how somebody is forgotten.

import json
import os
import pty
import re
import socket
import subprocess

import pytest

from peers.daemon import program
from peers.waiting import eventually

OK, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
OUR_NAME = "mx2.example.net"


class World:
    def __init__(self, lab, **ini):
        self.lab = lab
        self.server = lab.primary("mail.test", recipients={
            "alice": "250 ok", "control": "250 ok"})
        ini.setdefault("recipients", {}).setdefault("callout", False)
        # those whom a list names serve as canaries, and are confirmed by that
        ini.setdefault("probe", {})["canary"] = "none"
        self.daemon = lab.daemon(ini, domains=["mail.test", "xn--bcher-kva.test"])
        self.daemon.wait_for_state("mail.test", "up")

    def recipients(self, *arguments, **more):
        return self.daemon.ctl("--json", "recipients", *arguments, **more)

    def write(self, text, name="list"):
        path = self.lab.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def import_(self, text, *options, code=OK):
        got, out, parsed = self.recipients("import", self.write(text), *options)
        assert got == code, out
        return parsed

    def status(self, address):
        return self.recipients("show", address)[2]["status"]

    def listed(self, *arguments):
        code, out, parsed = self.recipients("list", *arguments)
        assert code == OK, out
        return {entry["recipient"]: entry["status"] for entry in parsed}


@pytest.fixture
def world(lab):
    return World(lab)


# -- show

def test_show(world):
    world.import_("alice@mail.test\n")
    code, _, parsed = world.recipients("show", "Alice@MAIL.test")
    assert code == OK
    assert set(parsed) == {"recipient", "status", "source", "verified", "age_up_seconds",
                           "expires"}
    assert (parsed["recipient"].lower(), parsed["status"], parsed["source"]) == \
        ("alice@mail.test", "valid", "import")
    assert re.fullmatch(TIME, parsed["verified"]) and re.fullmatch(TIME, parsed["expires"])
    assert isinstance(parsed["age_up_seconds"], int)
    code, out, _ = world.daemon.ctl("recipients", "show", "alice@mail.test")
    assert code == OK and "valid" in out and "import" in out


def test_show_unknown(world):
    code, _, parsed = world.recipients("show", "nobody@mail.test")
    assert code == NO
    assert (parsed["status"], parsed["source"], parsed["verified"], parsed["expires"]) == \
        ("unknown", "none", None, None)
    code, _, parsed = world.recipients("show", "nobody@foreign.test")
    assert code == NO and "no domain of ours" in parsed["error"]
    assert world.recipients("show", "nobody")[0] == USAGE


# -- import of lists

def test_import_of_a_list(world):
    parsed = world.import_("alice@mail.test\nBob@MAIL.test\n# comment\n\ndave@foreign.test\n"
                           "alice@mail.test\n\"jane doe\"@mail.test\nbroken@@\n..@mail.test\nloner\n")
    assert (parsed["lines"], parsed["found"], parsed["repeated"]) == (10, 6, 1)
    assert (parsed["new"], parsed["known"]) == (3, 0)
    assert parsed["refused"] == {"not-ours": 1, "malformed": 2, "no-domain": 1}
    assert [(e["line"], e["reason"]) for e in parsed["examples"]] == \
        [(8, "malformed"), (10, "no-domain"), (9, "malformed")]
    assert world.listed() == {"alice@mail.test": "valid", "bob@mail.test": "valid",
                              "\"jane doe\"@mail.test": "valid"}
    # the same once more
    parsed = world.import_("alice@mail.test\nbob@mail.test\n")
    assert (parsed["new"], parsed["known"], parsed["refused"]) == (0, 2, {})


def test_import_of_a_map(world):
    world.import_("mail.test anything\r\n.mail.test x\r\njane.doe@mail.test\tOK\r\n\tmore@mail.test\r\n"
                  "jane\r\nann.other OK\n* x\n", "--domain", "mail.test")
    assert set(world.listed()) == {"jane.doe@mail.test", "jane@mail.test", "ann.other@mail.test"}


def test_import_of_a_u_label(world):
    world.import_("anna@bücher.test\nroot\n", "--domain", "Bücher.TEST")
    assert set(world.listed("bücher.test")) == {"anna@xn--bcher-kva.test",
                                                "root@xn--bcher-kva.test"}


def test_import_of_a_catch_all(world):
    assert world.import_("@mail.test\n")["new"] == 1
    assert world.status("whoever@mail.test") == "catch-all"
    assert world.listed() == {"@mail.test": "catch-all"}
    assert world.listed("--status", "valid") == {}


def test_import_from_standard_input(world):
    done = subprocess.run([program("backupmxctl"), "-s", world.daemon.control_socket, "recipients",
                           "import", "-"], input="alice@mail.test\n", text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == OK and "new 1" in done.stdout and not done.stderr


@pytest.mark.parametrize("content,says", [
    (b"\x1f\x8b\x08\x00anything", "zcat"), (b"\x00\x00\x00\x00\x01\x00", "source"),
    (b"", "no recipient"), (b"# nothing\n", "no recipient")])
def test_import_of_what_is_no_list(world, content, says):
    done = world.daemon.ctl_process("recipients", "import", world.write(content))
    assert done.returncode == NO and says in done.stderr


def test_import_usage(world):
    for arguments in (["import"], ["import", "a", "b"], ["import", "--format", "mbox", "a"],
                      ["list", "--status", "nice"], ["list", "a", "b"], ["export", "a", "b"],
                      ["forget"], ["show"], ["nonsense"], []):
        done = world.daemon.ctl_process("recipients", *arguments)
        assert done.returncode == USAGE and done.stderr, arguments
    for arguments in (["list", "foreign.test"], ["export", "foreign.test"],
                      ["import", "/nonexistent"]):
        code, _, parsed = world.recipients(*arguments)
        assert code == NO and parsed["error"], arguments
    assert world.daemon.ctl("recipients", "-h")[0] == OK


def test_terminals_get_a_progress_bar_and_no_control_characters(world):
    path = world.write("\x1b[2Jevil\x07@@\n" + "".join("u%d@mail.test\n" % n for n in range(5000)))
    master, slave = pty.openpty()
    done = subprocess.run([program("backupmxctl"), "-s", world.daemon.control_socket, "recipients",
                           "import", path], stdout=subprocess.PIPE, stderr=slave, timeout=60,
                          check=False)
    os.close(slave)
    shown = os.read(master, 65536)
    os.close(master)
    assert done.returncode == OK
    assert b"lines" in shown and b"%" in shown
    assert b"\x1b" not in done.stdout and b"new 5000" in done.stdout


# -- import of logs

LOG = """\
Nov 23 10:00:00 mx1 postfix/smtpd[1]: connect from unknown[192.0.2.1]
Nov 23 10:00:00 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <no@mail.test>: Recipient address rejected: User unknown; from=<a@b.test> to=<no@mail.test> proto=ESMTP helo=<x>
Nov 23 10:00:01 mx1 postfix/lmtp[1]: 4F1A2: to=<alice@mail.test>, relay=mx1[private/lmtp], delay=0.1, dsn=2.0.0, status=sent (250 ok)
2026-11-23T10:00:01.5+01:00 mx1 postfix/virtual[1]: 4F1A2: to=<bob@mail.test>, orig_to=<info@mail.test>, relay=virtual, delay=0.1, dsn=2.0.0, status=sent (delivered to maildir)
Nov 23 10:00:01 mx1 postfix/smtp[1]: 4F1A2: to=<x@foreign.test>, relay=mx.foreign.test[192.0.2.9]:25, delay=0.1, dsn=2.0.0, status=sent (250 ok)
Nov 23 10:00:01 mx1 postfix/local[1]: 4F1A2: to=<gone@mail.test>, relay=local, delay=0.1, dsn=5.1.1, status=bounced (unknown user)
Nov 23 10:00:01 mx1 postfix/smtp[1]: 4F1A2: to=<slow@mail.test>, relay=none, delay=0.1, dsn=4.4.1, status=deferred (timed out)
"""


def test_import_of_a_postfix_log(world):
    parsed = world.import_(LOG)
    assert (parsed["new"], parsed["refused"]) == (3, {"not-ours": 1})
    assert set(world.listed()) == {"alice@mail.test", "bob@mail.test", "info@mail.test"}


def test_import_of_an_exim_log(world):
    world.import_("2026-11-23 10:00:00 1mpXYz-0004Ab-Cd => jane <jane@mail.test> R=localuser T=x\n"
                  "2026-11-23 10:00:00 1mpXYz-0004Ab-Cd ** no@mail.test R=x: Unrouteable\n"
                  "2026-11-23 10:00:00 1mpXYz-0004Ab-Cd == no@mail.test R=x T=y defer (1): z\n"
                  "2026-11-23 10:00:00 1mpXYz-0004Ab-Cd Completed\n")
    assert set(world.listed()) == {"jane@mail.test"}


def test_a_format_can_be_forced(world):
    world.import_("alice@mail.test\n", "--format", "postfix", code=NO)
    assert world.listed() == {}


def test_a_log_of_some_length(world):
    """Nothing gets lost on the way, and no more is kept in memory than there has to be."""
    count = 20000

    def lines():
        for n in range(100000):
            user = (n * 7919) % count
            status = "bounced" if n % 10 == 9 else "sent"
            domain = "foreign.test" if n % 10 == 8 else "mail.test"
            yield ("Nov 23 10:00:00 mx1 postfix/lmtp[1]: %X: to=<u%d%s@%s>, relay=mx1[private/lmtp], "
                   "delay=0.1, dsn=2.0.0, status=%s (250 2.0.0 ok)\n"
                   % (n + 4096, user, "x" if status == "bounced" else "", domain, status))
    path = world.write("".join(lines()))
    code, out, parsed = world.recipients("import", path, timeout=300)
    assert code == OK, out
    expected = {(n * 7919) % count for n in range(100000) if n % 10 not in (8, 9)}
    assert (parsed["lines"], parsed["new"]) == (100000, len(expected))
    assert parsed["found"] == 90000
    # a listing of any size, whole
    assert world.listed() == {"u%d@mail.test" % n: "valid" for n in expected}
    assert world.daemon.ctl("--json", "recipients", "forget", "@mail.test", timeout=60)[2] == \
        {"forgotten": len(expected)}
    assert world.listed() == {}
    # the loop was never held up
    world.daemon.no_log("can't keep up")


# -- what an import may replace

def test_a_callout_knows_better_than_a_list(lab):
    world = World(lab, recipients={"callout": True})
    world.daemon.learn("alice@mail.test", "control@mail.test", "nobody@mail.test")
    assert world.status("nobody@mail.test") == "invalid"
    parsed = world.import_("nobody@mail.test\nalice@mail.test\n@mail.test\n")
    assert (parsed["new"], parsed["known"], parsed["refused"]) == (0, 1, {"denied": 2})
    assert world.status("nobody@mail.test") == "invalid"
    assert world.recipients("show", "alice@mail.test")[2]["source"] == "callout"


def test_an_import_is_confirmed_when_asked_about(lab):
    world = World(lab, recipients={"callout": True})
    world.import_("alice@mail.test\nleft@mail.test\ncontrol@mail.test\n")
    for name in ("alice", "left", "control"):
        assert world.recipients("show", name + "@mail.test")[2]["source"] == "import"
        world.daemon.milter().rcpt("<%s@mail.test>" % name)
    eventually(lambda: world.recipients("show", "alice@mail.test")[2]["source"] == "callout", 10)
    eventually(lambda: world.status("left@mail.test") == "invalid", 10)


def test_an_old_list_makes_nobody_sick(lab):
    """People who left, all at once: the list was old, and the primary is in its right mind."""
    world = World(lab, recipients={"callout": True})
    world.daemon.learn("control@mail.test")
    left = ["left%d@mail.test" % n for n in range(12)]
    world.import_("\n".join(left))
    for address in left:
        world.daemon.milter().rcpt("<%s>" % address)
    eventually(lambda: {world.status(address) for address in left} == {"invalid"}, 20)
    assert world.daemon.status("mail.test")["state"] == "up"
    world.daemon.no_log("state=sick")


def test_a_full_memory(lab):
    world = World(lab, recipients={"max_entries": 700})
    text = "".join("u%d@mail.test\n" % n for n in range(1500))
    parsed = world.import_(text, code=NO)
    assert (parsed["new"], parsed["refused"]) == (700, {"full": 800})
    # who is there stays there
    parsed = world.import_(text, code=NO)
    assert (parsed["known"], parsed["refused"]) == (700, {"full": 800})


def test_an_import_is_welcome_in_an_outage_and_after_a_restart(world):
    world.import_("alice@mail.test\n")
    world.server.stop()
    world.daemon.restart(crash=True)
    world.daemon.wait_for_state("mail.test", "down")
    assert world.daemon.milter().rcpt("<alice@mail.test>").action == "continue"
    assert world.daemon.milter().rcpt("<zoe@mail.test>").code == 451


# -- export

def test_export_is_read_again(world):
    world.import_("alice@mail.test\n\"jane doe\"@mail.test\n@xn--bcher-kva.test\n")
    code, out, _ = world.daemon.ctl("recipients", "export")
    assert code == OK
    assert sorted(out.splitlines()) == ["\"jane doe\"@mail.test", "@xn--bcher-kva.test",
                                        "alice@mail.test"]
    before = world.listed()
    for line in out.splitlines():
        domain = line.rpartition("@")[2]
        world.recipients("forget", "@" + domain)
    assert world.listed() == {}
    world.import_(out)
    assert world.listed() == before
    path = world.write(out, "recipients")
    world.daemon.change_ini({'domain "mail.test"': {"recipients_file": path}})
    assert world.daemon.ctl("reload")[0] == OK
    world.recipients("forget", "@mail.test")
    assert world.status("alice@mail.test") == "valid"
    assert world.status("\"jane doe\"@mail.test") == "valid"


# -- forget

def test_forget(world):
    world.import_("alice@mail.test\nbob@mail.test\nanna@xn--bcher-kva.test\n")
    code, _, parsed = world.recipients("forget", "ALICE@mail.test")
    assert (code, parsed) == (OK, {"forgotten": 1})
    code, _, parsed = world.recipients("forget", "alice@mail.test")
    assert (code, parsed) == (NO, {"forgotten": 0})
    assert world.status("alice@mail.test") == "unknown"
    assert world.recipients("forget", "@mail.test")[2] == {"forgotten": 1}
    assert set(world.listed()) == {"anna@xn--bcher-kva.test"}
    assert world.recipients("forget", "bob")[0] == USAGE


# -- the socket itself

@pytest.mark.parametrize("request_", [
    {"command": "recipients-import"}, {"command": "recipients-import", "addresses": {}},
    {"command": "recipients-import", "addresses": ["a"] * 501},
    {"command": "recipients-import", "addresses": [None, 1, "", "@", "\u0000", "a@mail.test"]},
    {"command": "recipients-list", "after": "zz"}, {"command": "recipients-list", "after": "0"},
    {"command": "recipients-list", "after": "00" * 400},
    {"command": "recipients-list", "after": "ff" * 300},
    {"command": "recipients-list", "domain": "..", "after": ""},
    {"command": "recipients-forget", "recipient": "@"},
    {"command": "recipients-forget", "recipient": "@mail.test", "after": "x"},
    {"command": "recipients-show", "recipient": "\u001b@mail.test"},
])
def test_odd_requests(world, request_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(world.daemon.control_socket)
        sock.sendall(json.dumps(request_).encode() + b"\n")
        answer = json.loads(sock.makefile().readline())
    assert answer["exit"] in (OK, NO, USAGE)
    world.daemon.check_alive()


# -- what a postmaster gets wrong at first

def test_import_of_another_hosts_list(world):
    """Nothing was taken: that is no "fine", and it says why."""
    parsed = world.import_("dave@foreign.test\ncarl@foreign.test\n", code=NO)
    assert parsed["refused"] == {"not-ours": 2} and "no backup for" not in parsed["error"]
    assert "is of a domain that this host is a backup for" in parsed["error"]
    done = world.daemon.ctl_process("recipients", "import", world.write("dave@foreign.test\n"))
    assert done.returncode == NO and "backupmxctl status" in done.stderr
    assert "refused as not-ours: 1 (this host is no backup for their domains)" in done.stdout


def test_import_without_a_recipient_is_one_json_answer(world):
    path = world.write("# nobody\n")
    done = world.daemon.ctl_process("--json", "recipients", "import", path)
    assert done.returncode == NO and done.stderr == ""
    assert json.loads(done.stdout)["error"].startswith("no recipient was found")


def test_import_of_a_folder(world):
    code, _, parsed = world.recipients("import", str(world.lab.folder))
    assert code == NO and "is a directory" in parsed["error"]


@pytest.mark.parametrize("name", ["..", "", "a b", "x@y.test", "." * 300])
def test_import_for_no_domain_name(world, name):
    code, _, parsed = world.recipients("import", world.write("jane\n"), "--domain", name)
    assert code == USAGE and "domain name" in parsed["error"]


@pytest.mark.parametrize("arguments", [
    ["recipients"], ["recipients", "what"], ["recipients", "show"], ["recipients", "import"],
    ["recipients", "list", "--status", "what"], ["recipients", "forget"], ["status", "a", "b"],
    ["explain"], ["reload", "what"], ["flush"], ["version", "x"], ["what"]])
def test_wrong_usage_is_json_too(world, arguments):
    code, _, parsed = world.daemon.ctl(*arguments, "--json")
    assert code == USAGE and parsed["error"]
    done = world.daemon.ctl_process(*arguments)
    assert done.returncode == USAGE and done.stdout == "" and "backupmxctl" in done.stderr


def test_who_was_forgotten_is_asked_about_again_at_once(lab):
    """Also one of whom nothing is known but that no answer came lately."""
    server = lab.primary("silent.test", recipients={"anna": "550 5.7.1 not now"})
    daemon = lab.daemon(domains=["silent.test"])
    daemon.wait_for_state("silent.test", "up")
    daemon.milter().rcpt("<anna@silent.test>")
    daemon.wait_for_log(r"callout: recipient=<anna@silent\.test> verdict=none", 10)
    server.script.recipients["anna"] = "250 ok"
    daemon.milter().rcpt("<anna@silent.test>")
    daemon.wait_for_log(r"declined: it got no answer lately", 10)
    code, _, parsed = daemon.ctl("--json", "recipients", "forget", "anna@silent.test")
    assert (code, parsed["forgotten"]) == (1, 0)
    daemon.learn("anna@silent.test")
