# SPDX-License-Identifier: BSD-2-Clause
#
# P2: a primary that refuses us, greylists or is overloaded never makes a recipient invalid. A real
# Postfix with the restrictions administrators really use.

import pytest
from lab import outage
from story import until_up, wait_down

# kind: (the primary's settings, whether recipients that exist are still told apart)
REFUSALS = {
    "access list at RCPT": ({"smtpd_recipient_restrictions": "reject"}, False),
    "unknown recipients tempfailed": ({"unknown_virtual_mailbox_reject_code": "450"}, True),
    "everything tempfailed": ({"smtpd_recipient_restrictions": "defer"}, False),
    "null sender refused": ({
        "smtpd_delay_reject": "no",
        "smtpd_sender_restrictions": "check_sender_access inline:{<>=REJECT}"}, False),
    "soft bounce": ({"soft_bounce": "yes"}, True),
}
USUAL = {"smtpd_recipient_restrictions": "", "unknown_virtual_mailbox_reject_code": "550",
         "smtpd_delay_reject": "yes", "smtpd_sender_restrictions": "", "soft_bounce": "no"}


@pytest.mark.parametrize("kind", REFUSALS)
def test_never_invalid(lab, kind):
    settings, is_told = REFUSALS[kind]
    number = list(REFUSALS).index(kind)
    known, asked = f"user{number}@second.test", [f"user{10 * (number + 1) + n}@second.test"
                                                 for n in range(3)]
    invented = f"nobody{number}@second.test"
    until_up(lab, "postmaster@second.test")
    lab.learn(known)
    lab.primary.reconfigure(**settings)
    try:
        mark = lab.milter.mark()
        with lab.session() as session:
            replies = [session.ask(recipient) for recipient in (*asked, invented, known)]
        lab.milter.wait_for_log(r"callout: recipient=<\S+@second\.test> ", 15, mark)
        assert not lab.milter.log_lines("verdict=invalid", mark)
        with lab.session() as session:
            replies += [session.ask(recipient) for recipient in (*asked, invented, known)]
        assert all(reply.code < 500 for reply in replies), [str(reply) for reply in replies]
        mark = lab.milter.mark()
        with outage.packets_dropped(lab.primary_host, ["192.0.2.11"]):
            wait_down(lab, mark, "second.test")
            with lab.session() as session:
                assert session.ask(known).code == 250
                assert session.ask(asked[0]).enhanced == ("2.1.5" if is_told else "4.4.1")
                assert session.ask(invented).enhanced == "4.4.1"
    finally:
        lab.primary.reconfigure(**USUAL)
    until_up(lab, "postmaster@second.test")
