# SPDX-License-Identifier: BSD-2-Clause
#
# Sendmail as the backup's MTA: an outage's story in short, and what is Sendmail's own way.

import os
import pathlib
import re

from lab import outage
from lab.checking import Checker
from lab.milter import USER
from peers.daemon import TOP
from peers.waiting import eventually
from story import (NO_SUCH_USER, delivered_once, expect, headers, nothing_bounced, recovered,
                   the_tag, until_up, wait_deferred, wait_down, whole_outage)

MTA = "sendmail"
MILTER_SETTINGS = {}
SICK = "451 4.3.0 <{}>: primary MX is not in order, try again later"
EXAMPLE = pathlib.Path(TOP) / "etc/sendmail/backupmx.mc"
FOLDER = "/run/backupmx-milter"


def test_outage(lab, figure):
    for what, value in whole_outage(
            lab, lambda lab: outage.stopped(lab.primary), 1, "stopped process", {"refused"}):
        figure(f"Sendmail, {what}", value)


def test_it_is_sendmail(lab):
    with lab.session() as session:
        assert "ESMTP Sendmail 8." in session.banner.text
    assert "Postfix" not in lab.backup.log_text()


def test_tag_is_at_the_top_and_the_only_one(lab):
    until_up(lab)
    lab.learn("alice@example.test")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        with lab.session() as session:
            assert session.send("alice@example.test", "forged-tag", headers=[
                "Backup-MX-Status: accepted;\r\n\tby=evil; primary=up", "X-Kept: yes",
                "backup-mx-status: two"]).accepted
    eventually(lambda: lab.primary.deliveries("alice@example.test", "forged-tag"), 30,
               lambda: f"delivered\n{lab.backup.queue_listing()}")
    [delivery] = lab.primary.deliveries("alice@example.test", "forged-tag")
    assert the_tag(delivery.text)["primary"] == "down"
    assert "evil" not in delivery.text and headers(delivery.text, "X-Kept") == ["yes"]
    assert (delivery.text.index("\nBackup-MX-Status:")
            < re.search(r"by mx2\.example\.test \(8\.", delivery.text).start())


def test_milter_is_away(lab):
    """F=T: nobody is told anything final, nobody's mail is taken."""
    lab.milter.stop()
    try:
        with lab.session(helo=None) as session:
            greeting = session.banner if session.banner.code != 220 else session.command("EHLO c.test")
            reply = greeting if greeting.code >= 400 else session.ask("alice@example.test")
        assert 400 <= reply.code < 500, reply
    finally:
        lab.milter.start()


def test_primary_that_greets_with_5xx(lab):
    """Sendmail would bounce at once what it has for one."""
    until_up(lab)
    lab.learn("user10@example.test")
    lab.learn("nobody10@example.test", verdict="invalid")
    mark = lab.milter.mark()
    with lab.primary_replaced(banner="554 5.3.2 {name} no service"):
        assert wait_down(lab, mark)["reason"] == "banner-5xx"
        with lab.session() as session:
            expect(session.ask("user10@example.test"), SICK, "user10@example.test")
            expect(session.ask("never-seen10@example.test"), SICK, "never-seen10@example.test")
            expect(session.ask("nobody10@example.test"), NO_SUCH_USER, "nobody10@example.test")
        assert not lab.backup.queue()
    # it doesn't answer at all: that is what a backup is for
    until_up(lab)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        assert lab.send("user10@example.test", "after-the-greeting").accepted
        wait_deferred(lab, 1)
        mark = lab.milter.mark()
    recovered(lab, mark, mails=1)
    delivered_once(lab, "user10@example.test", "after-the-greeting")
    nothing_bounced(lab)


def test_sendmail_would_bounce(lab):
    """So it does: the milter's rule is there for a reason. Should this fail, it isn't needed."""
    until_up(lab)
    with lab.session(source="192.0.2.31") as session:  # exempt: the milter doesn't look
        with lab.primary_replaced(banner="554 5.3.2 {name} no service"):
            assert session.send("user11@example.test", "not-to-be", sender="bob@sender.test").accepted
            eventually(lambda: lab.foreign.deliveries("bob@sender.test"), 30,
                       lambda: f"a bounce\n{lab.backup.log_text()[-2000:]}")
    assert "554 5.3.2" in lab.foreign.deliveries("bob@sender.test")[0].text


def test_no_bounce_has_no_effect(own_lab):
    """What the manual says of accept_no_bounce; and nothing is lost or doubled by it."""
    lab = own_lab({"policy": {"when_unknown": "accept_no_bounce"}})
    until_up(lab)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        with lab.session() as session:
            for recipient in ("<user12@example.test>", '<"user13"@example.test>',
                              "<USER14@Example.TEST>", "<nobody@example.test>"):
                session.mail("bob@sender.test")
                assert session.command("RCPT TO:" + recipient).code == 250
                assert session.command("DATA").code == 354
                assert session.command("Subject: x\r\n\r\nno-bounce\r\n.").code == 250
        lab.milter.wait_for_log("accept_no_bounce has no effect with Sendmail", 5, mark)
        wait_deferred(lab, 4)
        mark = lab.milter.mark()
    recovered(lab, mark)
    eventually(lambda: lab.foreign.deliveries("bob@sender.test"), 10, "a bounce")
    [bounce] = lab.foreign.deliveries("bob@sender.test")
    assert "nobody@example.test" in bounce.text
    for user in ("user12", "user13", "user14"):
        assert len(lab.primary.deliveries(f"{user}@example.test", "no-bounce")) == 1


def test_seen_from_outside(lab):
    """check --server, at some other host, of a good backup."""
    until_up(lab)
    found = Checker(lab.client).check("--server", "mx2.example.test", "--to", "alice@example.test",
                                      "example.test")
    assert found.severity("server-listed", "example.test") == "ok"
    assert found.severity("server-invented", "example.test") == "ok"
    assert found.severity("server-defers", "example.test") == "ok"


def test_only_root_runs_the_queue(lab):
    """So a flush command of the daemon's, which isn't root, would be of no use: ETRN is."""
    done = lab.backup_host.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                "/usr/sbin/sendmail", "-qRexample.test"], check=False)
    assert done.returncode != 0


def lines_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("dnl")]


def test_readme_has_the_lines_of_the_example():
    section = (pathlib.Path(TOP) / "README.md").read_text().split("## Sendmail in five lines\n")[1]
    block = [line[4:] for line in section.split("\n## ")[0].splitlines()
             if line.startswith("    ")]
    assert block == lines_of(EXAMPLE.read_text()) and len(block) == 5


def test_the_five_lines(own_lab):
    """The example as it comes, and nothing else about the milter or what is relayed."""
    lab = own_lab()
    lab.backup.reconfigure(relay="", milter=EXAMPLE.read_text().rstrip())
    whole_outage(lab, lambda lab: outage.stopped(lab.primary), 1, "five lines", {"refused"})


def use_unix_socket(lab, mode):
    folder = lab.backup_host.path(FOLDER)
    folder.mkdir(exist_ok=True)
    os.chown(folder, USER, USER)
    folder.chmod(mode)
    lab.backup.stop()
    lab.backup.settings["milter"] = EXAMPLE.read_text().rstrip().replace(
        "inet:8899@127.0.0.1", f"unix:{FOLDER}/milter.sock")
    lab.backup.make_cf("/etc/mail/sendmail.cf", relay="")
    lab.backup.start()


def test_unix_socket(own_lab):
    lab = own_lab()
    use_unix_socket(lab, 0o755)
    lab.milter.stop()
    lab.configure_milter({"milter": {"socket": f"unix:{FOLDER}/milter.sock"}})
    lab.milter.accepts = lambda: lab.backup_host.path(f"{FOLDER}/milter.sock").exists()
    lab.milter.start()
    lab.backup.wait_up()
    until_up(lab)
    # whoever may write there could put another filter in its place
    use_unix_socket(lab, 0o775)
    eventually(lambda: re.search(r"[Mm]ilter.*unsafe", lab.backup.log_text()), 15,
               lambda: lab.backup.log_text()[-2000:])
    assert not lab.backup_host.accepts(25)
