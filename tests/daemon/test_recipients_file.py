# SPDX-License-Identifier: BSD-2-Clause
#
# Lists of recipients that the administrator gives (DESIGN section 4, "recipients_file"): what is
# read out of them, `recipients_complete`, and the refusal of lists that lost too much.

import os
import re

import pytest

from peers.waiting import eventually

LIST = """\
# a Postfix map source: the first word counts
alice@list.test     OK
Bob                 anything
carol@LIST.TEST
  # an indented comment

dave@elsewhere.test OK
"quoted name"@list.test OK
"""


class World:
    def __init__(self, lab, text=LIST, complete=False, extra=None):
        self.server = lab.primary("list.test", recipients={"alice": "250 ok"})
        self.path = lab.folder / "recipients"
        self.path.write_text(text)
        self.daemon = lab.daemon({'domain "list.test"': {
            "recipients_file": str(self.path), "recipients_complete": complete}},
            extra or {}, {"recipients": {"callout": False}})
        self.daemon.wait_for_state("list.test", "up")

    def known(self, local):
        return self.daemon.explain(local + "@list.test")["recipient"]

    def reload(self, *arguments):
        return self.daemon.ctl("reload", *arguments)[0]


def test_first_word_counts(lab):
    world = World(lab)
    assert [world.known(u) for u in ("alice", "bob", "BOB", "carol", "dave", "zoe")] == \
        ["valid", "valid", "valid", "valid", "unknown", "unknown"]


def test_complete_list(lab):
    world = World(lab, complete=True)
    assert world.known("alice") == "valid"
    assert world.known("zoe") == "invalid"
    # never these two: they must always be taken
    for role in ("postmaster", "abuse", "Postmaster", "ABUSE"):
        assert world.known(role) != "invalid"
    assert world.daemon.milter().rcpt("<zoe@list.test>").code == 550
    assert world.daemon.milter().rcpt("<postmaster@list.test>").code == 451


def test_catch_all_line(lab):
    world = World(lab, text="@list.test OK\n")
    assert world.known("whoever") == "catch-all"


def test_detail_falls_back(lab):
    world = World(lab, complete=True, extra={"recipients": {"recipient_delimiter": "+"}})
    assert world.known("alice+tag") == "valid"
    assert world.known("+alice") == "invalid"
    assert world.known("zoe+tag") == "invalid"


def test_local_part_case_exact(lab):
    world = World(lab, text="Alice@list.test\n", complete=True,
                  extra={"recipients": {"local_part_case": "exact"}})
    assert world.known("Alice") == "valid"
    assert world.known("alice") == "invalid"


def test_list_is_read_again_at_reload(lab):
    world = World(lab)
    world.path.write_text(LIST + "zoe@list.test\n")
    assert world.reload() == 0
    eventually(lambda: world.known("zoe") == "valid", 5)


MANY = "".join("user%d@list.test\n" % n for n in range(100))


@pytest.mark.parametrize("kept,taken", [(100, True), (85, True), (79, False), (10, False),
                                        (0, False)])
def test_a_list_that_lost_too_much_is_refused(lab, kept, taken):
    """Over 20 % fewer lines, or none at all, looks like an accident: the old list stays."""
    world = World(lab, text=MANY, complete=True)
    assert world.known("user99") == "valid"
    mark = world.daemon.mark()
    world.path.write_text("".join("user%d@list.test\n" % n for n in range(kept)))
    world.reload()
    if taken:
        eventually(lambda: world.known("user99") == ("valid" if kept == 100 else "invalid"), 5)
        return
    world.daemon.wait_for_log(r" error: .*" + re.escape(str(world.path)), 5, mark)
    assert world.known("user99") == "valid"
    # the good one survives a restart as well
    world.daemon.restart()
    world.daemon.wait_for_state("list.test", "up")
    assert world.known("user99") == "valid"
    if kept:
        assert world.reload("--force") == 0
        eventually(lambda: world.known("user99") == "invalid", 5)


def test_reload_tells_which_list_was_refused(lab):
    """The settings are in force, the list isn't: that is no "fine", the second time neither."""
    world = World(lab, text=MANY, complete=True)
    world.path.write_text("user1@list.test\n")
    for _ in range(2):
        code, _, answer = world.daemon.ctl("--json", "reload")
        assert code == 1 and answer["reloaded"] is True
        assert "over 20 % fewer lines" in answer["refused_lists"]["list.test"]
    done = world.daemon.ctl_process("reload")
    assert done.returncode == 1 and "recipients_file of list.test was not taken" in done.stderr
    code, _, answer = world.daemon.ctl("--json", "reload", "--force")
    assert code == 0 and answer["refused_lists"] == {}
    assert world.reload() == 0


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"BZh91AY&SY",
                                  b"\x00\x00\x00\x00\x61\x15\x06\x00" + bytes(500)])
def test_a_file_that_is_no_text_is_never_a_list(lab, data):
    """Else "all are gone" would be what force makes of a packed file or a map's .db."""
    world = World(lab, complete=True)
    world.path.write_bytes(data)
    assert world.reload() == 1
    code, _, answer = world.daemon.ctl("--json", "reload", "--force")
    assert code == 1 and re.search("compressed|no text", answer["refused_lists"]["list.test"])
    assert world.known("alice") == "valid"
    world.path.write_text(LIST)
    assert world.reload() == 0


def test_a_missing_list_leaves_the_old_one(lab):
    world = World(lab, complete=True)
    os.unlink(world.path)
    assert world.reload() == 1
    assert world.known("alice") == "valid"
    assert world.known("zoe") == "invalid"


def test_strange_lines_do_no_harm(lab):
    text = LIST + "\x00\x01\n" + "x" * 100000 + "\n@\n<>\n@@\n" + "a" * 300 + "@list.test\n" \
        + "\u00e4@list.test\n" + "b@list.test"
    # a line that is longer than anybody's buffer is still one line: its words are no recipients
    text += "\n# " + "word " * 5000 + "\ncarla@list.test " + "comment " * 5000 + "\n"
    world = World(lab, text=text, complete=True)
    assert world.known("alice") == "valid"
    assert world.known("b") == "valid"
    assert world.known("carla") == "valid"
    assert world.known("word") == world.known("comment") == "invalid"
    world.daemon.check_alive()


def test_known_by_list_survives_an_outage(lab):
    world = World(lab, complete=True)
    world.server.stop()
    world.daemon.wait_for_state("list.test", "down")
    assert world.daemon.milter().rcpt("<bob@list.test>").action == "continue"
    assert world.daemon.milter().rcpt("<zoe@list.test>").code == 550


# -- what a list may look like

@pytest.mark.parametrize("text,known,unknown", [
    # a bare local part, with dots or without, gets the domain
    ("jane.doe\nbob\n", ["jane.doe", "bob"], ["jane"]),
    # the domain's own key in a map is nobody's name
    ("list.test OK\n.list.test OK\nsub.list.test OK\nbob OK\n", ["bob"],
     ["list.test", ".list.test", "sub.list.test"]),
    # lines that begin with white space continue the entry before
    ("bob@list.test OK,\n\tmore@list.test,\n  again@list.test\nann@list.test x\n", ["bob", "ann"],
     ["more", "again"]),
    # ... but a list that somebody indented loses nobody
    ("  bob@list.test\n  ann@list.test\n\tjoe\n", ["bob", "ann", "joe"], []),
    ("bob@list.test\tOK\r\n# x\r\n\r\nann@list.test\r\n", ["bob", "ann"], []),
    ("\"jane doe\"@list.test OK\n\"plain\"@list.test OK\n", ['"jane doe"', "plain"], ["jane"]),
    ("<bob@list.test>\nann@LIST.test.\n", ["bob", "ann"], []),
    ("Postmaster OK\nbob: joe\n", ["postmaster", "bob"], ["joe"]),
    ("\x00\nbob@list.test\n\x00ann@list.test\njoe\n", ["bob", "joe"], ["ann"]),
])
def test_forms_of_lists(lab, text, known, unknown):
    world = World(lab, text=text, complete=True)
    assert {u: world.known(u) for u in known} == {u: "valid" for u in known}
    assert {u: world.known(u) for u in unknown} == {u: "invalid" for u in unknown}


def test_an_u_label_in_a_list(lab):
    path = lab.folder / "recipients"
    path.write_text("anna@b\u00fccher.test\nb@xn--bcher-kva.test\n@xn--foreign-cua.test\n", encoding="utf-8")
    daemon = lab.daemon({'domain "xn--bcher-kva.test"': {"recipients_file": str(path)}})
    assert [daemon.explain(u + "@xn--bcher-kva.test")["recipient"] for u in ("anna", "b", "zoe")] \
        == ["valid", "valid", "unknown"]


def test_a_parent_section_takes_no_list(lab):
    path = lab.folder / "recipients"
    path.write_text("a@sub.par.test\n")
    daemon = lab.daemon({'domain ".par.test"': {"recipients_file": str(path)}}, start=False)
    daemon.launch()
    assert daemon.process.wait(10) == 78
    daemon.process = None
    eventually(lambda: "recipients_file: is for one domain" in daemon.log.text(), 5)


def test_reload_force_takes_an_empty_list(lab):
    world = World(lab, complete=True)
    world.path.write_text("")
    world.reload()
    assert world.known("alice") == "valid"
    assert world.reload("--force") == 0
    eventually(lambda: world.known("alice") == "invalid", 5)
