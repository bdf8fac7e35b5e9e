# SPDX-License-Identifier: BSD-2-Clause
#
# A dictionary attack before, in and after an outage, with default policy and default limits of
# callouts: no bounce, no invented name accepted, no ordinary mail lost. tests/bench has the large
# one, and what other set-ups do.

from concurrent.futures import ThreadPoolExecutor

from lab import attack, outage
from lab.attack import Botnet, Friends
from peers.waiting import eventually
from story import until_up, wait_down

# The defaults, where the lab's own are others.
MILTER_SETTINGS = {
    "policy": {"recovery_grace": "30m"},
    "recipients": {"callout_rate": 10, "callout_refusals": 60, "callouts_per_client": 30},
}
ADDRESSES = 1000
KNOWN = [f"user{number}@example.test" for number in range(30)]
NEWCOMERS = [f"user{number}@example.test" for number in range(50, 80)]


def attacked(botnet, friends, phase):
    """One phase: the attack, and ten mails each to known and to other people beside it."""
    number = ["up", "outage", "after"].index(phase)
    share = slice(10 * number, 10 * number + 10)
    names = attack.invented(ADDRESSES, seed=number)
    with ThreadPoolExecutor(1) as beside:
        tally = beside.submit(botnet.attack, names)
        welcome = (friends.write(KNOWN[share], f"known-{phase}"),
                   friends.write(NEWCOMERS[share], f"newcomer-{phase}"))
        tally = tally.result()
    assert tally.asked == ADDRESSES
    assert not tally.accepted, tally
    assert all(told.startswith(("4", "550 5.1.1")) for told in tally.told), tally
    return tally, welcome


def test_no_bounce_nothing_lost(lab, figure):
    until_up(lab)
    attack.learn_all(lab, KNOWN)
    friends, botnet = Friends(lab), Botnet(lab)
    mark = lab.milter.mark()

    tally, _ = attacked(botnet, friends, "up")
    figure("dictionary attack, primary up", tally)

    # a host that dies between a message and its answer to it is sent that message again (RFC 1047)
    assert set(friends.outcome(30)) == set(friends.sent)
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        tally, (known, newcomers) = attacked(botnet, friends, "outage")
        figure("dictionary attack, outage", tally)
        assert known == set(KNOWN[10:20]), "known recipients are welcome in the outage"
        assert not newcomers, "nothing is promised to those who may not exist"
        mark = lab.milter.mark()

    lab.milter.wait_for_health("example.test", "up", mark)
    tally, (known, _) = attacked(botnet, friends, "after")
    figure("dictionary attack, recovering", tally)
    assert known == set(KNOWN[20:30]), "known recipients are welcome in recovery_grace"

    arrived = friends.outcome(30)
    assert set(arrived) == set(friends.sent), "lost, or not there yet"
    doubled = [token for token, count in arrived.items() if count > 1]
    assert not doubled, "delivered twice:\n" + "\n".join(
        f"{delivery.path}\n{delivery.text}" for token in doubled
        for delivery in lab.primary.deliveries(token=token))
    assert not friends.refused
    lab.backup.wait_queue_empty(10)
    assert not lab.backup.bounces()
    assert attack.bounces(lab) == (0, 0, 0)
    # What the attack could make us ask the primary in vain: callout_refusals and the tests of
    # catch-all, whatever its size.
    refused = attack.refusals_of_backup(lab)
    figure("dictionary attack, refusals the primary gave to us", refused)
    assert refused <= 80
    eventually(lambda: lab.milter.status("example.test")["state"] == "up", 10, "still up")
