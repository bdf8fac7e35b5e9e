# SPDX-License-Identifier: BSD-2-Clause
#
# A small mail world for tests and for the demo: hosts in namespaces of their own, a real DNS
# server, a real Postfix as primary MX, a real Postfix as backup MX with the milter, a client that
# speaks SMTP. `with Lab() as lab:` brings it up in about a second and takes it down in all cases.

from .host import Host, run_quietly
from .lab import Lab
from .milter import Milter
from .smtp_client import Reply, Sent, SmtpSession

__all__ = ["Host", "Lab", "Milter", "Reply", "Sent", "SmtpSession", "run_quietly"]
