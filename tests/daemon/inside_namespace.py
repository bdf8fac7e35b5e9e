# SPDX-License-Identifier: BSD-2-Clause
#
# Tests that need a network of their own; test_network_namespace.py makes it and runs them.

import re
import time

from peers.loglines import fields
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
V6 = "fd00:25::%d"


def test_ipv6_primary(lab):
    """Probed, asked and written as an IPv6 endpoint."""
    server = lab.server("mx1.six.test", address=V6 % 1, recipients={"alice": "250 ok"})
    lab.dns.mx("six.test", (10, "mx1.six.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["six.test"])
    daemon.wait_for_state("six.test", "up")
    endpoint, = daemon.status("six.test")["endpoints"]
    assert endpoint["endpoint"] == "[%s]:%d" % (V6 % 1, lab.port)
    daemon.milter().rcpt("<alice@six.test>", client="2001:db8::9", name=None)
    found = daemon.wait_for_log(r"callout: recipient=<alice@six\.test> .*", 10)
    assert fields(found.string)["endpoint"] == server.endpoint
    server.stop()
    daemon.wait_for_log(r"health: domain=six\.test state=down was=up reason=refused", 10)
    result = daemon.milter().send_message(client=V6 % 99, rcpts=["<alice@six.test>"])
    assert "client=[IPv6:%s]" % (V6 % 99) in re.sub(r"\s+", " ", result.header_values(
        "Backup-MX-Status")[0])


def test_either_family_is_enough(lab):
    four = lab.server("mx1.both.test")
    six = lab.server("mx1.both.test", address=V6 % 2)
    lab.dns.host("mx1.both.test", four.address, six.address)
    lab.dns.mx("both.test", (10, "mx1.both.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["both.test"])
    daemon.wait_for_state("both.test", "up")
    eventually(lambda: [e["state"] for e in daemon.status("both.test")["endpoints"]]
               == ["up", "up"], 12)
    for gone, left in ((four, six), (six, four)):
        mark = daemon.mark()
        gone.stop()
        daemon.wait_for_log(r"endpoint: address=%s state=down" % re.escape(gone.endpoint), 25, mark)
        assert daemon.status("both.test")["state"] == "up"
        assert left.sessions
        gone.start()
        daemon.wait_for_log(r"endpoint: address=%s state=up" % re.escape(gone.endpoint), 25, mark)


def test_no_route_stays_out_of_the_count(lab):
    """This host has no IPv6 beyond itself: that says nothing of the primary."""
    four = lab.server("mx1.half.test")
    lab.dns.host("mx1.half.test", four.address, "2001:db8::1")
    lab.dns.mx("half.test", (10, "mx1.half.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["half.test"])
    daemon.wait_for_state("half.test", "up")
    time.sleep(3)
    six, = [e for e in daemon.status("half.test")["endpoints"] if "2001" in e["endpoint"]]
    assert six["state"] != "down"
    daemon.no_log(r"endpoint: address=\[2001:db8::1\]\S* state=down")
    four.stop()
    daemon.wait_for_log(
        r"health: domain=half\.test state=down was=up reason=refused endpoints=0/[12] ", 10)


def test_unreachable_host_is_down(lab):
    """A router's "host unreachable" is a bad probe."""
    server = lab.primary("far.test")
    lab.dns.host("mx1.far2.test", "198.51.100.10")
    lab.dns.mx("far2.test", (10, "mx1.far2.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["far.test", "far2.test"])
    daemon.wait_for_state("far.test", "up")
    assert server.sessions
    daemon.wait_for_log(r"health: domain=far2\.test state=down was=unknown reason=unreachable", 10)


def test_p8_a_better_mx_with_our_ipv6_address_is_us(lab):
    lab.dns.set("alias.self6.test", "AAAA", ["::1"])
    lab.dns.mx("self6.test", (10, "alias.self6.test"), (20, OUR_NAME))
    daemon = lab.daemon(domains=["self6.test"])
    daemon.wait_for_state("self6.test", "not-backup")
