# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P7 at size: a large memory is swept while it answers, a full one keeps what it has, a full
# disk and a damaged file of some size are survived.

import os
import signal
import subprocess
import time

import pytest

from peers.daemon import program
from peers.waiting import eventually

FILLED = "big.test"
LARGE = 2500000                                 # some 100 MB: not read through at every start


def fill(daemon, entries):
    """`entries` of FILLED, while the daemon is stopped: u0000000, u0000002, ... valid, the odd ones
    refused so long ago that they count no more."""
    subprocess.run([program("tests/bench/memory_size"), daemon.state_dir, str(entries), "fill",
                    FILLED], check=True, timeout=300)


def recipient(number):
    return "<u%07d@%s>" % (number, FILLED)


def database(daemon):
    return os.path.join(daemon.state_dir, "backupmx.mdb")


def never_5xx(daemon, numbers):
    for number in numbers:
        reply = daemon.milter().rcpt(recipient(number))
        assert reply.action == "continue" or 400 <= reply.code < 500, (number, reply)


@pytest.fixture
def filled(lab):
    """A daemon, stopped, whose domain's primary is down."""
    server = lab.primary(FILLED)
    server.stop()
    return lab.daemon(domains=[FILLED], start=False)


def test_p7_answers_while_it_sweeps(filled):
    daemon = filled
    fill(daemon, 200000)
    daemon.start()
    daemon.wait_for_state(FILLED, "down")
    number = 0

    def answers_until_some_is_swept():
        nonlocal number
        number = (number + 77777 * 2) % 200000
        assert daemon.milter().rcpt(recipient(number)).action == "continue"
        assert daemon.milter().rcpt(recipient(number + 1)).code == 451
        return daemon.log_lines(r"sweep: so far looked=[1-9]\d{4} removed=[1-9]\d{3}")
    eventually(answers_until_some_is_swept, 90)
    daemon.no_log(r" error: ")
    # nothing of it is lost by an end in the middle, whichever
    daemon.restart(crash=True)
    daemon.wait_for_state(FILLED, "down")
    for number in (0, 2, 100000, 199998):
        assert daemon.milter().rcpt(recipient(number)).action == "continue"


def test_a_round_of_the_sweep_and_what_it_counts(filled):
    daemon = filled
    fill(daemon, 12001)
    daemon.start()
    daemon.wait_for_state(FILLED, "down")
    # status counts a few thousand itself, and the sweep the rest
    counts = daemon.status(FILLED)["recipients"]
    assert 0 < counts["valid"] <= 6001 and counts["invalid"] == 0
    daemon.wait_for_log(r"sweep: looked=12001 removed=6000 took=\d+s$", 90)
    assert daemon.status(FILLED)["recipients"]["valid"] == 6001
    assert daemon.explain("u0000001@" + FILLED)["recipient"] == "unknown"
    assert daemon.milter().rcpt(recipient(12000)).action == "continue"


def test_a_full_memory_keeps_what_it_has(lab):
    server = lab.primary("own.test", recipients={"u%d" % n: "250 ok" for n in range(21)})
    daemon = lab.daemon({"recipients": {"max_entries": 3}}, domains=["own.test"])
    daemon.wait_for_state("own.test", "up")
    daemon.learn("u0@own.test")
    daemon.learn("u1@own.test")
    for number in range(2, 20):
        daemon.milter().rcpt("<u%d@own.test>" % number, client="198.51.100.7", name=None)
    daemon.wait_for_log(r" warning: recipients: max_entries=3 ", 10)
    time.sleep(2)
    assert len(daemon.log_lines(r"recipients: max_entries=3 ")) == 1
    daemon.change_ini({"recipients": {"max_entries": 1000}})
    daemon.hup()
    daemon.wait_for_log(r"reload: result=ok")
    daemon.learn("u20@own.test")
    daemon.wait_for_log(r"recipients: new ones are remembered again")
    server.stop()
    daemon.wait_for_state("own.test", "down")
    for number in (0, 1, 20):
        assert daemon.milter().rcpt("<u%d@own.test>" % number).action == "continue"


def test_fewer_max_entries_than_there_are(filled):
    daemon = filled
    fill(daemon, 50000)
    daemon.change_ini({"recipients": {"max_entries": 10}})
    daemon.start()
    daemon.wait_for_state(FILLED, "down")
    for number in (0, 49998):
        assert daemon.milter().rcpt(recipient(number)).action == "continue"


@pytest.fixture
def small_disk(lab):
    """A daemon, stopped, whose state is on a file system of 4 MB."""
    daemon = lab.daemon(domains=["full.test"], start=False)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "test", daemon.state_dir],
                      check=False, capture_output=True).returncode != 0:
        pytest.fail("no file system may be mounted here")
    yield daemon
    if daemon.running:
        daemon.stop()
    subprocess.run(["umount", "-l", daemon.state_dir], check=True)


def test_p7_a_full_disk_and_then_room_again(lab, small_disk):
    daemon = small_disk
    valid = ["u%d" % n for n in range(400)]
    server = lab.primary("full.test", recipients={name: "250 ok" for name in valid})
    daemon.start()
    daemon.wait_for_state("full.test", "up")
    daemon.learn("u0@full.test")
    time.sleep(1.5)                             # known is not yet written
    filler = os.path.join(daemon.state_dir, "filler")
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(b"\0" * 4096)

    def name(numbers):
        for number in numbers:
            daemon.milter().rcpt("<u%d@full.test>" % number, client="198.51.100.5", name=None)

    # LMDB finds some pages to use again; so many that it finds no more
    name(range(1, 300))
    daemon.wait_for_log(r"store: cannot write: No space left on device", 20)
    server.stop()
    daemon.wait_for_state("full.test", "down")
    assert daemon.milter().rcpt("<u0@full.test>").action == "continue"
    for number in range(1, 300):
        reply = daemon.milter().rcpt("<u%d@full.test>" % number)
        assert reply.action == "continue" or reply.code == 451
    os.unlink(filler)
    server.start()
    daemon.wait_for_state("full.test", "up")
    number = 300

    def learns_again():
        nonlocal number
        name([number])
        number = 300 + (number + 1) % 100
        return daemon.log_lines(r"store: writing works again")
    eventually(learns_again, 60, pause=0.5)
    daemon.learn("u399@full.test")
    server.stop()
    daemon.wait_for_state("full.test", "down")
    daemon.restart()
    daemon.wait_for_state("full.test", "down")
    for number in (0, 399):
        assert daemon.milter().rcpt("<u%d@full.test>" % number).action == "continue"


def overwrite(path, begin, end):
    with open(path, "r+b") as file:
        file.seek(begin)
        while file.tell() < end:
            file.write(b"\xa5garbage" * 512)


def assert_begins_anew(daemon, mark):
    daemon.wait_for_log(r" error: store: file=.* was set aside as ", 5, mark)
    daemon.wait_for_state(FILLED, "down")
    never_5xx(daemon, range(0, LARGE, 100001))
    assert [name for name in os.listdir(daemon.state_dir) if "corrupt" in name]


def test_p7_a_large_file_cut_off(filled):
    daemon = filled
    fill(daemon, LARGE)
    assert os.path.getsize(database(daemon)) > 90 << 20
    os.truncate(database(daemon), 60 << 20)
    mark = daemon.mark()
    daemon.start(60)
    assert_begins_anew(daemon, mark)


def test_p7_a_large_file_damaged_by_what_made_it_crash(filled):
    daemon = filled
    fill(daemon, LARGE)
    daemon.start()
    daemon.kill()
    overwrite(database(daemon), 20 << 20, 60 << 20)
    mark = daemon.mark()
    daemon.start(60)
    daemon.wait_for_log(r"store: checking \d+ MB, because the last stop was a crash", 5, mark)
    daemon.wait_for_log(r"store: checked, result=damaged", 5, mark)
    assert_begins_anew(daemon, mark)


@pytest.mark.unsanitized
def test_p7_a_large_file_found_damaged_while_running(filled):
    """Not looked at after an orderly stop. It may end the daemon by a signal; the next one, which
    systemd starts, looks."""
    daemon = filled
    fill(daemon, LARGE)
    overwrite(database(daemon), 20 << 20, 60 << 20)
    daemon.start()
    for number in range(0, LARGE, 50001):
        try:
            reply = daemon.milter().rcpt(recipient(number))
        except (OSError, AssertionError):
            break                               # the MTA's milter_default_action
        assert reply.action == "continue" or 400 <= reply.code < 500, (number, reply)
    if daemon.running:
        daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(20)
    daemon.destroy()
    mark = daemon.mark()
    daemon.start(60)
    assert_begins_anew(daemon, mark)
