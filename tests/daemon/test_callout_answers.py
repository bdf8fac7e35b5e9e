# SPDX-License-Identifier: BSD-2-Clause
#
# The catalogue of answers a primary may give to a callout, and what each means (DESIGN section 4,
# "What an answer to RCPT means"). One daemon, a domain and a scripted primary per case; three
# phases for all cases at once: teach the control, ask for `target`, take every primary down.
#
# Two things are asserted per case: what the daemon concluded, and what a sender to `target` is told
# once the primary is down. A 550 there for a case that isn't "invalid" would bounce good mail: that
# is promise P2.

import dataclasses
import re
import time

import pytest

from peers.loglines import fields
from peers.smtp_server import CLOSE, RESET, SILENCE, Answer, HangUp, Raw
from peers.waiting import eventually

VALID, INVALID, NO_ANSWER, CATCH_ALL = "valid", "invalid", "unknown", "catch-all"

OUTLOOK_HOST = "mx1-test.mail.protection.outlook.com"
OUTLOOK_REPLY = "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [X.prod.test]"


@dataclasses.dataclass
class Case:
    name: str
    answer: object              # the step for RCPT TO:<target@...>
    expected: str               # what is known of the target afterwards
    control: bool = True        # a valid recipient of the domain is known
    change: dict = dataclasses.field(default_factory=dict)  # other steps while the target is asked
    control_now: object = None  # the control's answer by then, if it changed
    start: dict = dataclasses.field(default_factory=dict)   # the server's script from the start
    host: str = None            # name of the primary
    code: str = None            # expected in the log line, if it is the answer's own

    @property
    def domain(self):
        return self.name + ".test"

    @property
    def target(self):
        return "target@" + self.domain


CASES = [
    # -- accepted
    Case("ok", "250 2.1.5 Ok", VALID, code="250"),
    Case("ok-bare", "250", VALID),
    Case("ok-forward", "251 User not local; will forward", VALID, code="251"),
    Case("ok-cannot-verify", "252 2.0.0 cannot VRFY user", VALID, code="252"),
    Case("ok-misleading-text", "250 2.1.5 user unknown here, but accepted", VALID),
    Case("ok-without-control", "250 2.1.5 Ok", VALID, control=False),
    Case("mailbox-full", "552 5.2.2 mailbox full", VALID, code="552"),
    Case("mailbox-full-now", "452 4.2.2 mailbox full", VALID, code="452"),
    Case("mailbox-full-550", "550 5.2.2 over quota, user unknown to have space", VALID),

    # -- refused, confirmed by a control
    Case("unknown-postfix", "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in "
                            "virtual mailbox table", INVALID, code="550"),
    Case("unknown-gmail", "550-5.1.1 The email account that you tried to reach does not exist.\n"
                          "550-5.1.1 Please try double-checking the address\n"
                          "550 5.1.1 https://support.example/mail - gsmtp", INVALID),
    Case("unknown-5-1-6", "550 5.1.6 mailbox has moved", INVALID),
    Case("unknown-exchange", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", INVALID),
    Case("unknown-553", "553 5.1.1 no", INVALID, code="553"),
    Case("unknown-551", "551 5.1.6 gone", INVALID),
    Case("unknown-554", "554 5.1.1 no", INVALID, code="554"),
    Case("unknown-qmail", "550 sorry, no mailbox here by that name. (#5.1.1)", INVALID),
    Case("unknown-554-qmail", "554 rejected (#5.1.1)", INVALID),
    Case("unknown-phrase", "550 No such user here", INVALID),
    Case("unknown-phrase-upper", "550 UNKNOWN USER", INVALID),
    Case("unknown-phrase-554", "554 delivery error: dd This user account does not exist", INVALID),
    Case("unknown-phrase-exim", "550 Unrouteable address", INVALID),
    Case("unknown-phrase-unavailable", "550 Requested action not taken: mailbox unavailable",
         INVALID),
    Case("unknown-code-against-words", "550 5.1.1 relay spam policy denied", INVALID),
    Case("bare-550", "550", INVALID),
    Case("bare-550-text", "550 No", INVALID),
    Case("bare-551", "551 User not local", INVALID),
    Case("bare-553", "553 sorry", INVALID),
    Case("last-line-decides", "550-5.7.1 some prose\n550 5.1.1 no", INVALID),
    Case("outlook", OUTLOOK_REPLY, INVALID, host=OUTLOOK_HOST),

    # -- refused, but not (or not surely) because of the mailbox
    Case("policy-code", "550 5.7.1 user unknown", NO_ANSWER),
    Case("policy-dnsbl", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
                         "dnsbl.test", NO_ANSWER),
    Case("policy-sender", "550 5.1.8 sender unknown user", NO_ANSWER),
    Case("policy-5-1-0", "550 5.1.0 address rejected", NO_ANSWER),
    Case("policy-5-4-1", OUTLOOK_REPLY, NO_ANSWER),
    Case("policy-relay", "550 relay not permitted", NO_ANSWER),
    Case("policy-relaying-554", "554 Relay access denied", NO_ANSWER),
    Case("policy-spam", "550 looks like spam", NO_ANSWER),
    Case("policy-blacklist", "550 you are on our blacklist", NO_ANSWER),
    Case("policy-blocked", "553 Blocked", NO_ANSWER),
    Case("policy-sender-bare", "550 Sender verify failed", NO_ANSWER),
    Case("policy-denied", "551 denied", NO_ANSWER),
    Case("policy-last-line", "550-5.1.1 prose\n550 5.7.1 access denied", NO_ANSWER),
    Case("bare-554", "554 no", NO_ANSWER),
    Case("other-code-552", "552 5.1.1 user unknown", NO_ANSWER),
    Case("other-code-550-phrase-550-only", "552 user unknown", NO_ANSWER),
    Case("other-code-500", "500 5.5.2 Error: command not recognized", NO_ANSWER),
    Case("other-code-501", "501 5.1.3 Bad recipient address syntax", NO_ANSWER),
    Case("other-code-503", "503 5.5.1 Error: need MAIL command", NO_ANSWER),
    Case("other-code-555", "555 5.5.4 unsupported", NO_ANSWER),
    Case("enhanced-class-differs", "550 4.1.1 user unknown", NO_ANSWER),
    Case("enhanced-class-success", "550 2.1.5 user unknown", NO_ANSWER),
    Case("enhanced-near-miss", "550 5.1.11 user unknown", NO_ANSWER),
    Case("enhanced-near-miss-16", "550 5.1.16 user unknown", NO_ANSWER),
    Case("outlook-lookalike", OUTLOOK_REPLY, NO_ANSWER,
         host="mx1.mail.protection.outlook.com.lookalike.test"),
    Case("outlook-lookalike-prefix", OUTLOOK_REPLY, NO_ANSWER,
         host="evilmail.protection.outlook.com"),

    # -- not now
    Case("greylisted", "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted", NO_ANSWER),
    Case("greylisted-451", "451 4.7.1 Greylisting in action, please come back later", NO_ANSWER),
    Case("unknown-but-4xx", "450 4.1.1 <{rcpt}>: user unknown", NO_ANSWER),
    Case("rate-limited", "452 4.5.3 too many recipients", NO_ANSWER),
    Case("mailbox-busy", "450 4.2.1 mailbox unavailable", NO_ANSWER),
    Case("hangup-421", HangUp("421 4.7.0 too many errors"), NO_ANSWER),
    Case("hangup-421-unknown", HangUp("421 5.1.1 user unknown"), NO_ANSWER),

    # -- nothing, or nothing that can be understood
    Case("silence", SILENCE, NO_ANSWER),
    Case("reset", RESET, NO_ANSWER),
    Case("close", CLOSE, NO_ANSWER),
    Case("drip", Answer("550 5.1.1 user unknown user unknown", drip=0.2), NO_ANSWER),
    Case("late", Answer("550 5.1.1 user unknown", delay=4), NO_ANSWER),
    Case("cut-off", Raw(b"550 5.1.1 user unkn"), NO_ANSWER),
    Case("cut-off-multiline", Raw(b"550-5.1.1 user unknown\r\n"), NO_ANSWER),
    Case("cut-off-closed", Raw(b"550 5.1.1 user unknown", close=True), NO_ANSWER),
    Case("garbage", Raw(b"\xff\xfe\x00garbage\r\n"), NO_ANSWER),
    Case("garbage-code", Raw(b"55x 5.1.1 user unknown\r\n"), NO_ANSWER),
    Case("garbage-four-digits", Raw(b"5500 5.1.1 user unknown\r\n"), NO_ANSWER),
    Case("garbage-codes-differ", Raw(b"550-5.1.1 user unknown\r\n250 ok\r\n"), NO_ANSWER),
    Case("garbage-overlong", Raw(b"550 5.1.1 " + b"x" * 400000 + b"\r\n"), NO_ANSWER),
    Case("control-characters", Raw(b"550 5.1.1 \x1b[31muser\x07 \"unknown\"\x7f id=forged "
                                   b"\xc3\xa4\r\n"), INVALID),
    Case("intermediate", "354 go ahead", NO_ANSWER),

    # -- trouble that is about us: never the recipient's fault
    Case("mail-refused", "250 ok", NO_ANSWER,
         change=dict(mail="550 5.7.1 null sender not accepted, user unknown")),
    Case("mail-refused-5-1-1", "550 5.1.1 no", NO_ANSWER, change=dict(mail="550 5.1.1 no")),
    Case("mail-4xx", "250 ok", NO_ANSWER, change=dict(mail="451 4.7.1 try later")),
    Case("mail-silent", "250 ok", NO_ANSWER, change=dict(mail=SILENCE)),
    Case("mail-reset", "250 ok", NO_ANSWER, change=dict(mail=RESET)),
    Case("mail-hangup", "250 ok", NO_ANSWER, change=dict(mail=HangUp("421 4.3.2 bye"))),
    Case("mail-garbage", "250 ok", NO_ANSWER, change=dict(mail=Raw(b"huh\r\n"))),
    Case("refuses-us-all", "550 5.1.1 user unknown", NO_ANSWER,
         control_now="550 5.1.1 user unknown"),
    Case("refuses-us-all-policy", "550 5.1.1 user unknown", NO_ANSWER,
         control_now="554 5.7.1 go away"),
    Case("greylists-control", "550 5.1.1 user unknown", NO_ANSWER,
         control_now="450 4.2.0 greylisted"),
    Case("greylists-control-bare", "550 No such user", NO_ANSWER,
         control_now="451 4.7.1 greylisted"),
    Case("hangs-on-control", "550 5.1.1 user unknown", NO_ANSWER, control_now=SILENCE),
    Case("resets-on-control", "550 No such user", NO_ANSWER, control_now=RESET),

    # -- no control is known yet: only an enhanced code of the mailbox counts
    Case("bare-without-control", "550", NO_ANSWER, control=False),
    Case("phrase-without-control", "550 No such user", NO_ANSWER, control=False),
    Case("code-without-control", "550 5.1.1 user unknown", INVALID, control=False),
    Case("qmail-without-control", "550 no mailbox (#5.1.1)", INVALID, control=False),
    Case("policy-without-control", "550 5.7.1 user unknown", NO_ANSWER, control=False),
    Case("outlook-without-control", OUTLOOK_REPLY, NO_ANSWER, control=False,
         host="mx2-test.mail.protection.outlook.com"),

    # -- catch-all and the invented recipient
    Case("catch-all", "250 2.1.5 ok", CATCH_ALL, control=False,
         start=dict(other_recipients="250 2.1.5 ok")),
    Case("greylists-invented", "250 2.1.5 ok", VALID, control=False,
         start=dict(other_recipients="450 4.2.0 greylisted")),
    Case("policy-on-invented", "250 2.1.5 ok", VALID, control=False,
         start=dict(other_recipients="554 5.7.1 spam")),

    # -- TLS: under `may` what fails is tried again in plain
    Case("tls-good", "550 5.1.1 user unknown", INVALID, start=dict(offer_starttls=True)),
    Case("tls-454", "250 ok", VALID,
         start=dict(offer_starttls=True, starttls="454 4.7.0 TLS not available")),
    Case("tls-502", "550 5.1.1 user unknown", INVALID,
         start=dict(offer_starttls=True, starttls="502 5.5.1 what")),
    Case("tls-broken", "250 ok", VALID,
         start=dict(offer_starttls=True,
                    tls_handshake=Raw(b"550 5.1.1 user unknown\r\n" * 9, delay=0.3))),
    Case("tls-reset", "550 5.1.1 user unknown", INVALID,
         start=dict(offer_starttls=True, tls_handshake=RESET)),
    Case("tls-closed", "250 ok", VALID, start=dict(offer_starttls=True, tls_handshake=CLOSE)),
    Case("tls-injected", "250 2.1.5 ok", NO_ANSWER, control=False,
         # Answers that came in plain together with the 220 must not be taken for answers through
         # TLS.
         start=dict(offer_starttls=True,
                    starttls=Raw(b"220 go\r\n250 x\r\n250 ok\r\n" + b"550 5.1.1 no\r\n" * 2))),

    # -- without the conveniences
    Case("no-pipelining", "550 5.1.1 user unknown", INVALID, start=dict(pipelining=False)),
    Case("helo-only", "550 5.1.1 user unknown", INVALID, start=dict(ehlo="502 5.5.1 what")),
    Case("drops-pipelined-input", "250 ok", VALID,
         start=dict(pipelining=False, discards_pipelined=True)),
]
BY_NAME = {case.name: case for case in CASES}


@dataclasses.dataclass
class Outcome:
    line: dict                  # fields of the target's `callout:` line, None if there was none
    up: dict                    # explain while the primary is up
    down: dict                  # explain once it is down
    reply: object               # milter reply once it is down
    sessions: list              # what the server saw while the target was asked


@pytest.fixture(scope="module")
def outcomes(module_lab, authority):
    lab = module_lab
    certificate = authority.issue("mx1.test")
    servers = {}
    for case in CASES:
        script = dict(case.start)
        if script.get("offer_starttls"):
            script["certificate"] = certificate
        recipients = {"control": "250 2.1.5 ok", "target": "451 4.3.0 not yet"}
        host = case.host or "mx1." + case.domain
        server = servers[case.name] = lab.server(host, recipients=recipients, **script)
        lab.dns.mx(case.domain, (10, host), (20, "mx2.example.net"))
    # Long enough for an answer that takes a while, short against the hanging ones. Without
    # canaries: a primary that refuses its control would be found sick, which is another story.
    daemon = lab.daemon({"probe": {"fall": 100, "timeout": "3s", "canary": "none"}},
                        domains=[case.domain for case in CASES])

    def states():
        return {d["domain"]: d["state"] for d in daemon.status()["domains"]}

    eventually(lambda: all(states().get(c.domain) == "up" for c in CASES), 20,
               lambda: [c.name for c in CASES if states().get(c.domain) != "up"])

    milter = daemon.milter()

    def ask(local, cases, client):
        """A stranger's RCPT makes the daemon ask in the background (row 10)."""
        with milter.connect(client=client, name=None) as session:
            for case in cases:
                session.message("<sender@example.org>", ["<%s@%s>" % (local, case.domain)],
                                stop_after_rcpt=True)

    def answered(local, cases, deadline, since):
        """The callout lines of these cases, by case name; waits until all are there."""
        pattern = re.compile(r" callout: recipient=<%s@([a-z0-9-]+)\.test> " % local)
        found = {}

        def look():
            for _, text in daemon.log.lines[since:]:
                match = pattern.search(text)
                if match:
                    found.setdefault(match.group(1), fields(text))
            return all(case.name in found for case in cases)
        try:
            eventually(look, deadline, pause=0.1)
        except AssertionError:
            pass
        return found

    with_control = [case for case in CASES if case.control]
    mark = daemon.mark()
    ask("control", with_control, "198.51.100.1")
    taught = answered("control", with_control, 20, mark)
    missing = [c.name for c in with_control if taught.get(c.name, {}).get("verdict") != "valid"]
    assert not missing, "control not learned for %s: %r" % (missing, taught)

    for case in CASES:
        server = servers[case.name]
        server.script.recipients["target"] = case.answer
        if case.control_now is not None:
            server.script.recipients["control"] = case.control_now
        server.change(**case.change)
        server.reset_connections()      # the session that taught the control is still open
        server.forget()
    mark = daemon.mark()
    ask("target", CASES, "198.51.101.1")
    lines = answered("target", CASES, 30, mark)
    time.sleep(0.5)                     # what is written behind
    up = {case.name: daemon.explain(case.target) for case in CASES}
    sessions = {case.name: list(servers[case.name].sessions) for case in CASES}

    # `fall = 100` kept the broken ones up until here
    daemon.change_ini({"probe": {"fall": 1}})
    daemon.hup()
    daemon.wait_for_log(r"reload", 5, mark)
    for server in servers.values():
        server.stop()
    eventually(lambda: all(states()[c.domain] == "down" for c in CASES), 20,
               lambda: [c.name for c in CASES if states()[c.domain] != "down"])
    down, replies = {}, {}
    with milter.connect(client="198.51.102.1", name=None) as session:
        for case in CASES:
            down[case.name] = daemon.explain(case.target)
            result = session.message("<sender@example.org>", ["<%s>" % case.target],
                                     stop_after_rcpt=True)
            replies[case.name] = result.replies[0]
    return {case.name: Outcome(lines.get(case.name), up[case.name], down[case.name],
                               replies[case.name], sessions[case.name]) for case in CASES}


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_meaning_of_the_answer(outcomes, case):
    outcome = outcomes[case.name]
    seen = "\n--\n".join(str(session) for session in outcome.sessions)
    assert outcome.up["recipient"] == case.expected, seen
    if case.expected != CATCH_ALL:
        assert outcome.line, "no callout line; the server saw:\n" + seen
    if outcome.line and case.expected in (VALID, INVALID):
        assert outcome.line["verdict"] == case.expected
        assert re.fullmatch(r"\[127\.\d+\.\d+\.\d+\]:\d+", outcome.line["endpoint"])
    elif outcome.line and case.expected == NO_ANSWER:
        assert outcome.line["verdict"] not in (VALID, INVALID)
    if case.code:
        assert outcome.line["code"] == case.code

    row = {VALID: 10, CATCH_ALL: 10, NO_ANSWER: 10, INVALID: 3}[case.expected]
    assert outcome.up["row"] == row


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_p2_nothing_but_a_confirmed_refusal_is_rejected_in_an_outage(outcomes, case):
    outcome = outcomes[case.name]
    if case.expected == INVALID:
        assert (outcome.reply.code, outcome.reply.xcode) == (550, "5.1.1")
        assert outcome.down["row"] == 3
    elif case.expected == NO_ANSWER:
        assert (outcome.reply.code, outcome.reply.xcode) == (451, "4.4.1")
        assert outcome.down["row"] == 7
    elif case.expected == CATCH_ALL:
        assert outcome.reply.action == "continue"
        assert outcome.down["row"] == 6
    else:
        assert outcome.reply.action == "continue"
        assert outcome.down["row"] == 5


def test_control_is_asked_in_the_same_session(outcomes):
    """A refusal counts only beside a control that was accepted in that very session."""
    for name in ("unknown-postfix", "bare-550", "unknown-phrase"):
        sessions = [s for s in outcomes[name].sessions if "target@%s.test" % name in s.rcpts]
        assert sessions
        assert all("control@%s.test" % name in s.rcpts for s in sessions), name


def test_tls_is_used_where_it_works(outcomes):
    asked = [s for s in outcomes["tls-good"].sessions if s.rcpts]
    assert asked and all(s.tls for s in asked)


@pytest.mark.parametrize("name", ["tls-454", "tls-broken", "tls-reset", "tls-closed"])
def test_broken_tls_is_tried_again_in_plain(outcomes, name):
    asked = [s for s in outcomes[name].sessions if "target@%s.test" % name in s.rcpts]
    assert asked and not any(s.tls for s in asked)


def test_callouts_never_send_mail(outcomes):
    for outcome in outcomes.values():
        for session in outcome.sessions:
            assert "DATA" not in session.commands and "BDAT" not in session.commands
            assert all(argument.upper().startswith("FROM:<>") for argument in session.mail_from)
            assert "VRFY" not in session.commands and "EXPN" not in session.commands


def test_foreign_text_in_the_log_is_printable(outcomes):
    """A reply with escape sequences and quotes stays one harmless line."""
    line = outcomes["control-characters"].line
    assert line["verdict"] == INVALID
    assert "id" not in line


# -- a primary that has lost its users

def test_a_sick_primary_is_asked_and_only_believed_when_it_accepts(lab):
    server = lab.primary("sick.test", recipients={"alice": "250 ok", "bob": "250 ok"})
    daemon = lab.daemon({"probe": {"canary_interval": "4s"}}, domains=["sick.test"])
    daemon.learn("alice@sick.test", "bob@sick.test")
    server.script.recipients = {}
    daemon.wait_for_state("sick.test", "sick", 20)
    server.script.recipients = {"dora": "250 ok"}
    for name, verdict in (("nobody", "none"), ("dora", "valid")):
        mark = daemon.mark()
        reply = daemon.milter().rcpt("<%s@sick.test>" % name, client="198.51.100.1", name=None)
        assert (reply.code, reply.xcode) == (451, "4.3.0")
        daemon.wait_for_log(r"callout: recipient=<%s@sick\.test> verdict=%s" % (name, verdict), 10,
                            mark)
    assert daemon.explain("nobody@sick.test")["recipient"] == "unknown"
    assert daemon.explain("dora@sick.test")["recipient"] == "valid"
    assert not daemon.log_lines(r"<nobody@sick\.test> verdict=invalid")
