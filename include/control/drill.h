/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's side of a fire drill (DESIGN section 10): what `backupmxctl drill` asks. All three
 * are for root and the daemon's own user. Loop thread only.
 *
 * {"command":"drill", "domain":D, "recipient":ADDR, "hold":BOOL (default false)} hands out a token:
 *
 *   {"token": 32 hex digits, "expires": TIME, "domain": D as an A-label,
 *    "mode": "enforce" or "shadow", "state": the domain's real one, "hold": as asked for,
 *    "tag": whether the message would get one, "mta": [flush] mta, to which it is to be sent}
 *
 * With "alone": true the caller says that no other drill of this host has anybody left who follows
 * it: those that run are ended first, as "fail".
 *
 * It fails with exit 2 when D or ADDR is none, ADDR isn't of D or not plain (quotes, "%", "!",
 * blanks), or "hold" or "alone" is no boolean; with exit 1 when D isn't ours, or not-backup, or
 * DRILLS_MAX drills are under way already.
 *
 * The message is `MAIL FROM:<> ENVID=drill-TOKEN` and one `RCPT TO:<ADDR>`, by SMTP from an address
 * of this host, within five minutes. What isn't just so is an ordinary message, and the log says
 * why it was no drill.
 *
 * {"command":"drill_result", "token":T} tells how it goes, until ten minutes after the token has
 * expired or the drill was ended. Exit 1 for a token that isn't known (any more: a restart of the
 * daemon forgets them, too).
 *
 *   {"token", "domain", "recipient", "mode", "hold", "expires",
 *    "state": "waiting"  no message with it came yet
 *             "used"     its MAIL was seen, and no verdict yet, or its end isn't
 *             "refused"  the recipient was deferred or rejected
 *             "taken"    it reached its end, and the milter says nothing against it
 *             "expired"  no message came in time; or one came, and never got to its end
 *    "action", "row", "reason", "recipient_status", "id"   of the decision; null before it
 *    "code", "xcode", "text"      what the milter says to RCPT, "text" as the client reads it; null
 *                                 when nothing. With mode shadow it is what would have been said
 *    "tag": "Backup-MX-Status: ..." in one line; null: none was added
 *    "queue_id": of the message, once it is taken; null where the MTA doesn't tell
 *    "held": the MTA was told to hold the message. From then on it has to be released, whatever
 *            becomes of the drill
 *    "ended": null, "pass" or "fail"}
 *
 * {"command":"drill_end", "token":T, "result":"pass"|"fail"} withdraws the token: a message that
 * comes now is an ordinary one, one under way is not held any more. It answers as drill_result
 * does: with "held": true there is a message to release. With "pass" the time is kept
 * (backupmx_last_drill_timestamp_seconds); the answer comes once that is on the disk. Exit 1 for
 * "pass" when the message wasn't taken (nothing changes), and when the drill has ended already.
 */
#ifndef BACKUPMX_CONTROL_DRILL_H
#define BACKUPMX_CONTROL_DRILL_H

#include "control/control.h"

void control_drill(struct control_call *call);
void control_drill_result(struct control_call *call);
void control_drill_end(struct control_call *call);

#endif
