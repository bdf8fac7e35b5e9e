/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From read values to the fields of a snapshot, by the option table's offsets; and fields copied
 * and compared. Owns nothing (the pool belongs to the snapshot); called by the thread that loads.
 */
#include "conf/values.h"

#include <assert.h>
#include <string.h>

static size_t field_size(const struct option *option)
{
	switch (option->type) {
	case OPTION_BOOLEAN:
		return sizeof(bool);
	case OPTION_WORD:
		return sizeof(int);
	case OPTION_NUMBER:
	case OPTION_DURATION:
	case OPTION_PERCENT:
	case OPTION_MODE:
		return sizeof(int64_t);
	case OPTION_ENDPOINT:
	case OPTION_LISTEN:
		return sizeof(struct config_endpoint);
	case OPTION_SOURCES:
		return sizeof(struct ip);
	default: /* a string or a list's items */
		return sizeof(void *);
	}
}

static size_t second_size(const struct option *option)
{
	if (option->type == OPTION_SOURCES)
		return sizeof(struct ip);
	return option_is_list(option) ? sizeof(size_t) : 0;
}

_Static_assert(sizeof(enum when_up) == sizeof(int), "words are stored as int");

static void put(void *home, size_t offset, const void *bytes, size_t size)
{
	memcpy((char *)home + offset, bytes, size);
}

static struct config_endpoint endpoint_of(const struct value *value, struct pool *pool)
{
	return (struct config_endpoint){
		.host = pool_string(pool, value->ip.family == IP_NONE ? value->text : ""),
		.ip = value->ip,
		.port = value->port,
	};
}

static void *strings_of(const struct value *values, size_t count, struct pool *pool)
{
	char **items = pool_alloc(pool, count * sizeof(*items));

	for (size_t i = 0; i < count; i++)
		items[i] = pool_string(pool, values[i].text);
	return items;
}

static void *endpoints_of(const struct value *values, size_t count, struct pool *pool)
{
	struct config_endpoint *items = pool_alloc(pool, count * sizeof(*items));

	for (size_t i = 0; i < count; i++)
		items[i] = endpoint_of(&values[i], pool);
	return items;
}

static void *addresses_of(const struct value *values, size_t count, struct pool *pool)
{
	struct ip *items = pool_alloc(pool, count * sizeof(*items));

	for (size_t i = 0; i < count; i++)
		items[i] = values[i].ip;
	return items;
}

static void *networks_of(const struct value *values, size_t count, struct pool *pool)
{
	struct ip_network *items = pool_alloc(pool, count * sizeof(*items));

	for (size_t i = 0; i < count; i++)
		items[i] = values[i].network;
	return items;
}

static void store_list(const struct option *option, void *home, const struct value *values,
		       size_t count, struct pool *pool)
{
	void *items = NULL;

	if (count > 0 && (option->type == OPTION_HOSTS || option->type == OPTION_COMMAND))
		items = strings_of(values, count, pool);
	else if (count > 0 && option->type == OPTION_ADDRESSES)
		items = addresses_of(values, count, pool);
	else if (count > 0 && option->type == OPTION_NETWORKS)
		items = networks_of(values, count, pool);
	else if (count > 0)
		items = endpoints_of(values, count, pool);
	put(home, option->offset, &items, sizeof(items));
	put(home, option->offset2, &count, sizeof(count));
}

static void store_sources(const struct option *option, void *home, const struct value *values,
			  size_t count)
{
	struct ip of_family[2] = { { .family = IP_NONE }, { .family = IP_NONE } };

	for (size_t i = 0; i < count; i++)
		of_family[values[i].ip.family == IP_V6] = values[i].ip;
	put(home, option->offset, &of_family[0], sizeof(of_family[0]));
	put(home, option->offset2, &of_family[1], sizeof(of_family[1]));
}

void value_store(const struct option *option, void *home, const struct value *values, size_t count,
		 struct pool *pool)
{
	struct config_endpoint endpoint;
	char *string;
	bool flag;
	int word;

	assert(count == 1 || option_is_list(option));
	switch (option->type) {
	case OPTION_BOOLEAN:
		flag = values->number != 0;
		put(home, option->offset, &flag, sizeof(flag));
		break;
	case OPTION_WORD:
		word = (int)values->number;
		put(home, option->offset, &word, sizeof(word));
		break;
	case OPTION_NUMBER:
	case OPTION_DURATION:
	case OPTION_PERCENT:
	case OPTION_MODE:
		put(home, option->offset, &values->number, sizeof(values->number));
		break;
	case OPTION_ENDPOINT:
	case OPTION_LISTEN:
		endpoint = endpoint_of(values, pool);
		put(home, option->offset, &endpoint, sizeof(endpoint));
		break;
	case OPTION_SOURCES:
		store_sources(option, home, values, count);
		break;
	case OPTION_HOSTS:
	case OPTION_ADDRESSES:
	case OPTION_NETWORKS:
	case OPTION_ENDPOINTS:
	case OPTION_SERVERS:
	case OPTION_COMMAND:
		store_list(option, home, values, count, pool);
		break;
	default:
		string = pool_string(pool, values->text);
		put(home, option->offset, &string, sizeof(string));
	}
}

void value_copy(const struct option *option, void *to, const void *from)
{
	put(to, option->offset, (const char *)from + option->offset, field_size(option));
	if (second_size(option) > 0)
		put(to, option->offset2, (const char *)from + option->offset2, second_size(option));
}

bool value_equal(const struct option *option, const void *a, const void *b)
{
	const char *left = (const char *)a + option->offset;
	const char *right = (const char *)b + option->offset;
	char *strings[2];

	assert(!option_is_list(option) && option->type != OPTION_ENDPOINT &&
	       option->type != OPTION_LISTEN);
	if (option->type <= OPTION_MODE)
		return memcmp(left, right, field_size(option)) == 0;
	memcpy(&strings[0], left, sizeof(strings[0]));
	memcpy(&strings[1], right, sizeof(strings[1]));
	return strcmp(strings[0], strings[1]) == 0;
}
