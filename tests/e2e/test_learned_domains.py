# SPDX-License-Identifier: BSD-2-Clause
#
# The shortest set-up: no domain is configured. What the real MTA relays for strangers teaches us
# the domains; what it delivers itself, relays for its own clients, or sends by a next hop of its
# own doesn't, and nobody of those ever gets a packet from us.

import pytest
from lab import outage
from lab.lab import EXEMPT_CLIENT
from peers.waiting import eventually
from story import (GO_TO_PRIMARY, NO_SUCH_USER, NOT_KNOWN_YET, delivered_once, expect, recovered,
                   the_tag, until_up, wait_deferred, wait_down)

CONFIGURED_DOMAINS = []
# 192.0.2.31 relays through our MTA, and the milter wasn't told so.
MILTER_SETTINGS = {"milter": {"exempt_clients": ["127.0.0.0/8", "::1"]}}

NOT_OURS = ["best.test", "only.test", "equal.test", "unlisted.test", "null.test", "bare.test",
            "onlyhop.test", "private.test"]


def learned(lab):
    found = lab.milter.status()["domains"]
    assert {d["source"] for d in found} <= {"learned"}
    return {d["domain"] for d in found}


def test_the_whole_story_without_a_list(lab):
    lab.milter.wait_for_log("no domain is configured: they are learned", 5)
    first = lab.ask("alice@example.test")
    expect(first, GO_TO_PRIMARY, "alice@example.test")
    lab.milter.wait_for_log(r"domain: domain=example\.test action=learned", 5)
    until_up(lab)
    lab.learn("user1@example.test")
    lab.learn("nobody@example.test", verdict="invalid")
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        with lab.session() as session:
            expect(session.ask("user2@example.test"), NOT_KNOWN_YET, "user2@example.test")
            expect(session.ask("nobody@example.test"), NO_SUCH_USER, "nobody@example.test")
            sent = session.send("user1@example.test", "learned-story")
        assert sent.accepted, sent
        wait_deferred(lab, 1)
        # it stays one over a restart in the middle of the outage
        lab.milter.restart()
        assert learned(lab) == {"example.test"}
        with lab.session() as session:
            expect(session.ask("user2@example.test"), NOT_KNOWN_YET, "user2@example.test")
        mark = lab.milter.mark()
    recovered(lab, mark, 1)
    text = delivered_once(lab, "user1@example.test", "learned-story")
    assert the_tag(text)["reason"] == "primary-down"


@pytest.mark.parametrize("domain", NOT_OURS)
def test_relayed_but_not_ours(lab, domain):
    for _ in range(3):
        assert lab.ask(f"alice@{domain}").code == 250
    assert {d["reason"] for d in lab.milter.decisions(f"alice@{domain}")} == {"not-ours"}
    assert domain not in learned(lab)


def test_outbound_mail_of_a_client_that_is_not_exempt(lab):
    with lab.session(source=EXEMPT_CLIENT) as session:
        sent = session.send("alice@foreign.test", "outbound")
    assert sent.accepted, sent
    eventually(lambda: lab.foreign.deliveries("alice@foreign.test", "outbound"), 10, "delivered")
    lab.milter.wait_for_log(r"candidate: domain=foreign\.test mx=unlisted", 10)
    assert "foreign.test" not in learned(lab)


def test_the_mtas_own_mailboxes(lab):
    lab.backup.own_mailboxes("pair.test")
    try:
        assert lab.ask("root@pair.test").code == 250
        assert "pair.test" not in learned(lab)
        assert not lab.milter.log_lines(r"candidate: domain=pair\.test")
    finally:
        lab.backup.own_mailboxes("")


def test_next_hop_of_the_transport_map_is_no_primary(lab):
    until_up(lab, "postmaster@hop.test")
    expect(lab.ask("alice@hop.test"), GO_TO_PRIMARY, "alice@hop.test")
    assert lab.milter.status("hop.test")["forwarding_set"] == ["mx1.example.test"]


def test_nobody_else_got_a_packet(lab):
    """P6, counted by the kernel. The last of this module: it judges what all the others caused."""
    for name in ("alice@example.test", "alice@hop.test"):
        lab.ask(name)
    assert learned(lab) == {"example.test", "hop.test"}
    smtp = {address for address, port in lab.milter_connections() if port == 25}
    assert smtp - {"127.0.0.1"} == {"192.0.2.10", "2001:db8::10"}


def test_primary_from_mta(own_lab):
    lab = own_lab({"domains": {"domains_file": "", "primary_from_mta": True}})
    lab.ask("alice@split.test")
    lab.milter.wait_for_log(r'domain: domain=split\.test action=learned primary="?\[192\.0\.2\.11\]',
                            10)
    until_up(lab, "postmaster@split.test")
    lab.ask("alice@second.test")                # by its MX records: no next hop of its own
    until_up(lab, "postmaster@second.test")
    found = {d["domain"]: d["forwarding_set"] for d in lab.milter.status()["domains"]}
    assert found == {"split.test": ["[192.0.2.11]"], "second.test": ["mx1.second.test"]}
    lab.ask("alice@onlyhop.test")
    lab.milter.wait_for_log(r"candidate: domain=onlyhop\.test mx=best", 10)
    connected = {address for address, port in lab.milter_connections() if port == 25}
    assert "192.0.2.41" not in connected
