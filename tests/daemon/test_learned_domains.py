# SPDX-License-Identifier: BSD-2-Clause
#
# Domains learned from the MTA: no list is needed. A recipient that the MTA relays for a stranger
# teaches its domain, if the MX records list us and somebody better; nothing else does, and until
# that is proved nobody of that domain ever gets a packet from us (P6).

import threading
import time

import pytest

from peers.daemon import make_older
from peers.waiting import eventually

OUR_NAME = "mx2.example.net"
VALID = {"alice": "250 ok", "control": "250 ok"}
GO_AWAY = (451, "4.3.2")
# What a recipient of a learned domain that is up is told: "go to the primary", or, once the primary
# was asked, that it doesn't know it.
JUDGED = (GO_AWAY, (550, "5.1.1"))


def learned(daemon):
    return sorted(d["domain"] for d in daemon.status()["domains"] if d["source"] == "learned")


def teach(daemon, *names, **more):
    """Strangers' mail teaches these domains."""
    for name in names:
        reply = daemon.milter().rcpt("<alice@%s>" % name, **more)
        assert (reply.code, reply.xcode) in JUDGED, (name, reply)


def looked_up(lab, daemon, name):
    """The name's MX records were asked for, and what they say has been taken in."""
    lab.dns.wait_for_query(name, "MX")
    daemon.wait_for_log(r"candidate: domain=%s " % name.replace(".", r"\."))


def is_left_alone(daemon, recipient, **more):
    reply = daemon.milter().rcpt(recipient, **more)
    assert reply.action == "continue", reply
    assert daemon.explain(recipient.strip("<>"))["reason"] == "not-ours"


# ---- learning ----


def test_learned_at_the_first_recipient(lab):
    primary = lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    daemon.wait_for_log("no domain is configured: they are learned")
    daemon.no_log("WARNING|all mail is left alone")
    assert daemon.milter().rcpt("<alice@New.Test>").code == 451
    daemon.wait_for_log(r"domain: domain=new\.test action=learned$")
    assert daemon.status("new.test")["source"] == "learned"
    assert daemon.status("new.test")["state"] == "up"
    daemon.learn("alice@new.test")
    assert daemon.explain("alice@new.test")["reason"] == "primary-up"
    primary.stop()
    daemon.wait_for_state("new.test", "down")
    result = daemon.milter().send_message(rcpts=["<alice@new.test>"])
    assert "reason=primary-down" in result.header_values("Backup-MX-Status")[0]
    assert daemon.milter().rcpt("<nobody@new.test>").code == 451


def test_learned_by_our_address(lab):
    server = lab.server("mx1.addr.test")
    lab.dns.host("alias.example.net", "192.0.2.250")
    lab.dns.mx("addr.test", (10, "mx1.addr.test"), (20, "alias.example.net"))
    daemon = lab.daemon({"milter": {"my_addresses": ["192.0.2.250"]}})
    teach(daemon, "addr.test")
    assert server.sessions


@pytest.mark.parametrize("profile,mailer", [("postfix", "smtp"), ("postfix", "relay"),
                                            ("sendmail", "esmtp"), ("postfix", None)])
def test_mailers_that_teach(lab, profile, mailer):
    lab.primary("new.test")
    daemon = lab.daemon()
    without = ["{rcpt_mailer}", "{rcpt_host}"] if mailer is None else []
    reply = daemon.milter(profile).rcpt("<alice@new.test>", mailer=mailer, without_macros=without)
    assert (reply.code, reply.xcode) == GO_AWAY


@pytest.mark.parametrize("mailer", ["local", "virtual", "lmtp", "error", "discard", "Local"])
def test_mailers_that_never_teach(lab, mailer):
    primary = lab.primary("own.test")
    daemon = lab.daemon()
    for profile in ("postfix", "sendmail"):
        is_left_alone(daemon.milter(profile) and daemon, "<alice@own.test>", mailer=mailer)
    # what another recipient of it taught changes nothing for those that the MTA keeps
    assert not lab.dns.count("own.test")
    assert not primary.sessions
    teach(daemon, "own.test")
    assert daemon.milter().rcpt("<alice@own.test>", mailer=mailer).action == "continue"


def test_exempt_and_authenticated_clients_never_teach(lab):
    primary = lab.primary("new.test")
    daemon = lab.daemon({"milter": {"exempt_clients": ["192.0.2.0/24"]}})
    is_left_alone(daemon, "<alice@new.test>", client="192.0.2.9")
    is_left_alone(daemon, "<alice@new.test>", client="198.51.100.9", auth="alice")
    time.sleep(0.5)
    assert not lab.dns.count("new.test")
    assert not primary.sessions
    teach(daemon, "new.test", client="198.51.100.9")
    # and row 1 goes on to win
    assert daemon.milter().rcpt("<alice@new.test>", client="192.0.2.9").action == "continue"


def test_explain_teaches_nothing(lab):
    lab.primary("new.test")
    daemon = lab.daemon()
    told = daemon.explain("alice@new.test")
    assert (told["action"], told["reason"]) == ("continue", "not-ours")
    time.sleep(0.5)
    assert not lab.dns.count("new.test")
    assert not daemon.status()["domains"]


def test_domains_from_mta_off(lab):
    lab.primary("new.test")
    daemon = lab.daemon({"domains": {"domains_from_mta": False}})
    daemon.wait_for_log("no domain is configured, all mail is left alone")
    is_left_alone(daemon, "<alice@new.test>")
    assert not lab.dns.count("new.test")


@pytest.mark.parametrize("typed", ["<@[192.0.2.1]:x@[192.0.2.1]>", "<x@[127.0.0.1]>", "<>",
                                   "<postmaster>", "<x@new..test>",
                                   "<x@-new.test>", "<x@%s.test>" % ("a" * 64), "<x@\x01.test>"])
def test_what_is_no_domain_is_not_looked_up(lab, typed):
    lab.primary("new.test")
    daemon = lab.daemon()
    assert daemon.milter().rcpt(typed).action == "continue"
    time.sleep(0.3)
    assert not lab.dns.names_asked() - {OUR_NAME}


# ---- what is no proof ----


NO_PROOF = {
    "foreign.test": lambda dns: dns.mx("foreign.test", (10, "mx1.foreign.test")),
    "only.test": lambda dns: dns.mx("only.test", (10, OUR_NAME)),
    "best.test": lambda dns: dns.mx("best.test", (10, OUR_NAME), (20, "mx1.foreign.test")),
    "equal.test": lambda dns: dns.mx("equal.test", (10, OUR_NAME), (10, "mx1.foreign.test")),
    "null.test": lambda dns: dns.mx("null.test", (0, ".")),
    "bare.test": lambda dns: dns.set("bare.test", "A", ["127.0.0.99"]),
    "gone.test": lambda dns: None,
    "lame.test": lambda dns: dns.mx("lame.test", (10, "no.such.host.test"), (20, OUR_NAME)),
}


@pytest.mark.parametrize("name", NO_PROOF)
def test_what_is_no_proof(lab, name):
    bystander = lab.server("mx1.foreign.test")
    NO_PROOF[name](lab.dns)
    daemon = lab.daemon()
    for _ in range(3):
        is_left_alone(daemon, "<alice@%s>" % name)
    looked_up(lab, daemon, name)
    for _ in range(3):
        is_left_alone(daemon, "<alice@%s>" % name)
    # one look is enough for a while
    assert lab.dns.count(name, "MX") == 1
    assert len(daemon.log_lines("candidate: ")) == 1
    assert "refused_for=600s" in daemon.log_lines("candidate: ")[0]
    assert not daemon.status()["domains"]
    assert not bystander.sessions


@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENCE", "GARBAGE"])
def test_no_answer_is_no_proof_and_soon_asked_again(lab, fault):
    primary = lab.primary("new.test")
    lab.dns.fail("new.test", fault)
    daemon = lab.daemon()
    is_left_alone(daemon, "<alice@new.test>")
    daemon.wait_for_log(r"candidate: domain=new\.test mx=unknown refused_for=60s")
    lab.dns.heal("new.test")
    is_left_alone(daemon, "<alice@new.test>")
    assert not primary.sessions


def test_our_own_address_cant_be_looked_up(lab):
    """We are listed under a name that isn't ours: no proof against us while its address is not
    known."""
    lab.server("mx1.addr.test")
    lab.dns.mx("addr.test", (10, "mx1.addr.test"), (20, "alias.example.net"))
    lab.dns.fail("alias.example.net", "SERVFAIL")
    daemon = lab.daemon({"milter": {"my_addresses": ["192.0.2.250"]}})
    is_left_alone(daemon, "<alice@addr.test>")
    daemon.wait_for_log(r"candidate: domain=addr\.test mx=unlisted refused_for=60s")


def test_smarthost_is_no_primary(lab):
    """relayhost, transport_maps: all mail goes to one next hop, which isn't anybody's primary."""
    smarthost = lab.server("smart.test")
    primary = lab.primary("ours.test")
    foreign = lab.primary("foreign.test")
    lab.dns.mx("foreign.test", (10, "mx1.foreign.test"))
    daemon = lab.daemon()
    for profile in ("postfix", "sendmail"):
        for host in ("smart.test", "[smart.test]", "[%s]:%d" % (smarthost.address, lab.port)):
            for mailer in ("smtp", "relay"):
                assert daemon.milter(profile).rcpt("<x@foreign.test>", mailer=mailer,
                                                   rcpt_host=host).action == "continue"
                assert daemon.milter(profile).rcpt("<alice@ours.test>", mailer=mailer,
                                                   rcpt_host=host).code in (451, 550)
    daemon.wait_for_state("ours.test", "up")
    time.sleep(2.5)
    assert primary.sessions
    assert not smarthost.sessions and not foreign.sessions
    assert not lab.dns.count("smart.test")
    assert learned(daemon) == ["ours.test"]


# ---- the wait ----


def test_the_first_recipient_waits_for_dns_and_probe(lab):
    lab.primary("slow.test")
    lab.dns.delay("slow.test", 0.4)
    daemon = lab.daemon()
    teach(daemon, "slow.test")


def test_no_time_to_wait(lab):
    """DNS is slower than callout_wait: nothing is said, and the next one finds it learned. (A wait
    of less than two seconds would be none that is remembered.)"""
    lab.primary("slow.test")
    lab.dns.delay("slow.test", 3.5)
    daemon = lab.daemon({"recipients": {"callout_wait": "3s"}, "dns": {"timeout": "5s"}})
    reply = daemon.milter().rcpt("<alice@slow.test>")
    assert reply.action == "continue"
    daemon.wait_for_log(r"domain: domain=slow\.test action=learned")
    daemon.wait_for_state("slow.test", "up")
    teach(daemon, "slow.test")
    # while the resolver hangs nobody waits for it again
    lab.primary("slow2.test")
    lab.dns.delay("slow2.test", 0.5)
    assert daemon.milter().rcpt("<alice@slow2.test>").action == "continue"
    assert not daemon.log_lines(r"wait: domain=slow2\.test")


def test_one_budget_for_dns_and_probe(lab):
    """What a message waits for a name to be looked up is taken off what it may wait at all."""
    lab.primary("hang.test", banner="SILENCE")
    lab.dns.delay("hang.test", 1.2)
    daemon = lab.daemon({"recipients": {"callout_wait": "2s"}, "probe": {"timeout": "30s"},
                         "dns": {"timeout": "5s"}})
    reply = daemon.milter().rcpt("<alice@hang.test>")
    assert (reply.code, reply.xcode) == (451, "4.4.1")
    waits = daemon.log_lines(r"wait: domain=hang\.test")
    assert len(waits) == 2
    assert int(waits[1].rpartition("=")[2]) <= 900


def at_once(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_a_flood_of_foreign_domains(lab):
    """Outbound relaying by a network that isn't exempt, through a resolver that hardly answers:
    those we know are answered as ever, and what the flood costs is bounded."""
    lab.primary("ours.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "ours.test")
    daemon.learn("alice@ours.test")
    for client in range(4):
        for number in range(150):
            lab.dns.delay("d%d-%d.flood.test" % (client, number), 0.7)
    since = daemon.mark()
    queries = sum(lab.dns.queries.values())
    started = time.monotonic()
    problems = []

    def flood(client):
        try:
            with daemon.milter().connect(client="198.51.100.%d" % client) as session:
                for number in range(150):
                    session.mail("<user@inside.test>")
                    reply = session.rcpt("<x@d%d-%d.flood.test>" % (client, number),
                                         mailer="smtp")
                    assert reply.action == "continue", reply
                    session.abort()
        except BaseException as problem:        # pylint: disable=broad-except
            problems.append(problem)

    threads = at_once(4, flood)
    asked = 0
    while any(thread.is_alive() for thread in threads):
        reply = daemon.milter().rcpt("<alice@ours.test>", client="203.0.113.5")
        assert (reply.code, reply.xcode) == GO_AWAY
        assert reply.seconds < 3
        asked += 1
        time.sleep(0.1)
    seconds = time.monotonic() - started
    assert not problems, problems[0]
    assert asked
    # 32 at a time, each of 0.7 s, and no more than 50 a second
    assert sum(lab.dns.queries.values()) - queries <= 50 * (seconds + 2) + 100
    # some were waited for, but mail to foreign domains isn't slow for it
    waits = len(daemon.log_lines("wait: domain=d", since))
    assert 1 <= waits <= 30 + seconds / 2, (waits, seconds)
    assert [d["domain"] for d in daemon.status()["domains"]] == ["ours.test"]
    # a domain of ours that comes after it is learned
    lab.primary("late.test")
    eventually(lambda: daemon.milter().rcpt("<alice@late.test>").code, 15, pause=0.5)


def test_strangers_leave_room_to_those_we_know(lab):
    """Names being looked up take at most half of the waiting room."""
    for number in range(4):
        lab.dns.delay("s%d.flood.test" % number, 1.5)
    daemon = lab.daemon({"milter": {"max_waiting": 2}, "dns": {"timeout": "5s"}})

    def ask(number):
        daemon.milter().rcpt("<x@s%d.flood.test>" % number)
    for thread in at_once(4, ask):
        thread.join()
    assert len(daemon.log_lines(r"wait: domain=s\d\.flood\.test")) == 1


# ---- bounds ----


def test_the_one_not_asked_for_longest_goes(lab):
    names = ["a.test", "b.test", "c.test", "d.test"]
    for name in names:
        lab.primary(name)
    daemon = lab.daemon({"domains": {"max_learned_domains": 3}})
    teach(daemon, "a.test", "b.test", "c.test", "a.test")
    daemon.explain("x@b.test")                  # looking is not asking
    teach(daemon, "d.test")
    assert learned(daemon) == ["a.test", "c.test", "d.test"]
    assert daemon.log_lines(r"domain: domain=b\.test action=forgotten reason=room")
    # a restart doesn't bring it back, and knows the order
    daemon.restart()
    assert learned(daemon) == ["a.test", "c.test", "d.test"]
    teach(daemon, "b.test")
    assert "b.test" in learned(daemon) and "d.test" in learned(daemon)


def test_those_with_mail_waiting_stay(lab):
    servers = {name: lab.primary(name, recipients=dict(VALID)) for name in ("a.test", "b.test")}
    daemon = lab.daemon({"domains": {"max_learned_domains": 1}})
    teach(daemon, "a.test")
    daemon.learn("alice@a.test")
    servers["a.test"].stop()
    daemon.wait_for_state("a.test", "down")
    assert daemon.milter().send_message(rcpts=["<alice@a.test>"]).eom.action == "continue"
    eventually(lambda: daemon.status("a.test")["counters"]["mails_since_down"] == 1)
    assert daemon.milter().rcpt("<alice@b.test>").action == "continue"
    assert learned(daemon) == ["a.test"]
    assert not servers["b.test"].sessions
    daemon.change_ini({"domains": {"max_learned_domains": 5}})
    daemon.hup()
    daemon.wait_for_log("reload: result=ok")
    teach(daemon, "b.test")
    # fewer again: the other one goes, though it was asked for later
    daemon.change_ini({"domains": {"max_learned_domains": 1}})
    daemon.hup()
    daemon.wait_for_log(r"domain: domain=b\.test action=forgotten reason=room")
    assert learned(daemon) == ["a.test"]


def test_ten_a_second(lab):
    """Even domains that list us are learned no faster: nothing is said for the others, yet."""
    lab.server("mx1.many.test")
    names = ["m%d.many.test" % number for number in range(60)]
    for name in names:
        lab.dns.mx(name, (10, "mx1.many.test"), (20, OUR_NAME))
    daemon = lab.daemon()
    started = time.monotonic()

    def ask(number):
        for name in names[number * 15:number * 15 + 15]:
            reply = daemon.milter().rcpt("<x@%s>" % name)
            assert reply.action == "continue" or (reply.code, reply.xcode) in JUDGED
    for thread in at_once(4, ask):
        thread.join()
    there = len(learned(daemon))
    assert there <= 10 * (time.monotonic() - started + 1) + 10
    # with patience all of them come
    for name in names:
        eventually(lambda n=name: daemon.milter().rcpt("<x@%s>" % n).code, 15)
    assert len(learned(daemon)) == 60


# ---- staying and going ----


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_learned_domains_survive_a_restart(lab, crash):
    primary = lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    primary.stop()
    daemon.wait_for_state("new.test", "down")
    time.sleep(1.5)                             # a crash loses what is younger than a second
    daemon.restart(crash=crash)
    assert daemon.status("new.test")["source"] == "learned"
    daemon.wait_for_state("new.test", "down")
    assert daemon.milter().rcpt("<alice@new.test>").action == "continue"
    assert daemon.explain("alice@new.test")["reason"] == "primary-down"


def test_switched_off_at_reload_and_on_again(lab):
    lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    time.sleep(1.2)
    daemon.change_ini({"domains": {"domains_from_mta": False}})
    daemon.hup()
    daemon.wait_for_log(r"domain: domain=new\.test action=forgotten reason=domains_from_mta")
    daemon.wait_for_log("reload: result=ok")
    is_left_alone(daemon, "<alice@new.test>")
    daemon.restart()
    assert not daemon.status()["domains"]
    daemon.change_ini({"domains": {"domains_from_mta": True}})
    since = daemon.mark()
    daemon.hup()
    daemon.wait_for_log("reload: result=ok", since=since)
    # it is there again, with all that was known
    assert learned(daemon) == ["new.test"]
    assert daemon.explain("alice@new.test")["recipient"] == "valid"


def test_a_section_takes_over(lab):
    primary = lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    since = daemon.status("new.test")["since"]
    sessions = len(primary.sessions)
    daemon.change_ini({'domain "new.test"': {"when_up": "accept"}})
    daemon.hup()
    daemon.wait_for_log("reload: result=ok")
    told = daemon.status("new.test")
    assert (told["source"], told["state"], told["since"]) == ("configured", "up", since)
    assert daemon.explain("alice@new.test")["reason"] == "policy"
    assert len(primary.sessions) <= sessions + 3
    # and a restart doesn't make it a learned one again
    daemon.restart()
    assert daemon.status("new.test")["source"] == "configured"
    daemon.stop()
    del daemon.ini['domain "new.test"']
    daemon.write_ini(daemon.ini)
    daemon.start()
    assert not learned(daemon)


@pytest.mark.parametrize("left", ["unlisted", "best", "null"])
def test_mx_records_that_list_us_no_more(lab, left):
    primary = lab.primary("new.test")
    lab.dns.mx("new.test", (10, "mx1.new.test"), (20, OUR_NAME), ttl=60)
    daemon = lab.daemon()
    teach(daemon, "new.test")
    lab.dns.mx("new.test", *{"unlisted": [(10, "mx1.new.test")], "best": [(10, OUR_NAME)],
                             "null": [(0, ".")]}[left])
    since = daemon.mark()
    # the records are looked at again when who we are changes, too
    daemon.change_ini({"dns": {"timeout": "2s"}})
    daemon.hup()
    daemon.wait_for_log(r"domain: domain=new\.test action=forgotten mx=%s" % left, since=since)
    assert not daemon.status()["domains"]
    queries = lab.dns.count("new.test", "MX")
    time.sleep(0.3)
    primary.forget()
    is_left_alone(daemon, "<alice@new.test>")
    assert lab.dns.count("new.test", "MX") == queries, "it is turned down for a while"
    time.sleep(2)
    assert not primary.sessions
    daemon.restart()
    assert not daemon.status()["domains"]


@pytest.mark.parametrize("fault", ["NXDOMAIN", "NODATA", "SERVFAIL"])
def test_records_that_are_gone_must_stay_gone(lab, fault):
    """As for any domain: for dns_grace. And what can't be told takes nothing away at all."""
    lab.primary("new.test")
    daemon = lab.daemon({"dns": {"dns_grace": "3s"}})
    teach(daemon, "new.test")
    lab.dns.fail("new.test", fault)
    since = daemon.mark()
    daemon.change_ini({"dns": {"timeout": "2s"}})
    daemon.hup()
    daemon.wait_for_log(r"dns: domain=new\.test mx=", since=since)
    assert learned(daemon) == ["new.test"]
    if fault == "SERVFAIL":
        time.sleep(4)
        assert learned(daemon) == ["new.test"]
    else:
        daemon.wait_for_log(r"domain: domain=new\.test action=forgotten", since=since)


def test_identity_changes_look_at_candidates_anew(lab):
    """An administrator who adds the name that was missing need not wait until the refusal is
    over."""
    lab.server("mx1.other.test")
    lab.dns.host("backup.example.net", "192.0.2.251")
    lab.dns.mx("other.test", (10, "mx1.other.test"), (20, "backup.example.net"))
    daemon = lab.daemon()
    is_left_alone(daemon, "<alice@other.test>")
    looked_up(lab, daemon, "other.test")
    daemon.change_ini({"milter": {"my_names": [OUR_NAME, "backup.example.net"]}})
    daemon.hup()
    daemon.wait_for_log("reload: result=ok")
    teach(daemon, "other.test")


# ---- primary_from_mta ----


def hop_lab(lab, **ini):
    public = lab.primary("hop.test", recipients=dict(VALID))
    inner = lab.server("inner.hop.test", recipients=dict(VALID))
    daemon = lab.daemon({"domains": {"primary_from_mta": True}}, ini)
    return public, inner, daemon


def teach_hop(daemon, hop):
    """The first answer may come while only one of the two hosts has been probed."""
    daemon.milter().rcpt("<alice@hop.test>", rcpt_host=hop)
    daemon.wait_for_state("hop.test", "up")


@pytest.mark.parametrize("form", ["[%(ip)s]:%(port)d", "[%(ip)s]", "inner.hop.test",
                                  "inner.hop.test.", "[inner.hop.test]:%(port)d"])
def test_next_hop_is_the_primary(lab, form):
    public, inner, daemon = hop_lab(lab)
    hop = form % {"ip": inner.address, "port": inner.port}
    teach_hop(daemon, hop)
    told = daemon.status("hop.test")
    forwarding = [e["endpoint"] for e in told["endpoints"] if "forwarding" in e["sets"]]
    assert forwarding == ["[%s]:%d" % (inner.address, inner.port)]
    daemon.learn("alice@hop.test")
    assert "alice@hop.test" in inner.rcpts()
    assert not public.rcpts()
    # a restart knows it before the MTA tells it again
    daemon.restart()
    assert daemon.status("hop.test")["forwarding_set"] == told["forwarding_set"]


@pytest.mark.parametrize("hop", ["hop.test", "HOP.test.", "[127.0.0.1]:10024", OUR_NAME, "junk:x"])
def test_next_hops_that_mean_nothing(lab, hop):
    public, inner, daemon = hop_lab(lab)
    teach(daemon, "hop.test", rcpt_host=hop)
    assert daemon.status("hop.test")["forwarding_set"] == ["mx1.hop.test"]
    assert public.sessions and not inner.sessions


def test_next_hop_needs_the_proof_too(lab):
    _, inner, daemon = hop_lab(lab)
    lab.dns.mx("foreign.test", (10, "mx1.hop.test"))
    hop = "[%s]:%d" % (inner.address, inner.port)
    for _ in range(2):
        is_left_alone(daemon, "<x@foreign.test>", rcpt_host=hop)
    looked_up(lab, daemon, "foreign.test")
    time.sleep(1)
    assert not inner.sessions


def test_a_changed_next_hop_is_followed(lab):
    _, inner, daemon = hop_lab(lab)
    other = lab.server("other.hop.test")
    teach_hop(daemon, "inner.hop.test")
    # not with each recipient: some MTAs deliver one domain's users to several hosts

    def followed():
        daemon.milter().rcpt("<alice@hop.test>", rcpt_host="other.hop.test")
        return daemon.status("hop.test")["forwarding_set"] == ["other.hop.test"]
    eventually(followed, 20, pause=0.5)
    other.wait_for_sessions(1)
    eventually(lambda: not inner.open_sessions)
    daemon.change_ini({"domains": {"primary_from_mta": False}})
    daemon.hup()
    eventually(lambda: daemon.status("hop.test")["forwarding_set"] == ["mx1.hop.test"])


def test_next_hop_of_a_configured_domain_means_nothing(lab):
    lab.primary("conf.test")
    inner = lab.server("inner.conf.test")
    daemon = lab.daemon({"domains": {"primary_from_mta": True}}, domains=["conf.test"])
    daemon.wait_for_state("conf.test", "up")
    daemon.milter().rcpt("<alice@conf.test>", rcpt_host="inner.conf.test")
    time.sleep(1)
    assert not inner.sessions and not lab.dns.count("inner.conf.test")
    assert daemon.status("conf.test")["forwarding_set"] == ["mx1.conf.test"]


# ---- sleep ----


DAY = 86400


def test_asleep_after_a_restart_and_awake_when_asked(lab):
    primary = lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    clock = daemon.explain("alice@new.test")["inputs"]["age_up_seconds"]
    daemon.stop()
    daemon.age_learned_domains(DAY + 100)
    primary.forget()
    lab.dns.queries.clear()
    daemon.start()
    told = daemon.status("new.test")
    assert (told["state"], told["asleep"], told["source"]) == ("unknown", True, "learned")
    daemon.explain("alice@new.test")            # looking wakes nobody
    time.sleep(2.5)
    assert not primary.sessions
    assert not lab.dns.queries
    assert daemon.status("new.test")["asleep"]
    # the first recipient waits for the first probe, as with a new one
    teach(daemon, "new.test")
    daemon.wait_for_log(r"domain: domain=new\.test action=awake")
    told = daemon.explain("alice@new.test")
    assert told["recipient"] == "valid"
    assert told["inputs"]["age_up_seconds"] <= clock + 3
    assert not daemon.status("new.test")["asleep"]
    daemon.restart()
    daemon.wait_for_state("new.test", "up")


def test_recipients_imported_for_a_sleeper(lab):
    """Their age counts from its clock, which goes on when it wakes."""
    lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon({"recipients": {"valid_ttl": "10s", "valid_refresh": "10s"},
                         "probe": {"canary": "none"}})
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    eventually(lambda: daemon.explain("alice@new.test")["recipient"] == "unknown", 25)
    daemon.stop()
    daemon.age_learned_domains(DAY + 100)
    daemon.start()
    assert daemon.status("new.test")["asleep"]
    people = lab.folder / "people"
    people.write_text("imported@new.test\n")
    assert daemon.ctl("recipients", "import", str(people))[0] == 0
    teach(daemon, "new.test")
    daemon.wait_for_log(r"domain: domain=new\.test action=awake")
    told = daemon.explain("imported@new.test")
    assert (told["recipient"], told["inputs"]["age_up_seconds"] < 10) == ("valid", True)


def test_a_sleeper_is_configured(lab):
    lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    daemon.stop()
    daemon.age_learned_domains(2 * DAY)
    daemon.start()
    assert daemon.status("new.test")["asleep"]
    daemon.change_ini({'domain "new.test"': {}})
    daemon.hup()
    daemon.wait_for_state("new.test", "up")
    assert daemon.status("new.test")["source"] == "configured"
    assert daemon.explain("alice@new.test")["recipient"] == "valid"


def test_asleep_once_an_outage_is_over(lab):
    """Nobody asked for a day, but it was down: that is seen through first. Then it sleeps."""
    primary = lab.primary("new.test", recipients=dict(VALID))
    daemon = lab.daemon()
    teach(daemon, "new.test")
    daemon.learn("alice@new.test")
    primary.stop()
    daemon.wait_for_state("new.test", "down")
    daemon.stop()
    daemon.age_learned_domains(DAY + 100)
    daemon.start()
    assert not daemon.status("new.test")["asleep"]
    primary.start()
    daemon.wait_for_log(r"health: domain=new\.test state=up")
    daemon.wait_for_log(r"domain: domain=new\.test action=asleep", 90)
    time.sleep(1)
    primary.forget()
    lab.dns.queries.clear()
    assert daemon.status("new.test")["endpoints"] == []
    time.sleep(2.5)
    assert not primary.sessions and not lab.dns.queries
    teach(daemon, "new.test")
    primary.stop()
    daemon.wait_for_state("new.test", "down")
    assert daemon.milter().rcpt("<alice@new.test>").action == "continue"
    assert daemon.explain("alice@new.test")["reason"] == "primary-down"
