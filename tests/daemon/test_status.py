# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl at a terminal (DESIGN section 8): what it shows fits, tells troubles first and says
# what to do; its JSON is what the schemas say, errors included.

import json
import os
import subprocess

import pytest

from peers.daemon import program, run_program
from peers.schemas import validate
from peers.terminal import COLOUR, run_on_terminal, widest
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
OK, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
LONG = ".".join(["a-label-of-some-length"] * 10) + ".test"
LABEL = "x" * 63 + "." + "y" * 63 + ".test"


@pytest.fixture(scope="module")
def daemon(module_lab):
    """One daemon with domains in about every state there is."""
    lab = module_lab
    lab.primary("up.test", recipients={"alice": "250 ok", "control": "250 ok"})
    lab.primary("any.test", other_recipients="250 ok")
    down = lab.primary("down.test", recipients={"alice": "250 ok"})
    lab.primary("sick.test", ehlo="550 not here", helo="550 not here")
    lab.primary(LONG)
    lab.primary(LABEL)
    lab.dns.mx("best.test", (5, OUR_NAME), (20, "mx1.up.test"))
    lab.dns.mx("unlisted.test", (5, "mx1.up.test"))
    lab.dns.mx("null.test", (0, "."))
    lab.dns.mx("hanging.test", (5, "mx1.hanging.test"), (20, OUR_NAME))
    lab.dns.host("mx1.hanging.test", "127.99.0.1")
    lab.blackhole("127.99.0.1")
    names = ["up.test", "any.test", "down.test", "sick.test", LONG, LABEL, "best.test",
             "unlisted.test", "null.test", "hanging.test", "tpyo.test"]
    daemon = lab.daemon({"milter": {"exempt_clients": ["203.0.113.0/24"]},
                         'domain "elsewhere.test"': {
                             "primary": ["mx1.up.test", "[2001:db8:1234:5678:9abc:def0:1234:5678]"
                                         ":2525"]}}, domains=names)
    for name in ("up.test", "down.test"):
        daemon.wait_for_state(name, "up")
        daemon.learn("alice@" + name)
    daemon.learn("nobody@up.test")
    down.stop()
    daemon.wait_for_state("down.test", "down")
    daemon.wait_for_state("sick.test", "sick")
    for name in ("best.test", "unlisted.test", "null.test", "tpyo.test"):
        daemon.wait_for_state(name, "not-backup")
    daemon.wait_for_state(LONG, "up")
    return daemon


def at_terminal(daemon, *arguments, **more):
    return run_on_terminal([program("backupmxctl"), "-s", daemon.control_socket, *arguments],
                           **more)


def names_of(daemon):
    return [domain["domain"] for domain in daemon.status()["domains"]]


# -- schemas

def test_status_is_what_its_schema_says(daemon):
    status = daemon.status()
    validate("status", status)
    assert {"up", "down", "sick", "not-backup"} <= {d["state"] for d in status["domains"]}
    assert {"best", "unlisted", "null", "gone"} <= {d["mx"] for d in status["domains"]}
    for name in names_of(daemon):
        validate("status", daemon.ctl("--json", "status", name)[2])


EXPLAINED = [
    ["alice@up.test"], ["new@up.test"], ["nobody@up.test"], ["alice@down.test"], ["new@down.test"],
    ["x@sick.test"], ["x@any.test"], ["x@tpyo.test"], ["x@foreign.test"], ["postmaster"],
    ["x@[192.0.2.1]"], ["x@elsewhere.test"], ["x@hanging.test"], ["--auth", "alice@up.test"],
    ["--client", "203.0.113.7", "alice@up.test"], ["--from", "", "alice@up.test"],
    ["--client", "2001:db8::1", "--name", "a.example.org", "--from", "a@b.test", "alice@up.test"],
    ["x@" + LONG], ["x" * 64 + "@" + LABEL],
]


@pytest.mark.parametrize("arguments", EXPLAINED)
def test_explain_is_what_its_schema_says_and_fits(daemon, arguments):
    code, out, parsed = daemon.ctl("--json", "explain", *arguments)
    assert code == OK, out
    validate("explain", parsed)
    code, out, _ = daemon.ctl("explain", *arguments)
    assert code == OK and parsed["reason"] in out
    assert "Row %d" % parsed["row"] in out
    assert widest(out) <= 80, out


def test_recipients_are_what_their_schema_says(daemon):
    for address in ("alice@up.test", "nobody@up.test", "new@up.test"):
        validate("recipients-show", daemon.ctl("--json", "recipients", "show", address)[2])
    listed = daemon.ctl("--json", "recipients", "list")[2]
    assert listed
    for entry in listed:
        validate("recipients-show", entry)


def test_shadow_mode_and_isolation_are_told(lab):
    lab.primary("up.test").stop()
    daemon = lab.daemon({"milter": {"mode": "shadow"},
                         "probe": {"reference": ["127.99.1.1:9"]}}, domains=["up.test"])
    eventually(lambda: daemon.status()["isolated"], 15)
    status = daemon.status()
    validate("status", status)
    assert status["mode"] == "shadow"
    validate("explain", daemon.explain("x@up.test"))
    for arguments in (["status"], ["status", "up.test"]):
        out = daemon.ctl(*arguments)[1]
        assert "ISOLATED" in out and "SHADOW MODE" in out
        assert widest(out) <= 80
    assert "Shadow mode" in daemon.ctl("explain", "x@up.test")[1]


def test_no_domain_yet(lab):
    daemon = lab.daemon()
    validate("status", daemon.status())
    code, out, _ = daemon.ctl("status")
    assert code == OK and "no domain yet" in out and widest(out) <= 80


def test_very_many_domains(lab):
    """Told step by step; mail goes on meanwhile."""
    names = ["d%04d.test" % number for number in range(2000)]
    path = lab.folder / "domains"
    path.write_text("".join(name + "\n" for name in reversed(names)))
    daemon = lab.daemon({"domains": {"domains_file": str(path)}, "log": {"level": "notice"}})
    status = daemon.status()
    assert [domain["domain"] for domain in status["domains"]] == names
    validate("status", status)
    lines = daemon.ctl("status")[1].splitlines()
    assert len(lines) == len(names) + 3 and lines[-1].startswith("2000 domains: ")
    # they are gone before it is told
    with subprocess.Popen([program("backupmxctl"), "-s", daemon.control_socket, "--json",
                           "status"], stdout=subprocess.PIPE) as asking:
        path.write_text("d0000.test\n")
        daemon.hup()
        asked = json.loads(asking.communicate(timeout=20)[0])
    validate("status", asked)
    eventually(lambda: len(daemon.status()["domains"]) == 1, 10)


# -- the table

@pytest.mark.parametrize("columns", [80, 100, 240])
def test_the_table_fits(daemon, columns):
    code, out = at_terminal(daemon, "status", columns=columns)
    assert code == OK
    assert widest(out) <= columns, out
    code, out, _ = daemon.ctl("status")
    assert widest(out) <= 80, out


def test_a_wide_terminal_shows_whole_names(daemon):
    assert LABEL not in at_terminal(daemon, "status", columns=80)[1]
    assert LABEL in at_terminal(daemon, "status", columns=240)[1]


def test_columns_from_the_environment(daemon):
    done = run_program("backupmxctl", "-s", daemon.control_socket, "status",
                       environment={"COLUMNS": "200"})
    assert LABEL in done.stdout


def test_troubles_come_first_and_are_counted(daemon):
    lines = daemon.ctl("status")[1].splitlines()
    words = [line.split()[1] for line in lines[1:-2]]
    trouble = [word in ("down", "sick", "not-backup") for word in words]
    assert trouble == sorted(trouble, reverse=True), words
    assert words[0] == "down" and words[-1] == "up"
    count = len(names_of(daemon))
    assert lines[-1].startswith("%d domains: %d up" % (count, words.count("up")))
    assert "%d not-backup" % words.count("not-backup") in lines[-1]


def test_no_backup_says_why(daemon):
    out = daemon.ctl("status")[1]
    for name, words in (("best.test", "no better MX than us"), ("null.test", "takes no mail"),
                        ("unlisted.test", "not in its MX records"),
                        ("tpyo.test", "no such domain")):
        line = next(line for line in out.splitlines() if line.startswith(name))
        assert words in line and not line.endswith("ok")
        page = daemon.ctl("status", name)[1]
        assert "is not-backup" in page
        assert not any(line.split()[:2] == ["reason", "ok"] for line in page.splitlines())
    assert "mistyped" in daemon.ctl("status", "tpyo.test")[1]


# -- a domain's page

def test_each_page_fits(daemon):
    for name in names_of(daemon):
        code, out = at_terminal(daemon, "status", name)
        assert code in (OK, NO)
        assert widest(out) <= 80, out
        assert "coverage" in out and "decisions" in out


def test_a_page_says_what_is_wrong(daemon):
    out = daemon.ctl("status", "down.test")[1]
    assert "refused (no mail server takes connections there)" in out
    assert "1 valid" in out
    out = daemon.ctl("status", "sick.test")[1]
    assert "refuses EHLO and HELO" in " ".join(out.split())


# -- colours

def test_colours_on_a_terminal_only(daemon):
    assert "\x1b" not in daemon.ctl("status")[1]
    code, out = at_terminal(daemon, "status")
    assert code == OK and "\x1b[1;31mdown\x1b[0m" in out and "\x1b[32mup\x1b[0m" in out
    plain = COLOUR.sub("", out)
    assert "\x1b" not in plain
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in at_terminal(daemon, "status", environment=environment)[1]
    assert "\x1b[" in at_terminal(daemon, "status", environment={"NO_COLOR": ""})[1]
    assert "\x1b" not in at_terminal(daemon, "status", "--json")[1]


# -- explain, in words

@pytest.mark.parametrize("arguments,words", [
    (["alice@up.test"], "the primary is up, so the sender is told to go there"),
    (["new@up.test"], "asked in the background"),
    (["nobody@up.test"], "has said that there is no such user"),
    (["alice@down.test"], "the primary is down and the recipient is known"),
    (["new@down.test"], "has been down for 12h"),
    (["x@foreign.test"], "no [domain] section and no line of domains_file names it"),
    (["x@tpyo.test"], "by DNS there is no such domain"),
    (["--auth", "alice@up.test"], "the client has authenticated itself"),
    (["--client", "203.0.113.7", "alice@up.test"], "is in exempt_clients"),
])
def test_explain_in_words(daemon, arguments, words):
    assert words in " ".join(daemon.ctl("explain", *arguments)[1].split())


def test_explain_in_words_of_other_policies(lab):
    lab.primary("up.test", recipients={"alice": "250 ok"})
    lab.primary("down.test").stop()
    daemon = lab.daemon({"policy": {"when_up": "accept", "when_unknown": "accept_no_bounce"}},
                        domains=["up.test", "down.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.wait_for_state("down.test", "down")
    found = daemon.explain("new@down.test")
    validate("explain", found)
    assert found["no_bounce"] and found["action"] == "accept"
    out = " ".join(daemon.ctl("explain", "new@down.test")[1].split())
    assert "makes no bounce" in out and "accept_no_bounce" in out
    found = daemon.explain("new@up.test")
    validate("explain", found)
    assert found["row"] == 9 and found["inputs"]["asks_primary"]
    out = " ".join(daemon.ctl("explain", "new@up.test")[1].split())
    assert "the primary is asked while the client waits, 5s at most" in out


@pytest.mark.parametrize("word,wrong", [
    ("garbage", "has no domain"), ("<>", "is no recipient"), ("@", ""),
    ("x" * 70 + "@foreign.test", "is no mail address"),
    ("a@-bad-.test", "has no valid domain"), ("a@b@", ""),
])
def test_explain_of_what_is_no_address(daemon, word, wrong):
    done = daemon.ctl_process("explain", word)
    assert done.returncode == USAGE and not done.stdout
    assert wrong in done.stderr and "USER@DOMAIN" in done.stderr
    done = daemon.ctl_process("explain", "--json", word)
    assert done.returncode == USAGE and "USER@DOMAIN" in json.loads(done.stdout)["error"]


# -- recipients

def test_recipients_fit(daemon, tmp_path):
    long = "x" * 64 + "@" + LABEL
    (tmp_path / "list").write_text(long + "\n")
    assert daemon.ctl("recipients", "import", str(tmp_path / "list"))[0] == OK
    code, out = at_terminal(daemon, "recipients", "list")
    assert code == OK and "alice@up.test" in out and widest(out) <= 80, out
    assert long in daemon.ctl("recipients", "list")[1]          # a program wants it whole
    for address in (long, "alice@up.test", "nobody@up.test", "new@up.test"):
        code, out = at_terminal(daemon, "recipients", "show", address)
        assert code in (OK, NO) and widest(out) <= 80, out


# -- errors

ERRORS = [
    (["statsu"], USAGE, 'did you mean "status"?'),
    (["stat"], USAGE, 'did you mean "status"?'),
    (["nonsense"], USAGE, "there is no command"),
    (["status", "-x"], USAGE, "no option -x"),
    (["status", "--jsn"], USAGE, "--json"),
    (["status", "a.test", "b.test"], USAGE, '"b.test" is one argument too many'),
    (["status", "nowhere.test"], NO, "neither configured nor learned"),
    (["explain"], USAGE, "an argument is missing"),
    (["explain", "--clint", "192.0.2.1", "a@up.test"], USAGE, "did you mean --client?"),
    (["explain", "--client"], USAGE, "--client: IP is missing"),
    (["explain", "--client", "here", "a@up.test"], USAGE, '"here" is no IP address'),
    (["explain", "--auth=yes", "a@up.test"], USAGE, "takes no value"),
    (["--client", "192.0.2.1", "explain", "a@up.test"], USAGE, 'an option of "explain"'),
    (["recipients", "lst"], USAGE, 'did you mean "list"?'),
    (["recipients", "list", "--status", "dead"], USAGE, "valid, invalid, catch-all"),
    (["recipients", "import", "--format", "x", "y"], USAGE, "postfix"),
    (["recipients", "import", "/nonexistent"], NO, "No such file"),
    (["flush"], USAGE, "an argument is missing"),
    (["flush", "up.test"], NO, "[flush] method = none"),
    (["reload", "--forse"], USAGE, "did you mean --force?"),
    (["help", "statsu"], USAGE, 'did you mean "status"?'),
    (["status", "-c"], USAGE, "FILE is missing"),
    (["explain", b"\xff@up.test"], USAGE, "UTF-8"),
]


@pytest.mark.parametrize("arguments,code,words", ERRORS)
def test_errors_say_what_to_do(daemon, arguments, code, words):
    done = daemon.ctl_process(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stdout
    assert done.stderr.startswith("backupmxctl: ") and words in done.stderr, done.stderr
    done = daemon.ctl_process("--json", *arguments)
    assert done.returncode == code and words in json.loads(done.stdout)["error"]


def test_no_escape_of_a_typed_word_reaches_the_terminal(daemon):
    for arguments in (["\x1b[2J"], ["status", "\x1b[2J"], ["status", "--\x1b[2J"],
                      ["-c", "/\x1b[2J", "status"]):
        assert "\x1b" not in daemon.ctl_process(*arguments).stderr


def test_options_stand_anywhere(daemon):
    at = ["-s", daemon.control_socket]
    for arguments in (["--json", *at, "status", "up.test"], ["status", *at, "--json", "up.test"],
                      ["status", "up.test", "--json", *at],
                      ["status", "up.test", "--json", "-s" + daemon.control_socket],
                      ["-c", daemon.ini_path, "--json", "status", "--", "up.test"]):
        done = run_program("backupmxctl", *arguments)
        assert done.returncode == OK and json.loads(done.stdout)["domains"], arguments
    # the value of an option is no option
    parsed = daemon.ctl("--json", "explain", "--from", "--json", "alice@up.test")[2]
    assert parsed["inputs"]["sender"] == "--json"
    assert daemon.ctl("explain", "--from", "--json", "alice@up.test")[2] is None


def test_where_the_socket_is(daemon, tmp_path):
    done = run_program("backupmxctl", "-c", str(tmp_path / "typo.ini"), "status")
    assert done.returncode == USAGE
    assert "typo.ini: cannot read: No such file" in done.stderr and "-s" in done.stderr
    # a file with errors still tells where the daemon listens: which is to tell the errors
    broken = tmp_path / "broken.ini"
    broken.write_text("[milter]\ncontrol_socket = %s\nnonsense = 1\n[probe]\nrise = x\n"
                      % daemon.control_socket)
    assert run_program("backupmxctl", "-c", str(broken), "version").returncode == OK
    for path, words in ((tmp_path / "nowhere.sock", "is backupmx-milter running"),
                        (tmp_path, ""), (broken, ""),
                        (str(tmp_path) + "/" + "x" * 200, "at most 107 characters")):
        done = run_program("backupmxctl", "-s", str(path), "status")
        assert done.returncode == UNREACHABLE and words in done.stderr, done.stderr
        done = run_program("backupmxctl", "-s", str(path), "status", "--json")
        assert done.returncode == UNREACHABLE and words in json.loads(done.stdout)["error"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_who_may_not_use_the_socket_is_told_who_may(daemon):
    def drop():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    binary = os.open(program("backupmxctl"), os.O_RDONLY)
    try:
        done = subprocess.run(["/proc/self/fd/%d" % binary, "-s", daemon.control_socket, "status"],
                              capture_output=True, text=True, preexec_fn=drop, pass_fds=[binary],
                              timeout=20, check=False)
    finally:
        os.close(binary)
    assert done.returncode == UNREACHABLE
    assert "Permission denied" in done.stderr and "be root, or" in done.stderr


def test_output_that_cannot_be_written(daemon):
    for arguments in (["status"], ["status", "--json"], ["explain", "alice@up.test"], ["help"],
                      ["version"], ["-V"], ["recipients", "list"], ["recipients", "export"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([program("backupmxctl"), "-s", daemon.control_socket,
                                   *arguments], stdout=full, stderr=subprocess.PIPE, timeout=20,
                                  check=False)
        assert done.returncode == NO and b"No space left" in done.stderr, (arguments, done.stderr)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([program("backupmxctl"), "-s", daemon.control_socket, "status"],
                          stdout=writer, stderr=subprocess.PIPE, timeout=20, check=False)
    os.close(writer)
    assert done.returncode != OK


# -- help

def commands_of_help():
    def walk(commands, before):
        for command in commands:
            yield before + [command["name"]], command
            yield from walk(command["commands"], before + [command["name"]])
    return list(walk(json.loads(run_program("backupmxctl", "help", "--json").stdout)["commands"],
                     []))


def test_help_of_every_command():
    everything = run_program("backupmxctl", "--help")
    assert everything.returncode == OK and not everything.stderr
    assert widest(everything.stdout) <= 80
    assert everything.stdout == run_program("backupmxctl", "help").stdout
    for words, command in commands_of_help():
        if len(words) == 1:
            assert "  %s " % words[0] in everything.stdout
        done = run_program("backupmxctl", "help", *words)
        assert done.returncode == OK and not done.stderr
        assert done.stdout.startswith("usage: backupmxctl " + " ".join(words))
        assert widest(done.stdout) <= 80, done.stdout
        assert command["commands"] or "Example:" in done.stdout, words
        for option in command["options"]:
            assert option["name"] in done.stdout
        for arguments in ([*words, "--help"], [*words, "-h"], ["-h", *words]):
            again = run_program("backupmxctl", *arguments)
            assert (again.returncode, again.stdout) == (OK, done.stdout), arguments


def test_without_a_command():
    done = run_program("backupmxctl")
    assert done.returncode == USAGE and not done.stdout and "Commands:" in done.stderr
    done = run_program("backupmxctl", "recipients")
    assert done.returncode == USAGE and not done.stdout and "import" in done.stderr
    for arguments in ([], ["recipients"]):
        done = run_program("backupmxctl", "--json", *arguments)
        assert done.returncode == USAGE and "error" in json.loads(done.stdout)
