# SPDX-License-Identifier: BSD-2-Clause
#
# The ini file from outside (DESIGN section 6): `-t`, messages with file, line and key, defaults,
# includes, exit codes, and reloads that change what they should and nothing else.

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from peers.daemon import EX_CONFIG, EX_OK, EX_TEMPFAIL, EX_USAGE, program, run_program
from peers.smtp_server import SILENCE
from peers.waiting import eventually


def check(folder, text, name="backupmx.ini", **files):
    """`-t` on a file with this text. Returns (exit code, stderr lines, path)."""
    for other, content in files.items():
        (folder / other).write_text(content)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = run_program("backupmx-milter", "-t", "-c", str(path))
    return done.returncode, done.stderr.splitlines(), str(path)


# -- what is fine

FINE = {
    "empty": "",
    "comments only": "# nothing\n; nothing either\n\n   \n",
    "empty sections": "[milter]\n[policy]\n[probe]\n[recipients]\n[flush]\n[dns]\n[log]\n",
    "carriage returns": "[probe]\r\ninterval = 20s\r\n",
    "no newline at the end": "[probe]\ninterval = 20s",
    "section continued": "[probe]\nrise = 2\n[log]\nlevel = debug\n[probe]\nfall = 2\n",
    "comment after a value": "[probe]\nrise = 3 # three\nfall = 4\t; four\n",
    "comment signs in quotes": "[recipients]\nrecipient_delimiter = \"#\" ; not a comment inside\n",
    "lists": "[milter]\nmy_names = {a.example.net, \"b.example.net\"}\n"
             "exempt_clients = 192.0.2.0/24, 2001:db8::/32\n",
    "list over lines": "[milter]\nmy_names = {\n    a.example.net, # one\n    b.example.net\n}\n",
    "durations": "[probe]\ninterval = 90s\nfast_interval = 10\ndown_interval = 5m\n"
                 "[recipients]\nvalid_ttl = 40d\nvalid_refresh = 2h\n",
    "booleans": "[policy]\ntag = off\n[recipients]\ncallout = true\n",
    "percent": "[probe]\njitter = 25%\n",
    "domains": "[domain \"example.test\"]\nprimary = {mx1.example.test, \"[192.0.2.10]:2525\"}\n"
               "when_up = accept\ninterval = 20s\n[domain \".example.test\"]\ntag = no\n",
    "spaces": "  [probe]  \n   interval   =   20s   \n\n",
    "inet6 socket": "[milter]\nsocket = inet6:8899@::1\n",
    "unix socket": "[milter]\nsocket = unix:/run/x/milter.sock\nsocket_mode = 0600\n",
    "plus as delimiter": "[recipients]\nrecipient_delimiter = +\n",
    "octal mode": "[milter]\nsocket_mode = 0666\n",
    "empty value": "[milter]\nsocket_group = \"\"\n",
}


@pytest.mark.parametrize("name", sorted(FINE))
def test_good_file(tmp_path, name):
    code, errors, _ = check(tmp_path, FINE[name])
    assert (code, errors) == (EX_OK, [])


# -- what is broken: text, then (line, key) of each error, in order

BROKEN = {
    "unknown key": ("[probe]\ninterval = 30s\nintervall = 20s\n", [(3, "intervall")]),
    "unknown section": ("[probe]\nrise = 2\n\n[prob]\nrise = 2\n", [(4, None)]),
    "key of another section": ("[log]\ninterval = 30s\n", [(2, "interval")]),
    "key of a feature not built": ("[probe]\nrise = 2\n[nonsense]\n", [(3, None)]),
    "key before any section": ("rise = 2\n", [(1, "rise")]),
    "key twice": ("[probe]\nrise = 2\nfall = 3\nrise = 4\n", [(4, "rise")]),
    "key twice in a continued section": ("[probe]\nrise = 2\n[log]\n[probe]\nrise = 3\n",
                                         [(5, "rise")]),
    "domain twice": ("[domain \"a.test\"]\n[domain \"b.test\"]\n[domain \"A.test\"]\n",
                     [(3, None)]),
    "domain without a name": ("[domain]\ntag = no\n", [(1, None)]),
    "domain with a bad name": ("[domain \"a..test\"]\n", [(1, None)]),
    "bad duration": ("[probe]\n\ninterval = 30 parsecs\n", [(3, "interval")]),
    "bad duration unit": ("[probe]\ninterval = 30y5\n", [(2, "interval")]),
    "duration zero": ("[probe]\ninterval = 0s\n", [(2, "interval")]),
    "duration negative": ("[probe]\ninterval = -5s\n", [(2, "interval")]),
    "duration beyond 10 years": ("[recipients]\nvalid_max_age = 4000d\n", [(2, "valid_max_age")]),
    "duration overflow": ("[probe]\ninterval = 99999999999999999999d\n", [(2, "interval")]),
    "number too big": ("[probe]\nrise = 2147483648\n", [(2, "rise")]),
    "number zero": ("[milter]\nmax_waiting = 0\n", [(2, "max_waiting")]),
    "no number": ("[probe]\nrise = two\n", [(2, "rise")]),
    "number with rubbish": ("[probe]\nrise = 2x\n", [(2, "rise")]),
    "port too big": ("[probe]\nport = 65536\n", [(2, "port")]),
    "jitter too big": ("[probe]\njitter = 51%\n", [(2, "jitter")]),
    "bad boolean": ("[policy]\ntag = maybe\n", [(2, "tag")]),
    "bad word": ("[policy]\nwhen_up = sometimes\n", [(2, "when_up")]),
    "bad word in a domain": ("[domain \"a.test\"]\n\nwhen_unknown = perhaps\n",
                             [(3, "when_unknown")]),
    "bad log level": ("[log]\nlevel = loud\n", [(2, "level")]),
    "bad facility": ("[log]\nfacility = nowhere\n", [(2, "facility")]),
    "bad network": ("[milter]\nexempt_clients = {127.0.0.0/8, 10.0.0.0/33}\n",
                    [(2, "exempt_clients")]),
    "bad address": ("[milter]\nmy_addresses = {192.0.2.300}\n", [(2, "my_addresses")]),
    "bad socket": ("[milter]\nsocket = tcp:8899\n", [(2, "socket")]),
    "bad socket port": ("[milter]\nsocket = inet:99999@127.0.0.1\n", [(2, "socket")]),
    "bad mode": ("[milter]\nsocket_mode = 0999\n", [(2, "socket_mode")]),
    "refresh above ttl": ("[recipients]\nvalid_ttl = 1d\nvalid_refresh = 2d\n",
                          [(3, "valid_refresh")]),
    "wait above 25 s": ("[recipients]\ncallout_wait = 26s\n", [(2, "callout_wait")]),
    "complete without a file": ("[domain \"a.test\"]\nrecipients_complete = yes\n",
                                [(2, "recipients_complete")]),
    "primary is this host": ("[domain \"a.test\"]\nprimary = {127.0.0.1}\n", [(2, "primary")]),
    "primary is our name": ("[milter]\nmy_names = {mx2.example.net}\n"
                            "[domain \"a.test\"]\nprimary = {MX2.example.net}\n",
                            [(4, "primary")]),
    "primary is our NAT address": ("[milter]\nmy_addresses = {198.51.100.5}\n"
                                   "[domain \"a.test\"]\nprimary = {\"[198.51.100.5]:2525\"}\n",
                                   [(4, "primary")]),
    "missing recipients file": ("[domain \"a.test\"]\nrecipients_file = /nonexistent/list\n",
                                [(2, "recipients_file")]),
    "missing domains file": ("[domains]\ndomains_file = /nonexistent/list\n",
                             [(2, "domains_file")]),
    "quote not closed": ("[milter]\nsocket_group = \"postfix\n[probe]\nrise = 2\n",
                         [(2, "socket_group")]),
    "list not closed": ("[milter]\nmy_names = {a.example.net,\n", [(2, "my_names")]),
    "list for a single value": ("[probe]\nrise = {1, 2}\n", [(2, "rise")]),
    "no equals sign": ("[probe]\nrise 2\n", [(2, None)]),
    "no value": ("[probe]\nrise =\n", [(2, "rise")]),
    "section not closed": ("[probe\nrise = 2\n", [(1, None)]),
    "braces from elsewhere": ("probe {\n  rise = 2\n}\n", [(1, None)]),
    "after a comment": ("# one\n# two\n[probe]\n; four\nrise = x # six\n", [(5, "rise")]),
    "after a list over lines": ("[milter]\nmy_names = {\n a.test,\n # x\n b.test\n}\n"
                                "max_waiting = none\n", [(7, "max_waiting")]),
    "several at once": ("[probe]\nrise = x\nfall = 0\nnonsense = 1\n[log]\nlevel = loud\n"
                        "[policy]\nwhen_up = never\n",
                        [(2, "rise"), (3, "fall"), (4, "nonsense"), (6, "level"), (8, "when_up")]),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_file_names_line_and_key(tmp_path, name):
    text, expected = BROKEN[name]
    code, errors, path = check(tmp_path, text)
    assert code == EX_CONFIG
    places = []
    for error in errors:
        found = re.match(re.escape(path) + r":(\d+): (?:([a-z0-9_]+): )?\S", error)
        assert found, "not FILE:LINE: key: ...: %r" % error
        places.append((int(found.group(1)), error))
    for line, key in expected:
        matching = [error for number, error in places if number == line]
        assert matching, "no error for line %d in %r" % (line, errors)
        if key:
            assert any(":%d: %s: " % (line, key) in error for error in matching), errors
    if name != "quote not closed" and name != "braces from elsewhere":
        assert {number for number, _ in places} == {line for line, _ in expected}, errors
    assert [number for number, _ in places] == sorted(number for number, _ in places)


@pytest.mark.parametrize("name", ["bad duration", "bad word", "unknown key", "port too big"])
def test_message_says_what_would_be_right(tmp_path, name):
    _, errors, _ = check(tmp_path, BROKEN[name][0])
    assert all("; " in error and len(error.split("; ", 1)[1]) > 5 for error in errors), errors


def test_binary_file_is_refused_politely(tmp_path):
    for content in (b"\x00\x01\x02", b"[probe]\nrise = \xff\xfe\n", b"\x7fELF" + os.urandom(5000),
                    b"[" * 100000, b"{" * 100000, b"\"" * 9999,
                    b"[probe]\nrise = " + b"9" * 200000):
        code, errors, _ = check(tmp_path, content)
        assert code == EX_CONFIG
        assert errors
        assert not any(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", error) for error in errors)


def test_include(tmp_path):
    code, errors, _ = check(tmp_path, "include = other.ini\n[probe]\nrise = 2\n",
                            **{"other.ini": "[probe]\nfall = 2\n"})
    assert (code, errors) == (EX_OK, [])
    # errors name the included file
    code, errors, _ = check(tmp_path, "include = other.ini\n[probe]\nrise = 2\n",
                            **{"other.ini": "[probe]\n\nfall = x\n"})
    assert code == EX_CONFIG
    assert any(re.search(r"other\.ini:3: fall: ", error) for error in errors), errors
    code, errors, _ = check(tmp_path, "include = backupmx.ini\n")
    assert code == EX_CONFIG and any(":1: include: " in error for error in errors), errors
    code, errors, _ = check(tmp_path, "include = a.ini\n",
                            **{"a.ini": "include = b.ini\n", "b.ini": "include = a.ini\n"})
    assert code == EX_CONFIG and errors
    code, errors, _ = check(tmp_path, "# x\ninclude = missing.ini\n")
    assert code == EX_CONFIG and any(":2: include: " in error for error in errors), errors


def test_missing_file():
    done = run_program("backupmx-milter", "-t", "-c", "/nonexistent/backupmx.ini")
    assert done.returncode == EX_CONFIG
    assert "/nonexistent/backupmx.ini" in done.stderr


def test_domains_file(tmp_path):
    listed = tmp_path / "domains"
    listed.write_text("one.test\n# comment\nTwo.Test\n\n.sub.test\n")
    code, errors, _ = check(tmp_path, "[domains]\ndomains_file = %s\n" % listed)
    assert (code, errors) == (EX_OK, [])
    listed.write_text("one.test\nbad..domain\n")
    code, errors, _ = check(tmp_path, "[domains]\ndomains_file = %s\n" % listed)
    assert code == EX_CONFIG
    assert any("%s:2:" % listed in error for error in errors), errors


# -- options and exit codes

def test_usage_errors():
    for arguments in (["-x"], ["--nonsense"], ["-c"], ["surplus"], ["-d", "loud"], ["-t", "extra"]):
        done = run_program("backupmx-milter", *arguments)
        assert done.returncode == EX_USAGE, arguments
        assert done.stderr


def test_version_and_help():
    done = run_program("backupmx-milter", "-V")
    assert done.returncode == 0
    assert re.search(r"backupmx-milter \d+\.\d+", done.stdout)
    done = run_program("backupmx-milter", "-h")
    assert done.returncode == 0
    for option in ("-c", "-t", "-f", "-l", "-d", "-P", "-V", "-h"):
        assert option in done.stdout


def test_broken_file_at_start(lab):
    daemon = lab.daemon(start=False)
    daemon.write_ini("[probe]\nrise = x\n")
    process = daemon.launch()
    assert process.wait(10) == EX_CONFIG
    daemon._reader.join(2)
    assert ":2: rise: " in daemon.log.text()
    daemon.process = None


def test_second_instance_is_refused_and_the_first_lives_on(lab):
    lab.primary("one.test")
    first = lab.daemon(domains=["one.test"])
    first.wait_for_state("one.test", "up")
    second = lab.daemon(domains=["one.test"], folder=first.folder, start=False)
    process = second.launch()
    assert process.wait(10) == EX_TEMPFAIL
    second.process = None
    assert first.milter().rcpt("<alice@one.test>").code == 451
    assert first.status("one.test")["state"] == "up"
    assert first.ctl("version")[0] == 0


def test_second_instance_on_the_same_unix_socket_leaves_it_alone(lab):
    """libmilter would remove the live socket of the other instance."""
    first = lab.daemon(listen="unix")
    second = lab.daemon({"milter": {"socket": first.milter_socket}}, start=False)
    process = second.launch()
    code = process.wait(10)
    assert code in (EX_TEMPFAIL, EX_CONFIG, 1) and code != 0
    second.process = None
    assert first.milter().rcpt("<alice@foreign.test>").action == "continue"


def test_a_start_that_fails_leaves_no_control_socket(lab):
    daemon = lab.daemon(start=False)
    with socket.create_server(daemon.milter_address):
        assert daemon.launch().wait(10) == EX_TEMPFAIL
    daemon.process = None
    assert not os.path.exists(daemon.control_socket)


@pytest.mark.parametrize("listen", ["inet", "inet6", "unix"])
def test_milter_sockets(lab, listen):
    lab.primary("sock.test")
    daemon = lab.daemon({"milter": {"socket_mode": "0620"}}, domains=["sock.test"], listen=listen)
    daemon.wait_for_state("sock.test", "up")
    assert daemon.milter().rcpt("<alice@sock.test>").code == 451
    if listen == "unix":
        assert os.stat(daemon.milter_address).st_mode & 0o777 == 0o620
        daemon.restart(crash=True)              # a stale socket is in nobody's way
        assert daemon.milter().rcpt("<alice@foreign.test>").action == "continue"


def test_ignored_signals_and_a_clean_end(lab):
    daemon = lab.daemon()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        daemon.process.send_signal(number)
    time.sleep(0.2)
    daemon.check_alive()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(10) == 0
    daemon.process = None


def test_end_finishes_answers_in_flight(lab):
    """SIGTERM while recipients wait: they get an answer, and the end comes within 10 s."""
    lab.primary("end.test", rcpt=SILENCE)
    daemon = lab.daemon({'domain "end.test"': {"when_up": "accept"}}, {"probe": {"timeout": "30s"}})
    daemon.wait_for_state("end.test", "up")
    replies = []

    def ask(number):
        replies.append(daemon.milter().rcpt("<u%d@end.test>" % number))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    started = time.monotonic()
    daemon.stop(hurry=False)
    assert time.monotonic() - started < 10
    for thread in threads:
        thread.join(5)
    assert len(replies) == 3
    assert all(reply.code == 450 or reply.action == "tempfail" for reply in replies), replies


def test_daemon_with_a_pid_file(lab):
    """Without -f it goes to the background and writes the pid file."""
    daemon = lab.daemon(start=False)
    pid_file = os.path.join(daemon.folder, "pid")
    done = subprocess.run([program("backupmx-milter"), "-c", daemon.ini_path, "-P", pid_file],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=10, check=False)
    assert done.returncode == 0
    eventually(daemon.accepts, 5)
    pid = int(eventually(lambda: os.path.exists(pid_file) and open(pid_file).read().strip(), 5))
    assert daemon.milter().rcpt("<alice@foreign.test>").action == "continue"
    os.kill(pid, signal.SIGTERM)

    def ended():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # an init that doesn't reap leaves a zombie
        with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    eventually(ended, 10)
    assert not os.path.exists(pid_file)


# -- reload

@pytest.fixture
def reloading(lab):
    server = lab.primary("one.test", recipients={"alice": "250 ok"})
    other = lab.primary("two.test", recipients={"alice": "250 ok"})
    # what isn't configured is not ours: nothing is learned here
    daemon = lab.daemon({"domains": {"domains_from_mta": False}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    return daemon, server, other


def hup(daemon, deadline=5):
    mark = daemon.mark()
    daemon.hup()
    daemon.wait_for_log(r"reload", deadline, mark)
    return mark


def test_reload_takes_new_settings(reloading):
    daemon, _, _ = reloading
    assert daemon.milter().rcpt("<alice@two.test>").action == "continue"
    daemon.change_ini({'domain "two.test"': {}, "policy": {"when_up": "accept"}})
    hup(daemon)
    daemon.wait_for_state("two.test", "up")
    assert daemon.milter().rcpt("<alice@one.test>").action == "continue"
    assert daemon.milter().rcpt("<alice@two.test>").action == "continue"
    daemon.ini.pop('domain "one.test"')
    daemon.change_ini({})
    hup(daemon)
    eventually(lambda: daemon.status("one.test") is None, 5)


def test_reload_keeps_states(reloading):
    """An unchanged primary keeps its state and since-time, and isn't probed anew as unknown."""
    daemon, server, _ = reloading
    server.stop()
    before = daemon.wait_for_state("one.test", "down")
    mark = daemon.mark()
    for _ in range(5):
        hup(daemon)
    after = daemon.status("one.test")
    assert (after["state"], after["since"]) == ("down", before["since"])
    daemon.no_log(r"health: domain=one\.test", mark)


def test_bad_file_is_refused_and_the_old_settings_stay(reloading):
    daemon, _, _ = reloading
    good = daemon.ini
    daemon.write_ini("[policy]\nwhen_up = accept\n[probe]\nrise = x\nfall = y\n")
    mark = daemon.mark()
    daemon.hup()
    daemon.wait_for_log(re.escape(daemon.ini_path) + r":4: rise: ", 5, mark)
    daemon.wait_for_log(re.escape(daemon.ini_path) + r":5: fall: ", 5, mark)
    daemon.wait_for_log(r" error: .*", 5, mark)
    assert daemon.milter().rcpt("<alice@one.test>").code == 451
    code, out, parsed = daemon.ctl("--json", "reload")
    assert code == 1
    assert "error" in parsed and "rise" in out
    os.unlink(daemon.ini_path)
    assert daemon.ctl("reload")[0] == 1
    assert daemon.milter().rcpt("<alice@one.test>").code == 451
    daemon.write_ini(good)
    assert daemon.ctl("reload")[0] == 0


def test_reload_says_what_needs_a_restart(reloading):
    daemon, _, _ = reloading
    daemon.change_ini({"milter": {"socket_mode": "0600", "state_dir": daemon.folder + "/other"}})
    mark = daemon.mark()
    daemon.hup()
    found = daemon.wait_for_log(r"warning: .*restart.*", 5, mark)
    assert "socket_mode" in found.string and "state_dir" in found.string
    assert daemon.milter().rcpt("<alice@one.test>").code == 451


def test_thousand_hups_under_load(lab):
    """SIGHUP stops a plain libmilter filter. This one has to live and answer correctly."""
    server = lab.primary("load.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon({"log": {"level": "info"}}, domains=["load.test"])
    daemon.wait_for_state("load.test", "up")
    daemon.learn("alice@load.test")
    server.stop()
    daemon.wait_for_state("load.test", "down")
    stop = threading.Event()
    problems, answered = [], [0]

    def load():
        while not stop.is_set():
            try:
                with daemon.milter(timeout=20).connect() as session:
                    for _ in range(20):
                        result = session.message("<a@b.test>", ["<alice@load.test>",
                                                                "<new@load.test>"])
                        codes = [reply.code for reply in result.replies]
                        if codes != [None, 451] or \
                                len(result.header_values("Backup-MX-Status")) != 1:
                            problems.append((codes, result.modifications))
                        answered[0] += 1
            except (OSError, AssertionError) as problem:
                problems.append(problem)
                return

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1000):
        daemon.hup()
        if number % 10 == 0:
            time.sleep(0.02)
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join(20)
    daemon.check_alive()
    assert not problems, problems[:3]
    assert answered[0] > 50
    # it is still reloading: a change is taken
    daemon.change_ini({"policy": {"when_unknown": "accept"}})
    daemon.hup()
    eventually(lambda: daemon.milter().rcpt("<new@load.test>").action == "continue", 10)
