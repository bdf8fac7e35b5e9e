# SPDX-License-Identifier: BSD-2-Clause
#
# accept_no_bounce (DESIGN section 5, rows 6 and 7) through the milter protocol: which recipients
# are deleted and added again with NOTIFY=NEVER at end of message, which are not, and what an MTA
# without these actions gets.

import pytest

from peers.milter_client import ACT_ADDRCPT_PAR, ACT_ALL, ACT_DELRCPT, MilterClient

HEADER = "Backup-MX-Status"
VALID = {"alice": "250 ok", "control": "250 ok"}
POLICY = {"policy": {"when_unknown": "accept_no_bounce", "when_catch_all": "accept_no_bounce"}}


def make_daemon(lab, *ini):
    """plain.test, catch.test and bouncing.test, all down."""
    servers = {domain: lab.primary(domain, recipients=dict(VALID))
               for domain in ("plain.test", "bouncing.test")}
    servers["catch.test"] = lab.primary("catch.test", other_recipients="250 ok")
    daemon = lab.daemon(POLICY, {'domain "bouncing.test"': {"when_unknown": "accept",
                                                            "when_catch_all": "accept"}},
                        *ini, domains=servers)
    for domain in servers:
        daemon.wait_for_state(domain, "up")
    daemon.learn("alice@plain.test", "alice@bouncing.test", "whoever@catch.test")
    for server in servers.values():
        server.stop()
    for domain in servers:
        daemon.wait_for_state(domain, "down")
    return daemon


@pytest.fixture(scope="module")
def daemon(module_lab):
    return make_daemon(module_lab)


def changes(result):
    """(what, recipient, parameters) of the envelope's changes, in order."""
    kinds = {"del-rcpt": "del", "add-rcpt": "add"}
    return [(kinds[m.kind], m.name, m.value) for m in result.modifications if m.kind in kinds]


def send(daemon, *rcpts, profile="postfix", **more):
    result = daemon.milter(profile).send_message(rcpts=list(rcpts), **more)
    assert all(reply.action == "continue" for reply in result.replies)
    assert result.eom.action == "continue"
    return result


@pytest.mark.parametrize("profile", ["postfix", "sendmail"])
@pytest.mark.parametrize("rcpt,status", [("<new@plain.test>", "unknown"),
                                         ("<whoever@catch.test>", "catch-all")])
def test_rows_6_and_7(daemon, profile, rcpt, status):
    result = send(daemon, rcpt, profile=profile)
    assert changes(result) == [("del", rcpt, ""),
                               ("add", rcpt, "NOTIFY=NEVER ORCPT=rfc822;" + rcpt[1:-1])]
    tag, = result.header_values(HEADER)
    assert "recipients=" + status in tag


@pytest.mark.parametrize("rcpt", ["<alice@plain.test>", "<new@bouncing.test>",
                                  "<new@foreign.test>"])
def test_others_are_left_alone(daemon, rcpt):
    """A known recipient, a domain with accept, and one that isn't ours."""
    assert not changes(send(daemon, rcpt))


def test_exempt_clients_are_left_alone(daemon):
    assert not changes(send(daemon, "<new@plain.test>", client="127.0.0.1"))
    assert not changes(send(daemon, "<new@plain.test>", auth="joe"))


def test_only_those_of_a_message_that_need_it(daemon):
    result = send(daemon, "<alice@plain.test>", "<new@plain.test>", "<new@bouncing.test>",
                  "<x@catch.test>", "<a@foreign.test>")
    assert [change[:2] for change in changes(result)] == [
        ("del", "<new@plain.test>"), ("del", "<x@catch.test>"),
        ("add", "<new@plain.test>"), ("add", "<x@catch.test>")]
    assert len(result.header_values(HEADER)) == 1


@pytest.mark.parametrize("notify", ["NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE", "notify=delay"])
def test_a_client_that_asked_for_notify_is_left_alone(daemon, notify):
    rcpts = ["<one@plain.test>", "<two@plain.test>"]
    result = send(daemon, *rcpts, rcpt_args={rcpts[0]: ["ORCPT=rfc822;x@y.test", notify]})
    assert [change[:2] for change in changes(result)] == [("del", rcpts[1]), ("add", rcpts[1])]


def test_the_clients_orcpt(daemon):
    result = send(daemon, "<new@plain.test>",
                  rcpt_args={"<new@plain.test>": ["ORCPT=rfc822;List+2Bx@other.test"]})
    assert changes(result)[1] == ("add", "<new@plain.test>",
                                  "NOTIFY=NEVER ORCPT=rfc822;List+2Bx@other.test")


def test_the_same_recipient_again(daemon):
    """Each spelling is deleted, and all deletions go before the one addition: an MTA may take them
    for one."""
    result = send(daemon, "<new@plain.test>", "<NEW@plain.test>", "<new@plain.test>",
                  "<@relay.test:new@plain.test>")
    assert [change[:2] for change in changes(result)] == [
        ("del", "<new@plain.test>"), ("del", "<NEW@plain.test>"), ("add", "<new@plain.test>")]


def test_the_next_message_starts_anew(daemon):
    with daemon.milter().connect() as session:
        first = session.message("<a@b.test>", ["<one@plain.test>"])
        session.message("<a@b.test>", ["<dropped@plain.test>"], stop_after_rcpt=True)
        second = session.message("<a@b.test>", ["<two@plain.test>"])
        third = session.message("<a@b.test>", ["<alice@plain.test>"])
    assert [change[1] for change in changes(first)] == ["<one@plain.test>"] * 2
    assert [change[1] for change in changes(second)] == ["<two@plain.test>"] * 2
    assert not changes(third)


@pytest.mark.parametrize("missing", [ACT_DELRCPT, ACT_ADDRCPT_PAR, ACT_DELRCPT | ACT_ADDRCPT_PAR])
def test_an_mta_without_these_actions(lab, missing):
    """The mail is taken and tagged, no recipient is touched, and the log says what follows."""
    daemon = make_daemon(lab)
    client = MilterClient(daemon.milter_address, actions=ACT_ALL & ~missing)
    result = client.send_message(rcpts=["<new@plain.test>"])
    assert result.eom.action == "continue"
    assert not changes(result)
    assert len(result.header_values(HEADER)) == 1
    daemon.wait_for_log(r" error: .*accept_no_bounce has no effect, the MTA lets no milter", 5)


def test_sendmail_is_warned_about_once(lab):
    daemon = make_daemon(lab)
    send(daemon, "<new@plain.test>")
    assert not daemon.log_lines("Sendmail")
    for _ in range(3):
        send(daemon, "<new@plain.test>", profile="sendmail")
    daemon.wait_for_log(r" warning: .*accept_no_bounce has no effect with Sendmail", 5)
    assert len(daemon.log_lines("no effect with Sendmail")) == 1


def test_shadow_mode_changes_nothing(lab):
    daemon = make_daemon(lab, {"milter": {"mode": "shadow"}})
    assert not send(daemon, "<new@plain.test>", "<x@catch.test>").modifications


def test_case_may_tell_mailboxes_apart(lab):
    daemon = make_daemon(lab, {"recipients": {"local_part_case": "exact"}})
    result = send(daemon, "<new@plain.test>", "<NEW@plain.test>")
    assert [change[:2] for change in changes(result)] == [
        ("del", "<new@plain.test>"), ("del", "<NEW@plain.test>"),
        ("add", "<new@plain.test>"), ("add", "<NEW@plain.test>")]
