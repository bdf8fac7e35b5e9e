# SPDX-License-Identifier: BSD-2-Clause
#
# Sendmail as the backup's MTA: an outage's story in short, and what is Sendmail's own way.

import re

from lab import outage
from peers.waiting import eventually
from story import headers, the_tag, until_up, wait_down, whole_outage

MTA = "sendmail"
MILTER_SETTINGS = {}


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
