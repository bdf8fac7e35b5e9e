# SPDX-License-Identifier: BSD-2-Clause
#
# Tests of what is installed: packages as packaging/build-deb and build-rpm make them, in clean root
# file systems, among the hosts of the end-to-end lab. Which packages: the folders that
# $BACKUPMX_PACKAGES names, or build/package.

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

PACKAGES = pathlib.Path(os.environ.get("BACKUPMX_PACKAGES", HERE.parents[1] / "build/package"))


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests make root file systems and namespaces: run as root")


@pytest.fixture(scope="session")
def packages():
    return PACKAGES
