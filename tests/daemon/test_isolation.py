# SPDX-License-Identifier: BSD-2-Clause
#
# This host's own uplink is gone: all endpoints and all references fail together. States stay as
# they were, one line says so, and what answers first ends it. With a reference that answers an
# outage is found as always; without references nothing is different.

import re
import time

import pytest
from peers.smtp_server import SILENCE, Blackhole
from peers.waiting import eventually, free_port

ON = r"isolated: state=on endpoints=0/%d references=0/%d$"
OFF = r"isolated: state=off after=\d+s endpoints=\d/\d references=\d/\d$"
ANY_DOWN = r"(health|endpoint): .*state=(down|sick)"
MUTE = {"banner": SILENCE}                  # connected to is all a reference has to be


@pytest.fixture
def reference(lab):
    return lab.server("ref.test", port=free_port(), **MUTE)


def watching(*references, **probe):
    """The settings with these references: servers, or text."""
    texts = [r if isinstance(r, str) else "%s:%d" % (r.address, r.port) for r in references]
    return {"probe": {"reference": texts, **probe}}


def isolate(daemon, primaries, references, wait=True):
    """Takes them all away. Returns the log's mark before."""
    mark = daemon.mark()
    for server in (*references, *primaries):
        server.stop()
    if wait:
        daemon.wait_for_log(ON % (len(primaries), len(references)), 15, mark)
    return mark


def probes(daemon, server, since):
    return len(daemon.log_lines(r"probe: address=%s " % re.escape(server.endpoint), since))


def wait_probes(daemon, server, count, since=None):
    """Until it has been probed so many times more."""
    since = daemon.mark() if since is None else since
    eventually(lambda: probes(daemon, server, since) >= count, 20,
               lambda: "%d probes of %s" % (count, server.endpoint))


def test_states_stay_and_one_line_says_so(lab, reference):
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon(watching(reference), domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    before = daemon.wait_for_state("two.test", "up")
    assert daemon.status()["isolated"] is False
    assert "ISOLATED" not in daemon.ctl("status")[1]

    mark = isolate(daemon, [one, two], [reference])
    wait_probes(daemon, one, 4)             # fall is 2
    wait_probes(daemon, two, 4)
    status = daemon.status()
    assert status["isolated"] is True
    assert [d["state"] for d in status["domains"]] == ["up", "up"]
    assert daemon.status("two.test")["since"] == before["since"]
    assert "ISOLATED: " in daemon.ctl("status")[1]
    daemon.no_log(ANY_DOWN, mark)
    assert len(daemon.log_lines(r"isolated: state=", mark)) == 1

    reference.start()                       # it alone is enough
    daemon.wait_for_log(r"isolated: state=off after=\d+s endpoints=0/2 references=1/1$", 10, mark)
    assert daemon.status()["isolated"] is False
    # the primaries are really down now, and both are found to be
    for server in (one, two):
        daemon.wait_for_log(r"endpoint: address=%s state=down was=up reason=refused"
                            % re.escape(server.endpoint), 15, mark)


def test_an_endpoint_that_answers_ends_it(lab, reference):
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon(watching(reference), domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    mark = isolate(daemon, [one, two], [reference])
    two.start()
    one.start()
    daemon.wait_for_log(r"isolated: state=off after=\d+s endpoints=1/2 references=0/1$", 10, mark)
    wait_probes(daemon, one, 3)
    wait_probes(daemon, two, 3)
    daemon.no_log(ANY_DOWN, mark)
    assert len(daemon.log_lines(r"isolated: state=", mark)) == 2


def test_one_failure_is_too_many_where_fall_is_one(lab, reference):
    """The first failing probe is the one that would take the endpoint down."""
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference, fall=1), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [reference])
    wait_probes(daemon, server, 3)
    reference.start()
    server.start()
    daemon.wait_for_log(OFF, 10, mark)
    wait_probes(daemon, server, 3)
    daemon.no_log(ANY_DOWN, mark)
    assert daemon.status("one.test")["state"] == "up"


def test_timeouts_isolate_as_well(lab, reference):
    """Nothing comes back at all: held until the primary's and the references' time is up."""
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference, fall=1), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [reference], wait=False)
    holes = [lab.blackhole(server.address), Blackhole(reference.address, reference.port)]
    lab.others.append(holes[1])
    daemon.wait_for_log(r"probe: address=%s result=timeout" % re.escape(server.endpoint), 15, mark)
    daemon.wait_for_log(ON % (1, 1), 15, mark)
    for hole in holes:
        hole.close()
    server.start()
    daemon.wait_for_log(OFF, 15, mark)
    wait_probes(daemon, server, 2)
    daemon.no_log(ANY_DOWN, mark)


def test_outage_with_a_living_reference_is_found_as_always(lab, reference):
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = daemon.mark()
    server.stop()
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up reason=refused endpoints=0/1",
                        10, mark)
    assert 2 <= probes(daemon, server, mark) <= 3       # fall is 2, and none was lost
    server.start()
    daemon.wait_for_log(r"health: domain=one\.test state=up was=down reason=ok", 10, mark)
    daemon.no_log(r"isolated: state=")


def test_one_living_reference_of_two_is_enough(lab, reference):
    server = lab.primary("one.test")
    other = lab.server("ref2.test", port=free_port(), **MUTE)
    daemon = lab.daemon(watching(other, reference), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = daemon.mark()
    other.stop()
    server.stop()
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up", 10, mark)
    daemon.no_log(r"isolated: state=")


def test_one_living_primary_is_enough(lab, reference):
    """No reference answers, but another domain's primary does: it isn't us."""
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon(watching(reference), domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    mark = daemon.mark()
    reference.stop()
    one.stop()
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up", 20, mark)
    daemon.no_log(r"isolated: state=")
    assert daemon.status("two.test")["state"] == "up"


def test_an_answer_is_an_answer_whatever_it_says(lab, reference):
    """A primary that has no time for us can be reached: its outage is its own."""
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = daemon.mark()
    reference.stop()
    server.change(banner="421 4.3.2 not now")
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up reason=banner-4xx", 10, mark)
    daemon.no_log(r"isolated: state=")


def test_without_references_nothing_is_held(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = daemon.mark()
    server.stop()
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up reason=refused", 10, mark)
    daemon.no_log(r"isolated:")
    assert daemon.status()["isolated"] is False


def test_down_stays_down_and_sick_stays_sick(lab, reference):
    """Frozen are all states, not only the good ones: a sick primary isn't found `down`."""
    sick, down, up = (lab.primary(d) for d in ("sick.test", "down.test", "up.test"))
    daemon = lab.daemon(watching(reference), domains=["sick.test", "down.test", "up.test"])
    for domain in ("sick.test", "down.test", "up.test"):
        daemon.wait_for_state(domain, "up")
    sick.change(ehlo="550 5.7.1 no", helo="550 5.7.1 no")
    down.stop()
    daemon.wait_for_state("sick.test", "sick")
    since = daemon.wait_for_state("down.test", "down")["since"]
    mark = daemon.mark()
    for server in (reference, sick, up):
        server.stop()
    daemon.wait_for_log(ON % (3, 1), 15, mark)
    wait_probes(daemon, sick, 4)
    wait_probes(daemon, up, 4)
    states = {d["domain"]: d["state"] for d in daemon.status()["domains"]}
    assert states == {"sick.test": "sick", "down.test": "down", "up.test": "up"}
    assert daemon.status("down.test")["since"] == since
    daemon.no_log(r"health:", mark)


def test_references_are_met_only_when_needed_and_told_nothing(lab, reference):
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    wait_probes(daemon, server, 3)
    assert not reference.sessions
    server.stop()
    daemon.wait_for_state("one.test", "down")
    met = len(reference.sessions)
    assert 1 <= met <= 3
    wait_probes(daemon, server, 4)          # a known outage raises no new question
    assert len(reference.sessions) == met
    assert all(session.lines == [] for session in reference.sessions)


def test_a_reference_by_its_name(lab, reference):
    """The name is looked up before it is needed: when it is, DNS is gone as well."""
    server = lab.primary("one.test")
    daemon = lab.daemon(watching("ref.test:%d" % reference.port), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    lab.dns.wait_for_query("ref.test")
    mark = daemon.mark()
    lab.dns.fail_all("SILENCE")
    server.stop()
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up", 10, mark)
    server.start()
    daemon.wait_for_log(r"health: domain=one\.test state=up was=down", 10, mark)
    mark = isolate(daemon, [server], [reference])
    reference.start()
    daemon.wait_for_log(OFF, 10, mark)


def test_a_reference_whose_name_leads_nowhere_does_not_answer(lab):
    server = lab.primary("one.test")
    daemon = lab.daemon(watching("nowhere.test:53"), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [], wait=False)
    daemon.wait_for_log(ON % (1, 1), 15, mark)
    server.start()
    daemon.wait_for_log(OFF, 10, mark)
    daemon.no_log(ANY_DOWN, mark)


def test_dns_takes_nothing_down_meanwhile(lab, reference):
    """A resolver behind the dead link may say the strangest things, here after the grace."""
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference), {"dns": {"dns_grace": "1s"}}, domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [reference])
    lab.dns.remove("mx1.one.test")
    asked = lab.dns.count("mx1.one.test", "A")
    daemon.change_ini({"dns": {"timeout": "2s"}})       # another resolver: all is looked up again
    assert daemon.ctl("reload")[0] == 0
    lab.dns.wait_for_query("mx1.one.test", "A", asked + 2)
    eventually(lambda: daemon.status("one.test")["endpoints"] == [], 10)
    assert daemon.status("one.test")["state"] == "up"
    daemon.no_log(r"health:", mark)


def test_reload_takes_references_away(lab, reference):
    server = lab.primary("one.test")
    daemon = lab.daemon(watching(reference), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [reference])
    daemon.change_ini(watching())
    assert daemon.ctl("reload")[0] == 0
    daemon.wait_for_log(r"isolated: state=off after=\d+s endpoints=0/1 references=0/0$", 5, mark)
    daemon.wait_for_log(r"health: domain=one\.test state=down was=up", 10, mark)


def test_reload_names_other_references(lab, reference):
    server = lab.primary("one.test")
    other = lab.server("ref2.test", port=free_port(), **MUTE)
    daemon = lab.daemon(watching(reference, fast_interval="30s"), domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    mark = isolate(daemon, [server], [reference])
    daemon.change_ini(watching(reference, fall=3))      # another key: nothing happens
    assert daemon.ctl("reload")[0] == 0
    assert daemon.status()["isolated"] is True
    daemon.change_ini(watching(reference, other))
    assert daemon.ctl("reload")[0] == 0
    daemon.wait_for_log(r"isolated: state=off after=\d+s endpoints=0/1 references=1/2$", 5, mark)


def test_reload_brings_the_first_reference(lab, reference):
    server = lab.primary("one.test")
    daemon = lab.daemon(domains=["one.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.change_ini(watching(reference))
    assert daemon.ctl("reload")[0] == 0
    mark = isolate(daemon, [server], [reference])
    wait_probes(daemon, server, 3)
    daemon.no_log(ANY_DOWN, mark)


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_restart_while_isolated(lab, reference, crash):
    """What is remembered stays, by the same rule, when everything fails from the start."""
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon(watching(reference, fall=1), domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    two.stop()
    since = daemon.wait_for_state("two.test", "down")["since"]
    time.sleep(1.2)                         # what was learned is written behind
    isolate(daemon, [one, two], [reference], wait=False)
    lab.dns.fail_all("SILENCE")
    mark = daemon.mark()
    daemon.wait_for_log(ON % (2, 1), 15, mark)
    daemon.restart(crash=crash)
    mark = daemon.mark()
    daemon.wait_for_log(r"isolated: state=on endpoints=0/2 references=0/1", 15)
    wait_probes(daemon, one, 3)
    assert daemon.status("one.test")["state"] == "up"
    assert daemon.status("two.test")["state"] == "down"
    assert daemon.status("two.test")["since"] == since
    daemon.no_log(r"(health|endpoint): .*", mark)
    lab.dns.fail_all(None)
    one.start()
    daemon.wait_for_log(OFF, 10, mark)
    wait_probes(daemon, one, 2)
    daemon.no_log(r"health: domain=one\.test", mark)


def test_a_stop_while_something_is_held(lab, reference):
    """(The sanitizers look at what is left.)"""
    one, two = lab.primary("one.test"), lab.primary("two.test")
    daemon = lab.daemon(watching(reference, connect_timeout="20s"),
                        domains=["one.test", "two.test"])
    daemon.wait_for_state("one.test", "up")
    daemon.wait_for_state("two.test", "up")
    mark = daemon.mark()
    two.stop()
    lab.blackhole(two.address)              # is waited for, and takes its time
    reference.stop()
    lab.others.append(Blackhole(reference.address, reference.port))
    one.stop()
    daemon.wait_for_log(r"probe: address=%s result=refused" % re.escape(one.endpoint), 10, mark)
    assert daemon.status("one.test")["state"] == "up"
    daemon.stop()
    daemon.start()
