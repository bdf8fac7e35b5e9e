/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules about this host's MTA, whichever it is. */
#include "check/mta.h"

const struct check_rule mta_rules[MTA_RULES] = {
	[MTA_RULE_MTA] = {
		"mta",
		"there is an MTA, and it runs",
		"The milter only says what to answer; the MTA takes the mail, keeps it and passes it "
		"on.",
	},
	[MTA_RULE_CHROOT] = {
		"chroot",
		"the MTA can look up names, in its chroot too",
		"A delivery that can't look up the primary waits in the queue; with name servers of "
		"yesterday it does so all of a sudden.",
	},
	[MTA_RULE_LISTENS] = {
		"listens",
		"the MTA takes mail from the network",
		"Senders come to the addresses that DNS gives them; where nobody listens there, there is "
		"no backup.",
	},
	[MTA_RULE_RELAY_DOMAINS] = {
		"relay-domains",
		"the MTA relays the domain",
		"A domain that isn't relayed is refused as relaying for strangers: a lasting refusal, "
		"and the mail is lost just when it needs the backup.",
	},
	[MTA_RULE_LOCAL_DOMAIN] = {
		"local-domain",
		"the MTA doesn't take the domain for its own",
		"Mail to a domain that the MTA delivers itself never gets to the primary: it is "
		"refused here, or lands in a mailbox that nobody reads.",
	},
	[MTA_RULE_RELAY_RECIPIENTS] = {
		"relay-recipients",
		"no table of the MTA's own refuses recipients",
		"What such a table doesn't list is refused for good before the milter is asked; a "
		"table that lags behind the primary loses mail.",
	},
	[MTA_RULE_NEXT_HOP] = {
		"next-hop",
		"the MTA delivers to the domain's primaries",
		"What the milter watches and where the MTA delivers should be the same hosts, or mail "
		"is taken at the wrong time.",
	},
	[MTA_RULE_RELAY_RESTRICTIONS] = {
		"relay-restrictions",
		"strangers may send to relayed domains, and to no others",
		"A host that relays for strangers to anywhere is an open relay, and soon on "
		"every block list; one that relays to no domain is nobody's backup.",
	},
	[MTA_RULE_VERIFY_LEFTOVER] = {
		"verify-leftover",
		"the MTA doesn't verify recipients by itself",
		"Its own verification asks the primary at the moment of delivery: in an outage it "
		"refuses, and remembers that for hours. The milter does this, without that fault.",
	},
	[MTA_RULE_MILTER_LISTED] = {
		"milter-listed",
		"the MTA asks this milter about mail from the network",
		"Without it this host takes mail for everybody at any time: spam, and bounces to "
		"forged senders.",
	},
	[MTA_RULE_MILTER_SUBMISSION] = {
		"milter-submission",
		"the MTA doesn't ask it about mail of this host's own users",
		"Mail that users hand in is no backup's business: it would wait for a milter that has "
		"nothing to say about it, and not be taken while that is away.",
	},
	[MTA_RULE_MILTER_DEFAULT_ACTION] = {
		"milter-default-action",
		"what the MTA does while the milter is away",
		"\"Try again later\" loses nothing and takes nothing unseen. Anything else makes a "
		"restart of the milter visible to senders.",
	},
	[MTA_RULE_MILTER_TIMEOUT] = {
		"milter-timeout",
		"the MTA waits long enough for the milter's answer",
		"An MTA that gives up first does what it does while the milter is away, though the "
		"answer was on its way.",
	},
	[MTA_RULE_EXEMPT_NETWORKS] = {
		"exempt-networks",
		"hosts that may relay here are exempt clients",
		"Hosts that send their mail through this one don't try again by themselves: a client "
		"program shows its user the \"451\". Who is exempt and no friend is a stranger whom "
		"nobody looks at.",
	},
	[MTA_RULE_FAST_FLUSH] = {
		"fast-flush",
		"the MTA can send a domain's queue at once",
		"Else mail that was taken in an outage waits for the MTA's next try, up to an hour and "
		"more after the primary is back.",
	},
	[MTA_RULE_ETRN] = {
		"etrn",
		"the MTA lets the milter ask for that",
		"The milter asks by SMTP's ETRN, from this host. A refusal is in its log as reply=458 "
		"or reply=459.",
	},
	[MTA_RULE_QUEUE_LIFETIME] = {
		"queue-lifetime",
		"mail is kept for as long as an outage may last",
		"Mail that outlives its time in the queue goes back to its sender: a weekend and a "
		"day's repair must fit.",
	},
	[MTA_RULE_SOFT_BOUNCE] = {
		"soft-bounce",
		"refusals are lasting where they should be, and not where they hurt",
		"A primary that comes back half alive may refuse for good what waits for it; with "
		"refusals softened on the way to it, and only there, that mail waits instead.",
	},
	[MTA_RULE_PROXY_INTERFACES] = {
		"proxy-interfaces",
		"the MTA knows all addresses by which the world sees it",
		"Behind NAT an MTA doesn't see itself in the MX records: it takes itself for a "
		"primary, and mail loops.",
	},
};
