# SPDX-License-Identifier: BSD-2-Clause
#
# P7: our own failure loses nothing. Daemon dead, memory broken, disk full, resolver dead: the
# answer is 4xx or the MTA's milter_default_action, never a false 5xx; and what is known is used.

import pathlib

from lab import outage
from peers.waiting import eventually
from story import GO_TO_PRIMARY, expect, until_up, wait_down

VALID = [f"user{number}@example.test" for number in range(10)]


def ask_all(lab, recipients):
    with lab.session() as session:
        return [session.ask(recipient) for recipient in recipients]


def never_5xx(replies):
    assert all(reply.code < 500 for reply in replies), [str(reply) for reply in replies]
    return replies


def test_daemon_killed(own_lab):
    lab = own_lab()
    until_up(lab)
    lab.learn(*VALID[:2])
    lab.milter.kill()
    replies = never_5xx(ask_all(lab, [*VALID[:2], "invented@example.test"]))
    assert {reply.code // 100 for reply in replies} == {4}
    lab.milter.start()
    until_up(lab)


def test_daemon_killed_while_a_message_is_on_its_way(own_lab):
    lab = own_lab()
    until_up(lab)
    lab.learn(*VALID[:2])
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        with lab.session() as session:
            session.mail()
            assert session.rcpt(VALID[0]).code == 250
            lab.milter.kill()
            second = session.rcpt(VALID[1])
            data = session.command("DATA")
            end = session.command("Subject: cut off\r\n\r\n.") if data.code == 354 else data
        never_5xx([second, data, end])
        lab.milter.start()
        if end.code != 250:
            assert not lab.backup.queue()


def break_memory(lab, damage):
    """Stops the daemon, lets damage() loose on each file of its memory, starts it again."""
    lab.milter.stop()
    files = [path for path in pathlib.Path(lab.milter.state_dir).rglob("*") if path.is_file()]
    assert files, "the daemon keeps no files?"
    for path in files:
        if path.stat().st_size >= 4096:
            damage(path)
    mark = lab.milter.mark()
    lab.milter.start()
    return mark


def overwrite_with_garbage(path):
    path.write_bytes(b"\xa5garbage\x00" * (path.stat().st_size // 9))


def overwrite_the_middle(path):
    """The start, which a program looks at first, stays as it was."""
    with open(path, "r+b") as file:
        size = path.stat().st_size
        file.seek(8192)
        file.write(b"\xff" * max(size - 8192, 0))


def cut_short(path):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2 + 100)


def test_memory_overwritten(own_lab):
    survive_broken_memory(own_lab(), overwrite_with_garbage, is_told=True)


def test_memory_overwritten_in_the_middle(own_lab):
    survive_broken_memory(own_lab(), overwrite_the_middle)


def test_memory_cut_short(own_lab):
    survive_broken_memory(own_lab(), cut_short)


def survive_broken_memory(lab, damage, is_told=False):
    until_up(lab)
    lab.learn(*VALID)
    mark = break_memory(lab, damage)
    never_5xx(ask_all(lab, VALID))
    if is_told:
        lab.milter.wait_for_log(" error: ", 5, mark)
    until_up(lab)
    # It works again: what is learned now is known in an outage.
    for recipient in VALID[:3]:
        lab.ask(recipient)
    mark = lab.milter.mark()
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        never_5xx(ask_all(lab, VALID))


def test_disk_full(own_lab):
    """Learning stops, answering doesn't."""
    lab = own_lab()
    until_up(lab)
    lab.learn(*VALID[:3])
    lab.milter.stop()
    state = lab.milter.state_dir
    # The same files on a file system of their own that has no room left for anything.
    lab.backup_host.run(["sh", "-ec", f"""
        size=$(du -sk {state} | cut -f1)
        cp -a {state} {state}.copy
        mount -t tmpfs -o size=$((size + 64))k,mode=700,uid=65534,gid=65534 lab {state}
        cp -a {state}.copy/. {state}/
        dd if=/dev/zero of={state}/filler bs=4k 2>/dev/null || true
    """])
    lab.milter.start()
    until_up(lab)
    mark = lab.milter.mark()
    never_5xx(ask_all(lab, VALID))
    with outage.stopped(lab.primary):
        wait_down(lab, mark)
        replies = never_5xx(ask_all(lab, VALID))
        assert [reply.code for reply in replies[:3]] == [250, 250, 250]
    assert lab.milter.running


def test_resolver_dead(own_lab):
    """The last good MX set is kept, over a restart as well."""
    lab = own_lab()
    until_up(lab)
    lab.learn(*VALID[:2])
    lab.dns.stop()
    expect(lab.ask(VALID[0]), GO_TO_PRIMARY, VALID[0])
    lab.milter.restart()
    reply = eventually(lambda: (r := lab.ask(VALID[0])).enhanced == "4.3.2" and r, 20,
                       "the primary is known to be up without DNS")
    expect(reply, GO_TO_PRIMARY, VALID[0])
    mark = lab.milter.mark()
    with outage.packets_dropped(lab.primary_host):
        wait_down(lab, mark)
        assert lab.ask(VALID[1]).code == 250


def test_resolver_dead_from_the_start(own_lab):
    """Nothing is known of any domain: nobody is refused, nobody is sent away."""
    lab = own_lab()
    lab.milter.kill()
    lab.milter.forget_everything()
    lab.dns.stop()
    lab.milter.start()
    replies = never_5xx(ask_all(lab, [VALID[0], "alice@best.test", "alice@only.test"]))
    assert not [reply for reply in replies if reply.enhanced == "4.3.2"]
    # Known by the list of domains, but without a usable set: counts as down.
    assert replies[0].enhanced in ("4.4.1", "4.3.0", "4.1.1")
