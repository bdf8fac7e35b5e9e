# SPDX-License-Identifier: BSD-2-Clause
#
# The other rows of the decision and the switches, with real servers: shadow mode, catch-all, lists
# of recipients, other MX hosts as clients, recovering, persistent senders (P4), and what
# backupmxctl says of it all.

import re
import time

from lab import outage
from peers.waiting import eventually
from story import (GO_TO_PRIMARY, NO_SUCH_USER, NOT_KNOWN_YET, delivered_once, expect, headers,
                   recovered, the_tag, until_up, wait_deferred, wait_down)


def test_shadow_mode_only_watches(own_lab):
    lab = own_lab({"milter": {"mode": "shadow"}})

    def would_have_deferred():
        assert lab.ask("alice@example.test").code == 250
        return [d for d in lab.milter.decisions("alice@example.test")
                if (d["action"], d["reason"], d["mode"]) == ("defer", "primary-up", "shadow")]
    eventually(would_have_deferred, 20, "what it would have done is logged", pause=0.3)
    assert lab.ask("invented@example.test").code == 250
    assert lab.send("alice@example.test", "in-shadow",
                    headers=["Backup-MX-Status: as it came"]).accepted
    [found] = eventually(lambda: lab.primary.deliveries("alice@example.test", "in-shadow"), 10,
                         "delivered")
    assert headers(found.text) == ["as it came"]


def test_catch_all(own_lab):
    lab = own_lab()
    until_up(lab, "postmaster@catchall.test")
    lab.ask("anything@catchall.test")
    eventually(lambda: lab.milter.status("catchall.test")["recipients"]["catch_all"], 15,
               "the domain is known as catch-all")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark, "catchall.test")
        sent = lab.send("never-seen-before@catchall.test", "to-anybody")
        assert sent.accepted, sent
        wait_deferred(lab, 1)
        mark = lab.milter.mark()
    recovered(lab, mark, mails=1, domain="catchall.test")
    tag = the_tag(delivered_once(lab, "all@catchall.test", "to-anybody"))
    assert (tag["recipients"], tag["reason"]) == ("catch-all", "catch-all")


def test_recipients_file(own_lab, tmp_path):
    lab = own_lab()
    recipients = lab.backup_host.scratch / "recipients"
    recipients.write_text("alice@second.test\nbob\n# a comment\n")
    recipients.chmod(0o644)
    lab.configure_milter({'domain "second.test"': {
        "recipients_file": recipients, "recipients_complete": True}})
    assert lab.milter.ctl_process("reload").returncode == 0
    until_up(lab, "postmaster@second.test")
    expect(lab.ask("carol@second.test"), NO_SUCH_USER, "carol@second.test")
    mark = lab.milter.mark()
    with outage.packets_dropped(lab.primary_host, ["192.0.2.11"]):
        wait_down(lab, mark, "second.test")
        for name in ("alice", "bob", "BOB"):
            assert lab.ask(f"{name}@second.test").code == 250
        expect(lab.ask("carol@second.test"), NO_SUCH_USER, "carol@second.test")
        # Not listed either, but nobody may be told that there is no abuse desk.
        expect(lab.ask("abuse@second.test"), NOT_KNOWN_YET, "abuse@second.test")


def test_another_mx_host_of_the_domain_is_let_in(own_lab):
    """Row 8: sending it back to where it comes from would make a loop of deferrals."""
    lab = own_lab()
    until_up(lab)
    lab.learn("alice@example.test")
    with lab.session(host=lab.primary_host, source="192.0.2.10") as session:
        sent = session.send("alice@example.test", "from-the-primary")
    assert sent.accepted, sent
    assert the_tag(delivered_once(lab, "alice@example.test", "from-the-primary"))["reason"] == (
        "peer-mx")


def test_recovering(own_lab):
    """After an outage senders aren't sent away for a while: their back-off would last hours."""
    lab = own_lab({"policy": {"recovery_grace": "6s"}})
    until_up(lab)
    lab.learn("alice@example.test")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        mark = lab.milter.mark()
    lab.milter.wait_for_health("example.test", "up", mark)
    sent = lab.send("alice@example.test", "just-recovered")
    assert sent.accepted, sent
    tag = the_tag(delivered_once(lab, "alice@example.test", "just-recovered"))
    assert (tag["primary"], tag["reason"]) == ("up", "recovering")
    until_up(lab, "alice@example.test", 12)


def test_a_persistent_sender_is_let_in(own_lab):
    """P4: who reaches us but not the primary is delayed, never stranded."""
    lab = own_lab({"policy": {"persistent_attempts": 3, "persistent_after": "6s"}})
    until_up(lab)
    lab.learn("alice@example.test")
    sender = "only-reaches-us@sender.test"
    replies = []
    began = time.monotonic()
    while time.monotonic() - began < 15 and (not replies or replies[-1].code != 250):
        replies.append(lab.ask("alice@example.test", sender=sender))
        time.sleep(0.5)
    assert replies[0].enhanced == "4.3.2"
    assert replies[-1].code == 250, [str(reply) for reply in replies]
    assert time.monotonic() - began >= 5.5
    assert lab.milter.decisions("alice@example.test")[-1]["reason"] == "persistent-sender"
    # Only this sender.
    expect(lab.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")


def test_what_backupmxctl_says(own_lab):
    lab = own_lab()
    until_up(lab)
    lab.learn("alice@example.test")
    status = lab.milter.status("example.test")
    assert status["state"] == "up"
    assert {e["endpoint"] for e in status["endpoints"]} == {"[192.0.2.10]:25", "[2001:db8::10]:25"}
    assert status["recipients"]["valid"] >= 1
    explained = lab.milter.explain("alice@example.test", "--client", "192.0.2.30")
    assert (explained["row"], explained["action"], explained["reason"]) == (
        10, "defer", "primary-up")
    assert lab.milter.ctl_process("status", "example.test").returncode == 0
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        assert lab.milter.ctl_process("status", "example.test").returncode == 1
        assert lab.milter.explain("alice@example.test", "--client", "192.0.2.30")["row"] == 5
        assert lab.milter.explain("alice@example.test", "--client", "192.0.2.31")["row"] == 1
    mark = lab.milter.mark()
    lab.milter.ctl_process("flush", "example.test")
    lab.milter.wait_for_log(r"flush: domain=example\.test method=etrn reply=250", 10, mark)


def test_syslog(own_lab):
    """The same lines go to syslog, facility mail (2), with our ident."""
    lab = own_lab()
    until_up(lab)
    reply = lab.ask("alice@example.test")
    pattern = rf"<(\d+)>.*backupmx-milter(?:\[\d+\])?: \w+: action=defer .*id={reply.log_id}"

    def found():
        return re.search(pattern, lab.backup_host.syslog_file.read_text(errors="replace"))
    match = eventually(found, 5, lambda: lab.backup_host.syslog_file.read_text()[-2000:])
    assert int(match.group(1)) >> 3 == 2
