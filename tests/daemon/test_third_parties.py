# SPDX-License-Identifier: BSD-2-Clause
#
# Promise P6: callouts and probes go only to primaries of domains we really are a backup for.

import time


OUR_NAME = "mx2.example.net"
VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}


def test_p6_nobody_but_primaries_is_ever_talked_to(lab):
    primary = lab.primary("ours.test", recipients=dict(VALID))
    worse = lab.server("mx3.ours.test")
    lab.dns.mx("ours.test", (10, "mx1.ours.test"), (20, OUR_NAME), (30, "mx3.ours.test"))
    bystanders = {
        "MX of a foreign domain": lab.primary("victim.test"),
        "next hop of the MTA": lab.server("relay.victim.test"),
        "the client": lab.server("client.victim.test"),
        "the HELO name": lab.server("helo.victim.test"),
        "the sender's MX": lab.primary("sender.test"),
        "an address literal": lab.server("literal.victim.test"),
        "a source route": lab.primary("route.test"),
        "address of the domain itself": lab.server("ours.test.victim.test"),
        "the worse MX": worse,
    }
    # MX records that list us would teach the domain (test_learned_domains.py)
    lab.dns.mx("victim.test", (10, "mx1.victim.test"))
    literal = bystanders["an address literal"].address
    # ours.test has MX records, so its own address means nothing
    lab.dns.set("ours.test", "A", [bystanders["address of the domain itself"].address])
    daemon = lab.daemon({"milter": {"exempt_clients": ["::1"]}}, domains=["ours.test"])
    daemon.wait_for_state("ours.test", "up")
    for profile in ("postfix", "sendmail"):
        milter = daemon.milter(profile)
        for rcpt in ("<alice@ours.test>", "<x@victim.test>", "<x@[%s]>" % literal,
                     "<@route.test:alice@ours.test>", "<@ours.test:x@victim.test>",
                     "<x%victim.test@ours.test>", "<victim.test!x@ours.test>",
                     "<x@sub.ours.test>", "<x@ours.test.victim.test>", "<x@mx3.ours.test>",
                     "<x@mx1.ours.test>", "<\"x@victim.test\"@ours.test>"):
            milter.send_message(
                client=bystanders["the client"].address,
                name="client.victim.test", helo="helo.victim.test", mail_from="<me@sender.test>",
                rcpts=[rcpt], mailer="smtp", rcpt_host="relay.victim.test", stop_after_rcpt=True)
            milter.send_message(
                client="192.0.2.9", name="client.victim.test", helo="helo.victim.test",
                mail_from="<me@sender.test>", rcpts=[rcpt], mailer="relay",
                rcpt_host="[%s]" % bystanders["next hop of the MTA"].address,
                stop_after_rcpt=True)
    daemon.wait_for_log(r"callout: recipient=<alice@ours\.test> ", 10)
    time.sleep(2.5)
    assert primary.sessions
    for what, server in bystanders.items():
        assert not server.sessions, "%s was talked to:\n%s" % (what, server.transcripts())
    # and DNS wasn't asked about what strangers typed, foreign recipient domains apart
    asked = lab.dns.names_asked()
    for name in ("sender.test", "route.test", "helo.victim.test", "client.victim.test",
                 "relay.victim.test"):
        assert name not in asked, name
    # a callout asks for recipients of our domain only
    assert all(rcpt.lower().endswith("@ours.test") for rcpt in primary.rcpts())


def test_p6_configured_primary_takes_the_place_of_the_mx(lab):
    """With `primary` the callouts go there, and the MX is only probed."""
    public = lab.primary("split.test", recipients=dict(VALID))
    inner = lab.server("inner.split.test", recipients=dict(VALID))
    daemon = lab.daemon({'domain "split.test"': {
        "primary": ["[%s]:%d" % (inner.address, inner.port)]}})
    daemon.wait_for_state("split.test", "up")
    daemon.learn("alice@split.test")
    assert "alice@split.test" in inner.rcpts()
    assert not public.rcpts()
