# SPDX-License-Identifier: BSD-2-Clause
#
# P8: "go to the primary" is said only where DNS gives senders somebody strictly better than us and
# that host is up. P6: only such hosts are ever probed or asked; a next hop of our MTA isn't one.

import pytest
from lab import outage
from peers.waiting import eventually
from story import GO_TO_PRIMARY, NO_SUCH_USER, expect, headers, until_up, wait_down

MILTER_SETTINGS = {
    'domain "private.test"': {"primary": ["[192.0.2.11]"]},
    'domain "split.test"': {"primary": ["[192.0.2.11]"]},
}

# The MX records give senders nobody better than us.
NOT_BACKUP = {
    "best.test": "we are the best MX",
    "only.test": "we are the only MX",
    "equal.test": "the other MX is no better than us",
    "unlisted.test": "we are not among the MX hosts",
    "null.test": "the domain takes no mail",
    "bare.test": "there are no MX records, only an address",
    "onlyhop.test": "we are the only MX, and our MTA has a next hop of its own",
}

# Somebody better is up: all ways to find that out.
BACKUP = {
    "example.test": "the usual case",
    "second.test": "another primary",
    "pair.test": "two better hosts",
    "six.test": "a primary with IPv6 only",
    "alias.test": "we are listed under a name that isn't ours, by our address",
    "hop.test": "our MTA delivers elsewhere, senders go to the MX",
    "split.test": "our MTA delivers elsewhere, by the `primary` key",
}


@pytest.mark.parametrize("domain", NOT_BACKUP)
def test_never_told_to_go_to_the_primary(lab, domain):
    recipient = f"alice@{domain}"
    mark = lab.milter.mark()
    # Several times: the first answer comes before anything is known, the later ones after.
    for _ in range(4):
        reply = lab.ask(recipient)
        assert reply.code == 250, reply
    eventually(lambda: [d["reason"] for d in lab.milter.decisions(recipient, mark)][-1:]
               == ["not-backup"], 5, lambda: f"{lab.milter.log_lines(domain, mark)}")
    assert lab.milter.status(domain)["state"] == "not-backup"


@pytest.mark.parametrize("domain", ["best.test", "equal.test", "unlisted.test"])
def test_not_even_while_the_other_host_is_down(lab, domain):
    until_up(lab)
    mark = lab.milter.mark()
    with outage.packets_dropped(lab.primary_host, ["192.0.2.10", "2001:db8::10"]):
        wait_down(lab, mark)
        assert lab.ask(f"alice@{domain}").code == 250
    until_up(lab)


def test_not_being_backup_is_said_once_as_a_warning(lab):
    for domain in NOT_BACKUP:
        lab.ask(f"alice@{domain}")
        lines = [line for line in lab.milter.log_lines(rf"{domain}\b")
                 if "not-backup" in line and "action=" not in line]
        assert len(lines) == 1, (domain, lines)


@pytest.mark.parametrize("domain", BACKUP)
def test_told_to_go_to_the_primary(lab, domain):
    until_up(lab, f"postmaster@{domain}")
    expect(lab.ask(f"alice@{domain}"), GO_TO_PRIMARY, f"alice@{domain}")


def test_one_of_two_primaries_is_enough(lab):
    until_up(lab, "postmaster@pair.test")
    with outage.packets_dropped(lab.primary_host, ["192.0.2.12"]):
        # Long enough for the best one to be seen as down.
        lab.milter.wait_for_log(r"endpoint: address=\[192\.0\.2\.12\]:25 state=down", 30)
        for _ in range(3):
            expect(lab.ask("alice@pair.test"), GO_TO_PRIMARY, "alice@pair.test")


def test_configured_primary_but_nobody_better_in_dns(lab):
    """Validation and health work; but there is nowhere to send anybody to."""
    lab.ask("alice@private.test")
    eventually(lambda: lab.milter.status("private.test")["state"] == "up", 15, "private.test is up")
    valid = eventually(lambda: (r := lab.ask("alice@private.test")).code == 250 and r, 15,
                       "alice is valid")
    assert valid.code == 250
    expect(eventually(lambda: (r := lab.ask("invented@private.test")).code != 450 and r, 15,
                      "a verdict"), NO_SUCH_USER, "invented@private.test")
    sent = lab.send("alice@private.test", "nobody-better")
    assert sent.accepted, sent
    [found] = eventually(lambda: lab.primary.deliveries("alice@private.test", "nobody-better"), 10,
                         "delivered")
    assert "reason=no-better-mx" in headers(found.text)[0]
    reasons = {d["reason"] for d in lab.milter.decisions("alice@private.test")}
    assert "primary-up" not in reasons


def test_senders_way_is_down_but_ours_is_up(lab):
    """split.test: senders would go to 192.0.2.16, our MTA goes to 192.0.2.11."""
    until_up(lab, "postmaster@split.test")
    lab.learn("erin@split.test")
    with outage.packets_dropped(lab.primary_host, ["192.0.2.16"]):
        eventually(lambda: lab.ask("erin@split.test").code == 250, 40,
                   lambda: f"accepted, last: {lab.milter.decisions('erin@split.test')[-1]}",
                   pause=0.3)
        assert lab.milter.decisions("erin@split.test")[-1]["reason"] == "no-better-mx"
        assert lab.milter.status("split.test")["state"] == "up"


def test_no_packet_of_ours_to_a_next_hop(lab):
    """P6: our MTA delivers to 192.0.2.41, we never connect to it."""
    sent = lab.send("alice@onlyhop.test", "by-next-hop")
    assert sent.accepted, sent
    eventually(lambda: lab.foreign.deliveries("alice@onlyhop.test", "by-next-hop"), 10, "delivered")
    until_up(lab, "postmaster@hop.test")
    lab.learn("bob@hop.test")
    connected = {address for address, _ in lab.milter_connections()}
    assert "192.0.2.10" in connected
    assert not {"192.0.2.40", "192.0.2.41", "2001:db8::40"} & connected


def test_never_a_packet_to_ourselves(lab):
    """best, only and equal list us: we are never our own primary."""
    connected = {address for address, port in lab.milter_connections() if port == 25}
    assert not {"192.0.2.20", "2001:db8::20"} & connected
