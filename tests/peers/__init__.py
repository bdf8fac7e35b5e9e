# SPDX-License-Identifier: BSD-2-Clause
#
# Peers that speak the real protocols to backupmx-milter: an MTA on the milter side, SMTP
# servers that play a primary MX, a DNS server, and the daemon itself as a test subject.
# They use Python's standard library only. Everything runs on loopback and needs no root.
