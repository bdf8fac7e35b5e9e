# SPDX-License-Identifier: BSD-2-Clause
#
# The operator's commands with a real MTA: postqueue(1) in place of ETRN, and the example script
# that mails notices, by sendmail(8), to somebody elsewhere. The daemon is an ordinary user.

import os
import pathlib
import re
import shutil

from lab import outage
from peers.daemon import TOP
from peers.waiting import eventually
from story import delivered_once, headers, until_up, wait_deferred, wait_down

MILTER_SETTINGS = {"flush": {"method": "command", "command": ["/usr/sbin/postqueue", "-s", "%d"]}}
OPERATOR = "alice@foreign.test"


def install_notify_mail(lab):
    """The daemon's user may not read our source tree."""
    script = pathlib.Path(lab.milter.folder) / "notify-mail"
    shutil.copy(os.path.join(TOP, "etc/examples/notify-mail"), script)
    script.chmod(0o755)
    lab.configure_milter({"notify": {"command": "%s %s" % (script, OPERATOR)}})
    assert lab.milter.ctl_process("reload").returncode == 0


def test_mail_and_notices_over_an_outage(lab):
    install_notify_mail(lab)
    until_up(lab)
    lab.learn("alice@example.test")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        # the notice doesn't wait for the primary
        eventually(lambda: lab.foreign.deliveries(OPERATOR), 15,
                   lambda: "the notice arrives\n" + lab.milter.log.text()[-2000:])
        with lab.session() as session:
            assert session.send("alice@example.test", "mail-of-the-command").accepted
        wait_deferred(lab, 1)
        mark = lab.milter.mark()

    lab.milter.wait_for_health("example.test", "up", mark)
    lab.milter.wait_for_log(r"flush: domain=example\.test method=command status=0 mails=1$", 5,
                            mark)
    eventually(lambda: lab.primary.deliveries("alice@example.test", "mail-of-the-command"), 5,
               lambda: "it is delivered at once\n" + lab.backup.queue_listing())
    delivered_once(lab, "alice@example.test", "mail-of-the-command")

    def of_example():
        return [text for text in sorted((d.text for d in lab.foreign.deliveries(OPERATOR)),
                                        key=lambda text: "up again" in text)
                if "example.test: " in headers(text, "Subject")[0]]
    eventually(lambda: len(of_example()) == 2, 15, lambda: repr(of_example()))
    down, up = of_example()
    assert headers(down, "Subject") == ["[backupmx] example.test: the primary MX is down (refused)"]
    assert headers(up, "Subject") == ["[backupmx] example.test: the primary MX is up again"]
    for text in (down, up):
        assert headers(text, "Return-Path") == ["<>"]           # no bounce comes of it
        assert headers(text, "Auto-Submitted") == ["auto-generated"]
    assert re.search(r"(?m)^state:   down, since 20\d\d-\S+Z$", down)
    assert re.search(r"(?m)^before:  up, for \d+ seconds$", down)
    assert "Look closer: backupmxctl status example.test\n" in down


def test_flush_by_hand(lab):
    until_up(lab)
    done = lab.milter.ctl_process("flush", "example.test")
    assert done.returncode == 0
    assert done.stdout == "example.test: the command ended with status 0\n"
    # what postqueue says of a domain that has no such queue is passed on
    lab.backup.reconfigure(fast_flush_domains="")
    done = lab.milter.ctl_process("flush", "example.test")
    lab.backup.reconfigure(fast_flush_domains="$relay_domains")
    assert done.returncode == 1
    assert done.stdout == ('example.test: the command ended with status 69: postqueue: fatal: '
                           'Flush service is not configured for destination "example.test"\n')
