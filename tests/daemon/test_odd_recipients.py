# SPDX-License-Identifier: BSD-2-Clause
#
# Recipients that can't be read strictly, of a domain we are backup for. The MTA may take them all
# the same, so they are judged like unknown ones (DESIGN section 5), and they are never asked for at
# the primary (section 4, "Manners").

import pytest

ODD = {
    "local part of 65 octets": "<%s@example.test>" % ("a" * 65),
    "local part of 300 octets": "<%s@example.test>" % ("a" * 300),
    "backslash": "<a\\b@example.test>",
    "less-than": "<a<b@example.test>",
    "blank": "<b ob@example.test>",
    "control character": "<bob\x01@example.test>",
    "unbalanced quote": "<\"bob@example.test>",
    "text after a quoted string": "<\"a\"b@example.test>",
    "two trailing dots": "<bob@example.test..>",
    "many trailing dots": "<bob@example.test.....>",
    "two at signs": "<a@b@example.test>",
    "capitals in the domain": "<a\\b@EXAMPLE.Test>",
}

odd = pytest.mark.parametrize("rcpt", ODD.values(), ids=ODD.keys())


class World:
    """Two daemons for the same domain, each with a primary of its own: one is up, one is down."""

    def __init__(self, lab):
        self.servers = {"up": lab.primary("example.test", recipients={"bob": "250 ok"}),
                        "down": lab.server("down.example.test", recipients={"bob": "250 ok"})}
        self.daemons = {"up": lab.daemon(domains=["example.test"])}
        self.daemons["down"] = lab.daemon({'domain "example.test"': {
            "primary": [self.servers["down"].endpoint]}})
        for daemon in self.daemons.values():
            daemon.wait_for_state("example.test", "up")
            daemon.learn("bob@example.test")
        self.servers["down"].stop()
        self.daemons["down"].wait_for_state("example.test", "down")


@pytest.fixture(scope="module")
def world(module_lab):
    return World(module_lab)


@pytest.mark.parametrize("profile", ["postfix", "sendmail"])
@odd
def test_while_the_primary_is_up(world, rcpt, profile):
    reply = world.daemons["up"].milter(profile).rcpt(rcpt)
    assert (reply.code, reply.xcode) == (451, "4.3.2")
    assert reply.text.endswith("primary MX is available, please deliver there (id %s)"
                               % reply.message_id)


@odd
def test_while_the_primary_is_down(world, rcpt):
    daemon = world.daemons["down"]
    reply = daemon.milter().rcpt(rcpt)
    assert (reply.code, reply.xcode) == (451, "4.4.1")
    daemon.wait_for_log("row=7 .*recipient=unknown .*id=%s$" % reply.message_id, 5)
    # somebody who is known is still welcome
    assert daemon.milter().rcpt("<bob@example.test>").action == "continue"


@pytest.mark.parametrize("rcpt", [rcpt for rcpt in ODD.values() if "\x01" not in rcpt])
def test_explain_says_the_same(world, rcpt):
    """Those that can be an argument of a program."""
    for state, row, xcode in (("up", 10, "4.3.2"), ("down", 7, "4.4.1")):
        said = world.daemons[state].explain(rcpt)
        assert (said["row"], said["code"], said["xcode"]) == (row, 451, xcode)


@pytest.mark.parametrize("state", ["up", "down"])
@odd
def test_exempt_clients_pass(world, rcpt, state):
    milter = world.daemons[state].milter()
    assert milter.rcpt(rcpt, client="127.0.0.1", name="localhost").action == "continue"
    assert milter.rcpt(rcpt, auth="user").action == "continue"


@odd
def test_foreign_domains_pass(world, rcpt):
    foreign = rcpt.replace("example.test", "foreign.test").replace("EXAMPLE.Test", "foreign.test")
    assert world.daemons["up"].milter().rcpt(foreign).action == "continue"
    assert world.daemons["down"].milter().rcpt(foreign).action == "continue"


def test_the_primary_is_never_asked_for_them(world):
    """Nor for what they might mean: bob is known, so he is asked for as a control and a canary
    only, and besides him the two below and names that the daemon makes up."""
    daemon, server = world.daemons["up"], world.servers["up"]
    server.forget()
    for rcpt in ODD.values():
        assert daemon.milter().rcpt(rcpt).code == 451
    # asked after all of them, and answered: by then they would have been asked for as well
    daemon.learn("carol@example.test", "dave@example.test")
    asked = server.rcpts()
    assert {"carol@example.test", "dave@example.test"} <= set(asked)
    for address in set(asked) - {"%s@example.test" % n for n in ("bob", "carol", "dave")}:
        local = address.partition("@")[0]
        assert len(local) == 16 and local.isalnum() and local.islower(), asked


def test_they_leave_no_trace_in_the_memory(world):
    """What can't be asked can't be known, in whatever way it is named."""
    for state in ("up", "down"):
        daemon = world.daemons[state]
        before = daemon.status("example.test")["recipients"]
        for rcpt in ODD.values():
            daemon.milter().rcpt(rcpt)
        assert daemon.status("example.test")["recipients"]["valid"] == before["valid"]
