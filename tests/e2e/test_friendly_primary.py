# SPDX-License-Identifier: BSD-2-Clause
#
# A primary with the defences administrators really have takes us for a friend, whatever strangers
# make us ask: never banned, never in the tarpit, never out of order by it. And whoever they name,
# no packet of ours goes to anybody but a primary (P6).

import itertools

from lab import SmtpSession, attack
from lab.friendly import POSTSCREEN_CF, Ban, Elsewhere
from lab.network import ADDRESSES
from peers.milter_client import MilterClient
from peers.waiting import eventually
from story import until_up

# Limits of callouts as they are by default, and a probe's patience.
DEFAULTS = {
    "probe": {"timeout": "30s"},
    "recipients": {"callout_rate": 10, "callout_refusals": 60, "callouts_per_client": 30},
}

# What a stranger may type to have us talk to somebody else.
DETOURS = [
    "x@foreign.test", "x@[192.0.2.40]", "@foreign.test:alice@example.test",
    "@example.test:x@foreign.test", "x%foreign.test@example.test", "foreign.test!x@example.test",
    '"x@foreign.test"@example.test', "x@mx.foreign.test", "x@sender.test", "x@client.test",
    "x@example.test.foreign.test", "x@sub.example.test", "x@mx1.example.test",
]


def learned(lab, recipient, sources, verdict="valid"):
    """A stranger names the recipient again and again, until the primary was asked: beyond the
    limits of callouts nothing waits its turn."""
    def known():
        lab.ask(recipient, source=next(sources))
        return lab.milter.explain(recipient)["recipient"] == verdict
    eventually(known, 90, f"{recipient} is learned", pause=2)


def strangers_detours(lab):
    """As typed by a client, and as a less careful MTA would hand them on to the milter."""
    with lab.session(source="10.77.1.11") as session:
        for detour in DETOURS:
            session.ask(detour)
    with lab.backup_host.network():
        for profile in ("postfix", "sendmail"):
            client = MilterClient(lab.milter.milter_address, profile=profile)
            for detour in DETOURS:
                client.send_message(client="192.0.2.40", name="mx.foreign.test",
                                    helo="mx.foreign.test", mail_from="<me@sender.test>",
                                    rcpts=[f"<{detour}>"], mailer="relay",
                                    rcpt_host="[192.0.2.41]", stop_after_rcpt=True)


def test_attack_of_ten_thousand(own_lab, figure):
    lab = own_lab(DEFAULTS)
    until_up(lab)
    botnet = attack.Botnet(lab)
    mark, log = lab.milter.mark(), len(lab.primary.log_text())
    with Ban(lab) as ban, Elsewhere(lab, ADDRESSES["primary"]) as elsewhere:
        names = attack.invented(10000)
        for start in range(0, len(names), 2500):
            strangers_detours(lab)
            tally = botnet.attack(names[start:start + 2500])
            assert not tally.accepted, tally
        learned(lab, "user7@example.test", botnet.sources)
        assert elsewhere.packets() == 0
        # The counter does count.
        SmtpSession(lab.backup_host, server="192.0.2.40").close()
        assert elsewhere.packets() > 0
    refused = sum(len(ban.refused[address]) for address in ADDRESSES["backup"])
    figure("10,000 invented names, refusals the primary gave to us", refused)
    assert refused > 0, "the milter asks at all"
    assert not ban.banned
    assert "too many errors" not in lab.primary.log_text()[log:]
    assert not lab.milter.log_lines(r"(health|endpoint): .*state=\S+ was=(?!unknown)", mark), \
        "the state flaps"
    assert lab.milter.status("example.test")["state"] == "up"


def test_the_ban_bans(own_lab):
    """The counter proof: without limits the same watcher has us out in no time."""
    lab = own_lab()
    until_up(lab)
    botnet = attack.Botnet(lab, networks=5)
    mark = lab.milter.mark()
    with Ban(lab) as ban:
        botnet.attack(attack.invented(500))
        eventually(lambda: ban.banned & set(ADDRESSES["backup"]), 20, "banned")
        lab.milter.wait_for_log(r"endpoint: .*state=down", 30, mark)


def test_postscreen(own_lab):
    """It lets whoever it doesn't know wait for six seconds after the first line of a banner, and
    here it forgets again and again whom it knew."""
    lab = own_lab(DEFAULTS)
    lab.milter.stop()
    lab.milter.forget_everything()
    lab.primary.replace_services(POSTSCREEN_CF)
    lab.primary.reconfigure(postscreen_greet_action="enforce", postscreen_greet_ttl="5s")
    mark = lab.milter.mark()
    lab.milter.start()
    first = lab.ask("user1@example.test")
    assert first.code in (450, 451), first
    until_up(lab, deadline=60)
    recipients = [f"user{number}@example.test" for number in range(5)]
    for recipient in recipients:
        learned(lab, recipient, itertools.repeat(None))
    learned(lab, "jane.doe@example.test", itertools.repeat(None), "invalid")
    eventually(lambda: lab.primary.log_text().count("PASS NEW [192.0.2.20]")
               + lab.primary.log_text().count("PASS OLD [192.0.2.20]") >= 5, 60,
               lambda: "postscreen saw us pass\n" + lab.primary.log_text()[-3000:])
    assert "PREGREET" not in lab.primary.log_text()
    assert not lab.milter.log_lines(r"domain=example\.test state=down", mark)
    changes = lab.milter.log_lines(r"health: domain=example\.test state=", mark)
    assert len(changes) <= 1, changes
    assert not lab.milter.log_lines(r"recipient=<user\d+@example\.test> verdict=(?!valid)", mark)
    for recipient in recipients:
        assert lab.milter.explain(recipient)["recipient"] == "valid"
