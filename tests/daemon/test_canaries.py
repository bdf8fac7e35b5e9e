# SPDX-License-Identifier: BSD-2-Clause
#
# Canaries and the state "sick" (DESIGN section 3): a primary that refuses people it knew lately has
# lost its users. Nothing is taken for it, nobody is refused, and what it said is forgotten.

import re
import time

import pytest

from peers.smtp_server import SILENCE
from peers.waiting import eventually

KNOWN = {"alice": "250 ok", "bob": "250 ok", "carol": "250 ok"}
NOBODY = "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"
OFTEN = {"probe": {"canary_interval": "4s"}, "policy": {"recovery_grace": "10m"}}


def known(server):
    server.script.recipients = dict(KNOWN)


def everybody(server, step):
    server.script.recipients = {}
    server.script.other_recipients = step


def learned(lab, domain, *ini, **script):
    """A domain whose primary knows three people, and so do we."""
    server = lab.primary(domain, recipients=dict(KNOWN), **script)
    daemon = lab.daemon(OFTEN, *ini, domains=[domain])
    daemon.wait_for_state(domain, "up")
    daemon.learn(*("%s@%s" % (name, domain) for name in KNOWN))
    return server, daemon


def asked(server, local):
    return sum(rcpt.startswith(local + "@") for s in server.sessions for rcpt in s.rcpts)


def test_canaries_take_turns(lab):
    server, daemon = learned(lab, "turns.test")
    before = {name: asked(server, name) for name in KNOWN}
    eventually(lambda: all(asked(server, name) > before[name] for name in KNOWN), 30)
    assert daemon.status("turns.test")["state"] == "up"


@pytest.mark.parametrize("refusal", [NOBODY, "554 5.7.1 Relay access denied", "550 no",
                                     "451 4.3.0 user table unavailable"])
def test_a_primary_that_lost_its_users_is_sick(lab, refusal):
    server, daemon = learned(lab, "lost.test")
    daemon.learn("nobody@lost.test")
    everybody(server, refusal)
    found = daemon.wait_for_log(r"health: domain=lost\.test state=sick was=up .*", 20).string
    assert "reason=canary-refused" in found
    status = daemon.status("lost.test")
    assert (status["state"], status["reason"]) == ("sick", "canary-refused")
    # why: to the one who reads the log, and to the one who asks
    line = daemon.wait_for_log(r"canary: recipient=<alice@lost\.test> .* text=.*").string
    assert refusal.split()[-1] in line and "code=%s" % refusal[:3] in line
    page = daemon.ctl("status", "lost.test")[1]
    assert "refuses people it accepted lately" in page and "configured" in page
    for name in ("alice", "somebody"):
        reply = daemon.milter().rcpt("<%s@lost.test>" % name)
        assert (reply.code, reply.xcode) == (451, "4.3.0")
        assert "primary MX is not in order, try again later" in reply.text
    server.script.other_recipients = NOBODY
    known(server)
    daemon.wait_for_log(r"health: domain=lost\.test state=up was=sick", 30)
    for name in KNOWN:
        assert daemon.explain("%s@lost.test" % name)["recipient"] == "valid"
        assert daemon.milter().rcpt("<%s@lost.test>" % name).action == "continue"   # recovering


def test_what_a_sick_primary_said_is_forgotten(lab):
    """All answers between the last good canary and the sickness: of those we knew and of others."""
    server, daemon = learned(lab, "said.test", {"recipients": {"valid_refresh": "1s"},
                                                "probe": {"canary_interval": "1h"}})
    server.script.recipients["control"] = "250 ok"
    time.sleep(1.1)                             # the control is who was accepted last
    daemon.learn("control@said.test")
    # on the disk, too: the next one is chosen as a control from there
    eventually(lambda: "control@said.test" in daemon.ctl("recipients", "list", "said.test")[1], 10)
    # it is still accepted, so that refusals are believed
    server.script.recipients = {"control": "250 ok"}
    for name in ("alice", "dora"):
        daemon.milter().rcpt("<%s@said.test>" % name)
    eventually(lambda: daemon.explain("alice@said.test")["recipient"] == "invalid", 10)
    eventually(lambda: daemon.explain("dora@said.test")["recipient"] == "invalid", 10)
    # the refusal of alice called for a canary; now all of them are refused
    server.script.recipients = {}
    mark = daemon.mark()
    for name in ("bob", "carol", "control"):
        daemon.milter().rcpt("<%s@said.test>" % name)
    daemon.wait_for_log(r"health: domain=said\.test state=sick", 20, mark)
    assert daemon.explain("alice@said.test")["recipient"] == "valid"
    assert daemon.explain("dora@said.test")["recipient"] == "unknown"
    daemon.restart(crash=True)
    assert daemon.status("said.test")["state"] == "sick"
    assert daemon.explain("alice@said.test")["recipient"] == "valid"
    assert daemon.explain("dora@said.test")["recipient"] == "unknown"
    server.stop()
    daemon.wait_for_state("said.test", "down")
    assert daemon.milter().rcpt("<alice@said.test>").action == "continue"
    assert daemon.milter().rcpt("<dora@said.test>").code == 451


def test_one_who_left_makes_nobody_sick(lab):
    server, daemon = learned(lab, "left.test")
    del server.script.recipients["alice"]
    mark = daemon.mark()
    daemon.wait_for_log(r"canary: recipient=<alice@left\.test> answer=refused", 30, mark)
    daemon.wait_for_log(r"callout: recipient=<alice@left\.test> verdict=invalid", 10, mark)
    before = asked(server, "alice")
    time.sleep(8)                               # two intervals: others take turns, in good health
    assert asked(server, "alice") == before
    server.stop()
    daemon.wait_for_state("left.test", "down")
    assert daemon.milter().rcpt("<alice@left.test>").code == 550
    assert "state=sick" not in daemon.log.text(mark)


def test_the_only_one_left_and_another_is_accepted(lab):
    """The sickness of a domain with one known mailbox ends when somebody else is known there."""
    server = lab.primary("single.test", recipients={"alice": "250 ok"})
    daemon = lab.daemon(OFTEN, domains=["single.test"])
    daemon.wait_for_state("single.test", "up")
    daemon.learn("alice@single.test")
    server.script.recipients = {"bob": "250 ok"}
    daemon.wait_for_state("single.test", "sick", 20)
    assert daemon.milter().rcpt("<bob@single.test>").code == 451
    daemon.wait_for_log(r"health: domain=single\.test state=up was=sick", 20)
    assert daemon.explain("bob@single.test")["recipient"] == "valid"


def test_a_primary_that_returns_without_its_users_is_not_up(lab):
    """Else the MTA would be told to deliver all that waits, and would bounce it."""
    server, daemon = learned(lab, "empty.test")
    server.stop()
    daemon.wait_for_state("empty.test", "down")
    everybody(server, NOBODY)
    mark = daemon.mark()
    server.start()
    daemon.wait_for_log(r"health: domain=empty\.test state=sick was=down reason=canary-refused",
                        20, mark)
    assert "state=up was=down" not in [line for line in daemon.log.text(mark).splitlines()
                                       if "health: " in line]
    known(server)
    daemon.wait_for_log(r"health: domain=empty\.test state=up was=sick", 30, mark)


@pytest.mark.parametrize("word", ["none", "auto"])
def test_a_primary_that_returns_in_order_is_up_at_once(lab, word):
    server, daemon = learned(lab, "order.test", {"probe": {"canary": word}})
    server.stop()
    daemon.wait_for_state("order.test", "down")
    before = sum(asked(server, name) for name in KNOWN)
    server.start()
    daemon.wait_for_state("order.test", "up")
    assert (sum(asked(server, name) for name in KNOWN) > before) == (word == "auto")


def test_a_primary_that_returns_and_hangs_at_rcpt_is_up_in_the_end(lab):
    server, daemon = learned(lab, "hang.test", {"probe": {"timeout": "60s"}})
    server.stop()
    daemon.wait_for_state("hang.test", "down")
    server.script.rcpt = SILENCE
    server.start()
    daemon.wait_for_state("hang.test", "up", 25)


def test_reloads_dont_put_off_a_second_opinion(lab):
    server, daemon = learned(lab, "hups.test", {"probe": {"canary_interval": "1h"}})
    everybody(server, NOBODY)
    mark = daemon.mark()
    daemon.milter().rcpt("<nobody@hups.test>")      # the control is refused: that calls for one
    daemon.wait_for_log(r"canary: .* answer=refused", 15, mark)
    for _ in range(20):
        daemon.hup()
        time.sleep(0.3)
    daemon.wait_for_log(r"health: domain=hups\.test state=sick", 15, mark)


def test_those_of_a_list_can_be_canaries(lab, tmp_path):
    """Where a list names everybody, nobody is learned by asking."""
    path = tmp_path / "people"
    path.write_text("alice\nbob\npostmaster\n")
    server = lab.primary("listed.test", recipients=dict(KNOWN))
    daemon = lab.daemon(OFTEN, {'domain "listed.test"': {"recipients_file": path,
                                                         "recipients_complete": True}})
    daemon.wait_for_state("listed.test", "up")
    eventually(lambda: asked(server, "alice") and asked(server, "bob"), 20)
    everybody(server, NOBODY)
    daemon.wait_for_state("listed.test", "sick", 20)
    assert not asked(server, "postmaster")
    known(server)
    daemon.wait_for_state("listed.test", "up", 30)


def test_they_come_sooner_while_mail_is_taken(lab, fast_daemon):
    """What is taken for a primary that is up is delivered at once, and would bounce at once."""
    server = lab.primary("taking.test", recipients=dict(KNOWN))
    daemon = fast_daemon(20, {"probe": {"canary_interval": "1d"}, "policy": {"when_up": "accept"}},
                         domains=["taking.test"])
    daemon.wait_for_state("taking.test", "up")
    daemon.learn("alice@taking.test")
    time.sleep(4)                               # 80 of its seconds

    def canaries():
        return len(daemon.log_lines(r"canary: recipient=<alice@taking\.test> answer=accepted"))
    before = canaries()
    daemon.milter().send_message(rcpts=["<alice@taking.test>"])
    eventually(lambda: canaries() == before + 1, 5)
    daemon.milter().send_message(rcpts=["<alice@taking.test>"])
    time.sleep(1)
    assert canaries() == before + 1


def test_canaries_that_tell_nothing_keep_no_primary_down(lab):
    """One of them is gone, the other's mailbox is full, each time: nobody will ever know."""
    server = lab.primary("full.test", recipients={"alice": "250 ok", "bob": "250 ok"})
    daemon = lab.daemon(OFTEN, domains=["full.test"])
    daemon.wait_for_state("full.test", "up")
    daemon.learn("alice@full.test", "bob@full.test")
    before = asked(server, "bob")
    eventually(lambda: asked(server, "bob") > before, 20)       # so it is alice's turn
    server.stop()
    daemon.wait_for_state("full.test", "down")
    server.script.recipients = {"alice": NOBODY, "bob": "552 5.2.2 mailbox full"}
    server.start()
    daemon.wait_for_state("full.test", "up", 25)


def test_canaries_given_up_while_a_primary_is_kept_waiting_for_one(lab):
    server, daemon = learned(lab, "waits.test", {"probe": {"timeout": "60s"}})
    server.stop()
    daemon.wait_for_state("waits.test", "down")
    before = sum(asked(server, name) for name in KNOWN)
    server.script.rcpt = SILENCE
    server.start()
    eventually(lambda: sum(asked(server, name) for name in KNOWN) > before, 15)
    daemon.change_ini({"probe": {"canary": "none"}})
    daemon.hup()
    daemon.wait_for_state("waits.test", "up", 25)


def test_a_domain_that_comes_back_has_canaries_again(lab):
    """It is up by what is remembered of it: no change of state says that there is one to watch."""
    server, daemon = learned(lab, "back.test")
    ini = daemon.ini
    daemon.write_ini({name: section for name, section in ini.items()
                      if name != 'domain "back.test"'})
    mark = daemon.mark()
    daemon.hup()
    daemon.wait_for_log("reload: result=ok domains=0", since=mark)
    daemon.write_ini(ini)
    daemon.hup()
    daemon.wait_for_log("reload: result=ok domains=1", since=mark)
    before = sum(asked(server, name) for name in KNOWN)
    eventually(lambda: sum(asked(server, name) for name in KNOWN) > before, 20)
    assert "health: " not in daemon.log.text(mark)


def test_many_domains_of_a_primary_that_returns_without_its_users(lab):
    """One canary a second: the last ones wait for longer than a proof takes, and not in vain."""
    server = lab.server("mx.host.test", recipients={"alice": "250 ok"})
    names = ["d%d.test" % n for n in range(15)]
    for name in names:
        lab.dns.mx(name, (10, "mx.host.test"), (20, "mx2.example.net"))
    daemon = lab.daemon({"probe": {"canary_interval": "1h"}}, domains=names)
    for name in names:
        daemon.wait_for_state(name, "up")
    daemon.learn(*("alice@" + name for name in names))
    server.stop()
    for name in names:
        daemon.wait_for_state(name, "down")
    server.script.recipients = {}
    mark = daemon.mark()
    server.start()
    for name in names:
        daemon.wait_for_log(r"health: domain=%s state=sick was=down" % re.escape(name), 90, mark)
    assert not re.search("health: .* state=up", daemon.log.text(mark))


def test_none_asks_for_nobody(lab):
    server, daemon = learned(lab, "none.test", {"probe": {"canary": "none",
                                                          "canary_interval": "1s"}})
    before = sum(len(s.rcpts) for s in server.sessions)
    everybody(server, NOBODY)
    time.sleep(4)
    assert sum(len(s.rcpts) for s in server.sessions) == before
    assert daemon.status("none.test")["state"] == "up"


def test_a_configured_canary(lab):
    """Only it is asked, whoever else is known; and another domain's address concerns nobody."""
    server = lab.primary("fixed.test", recipients=dict(KNOWN, canary="250 ok"))
    other = lab.primary("other.test", recipients=dict(KNOWN))
    daemon = lab.daemon({"probe": {"canary": "canary@fixed.test", "canary_interval": "1s"}},
                        domains=["fixed.test", "other.test"])
    daemon.wait_for_state("fixed.test", "up")
    daemon.wait_for_state("other.test", "up")
    daemon.learn("alice@fixed.test", "alice@other.test")
    eventually(lambda: asked(server, "canary") >= 2, 15)
    eventually(lambda: asked(other, "alice") >= 3, 15)
    assert asked(server, "alice") == 1
    del server.script.recipients["canary"]
    daemon.wait_for_state("fixed.test", "sick", 15)
    assert daemon.status("other.test")["state"] == "up"
    # the administrator gives it up
    daemon.change_ini({"probe": {"canary": "none"}})
    daemon.hup()
    daemon.wait_for_state("fixed.test", "up", 15)


def test_sickness_survives_a_restart_and_an_outage(lab):
    server, daemon = learned(lab, "lasting.test")
    everybody(server, NOBODY)
    daemon.wait_for_state("lasting.test", "sick", 20)
    daemon.restart()
    assert daemon.milter().rcpt("<alice@lasting.test>").xcode == "4.3.0"
    server.stop()
    daemon.wait_for_state("lasting.test", "down")
    assert daemon.milter().rcpt("<alice@lasting.test>").action == "continue"
    mark = daemon.mark()
    server.start()
    daemon.wait_for_log(r"health: domain=lasting\.test state=sick was=down", 15, mark)
    known(server)
    daemon.wait_for_log(r"health: domain=lasting\.test state=up was=sick", 30, mark)


def test_canaries_are_known_after_a_restart(lab):
    """Who passed before it counts after it."""
    server, daemon = learned(lab, "again.test")
    everybody(server, NOBODY)
    daemon.stop()
    daemon.start()
    daemon.wait_for_state("again.test", "sick", 20)


def test_many_who_turn_invalid_are_a_sickness(lab):
    """More than five and more than a fifth of those asked again: none of it is believed."""
    names = ["user%d" % n for n in range(12)]
    server = lab.primary("mass.test", recipients={name: "250 ok" for name in names})
    daemon = lab.daemon({"recipients": {"valid_refresh": "1s"},
                         "probe": {"canary_interval": "1h"}}, domains=["mass.test"])
    daemon.wait_for_state("mass.test", "up")
    daemon.learn(*("%s@mass.test" % name for name in names))
    time.sleep(1.1)
    # some of the table is gone; the canaries, who were accepted first, are not
    for name in names[4:]:
        del server.script.recipients[name]
    for name in names[4:]:
        daemon.milter().rcpt("<%s@mass.test>" % name)
    daemon.wait_for_log(r"health: domain=mass\.test state=sick", 15)
    for name in names:
        assert daemon.explain("%s@mass.test" % name)["recipient"] == "valid", name
    daemon.wait_for_log(r"health: domain=mass\.test state=up was=sick", 20)
    for name in names:
        assert daemon.explain("%s@mass.test" % name)["recipient"] == "valid", name


def test_those_refused_with_their_control_are_counted(lab):
    """A control is who was accepted last, and may be among those who are gone. That proves nothing of
    the recipient; of a table that lost some of its people it does."""
    stay, gone = ["user%d" % n for n in range(6)], ["user%d" % n for n in range(6, 12)]
    server = lab.primary("part.test", recipients={name: "250 ok" for name in stay + gone})
    daemon = lab.daemon({"recipients": {"valid_refresh": "1s"},
                         "probe": {"canary_interval": "1h"}}, domains=["part.test"])
    daemon.wait_for_state("part.test", "up")
    for names in (stay, gone):                  # the memory counts whole seconds
        daemon.learn(*("%s@part.test" % name for name in names))
        time.sleep(1.1)
    for name in gone:
        del server.script.recipients[name]
    mark = daemon.mark()
    daemon.milter().rcpt("<%s@part.test>" % gone[0])
    daemon.wait_for_log(r"callout: recipient=<user6@part\.test> verdict=none code=550", 15, mark)
    daemon.wait_for_log(r"canary: recipient=<\S+> answer=accepted", 15, mark)
    for name in gone[1:]:
        daemon.milter().rcpt("<%s@part.test>" % name)
    daemon.wait_for_log(r"health: domain=part\.test state=sick", 15)
    daemon.wait_for_log(r"health: domain=part\.test state=up was=sick", 20)
    for name in stay + gone:
        assert daemon.explain("%s@part.test" % name)["recipient"] == "valid", name


def test_one_good_greeting_does_not_end_a_sickness(lab):
    """A sickness that came from EHLO ends after `rise` good probes, and never by way of "down":
    what would be taken then could be bounced at the next refusal."""
    server, daemon = learned(lab, "greet.test", {"probe": {"rise": 4}})
    server.change(ehlo="550 5.7.1 no", helo="550 5.7.1 no")
    daemon.wait_for_log(r"health: domain=greet\.test state=sick was=up reason=ehlo-5xx", 20)
    mark = daemon.mark()
    server.change(ehlo=None, helo="250 {name}")
    daemon.wait_for_log(r"probe: .* result=ok", 10, mark)
    assert daemon.status("greet.test")["state"] == "sick"
    server.change(ehlo="550 5.7.1 no", helo="550 5.7.1 no")
    daemon.wait_for_log(r"probe: .* result=ehlo-5xx", 10, mark)
    assert daemon.milter().rcpt("<alice@greet.test>").xcode == "4.3.0"
    server.change(ehlo=None, helo="250 {name}")
    daemon.wait_for_log(r"health: domain=greet\.test state=up was=sick reason=ok", 20, mark)
    daemon.no_log(r"health: .*state=down", mark)


def test_a_sickness_of_ehlo_ends_at_the_first_good_probe_if_rise_is_one(lab):
    server, daemon = learned(lab, "one.test", {"probe": {"rise": 1}})
    server.change(ehlo="550 5.7.1 no", helo="550 5.7.1 no")
    daemon.wait_for_state("one.test", "sick", 20)
    server.change(ehlo=None, helo="250 {name}")
    daemon.wait_for_log(r"health: domain=one\.test state=up was=sick reason=ok", 20)


def test_a_sick_primary_that_goes_away_is_down(lab):
    server, daemon = learned(lab, "away.test")
    server.change(ehlo="550 5.7.1 no", helo="550 5.7.1 no")
    daemon.wait_for_state("away.test", "sick", 20)
    server.stop()
    daemon.wait_for_log(r"health: domain=away\.test state=down was=sick reason=refused", 20)


def test_a_better_endpoint_comes_up_while_canaries_wait(lab):
    """They wait for their turn at the host that was best when they were due: it is still one to ask.
    Not to have been asked would end the proof that a returning primary owes."""
    first = lab.server("mx1.wait.test", recipients=dict(KNOWN))
    lab.server("mx2.wait.test", recipients=dict(KNOWN))
    domains = ["wait%d.test" % n for n in range(6)]
    for domain in domains:
        lab.dns.mx(domain, (10, "mx1.wait.test"), (15, "mx2.wait.test"), (20, "mx2.example.net"))
    first.stop()
    daemon = lab.daemon({"probe": {"canary_interval": "1s"}}, domains=domains)
    for domain in domains:
        daemon.wait_for_state(domain, "up")
        daemon.learn("alice@" + domain)
    mark = daemon.mark()
    first.start()
    there = r"answer=accepted code=250 endpoint=\[%s\]" % re.escape(first.address)
    eventually(lambda: len(daemon.log_lines(there, mark)) > 5, 40)
    daemon.no_log(r"canary: .* answer=none")
