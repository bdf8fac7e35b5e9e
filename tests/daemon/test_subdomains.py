# SPDX-License-Identifier: BSD-2-Clause
#
# Subdomains of a [domain ".parent"] section: taken up when somebody asks for them. They are ours
# from the first question on; strangers who make names up get no more than a bounded part of the
# daemon's time and memory, and push nobody out who was known before.

import threading
import time

import pytest

from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
PER_SECOND = 10                         # new ones that are taken up
BURST = 10


def at_once(count, work):
    """Run work(number) in threads; what went wrong in one of them goes wrong here."""
    problems = []

    def run(number):
        try:
            work(number)
        except BaseException as problem:        # pylint: disable=broad-except
            problems.append(problem)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


# What a name of ours may be told, early or late: the primary knows no such user, and says so when asked.
JUDGED = ((451, "4.3.2"), (451, "4.4.1"), (550, "5.1.1"))


class World:
    def __init__(self, lab):
        self.lab = lab
        self.server = lab.server("mx1.par.test", recipients={"alice": "250 ok"})
        self.real("real.par.test")
        self.daemon = lab.daemon({"recipients": {"callout_wait": "2s"}}, domains=[".par.test"])

    def real(self, *names):
        for name in names:
            self.lab.dns.mx(name, (10, "mx1.par.test"), (20, OUR_NAME))

    def know_real(self):
        """real.par.test is known and so is alice in it."""
        assert self.daemon.milter().rcpt("<alice@real.par.test>").code == 451
        self.daemon.wait_for_state("real.par.test", "up")
        self.daemon.learn("alice@real.par.test")

    def flood(self, rcpts=150):
        """Names that nobody has ever heard of, from four connections. Returns how long it took."""
        started = time.monotonic()

        def ask(number):
            with self.daemon.milter().connect(client="198.51.100.%d" % number) as session:
                assert session.mail("<spam@example.org>").accepted
                for n in range(rcpts):
                    session.rcpt("<x@r%d-%d.par.test>" % (number, n))
                session.abort()
        at_once(4, ask)
        return time.monotonic() - started


def test_new_subdomains_are_ours_at_once(lab):
    """Mail for them is never let past, however many come together."""
    world = World(lab)
    names = [["s%d-%d.par.test" % (c, n) for n in range(15)] for c in range(4)]
    for of_one in names:
        world.real(*of_one)
    replies = []

    def ask(number):
        with world.daemon.milter().connect(client="198.51.100.%d" % number) as session:
            assert session.mail("<a@example.org>").accepted
            for name in names[number]:
                for _ in range(2):
                    replies.append((name, session.rcpt("<x@%s>" % name)))
            session.abort()
    at_once(4, ask)
    assert len(replies) == 120
    wrong = [(name, reply) for name, reply in replies
             if (reply.code, reply.xcode) not in JUDGED]
    assert not wrong, wrong[:5]
    world.daemon.no_log(r"reason=not-ours .*par\.test")


def test_names_asked_by_all_at_once(lab):
    """The same new name from four connections in the same moment."""
    world = World(lab)
    barrier = threading.Barrier(4)
    names = ["t%d.par.test" % n for n in range(10)]
    world.real(*names)

    def ask(number):
        for name in names:
            barrier.wait(30)
            # a recipient of one's own: what another learned of it would be another answer
            reply = world.daemon.milter().rcpt("<x%d@%s>" % (number, name),
                                               client="198.51.100.%d" % number)
            assert (reply.code, reply.xcode) in JUDGED, (name, reply)
    at_once(4, ask)
    world.daemon.no_log(r"reason=not-ours .*par\.test")


def test_a_flood_is_bounded(lab):
    world = World(lab)
    daemon = world.daemon
    world.know_real()
    started = time.monotonic()
    queries = sum(lab.dns.queries.values())
    world.flood()
    there = daemon.status()["domains"]
    seconds = time.monotonic() - started
    bound = PER_SECOND * (seconds + 1) + BURST
    assert len(there) <= bound + 1, (len(there), seconds)
    # each one taken up costs a handful of look-ups, those left out cost none
    assert sum(lab.dns.queries.values()) - queries <= 8 * bound
    daemon.no_log(r"reason=not-ours .*par\.test")
    # who was there before is still there, and answered as ever
    assert "real.par.test" in [domain["domain"] for domain in there]
    reply = daemon.milter().rcpt("<alice@real.par.test>")
    assert (reply.code, reply.xcode) == (451, "4.3.2")
    assert reply.seconds < 1
    world.server.stop()
    daemon.wait_for_state("real.par.test", "down")
    world.flood(50)
    assert daemon.milter().rcpt("<alice@real.par.test>").action == "continue"
    assert daemon.milter().rcpt("<nobody@real.par.test>").code == 451


def test_a_new_one_gets_in_after_a_flood(lab):
    """Once it is over, new names are taken up again."""
    world = World(lab)
    world.flood(60)
    world.real("late.par.test")

    def answered():
        reply = world.daemon.milter().rcpt("<alice@late.par.test>")
        assert reply.code == 451
        return reply.xcode == "4.3.2"
    eventually(answered, 15, pause=0.2)


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_stored_subdomains_are_taken_up_after_a_restart(lab, crash):
    """Nobody has to ask for them first: there may be mail in the queue."""
    world = World(lab)
    daemon = world.daemon
    world.know_real()
    world.server.stop()
    daemon.wait_for_state("real.par.test", "down")
    result = daemon.milter().send_message(rcpts=["<alice@real.par.test>"])
    assert result.replies[0].action == "continue"
    time.sleep(1.5)                             # a crash loses what is younger than a second
    daemon.restart(crash=crash)
    daemon.wait_for_state("real.par.test", "down")
    assert daemon.milter().rcpt("<alice@real.par.test>").action == "continue"
    world.server.start()
    daemon.wait_for_state("real.par.test", "up")


def test_stored_subdomains_of_a_section_that_is_gone(lab):
    world = World(lab)
    world.know_real()
    world.daemon.stop()
    ini = {name: keys for name, keys in world.daemon.ini.items() if name != 'domain ".par.test"'}
    ini["domains"] = {"domains_from_mta": False}
    world.daemon.write_ini(ini)
    world.daemon.start()
    assert world.daemon.milter().rcpt("<alice@real.par.test>").action == "continue"
    assert not world.daemon.status()["domains"]
