/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values: the text behind "key =" becomes what the program works with, strictly, or a sentence that
 * says what would be right. Called by the thread that loads.
 */
#ifndef BACKUPMX_CONF_VALUES_H
#define BACKUPMX_CONF_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"
#include "conf/options.h"
#include "conf/pool.h"

#define VALUE_NAME_MAX	324 /* local@domain */
#define VALUE_WRONG_MAX 512

/* One scalar, or one item of a list. Which member counts follows from the option's type. */
struct value {
	int64_t number;		   /* also booleans and words */
	const char *text;	   /* points to the text that was read, or to `name` */
	char name[VALUE_NAME_MAX]; /* a host's name as A-labels, or a mailbox */
	struct ip ip;
	struct ip_network network;
	uint16_t port;
};

/* Reads one value. False: `wrong` says "what is wrong; what would be right". */
bool value_read(const struct option *option, const char *text, struct value *value, char *wrong,
		size_t wrong_size);

/* What would be right for this option: "write 1 to 65535". */
const char *value_say_right(const struct option *option, char *buffer, size_t size);

/* Puts `count` read values (1 for a scalar) into the option's field of the structure at `home`.
 * Strings and lists are copied to the pool. */
void value_store(const struct option *option, void *home, const struct value *values, size_t count,
		 struct pool *pool);

/* Copies the field from one structure to another; both share the pool. */
void value_copy(const struct option *option, void *to, const void *from);

/* Compares the field of two structures. Scalars only. */
bool value_equal(const struct option *option, const void *a, const void *b);

#endif
