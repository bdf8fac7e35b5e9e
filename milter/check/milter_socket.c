/* SPDX-License-Identifier: BSD-2-Clause */
/* Our milter socket by the names that Postfix has for it, and who may connect to it. */
#include "check/milter_socket.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "core/ip.h"

#define GROUPS_MAX 64

struct place {
	char host[256]; /* "" for any; a unix socket: none */
	char port[32];
	char path[PATH_MAX]; /* "": none */
};

static const char *after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* "inet:PORT@HOST", "inet6:PORT@HOST", "unix:/path", "local:/path", "/path" */
static void parse_ours(const char *socket, struct place *place)
{
	const char *rest = after(socket, "inet:");
	const char *at;

	*place = (struct place){ .host = "" };
	if (rest == NULL)
		rest = after(socket, "inet6:");
	if (rest != NULL) {
		at = strchr(rest, '@');
		snprintf(place->port, sizeof(place->port), "%.*s", (int)strcspn(rest, "@"), rest);
		text_copy(place->host, sizeof(place->host), at != NULL ? at + 1 : "");
		return;
	}
	rest = after(socket, "unix:");
	if (rest == NULL)
		rest = after(socket, "local:");
	text_copy(place->path, sizeof(place->path), rest != NULL ? rest : socket);
}

/* "inet:HOST:PORT", "inet:[::1]:PORT", "unix:PATH" */
static bool parse_postfix(const char *name, const struct milter_socket_place *where,
			  struct place *place)
{
	const char *rest = after(name, "inet:");
	const char *colon = rest != NULL ? strrchr(rest, ':') : NULL;

	*place = (struct place){ .host = "" };
	if (colon != NULL) {
		text_copy(place->port, sizeof(place->port), colon + 1);
		if (rest[0] == '[')
			rest++;
		snprintf(place->host, sizeof(place->host), "%.*s",
			 (int)(colon - rest - (colon > rest && colon[-1] == ']')), rest);
		return true;
	}
	rest = after(name, "unix:");
	if (rest == NULL)
		return false;
	if (where->chrooted || rest[0] != '/')
		snprintf(place->path, sizeof(place->path), "%s/%s", where->queue,
			 rest + strspn(rest, "/"));
	else
		text_copy(place->path, sizeof(place->path), rest);
	return true;
}

/* Any address, or one of this host's own: all of the loopback is one to us. */
static bool is_any(const char *host)
{
	return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_localhost(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
	       strcmp(host, "::1") == 0;
}

static bool hosts_equal(const char *ours, const char *its)
{
	struct ip a, b;

	if (is_any(ours) || strcmp(ours, its) == 0)
		return true;
	/* a literal of the other family is another socket */
	if (is_localhost(ours) && is_localhost(its))
		return strcmp(ours, "localhost") == 0 || strcmp(its, "localhost") == 0;
	return ip_parse(ours, &a) && ip_parse(its, &b) && ip_equal(&a, &b);
}

static bool paths_equal(const char *ours, const char *its)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (realpath(ours, a) != NULL && realpath(its, b) != NULL)
		return strcmp(a, b) == 0;
	return strcmp(ours, its) == 0;
}

static bool places_equal(const struct place *ours, const struct place *its)
{
	if ((ours->path[0] == '\0') != (its->path[0] == '\0'))
		return false;
	if (ours->path[0] != '\0')
		return paths_equal(ours->path, its->path);
	return strcmp(ours->port, its->port) == 0 && hosts_equal(ours->host, its->host);
}

bool milter_socket_is_ours(const char *socket, const char *name,
			   const struct milter_socket_place *where)
{
	struct place ours, its;

	parse_ours(socket, &ours);
	return parse_postfix(name, where, &its) && places_equal(&ours, &its);
}

bool milter_socket_is_same(const char *socket, const char *name)
{
	struct place ours, its;

	parse_ours(socket, &ours);
	parse_ours(name, &its);
	return places_equal(&ours, &its);
}

/* What of the path is below the queue; NULL: it isn't. */
static const char *below_queue(const char *path, const struct milter_socket_place *where)
{
	const char *rest = where->queue[0] != '\0' ? after(path, where->queue) : NULL;

	return rest != NULL && rest[0] == '/' ? rest + 1 : NULL;
}

bool milter_socket_name(const char *socket, const struct milter_socket_place *where, char *name,
			size_t size)
{
	struct place ours;
	struct text text;
	const char *below;

	text_init(&text, name, size);
	parse_ours(socket, &ours);
	if (ours.path[0] == '\0') {
		if (is_any(ours.host))
			text_copy(ours.host, sizeof(ours.host), "127.0.0.1");
		text_add_format(&text,
				strchr(ours.host, ':') != NULL ? "inet:[%s]:%s" : "inet:%s:%s",
				ours.host, ours.port);
		return true;
	}
	below = below_queue(ours.path, where);
	text_add(&text, "unix:");
	text_add(&text, below != NULL ? below : ours.path);
	return below != NULL || !where->chrooted;
}

/* ---- may it be connected to? ---- */

struct someone {
	const char *name;
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int group_count;
};

static bool is_member(const struct someone *user, gid_t group)
{
	for (int i = 0; i < user->group_count; i++)
		if (user->groups[i] == group)
			return true;
	return false;
}

/* bit: 2 to write, 1 to pass a folder */
static bool may(const struct someone *user, const struct stat *about, mode_t bit)
{
	if (about->st_uid == user->uid)
		return (about->st_mode >> 6 & bit) != 0;
	if (is_member(user, about->st_gid))
		return (about->st_mode >> 3 & bit) != 0;
	return (about->st_mode & bit) != 0;
}

/* Each folder on the way has to be passed. `path` is cut for a while and put right again. */
static bool may_reach(const struct someone *user, char *path, char *why, size_t size)
{
	struct stat about;

	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		bool fine;

		*slash = '\0';
		fine = stat(path, &about) != 0 || may(user, &about, 1);
		if (!fine)
			snprintf(why, size, "%s doesn't let the user %s pass (mode %04o)", path,
				 user->name, about.st_mode & 07777U);
		*slash = '/';
		if (!fine)
			return false;
	}
	return true;
}

bool milter_socket_usable(const char *socket, const char *name, char *why, size_t size)
{
	struct someone user = { .name = name, .group_count = GROUPS_MAX };
	const struct passwd *entry = getpwnam(name);
	struct place ours;
	struct stat about;

	parse_ours(socket, &ours);
	if (ours.path[0] == '\0' || entry == NULL)
		return true;
	user.uid = entry->pw_uid;
	if (getgrouplist(name, entry->pw_gid, user.groups, &user.group_count) < 0)
		user.group_count = 0;
	if (!may_reach(&user, ours.path, why, size))
		return false;
	if (stat(ours.path, &about) != 0 || may(&user, &about, 2))
		return true;
	snprintf(why, size, "%s has mode %04o, and the user %s may not write to it", ours.path,
		 about.st_mode & 07777U, name);
	return false;
}
