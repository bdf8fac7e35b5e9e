/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answer to "status" for all domains as text, written bit by bit so that the loop isn't held
 * up: for the command and for the HTTP listener. Loop thread only.
 */
#ifndef BACKUPMX_CONTROL_STATUS_H
#define BACKUPMX_CONTROL_STATUS_H

#include "control/control.h"

struct status_text;

/* An unfinished text; the settings must outlive it. */
struct status_text *status_text_begin(const struct control_settings *settings);
/* Goes on for some milliseconds. True when the text is whole; then don't call it again. */
bool status_text_step(struct status_text *status);
/* The whole text, JSON; it lives as long as `status`. */
const char *status_text_get(const struct status_text *status, size_t *length);
void status_text_free(struct status_text *status); /* finished or not; NULL is fine */

#endif
