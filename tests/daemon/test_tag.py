# SPDX-License-Identifier: BSD-2-Clause
#
# The tag header of accepted messages (DESIGN section 5, "Tag"): its exact form, its folding, and
# that nobody else's copy survives.

import re
import time

import pytest

HEADER = "Backup-MX-Status"
VALID = {"alice": "250 ok", "bob": "250 ok", "control": "250 ok"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def daemon(module_lab):
    """down1 and down2 are down since different seconds, catch is a catch-all that is down, up and
    policy are up, quiet is down and has `tag = no`."""
    lab = module_lab
    servers = {domain: lab.primary(domain, recipients=dict(VALID)) for domain in
               ("down1.test", "down2.test", "up.test", "policy.test", "quiet.test")}
    servers["catch.test"] = lab.primary("catch.test", other_recipients="250 ok")
    daemon = lab.daemon({'domain "policy.test"': {"when_up": "accept"},
                         'domain "quiet.test"': {"tag": False}}, domains=servers)
    for domain in servers:
        daemon.wait_for_state(domain, "up")
    for domain in servers:
        daemon.learn("alice@" + domain, "bob@" + domain)
    for domain in ("down1.test", "catch.test", "quiet.test"):
        servers[domain].stop()
    daemon.wait_for_state("down1.test", "down")
    time.sleep(1.1)
    servers["down2.test"].stop()
    for domain in ("down2.test", "catch.test", "quiet.test"):
        daemon.wait_for_state(domain, "down")
    return daemon


profiles = pytest.mark.parametrize("profile", ["postfix", "sendmail"])


def send(daemon, *rcpts, profile="postfix", **more):
    return daemon.milter(profile).send_message(rcpts=list(rcpts), **more)


def tag_of(result):
    """The one tag, unfolded. It has to be inserted at the top."""
    values = result.header_values(HEADER)
    assert len(values) == 1, values
    insert, = result.of_kind("insert-header")
    assert (insert.name, insert.index) == (HEADER, 0)
    assert result.headers[0][0] == HEADER
    return re.sub(r"\r?\n[ \t]+", " ", values[0])


@profiles
def test_tag_to_the_letter(daemon, profile):
    mark = daemon.mark()
    result = send(daemon, "<alice@down1.test>", profile=profile)
    tag = tag_of(result)
    since = daemon.status("down1.test")["since"]
    found = re.fullmatch(
        r"accepted; by=mx2\.example\.net; primary=down; since=(%s); recipients=valid; "
        r"reason=primary-down; client=\[192\.0\.2\.7\]; id=([a-z0-9]{8})" % TIME, tag)
    assert found, tag
    assert found.group(1) == since
    daemon.wait_for_log(r"action=accept .* id=%s$" % found.group(2), 5, mark)


@profiles
@pytest.mark.parametrize("client", ["192.0.2.7", "2001:db8:1111:2222:3333:4444:5555:6666",
                                    "255.255.255.255"])
def test_tag_is_folded_below_78_columns(daemon, profile, client):
    result = send(daemon, "<alice@down1.test>", profile=profile, client=client)
    value = result.header_values(HEADER)[0]
    lines = (HEADER + ": " + value).replace("\r\n", "\n").split("\n")
    for line in lines:
        assert len(line.expandtabs(8)) < 78, line
        assert line == line.rstrip()
    for line in lines[1:]:
        assert line[0] in " \t" and line.strip()


def test_ipv6_client(daemon):
    tag = tag_of(send(daemon, "<alice@down1.test>", client="2001:db8::1"))
    assert "; client=[IPv6:2001:db8::1]; " in tag
    tag = tag_of(send(daemon, "<alice@down1.test>", client="2001:db8::1", profile="sendmail"))
    assert "; client=[IPv6:2001:db8::1]; " in tag


@profiles
@pytest.mark.parametrize("copies", [1, 2, 5, 12])
def test_forged_copies_are_removed(daemon, profile, copies):
    """All of them, whatever their case and place; nothing else is touched."""
    names = [HEADER, HEADER.lower(), HEADER.upper()]
    headers = [("Received", "from x")]
    for number in range(copies):
        headers.append((names[number % 3], "accepted; by=evil.test; primary=down; n=%d" % number))
        headers.append(("X-Number", str(number)))
    result = send(daemon, "<alice@down1.test>", profile=profile, headers=headers)
    tag = tag_of(result)
    assert "evil" not in tag
    assert [v for n, v in result.headers if n == "X-Number"] == [str(n) for n in range(copies)]
    assert result.header_values("Received") == ["from x"]


def test_forged_copies_are_removed_even_where_no_tag_is_added(daemon):
    result = send(daemon, "<alice@quiet.test>", headers=[(HEADER, "forged"), ("Subject", "x")])
    assert result.replies[0].action == "continue"
    assert not result.header_values(HEADER)
    assert not result.of_kind("insert-header")


def test_tag_no_leaves_it_out(daemon):
    result = send(daemon, "<alice@quiet.test>")
    assert result.replies[0].action == "continue"
    assert not result.modifications


def test_refused_recipients_dont_count(daemon):
    """The tag is of the accepted ones only."""
    tag = tag_of(send(daemon, "<nobody@down1.test>", "<new@down2.test>", "<alice@up.test>",
                      "<alice@down1.test>"))
    assert "primary=down" in tag and "recipients=valid" in tag and "since=" in tag
    assert "reason=primary-down" in tag


def test_mixed_recipients(daemon):
    tag = tag_of(send(daemon, "<alice@catch.test>", "<alice@down1.test>"))
    assert "recipients=mixed" in tag
    assert "reason=catch-all" in tag            # of the first accepted recipient


def test_mixed_states(daemon):
    tag = tag_of(send(daemon, "<alice@down1.test>", "<alice@policy.test>"))
    assert "primary=mixed" in tag and "since=" not in tag and "recipients=valid" in tag
    assert "reason=primary-down" in tag
    tag = tag_of(send(daemon, "<alice@policy.test>", "<alice@down1.test>"))
    assert "reason=policy" in tag


def test_since_only_where_all_share_it(daemon):
    tag = tag_of(send(daemon, "<alice@down1.test>", "<bob@down1.test>"))
    assert "since=" in tag
    assert daemon.status("down1.test")["since"] != daemon.status("down2.test")["since"]
    tag = tag_of(send(daemon, "<alice@down1.test>", "<alice@down2.test>"))
    assert "primary=down" in tag and "since=" not in tag


def test_tag_names_no_recipient_or_domain(daemon):
    """It would tell one recipient of another one's Bcc."""
    result = send(daemon, "<alice@down1.test>", "<bob@down2.test>", "<alice@catch.test>",
                  mail_from="<secret-sender@example.org>")
    tag = tag_of(result)
    for word in ("alice", "bob", "down1", "down2", "catch.test", "secret-sender", "example.org"):
        assert word not in tag


def test_tag_beside_a_foreign_recipient(daemon):
    """One watched recipient is enough for the message to be tagged and cleaned."""
    result = send(daemon, "<alice@foreign.test>", "<alice@down1.test>",
                  headers=[(HEADER, "forged"), ("Subject", "x")])
    assert "forged" not in tag_of(result)


def test_second_message_of_a_connection_starts_anew(daemon):
    with daemon.milter().connect() as session:
        first = session.message("<a@b.test>", ["<alice@catch.test>"],
                                headers=[(HEADER, "one"), (HEADER, "two")])
        second = session.message("<a@b.test>", ["<alice@down1.test>"],
                                 headers=[("Subject", "x"), (HEADER, "three")])
        aborted = session.message("<a@b.test>", ["<alice@down1.test>"], stop_after_rcpt=True)
        third = session.message("<a@b.test>", ["<alice@foreign.test>"],
                                headers=[("Subject", "x")])
    assert "recipients=catch-all" in tag_of(first)
    assert "recipients=valid" in tag_of(second)
    assert aborted.eom is None
    assert not third.modifications


@profiles
def test_forged_copies_with_a_blank_before_the_colon(daemon, profile):
    """Obsolete syntax (RFC 5322 4.5.8), which MTAs and filters take for the same header. They count
    it among those of that name, so each index has to be deleted once."""
    headers = [(HEADER + " ", "accepted; forged"), ("Subject", "x"), (HEADER, "forged too"),
               (HEADER.lower() + "\t", "forged again")]
    result = send(daemon, "<alice@down1.test>", profile=profile, headers=headers)
    deleted = [m for m in result.of_kind("change-header") if m.name.strip().lower() ==
               HEADER.lower()]
    assert [m.index for m in deleted] == [3, 2, 1]
    assert not any(m.value for m in deleted)
    assert len(result.of_kind("insert-header")) == 1


def test_headers_that_only_look_like_ours_stay(daemon):
    headers = [(HEADER + "-2", "x"), ("X-" + HEADER, "x"), (HEADER[:-1], "x"), ("Subject", "x")]
    result = send(daemon, "<alice@down1.test>", headers=headers)
    tag_of(result)
    assert result.headers[1:] == headers
    assert not result.of_kind("change-header")
