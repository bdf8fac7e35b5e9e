# SPDX-License-Identifier: BSD-2-Clause
#
# [policy] keys in a [domain "..."] section: each holds for that domain alone, and its neighbour in
# the same file, or in the same message, goes by the rest. (when_* and tag stand in the tables of
# test_decisions.py and test_tag.py as well, domain by domain.)

import time

from peers.waiting import eventually

HEADER = "Backup-MX-Status"
VALID = {"alice": "250 ok", "control": "250 ok"}
WHO = dict(client="192.0.2.50")


def start(lab, policy, own):
    """plain.test goes by `policy`, own.test has `own` keys. Both are up and know alice."""
    servers = [lab.primary(domain, recipients=dict(VALID)) for domain in ("plain.test", "own.test")]
    daemon = lab.daemon({"policy": policy, 'domain "own.test"': own}, domains=["plain.test"])
    for domain in ("plain.test", "own.test"):
        daemon.wait_for_state(domain, "up")
    daemon.learn("alice@plain.test", "alice@own.test")
    return daemon, servers


def take_down(daemon, servers):
    for server in servers:
        server.stop()
    for domain in ("plain.test", "own.test"):
        daemon.wait_for_state(domain, "down")


def codes(daemon, local, **who):
    """The replies for that local part in plain.test and own.test; None: let in."""
    return [daemon.milter().rcpt("<%s@%s>" % (local, domain), **who).code
            for domain in ("plain.test", "own.test")]


def tag_of(result):
    tag, = result.header_values(HEADER)
    return " ".join(tag.split())


def test_when_up(lab):
    daemon, _ = start(lab, {}, {"when_up": "accept"})
    assert codes(daemon, "alice") == [451, None]
    result = daemon.milter().send_message(rcpts=["<alice@plain.test>", "<alice@own.test>"])
    assert [reply.code for reply in result.replies] == [451, None]
    assert "primary=up" in tag_of(result) and "reason=policy" in tag_of(result)


def test_when_invalid(lab):
    daemon, _ = start(lab, {}, {"when_invalid": "defer"})
    daemon.learn("nobody@plain.test", "nobody@own.test")
    assert codes(daemon, "nobody") == [550, 450]


def test_when_unknown(lab):
    daemon, servers = start(lab, {}, {"when_unknown": "accept"})
    take_down(daemon, servers)
    assert codes(daemon, "new") == [451, None]
    result = daemon.milter().send_message(
        rcpts=["<new@plain.test>", "<alice@plain.test>", "<new@own.test>"])
    assert [reply.code for reply in result.replies] == [451, None, None]
    assert "recipients=mixed; reason=primary-down" in tag_of(result)


def test_when_catch_all(lab):
    lab.primary("plain.test", other_recipients="250 ok")
    lab.primary("own.test", other_recipients="250 ok")
    daemon = lab.daemon({'domain "own.test"': {"when_catch_all": "defer"}}, domains=["plain.test"])
    for domain in ("plain.test", "own.test"):
        daemon.wait_for_state(domain, "up")
    daemon.learn("any@plain.test", "any@own.test")
    take_down(daemon, lab.servers)
    assert codes(daemon, "any") == [None, 451]


def test_tag(lab):
    daemon, servers = start(lab, {}, {"tag": False})
    take_down(daemon, servers)
    milter = daemon.milter()
    # the untagged one comes first: neither its reason nor its id is told
    mark = daemon.mark()
    tag = tag_of(milter.send_message(rcpts=["<alice@own.test>", "<alice@plain.test>"]))
    line = daemon.wait_for_log(r"to=<alice@plain\.test> .* id=(\w+)$", 5, mark)
    assert "recipients=valid" in tag and tag.endswith("id=" + line.group(1))
    forged = [(HEADER, "forged"), ("Subject", "x")]
    assert not milter.send_message(rcpts=["<alice@own.test>"], headers=forged).header_values(HEADER)


def test_persistent_attempts(lab):
    daemon, _ = start(lab, {"persistent_attempts": 5, "persistent_after": "2s"},
                      {"persistent_attempts": 2})
    assert codes(daemon, "alice", **WHO) == [451, 451]
    time.sleep(3.1)
    assert codes(daemon, "alice", **WHO) == [451, None]


def test_persistent_after(lab):
    daemon, _ = start(lab, {"persistent_attempts": 2, "persistent_after": "1h"},
                      {"persistent_after": "2s"})
    assert codes(daemon, "alice", **WHO) == [451, 451]
    time.sleep(3.1)
    assert codes(daemon, "alice", **WHO) == [451, None]
    # both in one message
    result = daemon.milter().send_message(rcpts=["<alice@plain.test>", "<alice@own.test>"], **WHO)
    assert [reply.code for reply in result.replies] == [451, None]
    assert "reason=persistent-sender" in tag_of(result)


def test_unknown_accept_after(lab):
    daemon, servers = start(lab, {"persistent_attempts": 2, "persistent_after": "2s"},
                            {"unknown_accept_after": "2s"})
    take_down(daemon, servers)
    assert codes(daemon, "new", **WHO) == [451, 451]
    time.sleep(3.1)
    assert codes(daemon, "new", **WHO) == [451, None]


def test_recovery_grace(lab):
    daemon, servers = start(lab, {"recovery_grace": "1s"}, {"recovery_grace": "1h"})
    take_down(daemon, servers)
    for server in servers:
        server.start()
    for domain in ("plain.test", "own.test"):
        daemon.wait_for_state(domain, "up")
    eventually(lambda: not daemon.status("plain.test")["recovering"], 10)
    assert daemon.status("own.test")["recovering"] is True
    assert codes(daemon, "alice") == [451, None]
