# SPDX-License-Identifier: BSD-2-Clause
#
# What the configuration no longer says is over: primaries and lists of recipients that were taken
# out of it, by a reload or while the daemon was stopped, neither act on nor come back. A false 550
# is the price otherwise (promises P2, P7).

import pytest

from peers.waiting import eventually


def without(daemon, section, key):
    """Take a key out of the daemon's file."""
    ini = {name: dict(keys) for name, keys in daemon.ini.items()}
    ini[section].pop(key)
    daemon.write_ini(ini)


def test_primary_removed_while_stopped(lab):
    """The old primary would say 550 5.1.1 of everybody: it is no longer probed, nor asked."""
    server = lab.primary("example.test", recipients={"bob": "250 ok", "zoe": "250 ok"})
    old = lab.server("old.example.test")
    section = 'domain "example.test"'
    daemon = lab.daemon({section: {"primary": [old.endpoint]}})
    daemon.wait_for_state("example.test", "up")
    daemon.stop()
    without(daemon, section, "primary")
    old.forget()
    server.forget()
    daemon.start()
    daemon.wait_for_state("example.test", "up")
    daemon.learn("bob@example.test")
    assert daemon.explain("bob@example.test")["recipient"] == "valid"
    server.wait_for_sessions(4, 15)             # some probes later
    assert not old.sessions, old.transcripts()
    status = daemon.status("example.test")
    assert [e["endpoint"] for e in status["endpoints"]] == [server.endpoint]
    # and it doesn't keep the domain up
    server.stop()
    daemon.wait_for_state("example.test", "down", 15)
    assert daemon.milter().rcpt("<zoe@example.test>").code == 451
    assert daemon.milter().rcpt("<bob@example.test>").action == "continue"
    assert not old.sessions, old.transcripts()


def test_primary_removed_by_reload(lab):
    server = lab.primary("example.test", recipients={"bob": "250 ok"})
    old = lab.server("old.example.test")
    section = 'domain "example.test"'
    daemon = lab.daemon({section: {"primary": [old.endpoint]}})
    daemon.wait_for_state("example.test", "up")
    without(daemon, section, "primary")
    assert daemon.ctl("reload")[0] == 0
    eventually(lambda: [e["endpoint"] for e in daemon.status("example.test")["endpoints"]]
               == [server.endpoint], 10, pause=0.1)
    daemon.wait_for_state("example.test", "up")
    eventually(lambda: not old.open_sessions, 5)
    old.forget()
    server.forget()
    daemon.learn("bob@example.test")
    assert daemon.explain("bob@example.test")["recipient"] == "valid"
    server.wait_for_sessions(4, 15)
    assert not old.sessions, old.transcripts()


def test_complete_list_replaced_by_a_partial_one_during_a_message(lab):
    """The list and what it means change together, also for a message that is under way."""
    server = lab.primary("list.test", recipients={"zoe": "250 ok"})
    users = "".join("user%d@list.test\n" % n for n in range(10))
    full, partial = lab.folder / "full", lab.folder / "partial"
    full.write_text(users + "zoe@list.test\n")
    partial.write_text(users)
    daemon = lab.daemon({'domain "list.test"': {"recipients_file": str(full),
                                                "recipients_complete": True}})
    daemon.wait_for_state("list.test", "up")
    server.stop()
    daemon.wait_for_state("list.test", "down")
    with daemon.milter().connect() as session:
        assert session.mail("<a@b.test>").accepted
        assert session.rcpt("<zoe@list.test>").action == "continue"
        assert session.rcpt("<nobody@list.test>").code == 550
        daemon.change_ini({'domain "list.test"': {"recipients_file": str(partial),
                                                  "recipients_complete": False}})
        assert daemon.ctl("reload")[0] == 0
        for name in ("zoe", "nobody"):
            reply = session.rcpt("<%s@list.test>" % name)
            assert (reply.code, reply.xcode) == (451, "4.4.1"), reply
        assert session.rcpt("<user3@list.test>").action == "continue"
        session.abort()
    assert daemon.milter().rcpt("<zoe@list.test>").code == 451
    assert daemon.milter().rcpt("<nobody@list.test>").code == 451


@pytest.mark.parametrize("later", ["reload", "restart"])
@pytest.mark.parametrize("removed", ["reload", "restart"])
def test_removed_list_stays_away(lab, removed, later):
    """Ten recipients are listed, then none for a while, then two others of another file: that is
    no list which lost its lines, and the ten are over."""
    lab.primary("list.test")
    section = 'domain "list.test"'
    old, new = lab.folder / "old", lab.folder / "new"
    old.write_text("".join("user%d@list.test\n" % n for n in range(10)))
    new.write_text("new1@list.test\nnew2@list.test\n")
    daemon = lab.daemon({section: {"recipients_file": str(old), "recipients_complete": True},
                         "recipients": {"callout": False}})
    daemon.wait_for_state("list.test", "up")
    assert daemon.explain("new1@list.test")["recipient"] == "invalid"

    def take(how):
        if how == "restart":
            daemon.restart()
        else:
            assert daemon.ctl("reload")[0] == 0
        daemon.wait_for_state("list.test", "up")

    without(daemon, section, "recipients_complete")
    without(daemon, section, "recipients_file")
    take(removed)
    for name in ("user1", "new1"):
        assert daemon.explain(name + "@list.test")["recipient"] == "unknown"
    daemon.change_ini({section: {"recipients_file": str(new), "recipients_complete": True}})
    take(later)
    assert daemon.explain("new1@list.test")["recipient"] == "valid"
    assert daemon.explain("user1@list.test")["recipient"] == "invalid"
    assert daemon.milter().rcpt("<new1@list.test>").code == 451
    # nor after one more restart
    daemon.restart()
    daemon.wait_for_state("list.test", "up")
    assert daemon.explain("new1@list.test")["recipient"] == "valid"
    assert daemon.explain("user1@list.test")["recipient"] == "invalid"


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_removed_list_stays_away_from_its_own_file(lab, how):
    """The same with the same file, written anew meanwhile."""
    lab.primary("list.test")
    section = 'domain "list.test"'
    path = lab.folder / "list"
    path.write_text("".join("user%d@list.test\n" % n for n in range(10)))
    daemon = lab.daemon({section: {"recipients_file": str(path), "recipients_complete": True},
                         "recipients": {"callout": False}})
    daemon.wait_for_state("list.test", "up")
    without(daemon, section, "recipients_complete")
    without(daemon, section, "recipients_file")
    for round_ in range(2):
        if how == "restart":
            daemon.restart()
        else:
            assert daemon.ctl("reload")[0] == 0
        daemon.wait_for_state("list.test", "up")
        if round_ == 0:
            assert daemon.explain("user1@list.test")["recipient"] == "unknown"
            path.write_text("new1@list.test\n")
            daemon.change_ini({section: {"recipients_file": str(path),
                                         "recipients_complete": True}})
    assert daemon.explain("new1@list.test")["recipient"] == "valid"
    assert daemon.explain("user1@list.test")["recipient"] == "invalid"
