# SPDX-License-Identifier: BSD-2-Clause
#
# The story that packaging/demo plays: an outage of a primary MX, seen from its backup. Each step
# shows real replies, log lines and queues, and is checked: the first that isn't as told ends the
# demo with status 1 and the logs.

import os
import re
import sys
import textwrap
import time

from peers import loglines
from peers.waiting import eventually

from . import outage
from .lab import Lab

KNOWN, UNKNOWN, INVENTED = "alice@example.test", "bob@example.test", "jane.doe@example.test"
FORGED = "Backup-MX-Status: accepted; by=mx.evil.test; primary=down; recipients=valid"

COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
WIDTH = 100


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


class NotAsTold(Exception):
    """A step of the story went another way."""


class Teller:
    def __init__(self):
        self.steps = 0
        self.began = time.monotonic()

    def step(self, title, *words):
        self.steps += 1
        print()
        print(paint("1;36", f"{self.steps}. {title}"))
        self.say(*words)

    @staticmethod
    def say(*words):
        for paragraph in words:
            print(textwrap.fill(paragraph, WIDTH, initial_indent="   ", subsequent_indent="   "))

    @staticmethod
    def block(label, lines, code="0"):
        for number, line in enumerate(lines):
            head = f"{label:>8} | " if number == 0 else f"{'':>8} | "
            for part in textwrap.wrap(line, WIDTH - 11, subsequent_indent="    ",
                                      break_long_words=False, break_on_hyphens=False) or [""]:
                print(paint("2", head) + paint(code, part))
                head = f"{'':>8} | "

    def dialogue(self, session, since=0):
        """What client and backup said to each other; the greeting is left out."""
        for line in session.dialogue[since:]:
            text = line[3:]
            if line.startswith("S:"):
                colour = {"2": "32", "3": "32", "4": "33", "5": "31"}.get(text[:1], "0")
                self.block("backup", [text], colour)
            else:
                self.block("stranger", text.split("\r\n"))

    def log(self, line):
        self.block("log", [loglines.without_prefix(line)], "35")

    def queue(self, listing):
        self.block("queue", [line for line in listing.splitlines() if line.strip()], "34")

    def command(self, lab, *words, until=None):
        """What backupmxctl says on the backup host, up to a heading if given. Returns it."""
        done = lab.milter.ctl_process(*words)
        check(done.returncode == 0, f"backupmxctl {words[0]} exits with 0", done)
        shown = done.stdout.rstrip().splitlines()
        if until in shown:
            shown[shown.index(until):] = ["..."]
        self.block("operator", ["# backupmxctl " + " ".join(words)], "1")
        self.block("", shown, "36")
        return done.stdout

    def figure(self, text):
        print("   " + paint("1", f"-> {text}"))


def check(condition, told, seen):
    if not condition:
        raise NotAsTold(f"told: {told}\nseen: {seen}")


def expect(reply, code, enhanced):
    check((reply.code, reply.enhanced) == (code, enhanced), f"a reply {code} {enhanced}", reply)


def play(lab, tell):
    milter = lab.milter
    with open(milter.ini_path, encoding="utf-8") as file:
        ini = file.read().replace(str(lab.scratch), "LAB")
    print(paint("1", "The lab") + f" (up in {lab.started_in:.1f} s, all of it in namespaces)")
    tell.block("dns", ["nsd: example.test. MX 10 mx1.example.test.  MX 20 mx2.example.test."])
    tell.block("primary", ["Postfix, mx1.example.test, 192.0.2.10 and 2001:db8::10"])
    tell.block("backup", ["Postfix, mx2.example.test, 192.0.2.20 and 2001:db8::20, with "
                          "backupmx-milter in smtpd_milters"])
    tell.block("stranger", ["client.test, 192.0.2.30"])
    tell.block("ini", [line for line in ini.splitlines() if line])
    tell.say("Probe intervals are seconds instead of half a minute, so that you needn't wait.")

    tell.step("The primary is up", "A stranger comes to the backup all the same, as spammers "
              "like to do. It is sent to the primary, in whose filters it would rather not be.")
    eventually(lambda: lab.ask(f"postmaster@{KNOWN.split('@')[1]}").enhanced == "4.3.2", 20,
               "example.test is up")
    mark = milter.mark()
    with lab.session() as session:
        seen = len(session.dialogue)
        session.mail()
        replies = {recipient: session.rcpt(recipient) for recipient in (KNOWN, INVENTED)}
        tell.dialogue(session, seen)
    for reply in replies.values():
        expect(reply, 451, "4.3.2")
    tell.log(milter.wait_for_log(rf"id={replies[KNOWN].log_id}\b", 5, mark).string)
    tell.say("Meanwhile the milter asked the primary, in the background, whom of them it knows:")
    for recipient, verdict in ((KNOWN, "valid"), (INVENTED, "invalid")):
        tell.log(milter.wait_for_log(
            rf"callout: recipient=<{re.escape(recipient)}> verdict={verdict} ", 15, mark).string)

    tell.step("The primary dies", "Its Postfix is stopped.")
    mark = milter.mark()
    with outage.stopped(lab.primary):
        began = time.monotonic()
        down = milter.wait_for_health("example.test", "down", mark)
        tell.log(down.string)
        tell.figure(f"noticed after {time.monotonic() - began:.1f} s")
        shown = tell.command(lab, "status")
        check(re.search(r"(?m)^example\.test +down .* 0/2 up +refused$", shown),
              "status shows example.test down, both endpoints refusing", shown)

        tell.step("A known recipient is welcome", f"{KNOWN} exists at the primary, the milter "
                  "remembers. The stranger also forges our header.")
        mark = milter.mark()
        with lab.session() as session:
            seen = len(session.dialogue)
            sent = session.send(KNOWN, "a letter for Alice", headers=[FORGED])
            tell.dialogue(session, seen)
            check(sent.accepted, "the message is accepted", sent)
            tell.log(milter.wait_for_log(r"action=accept .*to=<alice@example\.test>", 5,
                                         mark).string)

            tell.step("A recipient nobody asked for before", "Perhaps there is a Bob, perhaps "
                      "not: the sender is asked to come again, nothing is promised.")
            seen = len(session.dialogue)
            reply = session.ask(UNKNOWN)
            tell.dialogue(session, seen)
            expect(reply, 451, "4.4.1")
            tell.log(milter.decision_line(reply))
            tell.say("Why? Below its answer, explain lists each fact that it was decided by.")
            shown = tell.command(lab, "explain", "--client", "192.0.2.30", UNKNOWN,
                                 until="Client")
            check(shown.startswith("defer: 451 4.4.1 ") and "Row 7 (unknown-recipient)" in shown,
                  "explain says the same, by row 7", shown)

            tell.step("An invented recipient", f"The primary had said that there is no "
                      f"{INVENTED}: refused here and now, so there will be no bounce to a forged "
                      "sender.")
            seen = len(session.dialogue)
            reply = session.ask(INVENTED)
            tell.dialogue(session, seen)
            expect(reply, 550, "5.1.1")
            tell.log(milter.decision_line(reply))

        tell.step("The backup keeps the mail")
        eventually(lambda: [e["queue_name"] for e in lab.backup.queue()] == ["deferred"], 20,
                   lambda: f"one deferred message\n{lab.backup.queue_listing()}")
        tell.queue(lab.backup.queue_listing())
        check(not lab.primary.deliveries(), "nothing has arrived at the primary", "it has")
        mark = milter.mark()

    tell.step("The primary returns", "Postfix alone would try again in some minutes, after a long "
              "outage in an hour. The milter has it flush the queue at once.")
    up = milter.wait_for_health("example.test", "up", mark)
    changed = time.monotonic()
    tell.log(up.string)
    tell.log(milter.wait_for_log(r"flush: domain=example\.test method=etrn reply=250 mails=1", 5,
                                 mark).string)
    lab.backup.wait_queue_empty(5)
    seconds = time.monotonic() - changed
    tell.queue(lab.backup.queue_listing())
    tell.figure(f"queue empty {seconds:.1f} s after the change to up")

    tell.step("Counted at the primary")
    arrived = eventually(lab.primary.deliveries, 5, "a message in Alice's mailbox")
    check(len(arrived) == 1 and arrived[0].mailbox == KNOWN, f"one message, for {KNOWN}",
          [delivery.mailbox for delivery in arrived])
    head = arrived[0].text.split("\n\n", 1)[0].splitlines()
    tell.block("mailbox", [f"{arrived[0].mailbox}: 1 message"])
    tell.block("headers", head, "34")
    tags = [line for line in head if line.lower().startswith("backup-mx-status")]
    check(len(tags) == 1 and "by=mx2.example.test" in tags[0], "one header of ours, none forged",
          tags)
    check(not lab.backup.bounces(), "no bounce", lab.backup.bounces())
    tell.figure("one message accepted, one delivered, none bounced; the forged header is gone")

    tell.step("The next morning", "How long was it away, and why? What became of its "
              "mail?")
    shown = tell.command(lab, "report")
    for words in (r"outages +1,", r"mail +1 taken, 1 flushed", r" down +refused$"):
        check(re.search("(?m)" + words, shown), f"a report with {words}", shown)


def main():
    tell = Teller()
    try:
        with Lab(relayed=["example.test"]) as lab:
            try:
                play(lab, tell)
            except (NotAsTold, AssertionError, ConnectionError) as problem:
                print()
                print(paint("1;31", f"Step {tell.steps} did not go as told."))
                print(problem)
                print(lab.evidence())
                lab.milter.destroy()
                return 1
    except (RuntimeError, OSError, AssertionError) as problem:
        print(paint("1;31", "The lab did not come up, or did not end well."))
        print(problem)
        return 1
    print()
    print(paint("1;32", "All as told") + f", in {time.monotonic() - tell.began:.0f} s. Everything "
          "has been taken down again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
