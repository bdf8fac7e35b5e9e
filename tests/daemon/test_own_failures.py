# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P7: a crash, a full disk, a corrupt memory or a dead resolver end in 4xx or in the MTA's
# default action, never in a false 5xx.

import glob
import os
import resource
import shutil
import signal
import time

import pytest


VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


def test_p7_a_destroyed_memory_is_set_aside(lab):
    server = lab.primary("own.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["own.test"])
    daemon.wait_for_state("own.test", "up")
    daemon.learn("control@own.test", "alice@own.test", "nobody@own.test")
    server.stop()
    daemon.wait_for_state("own.test", "down")
    daemon.stop()
    databases = [path for path in glob.glob(daemon.state_dir + "/**/*", recursive=True)
                 if os.path.isfile(path) and os.path.getsize(path) > 4096]
    assert databases
    for path in databases:
        with open(path, "r+b") as file:
            file.write(os.urandom(os.path.getsize(path)))
    mark = daemon.mark()
    daemon.start()
    daemon.wait_for_log(r" error: ", 5, mark)
    daemon.wait_for_state("own.test", "down")
    for local in ("alice", "nobody", "new"):
        reply = daemon.milter().rcpt("<%s@own.test>" % local)
        assert reply.action == "continue" or 400 <= reply.code < 500, (local, reply)
    # it works again, with what is learned from now on
    server.start()
    daemon.wait_for_state("own.test", "up")
    daemon.learn("alice@own.test")
    # the damaged file is still there for whoever wants to look at it
    assert len(os.listdir(daemon.state_dir)) > 1


@pytest.mark.parametrize("size", [0, 100, 4096, 8192])
def test_p7_a_cut_off_memory_is_survived(lab, size):
    server = lab.primary("own.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["own.test"])
    daemon.wait_for_state("own.test", "up")
    daemon.learn("control@own.test", "nobody@own.test")
    server.stop()
    daemon.wait_for_state("own.test", "down")
    daemon.stop()
    for path in glob.glob(daemon.state_dir + "/**/*", recursive=True):
        if os.path.isfile(path) and os.path.getsize(path) > 8192:
            os.truncate(path, size)
    daemon.start()
    daemon.wait_for_state("own.test", ("down", "unknown"))
    for local in ("alice", "nobody", "new"):
        reply = daemon.milter().rcpt("<%s@own.test>" % local)
        assert reply.action == "continue" or 400 <= reply.code < 500, (local, reply)


def test_p7_a_full_disk_stops_learning_not_answering(lab):
    server = lab.primary("full.test", recipients={"u%d" % n: "250 ok" for n in range(200)})
    # A limit on file size gives EFBIG where a full disk gives ENOSPC, once the signal that comes
    # with it is ignored: a full disk sends none.
    daemon = lab.daemon(domains=["full.test"], ignore_signals=[signal.SIGXFSZ])
    daemon.wait_for_state("full.test", "up")
    daemon.learn("u0@full.test")
    time.sleep(1.5)                             # known is not yet written
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with daemon.milter().connect(client="198.51.100.5", name=None) as session:
        for number in range(1, 200):
            result = session.message("<a@b.test>", ["<u%d@full.test>" % number],
                                     stop_after_rcpt=True)
            assert result.replies[0].code == 451
    time.sleep(2)
    daemon.check_alive()
    server.stop()
    daemon.wait_for_state("full.test", "down")
    assert daemon.milter().rcpt("<u0@full.test>").action == "continue"
    for number in range(1, 200):
        reply = daemon.milter().rcpt("<u%d@full.test>" % number)
        assert reply.action == "continue" or reply.code == 451
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_p7_the_state_folder_is_gone(lab):
    server = lab.primary("gone.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["gone.test"])
    daemon.wait_for_state("gone.test", "up")
    daemon.learn("alice@gone.test")
    shutil.rmtree(daemon.state_dir)
    daemon.milter().rcpt("<bob@gone.test>", client="198.51.100.77", name=None)
    server.stop()
    daemon.wait_for_state("gone.test", "down")
    for local in ("alice", "bob", "new"):
        reply = daemon.milter().rcpt("<%s@gone.test>" % local)
        assert reply.action == "continue" or reply.code == 451, (local, reply)
    os.makedirs(daemon.state_dir, exist_ok=True)


def test_p7_a_dead_resolver(lab):
    """No DNS at all from the start, and a stranger asks: 4xx, in time."""
    lab.primary("deaf.test", recipients=dict(VALID))
    lab.dns.fail_all("SILENCE")
    daemon = lab.daemon(domains=["deaf.test"])
    for _ in range(3):
        reply = daemon.milter().rcpt("<alice@deaf.test>")
        assert (reply.code, reply.xcode) == (451, "4.4.1")
        assert reply.seconds < 6
    lab.dns.fail_all(None)


def test_p7_a_client_that_breaks_the_milter_protocol(lab):
    """Bytes that are no milter protocol end that connection and nothing else."""
    server = lab.primary("proto.test", recipients=dict(VALID))
    daemon = lab.daemon(domains=["proto.test"])
    daemon.wait_for_state("proto.test", "up")
    daemon.learn("alice@proto.test")
    server.stop()
    daemon.wait_for_state("proto.test", "down")
    for junk in (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 1000, b"\0\0\0\1Q",
                 b"\0\0\0\5R<a>\0", b"\0\0\0\x0dO" + b"\0" * 12, b"\x7f\xff\xff\xffO"):
        sock = daemon.milter().open_socket()
        sock.sendall(junk)
        sock.close()
    for stop_at in ("connect", "mail", "rcpt", "headers"):
        session = daemon.milter().connect()
        if stop_at != "connect":
            session.mail("<a@b.test>")
        if stop_at in ("rcpt", "headers"):
            session.rcpt("<alice@proto.test>")
        if stop_at == "headers":
            session.step(b"L", b"Subject\0no end of message\0")
        session.sock.close()                    # the MTA's process died
    daemon.check_alive()
    assert daemon.milter().rcpt("<alice@proto.test>").action == "continue"


@pytest.mark.parametrize("kind", ["file", "folder", "link to a file"])
def test_p7_a_control_socket_is_never_somebodys_file(lab, kind):
    """A path that isn't a socket is a mistake in the file, not a leftover of ours."""
    path = lab.folder / "precious"
    if kind == "folder":
        path.mkdir()
        (path / "content").write_text("content")
    elif kind == "link to a file":
        (lab.folder / "target").write_text("content")
        path.symlink_to(lab.folder / "target")
    else:
        path.write_text("content")
    daemon = lab.daemon({"milter": {"control_socket": str(path)}}, start=False)
    process = daemon.launch()
    try:
        assert process.wait(20) > 0
    finally:
        daemon.destroy()
    daemon.wait_for_log(r" error: .*precious", 5)
    daemon.check_sanitizers()
    if kind == "folder":
        assert (path / "content").read_text() == "content"
    else:
        assert path.is_symlink() == (kind != "file")
        assert path.read_text() == "content"
    # with the mistake corrected it starts
    daemon.change_ini({"milter": {"control_socket": daemon.control_socket}})
    daemon.start()
    assert daemon.ctl("version")[0] == 0


def test_p7_the_control_socket_of_another_daemon_is_left_alone(lab):
    first = lab.daemon()
    second = lab.daemon({"milter": {"control_socket": first.control_socket}}, start=False)
    process = second.launch()
    try:
        assert process.wait(20) == 75
    finally:
        second.destroy()
    second.check_sanitizers()
    assert first.ctl("version")[0] == 0


def test_p7_a_leftover_control_socket_is_replaced(lab):
    daemon = lab.daemon()
    daemon.restart(crash=True)
    assert daemon.ctl("version")[0] == 0
