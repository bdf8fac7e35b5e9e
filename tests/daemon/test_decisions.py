# SPDX-License-Identifier: BSD-2-Clause
#
# The decision table of DESIGN section 5, row by row, through the milter protocol, as Postfix and as
# Sendmail speak it: replies to the letter, log lines to the letter, and strange envelopes.

import re
import socket
import struct
import threading

import pytest

from peers.loglines import fields, without_prefix
from peers.milter_client import MilterClient, ProtocolError
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
UNKNOWN = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"
ID = r"\(id ([a-z0-9]{8})\)"

VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok", "postmaster": "250 ok"}

# domain -> (policy keys, is the primary taken down?, the script of the primary)
DOMAINS = {
    "up.test": ({}, False, {}),
    "upcatch.test": ({}, False, dict(other_recipients="250 ok")),
    "policy.test": ({"when_up": "accept"}, False, {}),
    "deferinvalid.test": ({"when_invalid": "defer"}, False, {}),
    "down.test": ({}, True, {}),
    "catch.test": ({}, True, dict(other_recipients="250 ok")),
    "catchdefer.test": ({"when_catch_all": "defer"}, True, dict(other_recipients="250 ok")),
    "unknownaccept.test": ({"when_unknown": "accept"}, True, {}),
    "unknowndefer.test": ({"when_unknown": "defer"}, True, {}),
    "downpolicy.test": ({"when_up": "accept"}, True, {}),
}


class World:
    """The domains above in their states, behind one daemon."""

    def __init__(self, lab):
        self.lab = lab
        self.asked = 0
        self.servers = {}
        sections = {}
        for domain, (policy, _, script) in DOMAINS.items():
            self.servers[domain] = lab.primary(domain, recipients=dict(VALID), **script)
            sections['domain "%s"' % domain] = policy
        # a worse MX than us is a peer as well
        lab.dns.host("mx3.up.test", "192.0.2.133")
        lab.dns.mx("up.test", (10, "mx1.up.test"), (20, OUR_NAME), (30, "mx3.up.test"))
        # a domain that isn't configured, and one that is but whose MX records don't want us
        self.foreign = lab.primary("foreign.test", recipients=dict(VALID))
        lab.dns.mx("foreign.test", (10, "mx1.foreign.test"))
        lab.server("mx1.notbackup.test")
        lab.dns.mx("notbackup.test", (10, "mx1.notbackup.test"))
        sections['domain "notbackup.test"'] = {}
        self.daemon = lab.daemon(
            {"milter": {"exempt_clients": ["127.0.0.0/8", "203.0.113.0/24", "2001:db8:e::/48"]}},
            sections)
        for domain in DOMAINS:
            self.daemon.wait_for_state(domain, "up")
        self.daemon.learn(*("control@" + domain for domain in DOMAINS))
        self.daemon.learn(*("%s@%s" % (local, domain) for domain in DOMAINS
                            for local in ("alice", "nobody")))
        for domain, (_, down, _) in DOMAINS.items():
            if down:
                self.servers[domain].stop()
        for domain, (_, down, _) in DOMAINS.items():
            if down:
                self.daemon.wait_for_state(domain, "down")

    def ask(self, profile, rcpt, **more):
        """The reply to one RCPT and the log line that belongs to it. Lines of others may come late, so
        it is known by the sender, whom nobody else uses unless the test names one."""
        self.asked += 1
        sender = more.pop("mail_from", "<asked%d@sender.test>" % self.asked)
        mark = self.daemon.mark()
        reply = self.daemon.milter(profile).rcpt(rcpt, mail_from=sender, **more)
        wanted = re.compile(r" row=\d+ .* from=%s " % re.escape(sender))
        lines = []

        def look():
            lines[:] = [line for _, line in self.daemon.log.lines[mark:] if wanted.search(line)]
            return lines
        eventually(look, 5, "a decision line")
        return reply, lines[-1]


@pytest.fixture(scope="module")
def world(module_lab):
    return World(module_lab)


profiles = pytest.mark.parametrize("profile", ["postfix", "sendmail"])


def check_text(reply, code, xcode, text):
    assert reply.action == "replycode", reply
    assert (reply.code, reply.xcode) == (code, xcode)
    found = re.fullmatch(re.escape(text) + " " + ID, reply.text)
    assert found, "reply text %r" % reply.text
    assert "%" not in reply.raw and "\n" not in reply.raw
    return found.group(1)


# -- row 1

@profiles
@pytest.mark.parametrize("rcpt", ["<nobody@down.test>", "<nobody@up.test>", "<alice@up.test>",
                                  "<new@down.test>"])
def test_row_1_authenticated_client_is_left_alone(world, profile, rcpt):
    reply, line = world.ask(profile, rcpt, auth="joe")
    assert reply.action == "continue"
    found = fields(line)
    assert (found["row"], found["action"], found["reason"]) == ("1", "continue", "exempt")
    assert " debug: " in line


@profiles
@pytest.mark.parametrize("client", ["203.0.113.9", "127.0.0.1", "2001:db8:e::1"])
def test_row_1_exempt_client_is_left_alone(world, profile, client):
    reply, line = world.ask(profile, "<nobody@down.test>", client=client)
    assert reply.action == "continue"
    assert fields(line)["reason"] == "exempt"


def test_row_1_neighbours_of_exempt_networks_are_not_exempt(world):
    for client in ("203.0.114.1", "2001:db8:f::1"):
        reply, _ = world.ask("postfix", "<nobody@down.test>", client=client)
        assert reply.code == 550


@profiles
def test_row_1_exempt_message_is_not_touched(world, profile):
    result = world.daemon.milter(profile).send_message(
        client="203.0.113.9", rcpts=["<alice@down.test>"],
        headers=[("Backup-MX-Status", "accepted; by=elsewhere"), ("Subject", "x")])
    assert result.eom.action == "continue"
    assert not result.modifications


# -- row 2

@profiles
def test_row_2_foreign_domain_is_left_alone(world, profile):
    reply, line = world.ask(profile, "<alice@foreign.test>")
    assert reply.action == "continue"
    found = fields(line)
    assert (found["row"], found["action"], found["reason"]) == ("2", "continue", "not-ours")
    assert " debug: " in line


@profiles
def test_row_2_foreign_message_is_not_touched(world, profile):
    result = world.daemon.milter(profile).send_message(
        rcpts=["<alice@foreign.test>"],
        headers=[("Backup-MX-Status", "accepted; by=elsewhere"), ("Subject", "x")])
    assert result.eom.action == "continue"
    assert not result.modifications


@profiles
def test_row_2_not_backup(world, profile):
    reply, line = world.ask(profile, "<alice@notbackup.test>")
    assert reply.action == "continue"
    assert fields(line)["reason"] == "not-backup"
    assert world.daemon.status("notbackup.test")["state"] == "not-backup"
    assert len(world.daemon.log_lines(r" warning: .*notbackup\.test")) == 1


def test_subdomain_of_a_domain_is_not_ours(world):
    reply, line = world.ask("postfix", "<alice@sub.down.test>")
    assert reply.action == "continue"
    assert fields(line)["reason"] == "not-ours"


# -- row 3

@pytest.mark.parametrize("domain,state", [("up.test", "up"), ("down.test", "down")])
@pytest.mark.parametrize("profile,prefix", [("postfix", "<nobody@{domain}>: "), ("sendmail", "")])
def test_row_3_invalid_recipient(world, profile, prefix, domain, state):
    reply, line = world.ask(profile, "<nobody@%s>" % domain)
    ident = check_text(reply, 550, "5.1.1", prefix.format(domain=domain)
                       + "no such user at the primary MX")
    found = fields(line)
    assert found["id"] == ident
    assert (found["action"], found["row"], found["reason"]) == ("reject", "3", "invalid-recipient")
    assert (found["code"], found["xcode"], found["recipient"]) == ("550", "5.1.1", "invalid")
    assert found["state"] == state


@profiles
def test_row_3_deferred(world, profile):
    reply, line = world.ask(profile, "<nobody@deferinvalid.test>")
    check_text(reply, 450, "4.1.1", "<nobody@deferinvalid.test>: no such user at the primary MX")
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("defer", "3", "invalid-recipient")


# -- rows 5 to 7

@profiles
def test_row_5_known_recipient_is_welcome(world, profile):
    reply, line = world.ask(profile, "<alice@down.test>")
    assert reply.action == "continue"
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("accept", "5", "primary-down")
    assert "code" not in found and "xcode" not in found
    assert (found["state"], found["recipient"]) == ("down", "valid")


@profiles
def test_row_5_case_and_dot_of_the_recipient_dont_matter(world, profile):
    for rcpt in ("<ALICE@down.test>", "<alice@DOWN.Test>", "<alice@down.test.>", "alice@down.test"):
        reply, line = world.ask(profile, rcpt)
        assert reply.action == "continue", rcpt
        assert fields(line)["row"] == "5", rcpt


@profiles
def test_row_6_catch_all(world, profile):
    reply, line = world.ask(profile, "<whoever@catch.test>")
    assert reply.action == "continue"
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("accept", "6", "catch-all")
    assert found["recipient"] == "catch-all"


@profiles
def test_row_6_deferred(world, profile):
    reply, line = world.ask(profile, "<whoever@catchdefer.test>")
    check_text(reply, 451, "4.4.1", "<whoever@catchdefer.test>: primary MX is unreachable and "
                                    "this recipient is not known here yet")
    assert fields(line)["row"] == "6"


@profiles
@pytest.mark.parametrize("domain", ["down.test", "unknowndefer.test", "downpolicy.test"])
def test_row_7_unknown_recipient(world, profile, domain):
    reply, line = world.ask(profile, "<new@%s>" % domain)
    check_text(reply, 451, "4.4.1", "<new@%s>: primary MX is unreachable and this recipient is not "
                                    "known here yet" % domain)
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("defer", "7", "unknown-recipient")


@profiles
def test_row_7_accepted_by_policy(world, profile):
    result = world.daemon.milter(profile).send_message(rcpts=["<new@unknownaccept.test>"])
    assert result.replies[0].action == "continue"
    tag, = result.header_values("Backup-MX-Status")
    assert "recipients=unknown" in tag and "reason=unknown-recipient" in tag


# -- row 8 and 9

@profiles
@pytest.mark.parametrize("client", ["192.0.2.133", "{primary}"])
def test_row_8_peer_mx(world, profile, client):
    """A client that is an MX of the domain itself, better or worse than us, isn't sent there."""
    client = client.format(primary=world.servers["up.test"].address)
    if client.startswith("127."):
        # the scripted primary sits on loopback, which is exempt by default: ask a daemon for which
        # it isn't
        daemon = world.lab.daemon({"milter": {"exempt_clients": ["::1"]}}, domains=["up.test"])
        daemon.wait_for_state("up.test", "up")
        daemon.learn("alice@up.test")
    else:
        daemon = world.daemon
    mark = daemon.mark()
    reply = daemon.milter(profile).rcpt("<alice@up.test>", client=client)
    assert reply.action == "continue"
    daemon.wait_for_log(r"action=accept reason=peer-mx row=8 ", 5, mark)


@profiles
def test_row_8_policy(world, profile):
    result = world.daemon.milter(profile).send_message(rcpts=["<alice@policy.test>"])
    assert result.replies[0].action == "continue"
    tag, = result.header_values("Backup-MX-Status")
    assert "primary=up" in tag and "reason=policy" in tag and "recipients=valid" in tag


@profiles
def test_row_8_asked_in_line_and_found(world, profile):
    """An unknown recipient on the way to row 8 is asked while the client waits."""
    local = "inline-" + profile
    world.servers["policy.test"].script.recipients[local] = "250 ok"
    reply, line = world.ask(profile, "<%s@policy.test>" % local)
    assert reply.action == "continue"
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("accept", "8", "policy")
    assert found["recipient"] == "valid"


@profiles
def test_row_9_asked_in_line_and_refused(world, profile):
    reply, line = world.ask(profile, "<inline-nobody-%s@policy.test>" % profile)
    assert (reply.code, reply.xcode) == (550, "5.1.1")
    assert fields(line)["row"] == "3"


@profiles
def test_row_9_no_answer(world, profile):
    local = "greylisted-" + profile
    world.servers["policy.test"].script.recipients[local] = "451 4.7.1 come back later"
    reply, line = world.ask(profile, "<%s@policy.test>" % local)
    check_text(reply, 450, "4.1.1", "<%s@policy.test>: recipient not verified yet" % local)
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("defer", "9", "unverified")


# -- row 10

@profiles
@pytest.mark.parametrize("local", ["alice", "brandnew"])
def test_row_10_go_to_the_primary(world, profile, local):
    rcpt = "<%s-%s@up.test>" % (local, profile) if local != "alice" else "<alice@up.test>"
    reply, line = world.ask(profile, rcpt)
    ident = check_text(reply, 451, "4.3.2",
                       rcpt + ": primary MX is available, please deliver there")
    found = fields(line)
    assert (found["action"], found["row"], found["reason"]) == ("defer", "10", "primary-up")
    assert found["id"] == ident


@profiles
def test_row_10_catch_all_is_sent_on_too(world, profile):
    reply, line = world.ask(profile, "<whoever@upcatch.test>")
    assert reply.code == 451 and fields(line)["row"] == "10"


def test_row_10_learns_in_the_background(world):
    """The answer comes at once; the recipient is asked for afterwards."""
    world.servers["up.test"].script.recipients["bob"] = "250 ok"
    reply, line = world.ask("postfix", "<bob@up.test>")
    assert reply.code == 451 and fields(line)["recipient"] in ("unknown", "valid")
    assert reply.seconds < 1
    eventually(lambda: world.daemon.explain("bob@up.test")["recipient"] == "valid", 5)


# -- log lines to the letter

def test_log_line_of_a_defer_to_the_letter(world):
    reply, line = world.ask("postfix", "<u@up.test>", mail_from="<a@b.test>", client="192.0.2.7")
    assert re.fullmatch(
        r"NOQUEUE: action=defer code=451 xcode=4\.3\.2 reason=primary-up row=10 "
        r"client=\[192\.0\.2\.7\] from=<a@b\.test> to=<u@up\.test> domain=up\.test state=up "
        r"recipient=(unknown|invalid) mode=enforce id=%s" % reply.message_id, without_prefix(line))


def test_log_line_of_an_accept_to_the_letter(world):
    """Sendmail has a queue id from MAIL on, and it comes first."""
    mark = world.daemon.mark()
    with world.daemon.milter("sendmail").connect(client="2001:db8::7") as session:
        session.mail("<a@b.test>")
        queue_id = session.values["i"]
        session.rcpt("<alice@down.test>")
    found = world.daemon.wait_for_log(r" (\S+): action=accept .*", 5, mark)
    assert re.search(
        r": %s: action=accept reason=primary-down row=5 client=\[IPv6:2001:db8::7\] "
        r"from=<a@b\.test> to=<alice@down\.test> domain=down\.test state=down recipient=valid "
        r"mode=enforce id=[a-z0-9]{8}$" % queue_id, found.string)


def test_log_line_has_the_queue_id_once_postfix_gave_one(world):
    mark = world.daemon.mark()
    with world.daemon.milter().connect() as session:
        session.message("<a@b.test>", ["<alice@down.test>", "<control@down.test>"],
                        stop_after_rcpt=True)
    eventually(lambda: len(world.daemon.log_lines(r"action=accept", mark)) == 2, 5)
    first, second = world.daemon.log_lines(r"action=accept", mark)
    assert without_prefix(first).startswith("NOQUEUE: ")
    assert re.match(r"4Q\d+: ", without_prefix(second))


def test_every_reply_has_its_own_id(world):
    idents = [world.daemon.milter().rcpt("<u@up.test>").message_id for _ in range(20)]
    assert all(idents) and len(set(idents)) == 20
    for ident in idents:
        world.daemon.wait_for_log(r"action=(defer|reject) .* id=%s$" % ident, 5)


def test_null_sender(world):
    for rcpt, row in (("<alice@down.test>", "5"), ("<new@down.test>", "7"),
                      ("<alice@up.test>", "10"), ("<nobody@down.test>", "3")):
        _, line = world.ask("postfix", rcpt, mail_from="<>")
        found = fields(line)
        assert found["row"] == row
        assert found["from"] == "<>"


def test_client_without_an_address(world):
    """Local clients of an MTA may have none; an unknown family mustn't upset anything."""
    reply, line = world.ask("postfix", "<alice@down.test>", client=None, family="U", name="unknown")
    assert reply.action == "continue"
    assert fields(line)["row"] in ("1", "5")


# -- strange envelopes: never a crash, never a false 5xx, never a broken log line

STRANGE = [
    b"<postmaster>", b"postmaster", b"<Postmaster@down.test>", b"<@relay.test:alice@down.test>",
    b"<@a.test,@b.test:alice@down.test>", b"<\"alice\"@down.test>", b"<\"a b\"@down.test>",
    b"<\"a\\\"b\"@down.test>", b"<alice@[192.0.2.1]>", b"<alice@[IPv6:2001:db8::1]>", b"<>", b"",
    b"<", b">", b"<@>", b"<alice@>", b"<@down.test>", b"<alice>", b"<alice@down.test",
    b"alice@down.test>", b"<<alice@down.test>>", b"<alice@@down.test>", b"<a@b@down.test>",
    b"<alice@down..test>", b"<alice@.down.test>", b"<alice@-down.test>", b"<alice@down.test->",
    b"<alice%other.test@down.test>", b"<other.test!alice@down.test>",
    b"<j\xc3\xb6rg@down.test>", b"<\xff\xfe\xfd@down.test>", b"<alice@d\xc3\xb6wn.test>",
    b"<alice@\xff\xff.test>", b"<alice@xn--dwn-sna.test>", b"<alice@xn--.test>",
    b"<a\tb@down.test>", b"<a\x01b@down.test>", b"<a\x7f@down.test>",
    b"<a\r\nb@down.test>", b"<a\nNOQUEUE: action=reject@down.test>",
    b"<alice@down.test\r\nQUEUE: action=accept reason=forged row=5>",
    b"<\"x\" id=forged00@down.test>", b"<x%s%n%x@down.test>", b"<x%%@down.test>",
    b"<" + b"a" * 64 + b"@down.test>", b"<" + b"a" * 65 + b"@down.test>",
    b"<" + b"a" * 5000 + b"@down.test>", b"<alice@" + b"a" * 300 + b".test>",
    b"<alice@" + b"a." * 120 + b"down.test>", b"<alice@" + b"a" * 64 + b".down.test>",
    b"<" + b"\"" * 60 + b"@down.test>", b"<" + b"@" * 1000 + b">",
    b"<" + b"\xc3\xb6" * 100 + b"@down.test>", b"  <alice@down.test>  ", b"<alice @down.test>",
    b"<alice+tag@down.test>", b"<.alice@down.test>", b"<alice.@down.test>", b"<al..ice@down.test>",
]


@profiles
@pytest.mark.parametrize("position", ["rcpt", "sender"])
def test_strange_addresses_do_no_harm(world, profile, position):
    mark = world.daemon.mark()
    with world.daemon.milter(profile).connect(client="198.51.100.3", name=None) as session:
        for strange in STRANGE:
            if position == "rcpt":
                session.mail("<sender@example.org>")
                reply = session.rcpt(strange)
                assert reply.code != 550, strange
                assert len(reply.raw.encode("utf-8", "surrogateescape")) < 980
                # whatever is said back goes to the client as SMTP
                assert not re.search(r"[\x00-\x1f\x7f]", reply.raw), strange
            else:
                session.mail(strange)
                reply = session.rcpt("<alice@down.test>")
                assert reply.action == "continue", strange
            session.abort()
    # the daemon is alive and itself
    reply, line = world.ask(profile, "<alice@down.test>")
    assert reply.action == "continue" and fields(line)["row"] == "5"
    for _, text in world.daemon.log.lines[mark:]:
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \w+: ", text), "a broken log line: %r" % text
        assert not re.search(r"[\x00-\x1f\x7f-\xff\udc80-\udcff]", text), repr(text)
        if " row=" in text:
            found = fields(text)            # raises where a key comes twice
            assert found.get("id") != "forged00"
            assert found["reason"] != "forged"


def test_overlong_addresses_leave_the_id_in_the_log(world):
    """However much a client types: the id of the reply is found in the log."""
    long = "x" * 5000
    for sender, rcpt in (("<%s@example.org>" % long, "<alice@up.test>"),
                         ("<%s@example.org>" % long, "<%s@up.test>" % ("y" * 64)),
                         ("<%s@example.org>" % ("\\\"" * 900), "<%s@up.test>" % ("z" * 64))):
        reply = world.daemon.milter().rcpt(rcpt, mail_from=sender)
        assert reply.code == 451
        world.daemon.wait_for_log(r"action=defer .* id=%s$" % reply.message_id, 5)


@profiles
@pytest.mark.parametrize("rcpt,row", [
    ("<@relay.test:alice@down.test>", "5"),
    ("<\"alice\"@down.test>", "5"),
    ("<@a.test,@b.test:nobody@down.test>", "3"),
])
def test_routes_and_quotes_mean_the_same_recipient(world, profile, rcpt, row):
    _, line = world.ask(profile, rcpt)
    assert fields(line)["row"] == row


def test_postmaster_without_a_domain_is_not_ours(world):
    reply, line = world.ask("postfix", "<postmaster>")
    assert reply.action == "continue"
    assert fields(line)["reason"] == "not-ours"


@profiles
def test_missing_macros_are_borne(world, profile):
    """No macro at all: no queue id, no j, no mailer, no daemon name."""
    mark = world.daemon.mark()
    with world.daemon.milter(profile).connect(without_macros=["*"]) as session:
        result = session.message("<a@b.test>", ["<alice@down.test>", "<new@down.test>"],
                                 headers=[("Subject", "x")])
        assert [r.code for r in result.replies] == [None, 451]
        assert len(result.header_values("Backup-MX-Status")) == 1
    assert world.daemon.wait_for_log(r"NOQUEUE: action=accept", 5, mark)


def test_empty_macros_are_borne(world):
    empty = {name: "" for name in ("j", "i", "v", "_", "{daemon_name}", "{rcpt_mailer}",
                                   "{rcpt_host}", "{rcpt_addr}", "{mail_addr}", "{client_addr}")}
    with world.daemon.milter().connect(macros=empty) as session:
        result = session.message("<a@b.test>", ["<alice@down.test>"])
        assert result.replies[0].action == "continue"
    # an empty login name is no login
    with world.daemon.milter().connect(macros={"{auth_authen}": ""}) as session:
        result = session.message("<a@b.test>", ["<nobody@down.test>"])
        assert result.replies[0].code == 550


def test_many_messages_on_one_connection(world):
    with world.daemon.milter().connect() as session:
        for _ in range(50):
            result = session.message("<a@b.test>", ["<alice@down.test>", "<nobody@down.test>"])
            assert [r.code for r in result.replies] == [None, 550]
            assert len(result.header_values("Backup-MX-Status")) == 1
            result = session.message("<a@b.test>", ["<alice@foreign.test>"])
            assert not result.modifications


def test_connection_kept_for_the_next_client(world):
    """QUIT_NC: the next SMTP client on the same socket brings its own facts."""
    session = world.daemon.milter().connect(client="203.0.113.9")
    assert session.message("<a@b.test>", ["<nobody@down.test>"]).replies[0].action == "continue"
    session.quit_nc(client="192.0.2.7")
    assert session.message("<a@b.test>", ["<nobody@down.test>"]).replies[0].code == 550
    session.quit_nc(client="192.0.2.7", auth="joe")
    assert session.message("<a@b.test>", ["<nobody@down.test>"]).replies[0].action == "continue"
    session.quit_nc(client="192.0.2.7")
    assert session.message("<a@b.test>", ["<nobody@down.test>"]).replies[0].code == 550
    session.quit()
    session.close()


def test_p5_the_milter_objects_or_says_nothing(world):
    """SMFIS_ACCEPT, DISCARD and the like never come. The client raises at each one anyway."""
    with world.daemon.milter().connect() as session:
        for rcpt in ("<alice@down.test>", "<nobody@down.test>", "<new@down.test>",
                     "<alice@up.test>", "<alice@foreign.test>", "<whoever@catch.test>",
                     "<alice@policy.test>", "<alice@notbackup.test>"):
            session.message("<a@b.test>", [rcpt])
        words = {reply.action for _, reply in session.replies}
    assert words <= {"continue", "replycode", "tempfail"}


def test_p5_the_client_would_notice():
    """Proof that the client's own check is alive: a filter that says ACCEPT is caught."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(1)

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(struct.pack("!I", 13) + b"O" + struct.pack("!III", 6, 0, 0))
            connection.recv(1000)
            connection.sendall(struct.pack("!I", 1) + b"a")
            connection.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    with server, pytest.raises(ProtocolError, match="SMFIR_ACCEPT"):
        MilterClient(server.getsockname(), timeout=5).connect()


def test_p5_replies_give_nothing_away(world):
    """No host name, address or list content of ours in a reply."""
    replies = [world.daemon.milter().rcpt(rcpt).raw for rcpt in
               ("<new@down.test>", "<nobody@down.test>", "<alice@up.test>")]
    for raw in replies:
        for secret in (OUR_NAME, "127.", "mx1.", "alice@down"):
            assert secret not in raw.replace("<alice@up.test>", "")


# -- shadow mode

@pytest.fixture(scope="module")
def shadow(world):
    """A daemon in shadow mode on the same primaries, with recipients of its own memory."""
    daemon = world.lab.daemon({"milter": {"mode": "shadow"}}, domains=["up.test", "down.test"])
    daemon.wait_for_state("up.test", "up")
    daemon.wait_for_state("down.test", "down")
    daemon.learn("control@up.test")
    daemon.learn("nobody@up.test")
    return daemon


@profiles
@pytest.mark.parametrize("rcpt,action,row", [
    ("<control@up.test>", "defer", "10"), ("<nobody@up.test>", "reject", "3"),
    ("<new@down.test>", "defer", "7"),
])
def test_shadow_mode_continues_and_logs(shadow, profile, rcpt, action, row):
    mark = shadow.mark()
    result = shadow.milter(profile).send_message(
        rcpts=[rcpt], headers=[("Backup-MX-Status", "forged"), ("Subject", "x")])
    assert result.replies[0].action == "continue"
    assert not result.modifications
    line = shadow.wait_for_log(r" row=\d+ .*", 5, mark).string
    found = fields(line)
    assert (found["action"], found["row"], found["mode"]) == (action, row, "shadow")


# -- recovering

def test_row_8_recovering(lab):
    """For recovery_grace after an outage senders aren't sent back to the primary."""
    server = lab.primary("back.test", recipients=dict(VALID))
    daemon = lab.daemon({"policy": {"recovery_grace": "4s"}}, domains=["back.test"])
    daemon.wait_for_state("back.test", "up")
    # the first start is no recovery
    assert daemon.milter().rcpt("<alice@back.test>").code == 451
    eventually(lambda: daemon.explain("alice@back.test")["recipient"] == "valid", 5)
    server.stop()
    daemon.wait_for_state("back.test", "down")
    server.start()
    daemon.wait_for_log(r"health: domain=back\.test state=up was=down", 10)
    result = daemon.milter().send_message(rcpts=["<alice@back.test>"])
    assert result.replies[0].action == "continue"
    tag, = result.header_values("Backup-MX-Status")
    assert "primary=up" in tag and "reason=recovering" in tag
    assert daemon.status("back.test")["recovering"] is True
    # unknown ones are asked in line meanwhile
    assert daemon.milter().rcpt("<nobody@back.test>").code == 550
    eventually(lambda: daemon.status("back.test")["recovering"] is False, 8)
    reply = daemon.milter().rcpt("<alice@back.test>")
    assert (reply.code, reply.xcode) == (451, "4.3.2")
