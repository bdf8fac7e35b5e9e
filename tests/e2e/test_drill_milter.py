# SPDX-License-Identifier: BSD-2-Clause
#
# A fire drill as real Postfix and the milter play it (DESIGN section 10), without backupmxctl: the
# marked message of this host is taken and tagged as in an outage, and with "hold" it stays in the
# queue until it is released; a stranger sees all the while that the primary is up.

import pytest

from story import GO_TO_PRIMARY, delivered_once, expect, the_tag, until_up

DOMAIN = "example.test"
MTA = "postfix"
MILTER_SETTINGS = {}


@pytest.fixture(scope="module")
def drilled(lab):
    until_up(lab)
    lab.learn("user1@example.test")
    return lab


def begin(lab, hold):
    answer = lab.milter.ask("drill", domain=DOMAIN, recipient="user1@example.test", hold=hold)
    assert answer["exit"] == 0 and answer["result"]["state"] == "up", answer
    return answer["result"]["token"]


def result_of(lab, token):
    return lab.milter.ask("drill_result", token=token)["result"]


def send(lab, token, text, server, host=None):
    with lab.session(host=host or lab.backup_host, server=server) as session:
        return session.send("user1@example.test", text, sender="",
                            parameters=f"ENVID=drill-{token}")


def in_queue(lab, queue_id):
    return [entry["queue_name"] for entry in lab.backup.queue() if entry["queue_id"] == queue_id]


def is_a_drills(tag):
    assert (tag["primary"], tag["since"], tag["recipients"], tag["reason"]) == (
        "down", None, "valid", "primary-down")


# By loopback, exempt otherwise, and by the address that this host is known by, which isn't.
@pytest.mark.parametrize("server,exempt", [("127.0.0.1", True), ("192.0.2.20", False)])
def test_tagged_and_delivered(drilled, server, exempt):
    lab, text = drilled, f"drill-by-{server}"
    token = begin(lab, hold=False)
    assert send(lab, token, text, server).accepted
    seen = result_of(lab, token)
    assert seen["state"] == "taken" and not seen["held"]
    is_a_drills(the_tag(delivered_once(lab, "user1@example.test", text)))
    assert lab.milter.ask("drill_end", token=token, result="pass")["exit"] == 0
    # the same again is nothing but mail
    sent = send(lab, token, f"{text}-again", server)
    if exempt:
        assert "Backup-MX-Status" not in delivered_once(lab, "user1@example.test", f"{text}-again")
    else:
        expect(sent.rcpts["user1@example.test"], GO_TO_PRIMARY, "user1@example.test")


def test_held_until_it_is_released(drilled):
    lab, text = drilled, "drill-that-waits"
    mark = lab.milter.mark()
    token = begin(lab, hold=True)
    assert send(lab, token, text, "127.0.0.1").accepted
    seen = result_of(lab, token)
    assert seen["state"] == "taken" and seen["held"]
    assert in_queue(lab, seen["queue_id"]) == ["hold"]
    expect(lab.ask("user1@example.test"), GO_TO_PRIMARY, "user1@example.test")
    # neither a flush nor a look at the queue lets it go
    assert lab.milter.ctl("flush", DOMAIN)[0] == 0
    assert in_queue(lab, seen["queue_id"]) == ["hold"]
    assert not lab.primary.deliveries("user1@example.test", text)
    line = lab.milter.wait_for_log(r"action=accept .* drill=yes$", 5, mark).string
    assert f"{seen['tag']}".endswith(f"id={seen['id']}") and f"id={seen['id']} drill=yes" in line

    lab.backup_host.run(["postsuper", "-H", seen["queue_id"]])
    # as is said of held mail: a queue manager that isn't told looks in time of its own
    lab.backup_host.run(["postqueue", "-i", seen["queue_id"]])
    is_a_drills(the_tag(delivered_once(lab, "user1@example.test", text)))
    assert lab.milter.ask("drill_end", token=token, result="pass")["result"]["held"]


def test_a_strangers_token_is_worth_nothing(drilled):
    lab = drilled
    token = begin(lab, hold=True)
    sent = send(lab, token, "forged", "192.0.2.20", host=lab.client)
    expect(sent.rcpts["user1@example.test"], GO_TO_PRIMARY, "user1@example.test")
    assert result_of(lab, token)["state"] == "waiting"
    assert lab.milter.ask("drill_end", token=token, result="fail")["exit"] == 0
    assert send(lab, token, "withdrawn", "127.0.0.1").accepted
    assert "Backup-MX-Status" not in delivered_once(lab, "user1@example.test", "withdrawn")
