# SPDX-License-Identifier: BSD-2-Clause
#
# The catalogue of a primary's failures: no failure leaves a false "no such user" (promise P2), and
# none makes a known recipient a stranger (P1).
#
# Each case is a domain with a primary of its own. All four people of a domain exist at the primary:
# alice and carol are known valid before anything happens, bob and bella are not known yet. Then the
# failure begins. alice is asked about again (she wants a refresh), bob for the first time in the
# background, bella for the first time in line (row 9), while carol is what a control is made of.
# Then the primary goes down for good, and the daemon is killed and started again. Whatever the
# failure was: alice is welcome, bob and bella are deferred and never refused.
#
# All cases of one daemon go through these phases together.

import concurrent.futures
import contextlib
import dataclasses
import re

import pytest

from peers.loglines import fields
from peers.smtp_server import CLOSE, RESET, SILENCE, Answer, HangUp, Raw
from peers.waiting import eventually

VALID, UNKNOWN, CATCH_ALL = "valid", "unknown", "catch-all"
OUR_NAME = "mx2.example.net"
STRANGER = "198.51.100.1"
PEER_NAME, PEER = "mx3.example.net", "198.51.100.30"    # a worse MX: who comes from there is row 9
PEOPLE = ("alice", "bob", "bella", "carol")
HEALTHY = "250 2.1.5 ok"
NOBODY = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table"


@dataclasses.dataclass
class Case:
    name: str
    change: dict = dataclasses.field(default_factory=dict)  # steps of the primary from now on
    asked: object = None        # answer to alice, bob and bella; the primary still takes carol
    act: object = None          # act(lab, server, domain): what else happens
    start: dict = dataclasses.field(default_factory=dict)   # the primary's script from the start
    alice: tuple = (VALID,)     # what may be known of her, and of the other two
    others: tuple = (UNKNOWN,)
    bob: str = "bob"            # his local part
    carol: bool = True          # is there anybody but alice for a control?

    @property
    def domain(self):
        return self.name + ".test"

    def address(self, who):
        return "%s@%s" % (self.bob if who == "bob" else who, self.domain)

    def may_be(self, who):
        return self.alice if who == "alice" else self.others


EITHER = (UNKNOWN, VALID)       # both are true: he does exist


# -- behaviours that take more than one step

def stopped(_lab, server, _domain):
    server.stop()


def blackhole(lab, server, _domain):
    server.stop()
    lab.blackhole(server.address)


def zone_fails(fault):
    def act(lab, _server, domain):
        lab.dns.fail(domain, fault)
        lab.dns.fail("mx1." + domain, fault)
    return act


def zone_is_empty(lab, _server, domain):
    lab.dns.remove(domain)
    lab.dns.remove("mx1." + domain)


def another_address(lab, _server, domain):
    """The name leads to a host now that knows none of the domain's users."""
    lab.server("mx1." + domain, other_recipients=NOBODY)


def another_exchanger(lab, _server, domain):
    """A new host has taken over, and wasn't told of the domain."""
    lab.server("mx9." + domain, other_recipients="554 5.7.1 <{rcpt}>: Relay access denied")
    lab.dns.mx(domain, (10, "mx9." + domain), (20, OUR_NAME), (30, PEER_NAME))


def restarted_in_the_middle(session, _rcpt):
    """The process is killed under the session and is back at once."""
    session.server.stop()
    session.server.start()
    return RESET


def refuses_from(number, reply):
    """A session's first RCPTs are answered well."""
    return lambda session, rcpt: reply if len(session.rcpts) >= number else healthy(rcpt)


def healthy(rcpt):
    local = rcpt.partition("@")[0]
    return HEALTHY if local in PEOPLE else NOBODY


def twice(first, second, gap=b""):
    """Two replies where there should be one."""
    return Raw(b"%s\r\n%s%s\r\n" % (first, gap, second))


def doubled(_session, rcpt):
    """Each reply to RCPT comes twice: from then on answers and questions don't belong together."""
    line = healthy(rcpt).replace("{rcpt}", rcpt).encode()
    return twice(line, line)


def with_a_former_answer(_session, rcpt):
    """Behind each answer comes one that says "no such user", as of another question."""
    return twice(healthy(rcpt).replace("{rcpt}", rcpt).encode(), b"550 5.1.1 no such user")


TLS = dict(offer_starttls=True)

CASES = [
    # -- connecting
    Case("connect-refused", act=stopped),
    Case("connect-timeout", act=blackhole),
    Case("connect-reset", dict(accept=RESET)),
    Case("connect-closed", dict(accept=CLOSE)),
    Case("connect-silent", dict(banner=SILENCE)),

    # -- the banner
    Case("banner-421", dict(banner=HangUp("421 4.3.2 {name} Service not available"))),
    Case("banner-450", dict(banner="450 4.7.1 too many connections from you")),
    Case("banner-554", dict(banner=HangUp("554 5.7.1 {name} no mail service for you"))),
    Case("banner-550-user", dict(banner="550 5.1.1 user unknown")),
    Case("banner-then-reset", dict(banner=Raw(b"220 mx1.test ESMTP\r\n", reset=True))),
    Case("banner-dripping", dict(banner=Answer("220 {name} ESMTP, one byte at a time", drip=0.2))),
    Case("banner-garbage", dict(banner=Raw(b"what do you want?\r\n"))),
    Case("banner-binary", dict(banner=Raw(b"\x00\x16\x03\x01\xff\xfe\r\n"))),
    Case("banner-overlong", dict(banner=Raw(b"220 " + b"x" * 100000 + b"\r\n"))),
    Case("banner-many-lines", dict(banner=Raw(b"220-and so on\r\n" * 5000))),
    Case("banner-half-a-line", dict(banner=Raw(b"220 mx1.te", close=True))),
    Case("banner-mixed-codes", dict(banner=Raw(b"220-mx1.test\r\n554 no\r\n"))),
    Case("banner-354", dict(banner="354 go ahead")),
    Case("banner-250", dict(banner="250 {name}"), others=EITHER),
    Case("banner-without-text", dict(banner=Raw(b"220\r\n")), others=(VALID,)),
    Case("banner-lower-case", dict(banner=Raw(b"220 mx1.test esmtp\n")), others=(VALID,)),

    # -- EHLO
    Case("ehlo-421", dict(ehlo=HangUp("421 4.3.2 shutting down"))),
    Case("ehlo-450", dict(ehlo="450 4.3.2 not now")),
    Case("ehlo-502-helo-ok", dict(ehlo="502 5.5.2 what"), others=(VALID,)),
    Case("ehlo-5xx-both", dict(ehlo="550 5.7.1 no", helo="550 5.7.1 no")),
    Case("ehlo-5xx-user", dict(ehlo="550 5.1.1 user unknown", helo="550 5.1.1 user unknown")),
    Case("ehlo-garbage", dict(ehlo=Raw(b"\xff\xfe yes?\r\n"))),
    Case("ehlo-hangs", dict(ehlo=SILENCE)),
    Case("ehlo-half", dict(ehlo=Raw(b"250-mx1.test\r\n250-PIPELI"))),
    Case("ehlo-closed", dict(ehlo=CLOSE)),
    Case("ehlo-reset", dict(ehlo=RESET)),

    # -- STARTTLS, with callout_tls = may
    Case("tls-454", dict(starttls="454 4.7.0 TLS not available due to local problem"), start=TLS,
         others=(VALID,)),
    Case("tls-501", dict(starttls="501 5.5.4 Syntax error"), start=TLS, others=(VALID,)),
    Case("tls-closed", dict(tls_handshake=CLOSE), start=TLS, others=(VALID,)),
    Case("tls-garbage", dict(tls_handshake=Raw(b"550 5.1.1 user unknown\r\n" * 50, delay=0.3)),
         start=TLS, others=(VALID,)),
    Case("tls-hangs", dict(tls_handshake=SILENCE), start=TLS, others=EITHER),
    Case("tls-expired", dict(certificate="expired"), start=TLS, others=(VALID,)),
    Case("tls-other-name", dict(certificate="other-name"), start=TLS, others=(VALID,)),
    Case("tls-self-signed", dict(certificate="self-signed"), start=TLS, others=(VALID,)),
    Case("tls-injected", dict(starttls=Raw(b"220 go\r\n250 x\r\n250 ok\r\n550 5.1.1 no\r\n")),
         start=TLS, others=EITHER),

    # -- MAIL: it is about us, whatever it says
    Case("mail-421", dict(mail=HangUp("421 4.7.0 too much mail from you"))),
    Case("mail-451", dict(mail="451 4.7.1 try again later")),
    Case("mail-452", dict(mail="452 4.3.1 Insufficient system storage")),
    Case("mail-550-null-sender", dict(mail="550 5.7.1 null sender not accepted here")),
    Case("mail-550-user", dict(mail="550 5.1.1 user unknown")),
    Case("mail-553", dict(mail="553 5.1.8 <>... Domain of sender address does not exist")),
    Case("mail-501", dict(mail="501 5.1.7 Bad sender address syntax")),
    Case("mail-530", dict(mail="530 5.7.0 Must issue a STARTTLS command first")),
    Case("mail-hangs", dict(mail=SILENCE)),
    Case("mail-closed", dict(mail=CLOSE)),
    # the RCPT behind it is refused as well, as by a host that has no transaction
    Case("mail-550-rcpt-550", dict(mail="550 5.7.1 no", rcpt="550 5.1.1 no valid sender")),
    Case("mail-451-rcpt-503", dict(mail="451 4.7.1 later", rcpt="503 5.5.1 need MAIL command")),

    # -- RCPT: not now
    Case("rcpt-421", asked=HangUp("421 4.3.2 shutting down")),
    Case("rcpt-421-user", asked=HangUp("421 5.1.1 user unknown")),
    Case("rcpt-450-greylisted", asked="450 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted"),
    Case("rcpt-450-greylists-all", dict(rcpt="450 4.7.1 Greylisted, come back in 300 seconds")),
    Case("rcpt-451-local", asked="451 4.3.0 <{rcpt}>: Temporary lookup failure"),
    Case("rcpt-451-dns", asked="451 4.4.3 Temporary server error. Directory lookup failure"),
    Case("rcpt-452-full", asked="452 4.2.2 <{rcpt}>: mailbox full", others=(VALID,)),
    Case("rcpt-452-too-many", asked="452 4.5.3 Error: too many recipients"),
    Case("rcpt-450-unverified", asked="450 4.1.1 <{rcpt}>: Recipient address rejected: unverified "
                                      "address: Address verification in progress"),
    Case("rcpt-450-5-1-1", asked="450 5.1.1 user unknown"),
    Case("rcpt-450-user-unknown", asked="450 <{rcpt}>: User unknown in local recipient table"),

    # -- RCPT: refused, but not for want of a mailbox
    Case("rcpt-550-relay", asked="550 5.7.1 <{rcpt}>... Relaying denied"),
    Case("rcpt-554-relay", asked="554 5.7.1 <{rcpt}>: Relay access denied"),
    Case("rcpt-550-relay-bare", asked="550 relay not permitted"),
    Case("rcpt-550-dnsbl", asked="550 5.7.1 Service unavailable; client [192.0.2.7] blocked using "
                                 "bl.test: no such user should send"),
    Case("rcpt-550-spf", asked="550 5.7.23 SPF validation failed: user unknown to the policy"),
    Case("rcpt-554-client-host", asked="554 5.7.1 <unknown[192.0.2.7]>: Client host rejected"),
    Case("rcpt-550-sender", asked="550 5.1.8 <>: Sender address rejected: user unknown"),
    Case("rcpt-553-sender", asked="553 5.1.8 <>... Domain of sender does not exist"),
    Case("rcpt-550-sender-verify", asked="550-Verification failed for <>\n550-No such user here\n"
                                         "550 Sender verify failed"),
    Case("rcpt-550-5-4-1", asked="550 5.4.1 Recipient address rejected: Access denied."),
    Case("rcpt-550-disabled", asked="550 5.2.1 <{rcpt}>: this mailbox has been disabled"),
    Case("rcpt-552-full", asked="552 5.2.2 <{rcpt}>: Quota exceeded", others=(VALID,)),
    Case("rcpt-550-full", asked="550 5.2.2 <{rcpt}>: user unknown to have space", others=(VALID,)),
    Case("rcpt-550-class-4", asked="550 4.1.1 user unknown"),
    Case("rcpt-503-sequence", asked="503 5.5.1 Error: need MAIL command, no such user"),
    Case("rcpt-500", asked="500 5.5.2 Error: command not recognized"),
    Case("rcpt-530-tls", asked="530 5.7.0 Must issue a STARTTLS command first"),
    Case("rcpt-554-bare", asked="554 Transaction failed"),
    Case("rcpt-last-line-policy", asked="550-5.1.1 user unknown\n550 5.7.1 by local policy"),

    # -- RCPT: the primary refuses everybody, so that no control is accepted
    Case("users-vanished", dict(rcpt="550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown "
                                     "in virtual mailbox table")),
    Case("users-vanished-one-known", dict(rcpt=NOBODY), carol=False),
    Case("users-vanished-5-1-10", dict(rcpt="550 5.1.10 RESOLVER.ADR.RecipientNotFound")),
    Case("users-vanished-words", dict(rcpt="550 No such user here")),
    Case("users-vanished-words-one-known", dict(rcpt="550 No such user here"), carol=False),
    Case("users-vanished-bare", dict(rcpt="550")),
    Case("users-vanished-no-pipelining", dict(rcpt=NOBODY, pipelining=False)),
    Case("control-451", dict(rcpt=lambda s, r: "451 4.3.0 later" if "carol" in r or "alice" in r
                             else NOBODY)),
    Case("control-421", dict(rcpt=lambda s, r: HangUp("421 4.7.0 bye")
                             if "carol" in r or "alice" in r else NOBODY)),
    Case("control-hangs", dict(rcpt=lambda s, r: SILENCE if "carol" in r or "alice" in r
                               else NOBODY)),
    Case("control-full", dict(rcpt=lambda s, r: "452 4.2.2 full" if "carol" in r or "alice" in r
                              else NOBODY)),
    # everybody but postmaster
    Case("users-vanished-but-roles", dict(rcpt=lambda s, r: HEALTHY if "postmaster" in r
                                          else NOBODY)),

    # -- RCPT: accepted, in one way or other
    Case("turned-catch-all", dict(rcpt=HEALTHY), alice=(VALID, CATCH_ALL),
         others=(VALID, CATCH_ALL)),
    Case("rcpt-252", asked="252 2.0.0 cannot verify", others=(VALID,)),
    Case("rcpt-251", asked="251 2.1.5 User not local; will forward", others=(VALID,)),
    Case("rcpt-200", asked="200 ok", others=(VALID,)),
    Case("rcpt-250-misleading", asked="250 5.1.1 user unknown", others=(VALID,)),

    # -- RCPT: no answer that can be understood
    Case("rcpt-354", asked="354 End data with <CR><LF>.<CR><LF>"),
    Case("rcpt-999", asked=Raw(b"999 5.1.1 user unknown\r\n")),
    Case("rcpt-000", asked=Raw(b"000 5.1.1 user unknown\r\n")),
    Case("rcpt-hangs", asked=SILENCE),
    Case("rcpt-closed", asked=CLOSE),
    Case("rcpt-reset", asked=RESET),
    Case("rcpt-cut-off", asked=Raw(b"550 5.1.1 user unkn", close=True)),
    Case("rcpt-cut-off-lines", asked=Raw(b"550-5.1.1 user unknown\r\n", close=True)),
    Case("rcpt-mixed-codes", asked=Raw(b"550-5.1.1 user unknown\r\n450 4.7.1 greylisted\r\n")),
    Case("rcpt-nul", asked=Raw(b"550 5.1.1 user\x00 unknown\r\n")),
    Case("rcpt-100-kb", asked=Raw(b"550 5.1.1 " + b"x" * 100000 + b"\r\n")),
    Case("rcpt-100-kb-lines",
         asked=Raw(b"550-5.1.1 user unknown\r\n" * 4000 + b"550 5.1.1 no\r\n")),
    Case("rcpt-8-bit-policy", asked=Raw(b"550 5.7.1 \xfc\xe4\xff user unknown\r\n")),
    Case("rcpt-8-bit-ok", asked=Raw(b"250 2.1.5 \xfc\xe4\xff\r\n"), others=(VALID,)),
    Case("rcpt-short-of-one", dict(rcpt=Raw(b"")), others=EITHER),

    # -- answers and questions that don't belong together
    Case("replies-doubled", dict(rcpt=doubled), others=EITHER),
    Case("replies-doubled-no-pipelining", dict(rcpt=doubled, pipelining=False), others=EITHER),
    Case("replies-of-another", dict(rcpt=with_a_former_answer), others=EITHER),
    Case("replies-of-another-first",
         dict(rcpt=lambda s, r: twice(b"550 5.1.1 no such user", healthy(r).encode())),
         others=EITHER),
    Case("replies-unsolicited", asked=twice(b"250 2.1.5 ok", b"421 4.4.2 idle too long"),
         others=EITHER),
    Case("mail-replies-twice", dict(mail=twice(b"250 2.1.0 ok", b"550 5.1.1 no such user")),
         others=EITHER),
    Case("mail-replies-twice-slowly", dict(mail=twice(b"250 2.1.0 ok", b"550 5.1.1 no such user"),
                                           slow=0.1), others=EITHER),

    # -- between RCPT and the next one
    Case("rset-421", dict(rset=HangUp("421 4.4.2 timeout")), others=EITHER),
    Case("rset-500", dict(rset="500 5.5.2 what"), others=EITHER),
    Case("rset-550", dict(rset="550 5.1.1 user unknown"), others=EITHER),
    Case("rset-lost", dict(rset=RESET), others=EITHER),
    Case("rset-hangs", dict(rset=SILENCE), others=EITHER),
    Case("rset-lost-users-vanished", dict(rset=CLOSE, rcpt=NOBODY)),
    Case("quit-hangs", dict(quit=SILENCE), others=(VALID,)),

    # -- the whole host
    Case("restarts", asked=restarted_in_the_middle),
    Case("rate-limit", dict(rcpt=refuses_from(2, HangUp("421 4.7.0 too many recipients"))),
         others=EITHER),
    Case("rate-limit-550", dict(rcpt=refuses_from(2, "550 5.7.1 too many recipients")),
         others=EITHER),
    Case("hangs-up-after-refusals", dict(hang_up_after_refusals=1), others=EITHER),
    Case("tarpit", dict(slow=0.4), others=EITHER),
    Case("tarpit-too-slow", dict(slow=3.0)),
    Case("dns-servfail", act=zone_fails("SERVFAIL"), others=EITHER),
    Case("dns-silent", act=zone_fails("SILENCE"), others=EITHER),
    Case("dns-garbage", act=zone_fails("GARBAGE"), others=EITHER),
    Case("dns-empty", act=zone_is_empty, others=EITHER),
    Case("another-address", act=another_address, others=EITHER),
    Case("another-exchanger", act=another_exchanger, others=EITHER),
    Case("no-smtputf8", bob="j\u00f6rg", others=EITHER),
]

# With callout_tls = verify, a primary whose certificate is bad can't be asked at all.
VERIFIED = [
    Case("verify-good", start=TLS, others=(VALID,)),
    Case("verify-expired", dict(certificate="expired"), start=TLS),
    Case("verify-other-name", dict(certificate="other-name"), start=TLS),
    Case("verify-self-signed", dict(certificate="self-signed"), start=TLS),
    Case("verify-not-offered", dict(offer_starttls=False), start=TLS),
    Case("verify-454", dict(starttls="454 4.7.0 TLS not available"), start=TLS),
    Case("verify-closed", dict(tls_handshake=CLOSE), start=TLS),
    Case("verify-hangs", dict(tls_handshake=SILENCE), start=TLS),
    Case("verify-injected", dict(starttls=Raw(b"220 go\r\n250 x\r\n250 ok\r\n550 5.1.1 no\r\n")),
         start=TLS),
]

# Canaries look at these as well: the domain may become `sick` over them before it goes down.
WITH_CANARIES = [dataclasses.replace(case, name="canary-" + case.name) for case in CASES
                 if case.name.startswith(("users-vanished", "control-", "mail-55", "ehlo-5xx-",
                                          "rcpt-55", "replies-", "turned-"))]


@dataclasses.dataclass
class Story:
    """What one case's people were told. By their names."""
    state: str = None                                       # of the domain while they were asked
    asked: dict = dataclasses.field(default_factory=dict)   # fields of the `callout:` line
    known: dict = dataclasses.field(default_factory=dict)   # explain, once all had been asked about
    in_line: object = None                                  # the reply to bella's sender
    down: dict = dataclasses.field(default_factory=dict)    # replies while the primary is down
    known_down: dict = dataclasses.field(default_factory=dict)
    again: dict = dataclasses.field(default_factory=dict)   # replies after a crash of the daemon
    sessions: list = dataclasses.field(default_factory=list)


class Catalogue:
    """Cases that go through their failures together, before one daemon."""

    def __init__(self, lab, authority, cases, recipients, probe, environment=None):
        self.lab = lab
        self.cases = cases
        self.stories = {case.name: Story() for case in cases}
        self.servers = {}
        self.certificates = {"expired": authority.issue("mx1.test", days=-1),
                             "other-name": authority.issue("elsewhere.example.org"),
                             "self-signed": authority.self_signed("mx1.test")}
        lab.dns.host(PEER_NAME, PEER)
        for case in cases:
            self.servers[case.name] = self.primary(case, authority)
        # As long as `fall` is out of reach, each failure is one that callouts have to meet.
        self.daemon = lab.daemon(
            {"probe": {"fall": 100, **probe}, "milter": {"max_waiting": 50},
             "recipients": {"valid_refresh": "1s", "callout_wait": "2s", **recipients}},
            domains=[case.domain for case in cases], environment=environment)

    def primary(self, case, authority):
        script = dict(case.start)
        if script.get("offer_starttls"):
            script["certificate"] = authority.issue("mx1." + case.domain)
        people = ("alice", "bella", case.bob) + (("carol",) if case.carol else ())
        server = self.lab.server("mx1." + case.domain,
                                 recipients={name: HEALTHY for name in people},
                                 other_recipients=NOBODY, **script)
        self.lab.dns.mx(case.domain, (10, "mx1." + case.domain), (20, OUR_NAME), (30, PEER_NAME))
        return server

    def states(self):
        found = {d["domain"]: d["state"] for d in self.daemon.status()["domains"]}
        return {case.name: found.get(case.domain) for case in self.cases}

    def wait_for_states(self, wanted):
        def others():
            return {name: state for name, state in self.states().items() if state != wanted}
        eventually(lambda: not others(), 30, others, pause=0.2)

    # -- senders

    def name(self, cases, people, client=STRANGER):
        """One message per case, to all of `people`. Returns their replies by case and name."""
        replies = {}
        with self.daemon.milter().connect(client=client, name=None) as session:
            for case in cases:
                result = session.message("<sender@example.org>",
                                         ["<%s>" % case.address(who) for who in people],
                                         stop_after_rcpt=True)
                replies[case.name] = dict(zip(people, result.replies))
        return replies

    def name_until_asked(self, people, deadline):
        """Strangers come again until a callout about each of these people has come to an end.

        Nobody is asked about while a domain is sick.
        """
        mark = self.daemon.mark()
        pattern = re.compile(r' callout: recipient="?<([^@]+)@([a-z0-9-]+)\.test>')
        found = {case.name: {} for case in self.cases}

        def look():
            states = self.states()
            missing = [case for case in self.cases if states[case.name] != "sick" and
                       set(people) - set(found[case.name])]
            self.name(missing, people)
            for _, line in self.daemon.log.lines[mark:]:
                match = pattern.search(line)
                if match and match.group(2) in found:
                    who = match.group(1) if match.group(1) in PEOPLE else "bob"
                    found[match.group(2)].setdefault(who, fields(line))
            return not missing
        # whoever isn't asked about in time fails in the test of that case
        with contextlib.suppress(AssertionError):
            eventually(look, deadline, pause=1.0)
        return found

    def name_in_line(self):
        """bella's senders come from a better-known host: they wait for what the primary says."""
        def one(case):
            return case.name, self.name([case], ["bella"], PEER)[case.name]["bella"]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for name, reply in pool.map(one, self.cases):
                self.stories[name].in_line = reply

    def what_is_known(self, people):
        return {case.name: {who: self.daemon.explain(case.address(who)) for who in people}
                for case in self.cases}

    # -- the phases

    def teach(self):
        self.wait_for_states("up")
        taught = self.name_until_asked(["alice", "carol"], 30)
        for case in self.cases:
            verdicts = {who: line["verdict"] for who, line in taught[case.name].items()}
            assert verdicts == {"alice": "valid", "carol": "valid" if case.carol else "invalid"}, \
                case.name

    def fail(self):
        for case in self.cases:
            server = self.servers[case.name]
            change = dict(case.change)
            if change.get("certificate") in self.certificates:
                change["certificate"] = self.certificates[change["certificate"]]
            for who in ("alice", "bob", "bella") if case.asked is not None else ():
                server.script.recipients[who] = case.asked
            server.change(**change)
            server.forget()
            server.reset_connections()
            if case.act:
                case.act(self.lab, server, case.domain)
        self.reload({"dns": {"timeout": "2s"}})         # looks everything up again

    def ask(self):
        self.name_in_line()
        asked = self.name_until_asked(["alice", "bob"], 60)
        states = self.states()
        known = self.what_is_known(["alice", "bob", "bella"])
        for case in self.cases:
            story = self.stories[case.name]
            story.state = states[case.name]
            story.asked, story.known = asked[case.name], known[case.name]
            story.sessions = list(self.servers[case.name].sessions)

    def go_down(self):
        for server in self.lab.servers:
            server.stop()
        self.reload({"probe": {"fall": 1}})
        self.wait_for_states("down")
        replies = self.name(self.cases, ["alice", "bob", "bella"])
        known = self.what_is_known(["alice", "bob", "bella"])
        for case in self.cases:
            self.stories[case.name].down = replies[case.name]
            self.stories[case.name].known_down = known[case.name]

    def crash(self):
        self.daemon.restart(crash=True)
        self.wait_for_states("down")
        for name, replies in self.name(self.cases, ["alice", "bob", "bella"]).items():
            self.stories[name].again = replies

    def reload(self, change):
        mark = self.daemon.mark()
        self.daemon.change_ini(change)
        self.daemon.hup()
        self.daemon.wait_for_log(r"reload", 10, mark)

    def run(self, sick=()):
        """`sick` are cases whose domains have to become it before they go down."""
        self.teach()
        self.fail()
        self.ask()
        eventually(lambda: all(self.states()[name] == "sick" for name in sick), 30, self.states)
        self.go_down()
        self.crash()
        self.daemon.stop()
        return self.stories


# -- what holds, whatever the failure

def check_while_up(case, story):
    for who, explained in story.known.items():
        assert explained["recipient"] in case.may_be(who), (who, explained)
        assert explained["action"] != "reject", who
    reply = story.in_line
    assert reply.accepted or 400 <= reply.code < 500, reply
    if story.known["bella"]["recipient"] == UNKNOWN:
        assert not reply.accepted, reply


def check_outage(case, replies, known):
    assert replies["alice"].accepted, replies["alice"]
    for who in ("bob", "bella"):
        if known[who]["recipient"] == UNKNOWN:
            assert (replies[who].code, replies[who].xcode) == (451, "4.4.1"), (who, replies[who])
        else:
            assert replies[who].accepted, (who, replies[who])
    for who, explained in known.items():
        assert explained["recipient"] in case.may_be(who), (who, explained)
        assert explained["row"] == {VALID: 5, CATCH_ALL: 6, UNKNOWN: 7}[explained["recipient"]]


def check(case, story):
    seen = "\n--\n".join(str(session) for session in story.sessions)
    print("callouts: %s\nthe primary saw:\n%s" % (story.asked, seen))
    assert story.state in ("up", "sick")
    assert story.state == "sick" or set(story.asked) >= {"alice", "bob"}
    # without a control a refusal of alice is noted, but nothing is made of it
    for who in ("alice", "bob") if case.carol else ("bob",):
        assert who not in story.asked or story.asked[who]["verdict"] != "invalid"
    check_while_up(case, story)
    check_outage(case, story.down, story.known_down)
    check_outage(case, story.again, story.known_down)


def by_name(cases):
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.fixture(scope="module")
def stories(module_lab, authority):
    # One session per primary: what the failure does to a question meets the next one, too.
    return Catalogue(module_lab, authority, CASES, {"callout_sessions": 1},
                     {"canary": "none"}).run()


@pytest.mark.parametrize("case", by_name(CASES))
def test_failure_leaves_no_false_invalid(stories, case):
    check(case, stories[case.name])


@pytest.fixture(scope="module")
def verified(module_lab, authority):
    return Catalogue(module_lab, authority, VERIFIED, {"callout_tls": "verify"}, {"canary": "none"},
                     {"SSL_CERT_FILE": authority.certificate}).run()


@pytest.mark.parametrize("case", by_name(VERIFIED))
def test_bad_certificate_leaves_no_false_invalid(verified, case):
    check(case, verified[case.name])


@pytest.fixture(scope="module")
def watched(module_lab, authority):
    return Catalogue(module_lab, authority, WITH_CANARIES, {}, {"canary_interval": "1s"}).run(
        sick=["canary-users-vanished", "canary-users-vanished-bare", "canary-mail-553"])


@pytest.mark.parametrize("case", by_name(WITH_CANARIES))
def test_with_canaries_no_false_invalid_either(watched, case):
    check(case, watched[case.name])


def test_the_catalogue_is_complete():
    names = [case.name for case in CASES + VERIFIED]
    assert len(names) == len(set(names))
    assert len(names) >= 40
    for stage in ("connect-", "banner-", "ehlo-", "tls-", "mail-", "rcpt-", "control-", "replies-",
                  "rset-", "dns-"):
        assert sum(name.startswith(stage) for name in names) >= 3, stage
