# SPDX-License-Identifier: BSD-2-Clause
#
# P3: the answer comes from state and memory. 20 recipients sent back to back while the primary
# hangs are all answered within 6 s, in each state in which something could be waited for.

import time

import pytest
from lab import outage
from story import until_up

LIMIT = 6
MANY = 20


def ask_many(lab, domain, figure, title):
    recipients = [f"never-seen-{number}@{domain}" for number in range(MANY)]
    with lab.session() as session:
        replies = session.pipelined(["MAIL FROM:<stranger@sender.test>",
                                     *(f"RCPT TO:<{r}>" for r in recipients)])[1:]
    slowest = max(reply.seconds for reply in replies)
    figure(f"{MANY} pipelined RCPTs, {title}: slowest answer", f"{slowest:.2f} s")
    assert len(replies) == MANY
    assert slowest <= LIMIT, [f"{reply.seconds:.1f} {reply}" for reply in replies]
    return replies


def hanging(lab, how):
    if how == "silent":
        return outage.frozen(lab.primary_host)
    return outage.packets_dropped(lab.primary_host)


@pytest.mark.parametrize("how", ["silent", "dropping"])
def test_first_probe_of_an_unknown_domain(own_lab, figure, how):
    lab = own_lab()
    lab.milter.kill()
    # A daemon that has never seen this domain, and hasn't had the time to find it down either.
    lab.milter.forget_everything()
    with hanging(lab, how):
        lab.milter.start()
        replies = ask_many(lab, "hung.test", figure, f"first probe, {how} primary")
    assert {reply.enhanced for reply in replies} <= {"4.4.1", "4.1.1"}


def test_primary_hangs_just_now(lab, figure):
    """Still up as far as anybody knows: no answer waits for the callouts that hang."""
    until_up(lab)
    with outage.frozen(lab.primary_host):
        replies = ask_many(lab, "example.test", figure, "primary just froze")
        assert {reply.enhanced for reply in replies} <= {"4.3.2", "4.4.1"}
    until_up(lab)


def test_asking_in_line(own_lab, figure):
    """Row 9 may wait for a callout: one budget for the whole message."""
    lab = own_lab({"policy": {"when_up": "accept"}})
    with lab.session() as session:
        deadline = time.monotonic() + 15
        while session.ask("alice@example.test").code != 250 and time.monotonic() < deadline:
            time.sleep(0.1)
    with outage.frozen(lab.primary_host):
        replies = ask_many(lab, "example.test", figure, "asked in line")
    assert {reply.enhanced for reply in replies} <= {"4.1.1", "4.4.1"}


def test_others_are_served_meanwhile(own_lab):
    """Eight strangers wait for a hanging primary; mail for another domain isn't held up by that."""
    lab = own_lab({"policy": {"when_up": "accept"}})
    with lab.session() as session:
        deadline = time.monotonic() + 15
        while session.ask("alice@second.test").code != 250 and time.monotonic() < deadline:
            time.sleep(0.1)
    with outage.packets_dropped(lab.primary_host, ["192.0.2.10", "2001:db8::10"]):
        waiting = [lab.session() for _ in range(8)]
        for number, session in enumerate(waiting):
            session.mail()
            session.socket.sendall(f"RCPT TO:<waiting-{number}@example.test>\r\n".encode())
        reply = lab.ask("alice@second.test")
        assert reply.code == 250 and reply.seconds < 1, f"{reply} after {reply.seconds:.1f} s"
        for session in waiting:
            session.close()
