# SPDX-License-Identifier: BSD-2-Clause
#
# Reload: a thousand SIGHUPs while mail flows leave the daemon alive and every answer right; a bad
# file changes nothing; a good one is in force at once.

import os
import threading
import time

from story import GO_TO_PRIMARY, NO_SUCH_USER, expect, until_up

SIGNALS = 1000
STRANGERS = 4


def test_a_thousand_hups_under_load(lab, figure):
    until_up(lab)
    lab.learn("alice@example.test")
    lab.learn("invented@example.test", verdict="invalid")
    wanted = {"alice@example.test": GO_TO_PRIMARY, "invented@example.test": NO_SUCH_USER}
    problems, answers, over = [], [0], threading.Event()

    def stranger():
        try:
            while not over.is_set():
                with lab.session() as session:
                    for _ in range(10):
                        for recipient, text in wanted.items():
                            expect(session.ask(recipient), text, recipient)
                            answers[0] += 1
        except BaseException as problem:  # noqa: BLE001 - told by the main thread
            problems.append(problem)

    threads = [threading.Thread(target=stranger) for _ in range(STRANGERS)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for _ in range(SIGNALS):
        lab.milter.hup()
        time.sleep(0.005)
        if problems:
            break
    seconds = time.monotonic() - began
    over.set()
    for thread in threads:
        thread.join(60)
    assert not problems, problems
    lab.milter.check_alive()
    figure("reloads under load", f"{SIGNALS} SIGHUPs in {seconds:.1f} s, {answers[0]} answers, "
           "none wrong")
    assert answers[0] > 100
    until_up(lab)


def test_a_bad_file_changes_nothing(lab):
    until_up(lab)
    good = open(lab.milter.ini_path, encoding="utf-8").read()
    mark = lab.milter.mark()
    with open(lab.milter.ini_path, "w", encoding="utf-8") as file:
        file.write(good + "\n[policy]\nwhen_up = perhaps\n")
    lab.milter.hup()
    line = good.count("\n") + 3
    lab.milter.wait_for_log(rf"{os.path.basename(lab.milter.ini_path)}:{line}: when_up: ", 10, mark)
    expect(lab.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")
    with open(lab.milter.ini_path, "w", encoding="utf-8") as file:
        file.write(good)
    mark = lab.milter.mark()
    lab.milter.hup()
    lab.milter.wait_for_log("reload", 10, mark)
    expect(lab.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")


def test_a_good_file_is_in_force(lab):
    until_up(lab)
    lab.configure_milter({"milter": {"mode": "shadow"}})
    done = lab.milter.ctl_process("reload")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.ask("alice@example.test").code == 250
    lab.configure_milter()
    assert lab.milter.ctl_process("reload").returncode == 0
    expect(lab.ask("alice@example.test"), GO_TO_PRIMARY, "alice@example.test")
