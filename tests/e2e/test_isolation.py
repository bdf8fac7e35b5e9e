# SPDX-License-Identifier: BSD-2-Clause
#
# The backup's own uplink is gone, with all primaries, the resolver and the reference behind it. No
# primary is found down by that: states stay, one line says so, and once the link is back all is as
# before. An outage of one primary is found as always meanwhile the reference answers.

from contextlib import contextmanager

import pytest
from lab import network, outage
from peers.waiting import eventually
from story import GO_TO_PRIMARY, expect, until_up, wait_down

REFERENCE = "192.0.2.53:53"                 # the resolver, by TCP
MILTER_SETTINGS = {"probe": {"reference": [REFERENCE]}}


def cable_out(lab):
    return outage.link_down(lab.switch, lab.backup_host)


@contextmanager
def interface_down(lab):
    """From our own side: the routes go, and the IPv6 addresses with them."""
    host = lab.backup_host
    host.ip("link set eth0 down")
    try:
        yield
    finally:
        host.ip("link set eth0 up",
                *(f"addr replace {address}/{network.prefix(address)} dev eth0 nodad"
                  for address in network.ADDRESSES[host.name]))


@contextmanager
def nothing_comes_back(lab):
    """Somewhere on the way all packets are lost: everything times out."""
    lab.backup_host.nft("table inet uplink {\n  chain input {\n"
                        "    type filter hook input priority 0;\n"
                        "    iifname \"eth0\" drop\n  }\n}\n")
    try:
        yield
    finally:
        lab.backup_host.nft("delete table inet uplink\n")


def states(lab):
    """By domain; and by endpoint with the times since when."""
    status = lab.milter.status()
    domains = {d["domain"]: (d["state"], d["since"]) for d in status["domains"]}
    endpoints = {e["endpoint"]: (e["state"], e["since"])
                 for d in status["domains"] for e in d["endpoints"]}
    return domains, endpoints


def settled(lab):
    """All endpoints have been probed, and no state is about to change."""
    until_up(lab)
    eventually(lambda: all(e[0] != "unknown" for e in states(lab)[1].values()), 30,
               lambda: f"all endpoints are known: {states(lab)[1]}")
    return states(lab)


@pytest.mark.parametrize("lose", [cable_out, interface_down, nothing_comes_back])
def test_uplink_lost(lab, figure, lose):
    before = settled(lab)
    mark = lab.milter.mark()
    with lose(lab):
        on = lab.milter.wait_for_log(
            r"isolated: state=on endpoints=0/\d+ references=0/1$", 40, mark)
        figure(f"uplink lost ({lose.__name__})", on.group())
        assert lab.milter.status()["isolated"] is True
        # fall is 3: long enough for each endpoint to be found down three times over
        probed = lab.milter.mark()
        eventually(lambda: len(lab.milter.log_lines(r"probe: address=\[192\.0\.2\.10\]:25 ", probed)) > 4,
                   40, "the primary is probed all the same")
        assert states(lab) == before
    lab.milter.wait_for_log(r"isolated: state=off after=\d+s ", 30, mark)
    probed = lab.milter.mark()
    lab.milter.wait_for_log(r"probe: address=\[192\.0\.2\.10\]:25 result=ok", 20, probed)
    expect(lab.ask("user1@example.test"), GO_TO_PRIMARY, "user1@example.test")
    assert states(lab) == before
    assert len(lab.milter.log_lines(r"isolated: state=", mark)) == 2
    lab.milter.no_log(r"(health|endpoint): ", mark)


def test_outage_of_a_primary(lab):
    settled(lab)
    mark = lab.milter.mark()
    with outage.packets_dropped(lab.primary_host):
        assert wait_down(lab, mark)["was"] == "up"
    lab.milter.wait_for_health("example.test", "up", mark, 30)
    lab.milter.no_log(r"isolated: state=", mark)


def test_restart_without_an_uplink(lab):
    before = settled(lab)
    with cable_out(lab):
        lab.milter.wait_for_log(r"isolated: state=on ", 40, lab.milter.mark())
        mark = lab.milter.mark()
        lab.milter.restart()
        lab.milter.wait_for_log(r"isolated: state=on ", 40, mark)
        assert states(lab)[0]["example.test"] == before[0]["example.test"]
    lab.milter.wait_for_log(r"isolated: state=off after=\d+s ", 30, mark)
    until_up(lab)
    lab.milter.no_log(r"health: domain=example\.test ", mark)
