/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the group "reach": each judges what the sessions with the primaries have shown. */
#ifndef BACKUPMX_CHECK_REACH_H
#define BACKUPMX_CHECK_REACH_H

#include "check/talk.h"

extern const struct check_rule reach_starttls, reach_certificate;
void reach_tls_judge(struct check *check, const struct talks *talks);

extern const struct check_rule reach_canary, reach_catch_all;
void reach_recipients_judge(struct check *check, const struct talks *talks);

extern const struct check_rule reach_offer_size, reach_offer_smtputf8, reach_offer_8bitmime;
void reach_offers_judge(struct check *check, const struct talks *talks);

extern const struct check_rule reach_trust;
void reach_trust_judge(struct check *check, const struct talks *talks);

#endif
