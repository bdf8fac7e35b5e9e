/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recipients_file: one list per domain that names one, swapped under a write lock when it was read
 * anew. Reading on the loop, looking up from any thread.
 */
#include "memory/recipient_lists.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/lines.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/recipient_list.h"
#include "io/idna.h"

#define LOOK_EVERY_MS  60000
#define SHRINK_PERCENT 20
#define SAMPLE_LOOKS   100
#define KEPT_FROM      "#from " /* the first line of a kept list: the file it was */
#define KEPT_PREFIX    "recipients_file."
#define LINE_MAX_BYTES 1024

struct local_part {
	UT_hash_handle hh;
	char name[];
};

struct list {
	UT_hash_handle hh;
	char *domain;
	char *path;
	struct timespec changed; /* of the file that was read or refused last */
	off_t size;
	struct local_part *locals;
	size_t count;
	enum recipient_file_form form;
	char *refused; /* why the file as it is now was not taken; NULL: it was */
	bool catch_all;
	bool fold;     /* local_part_case when it was read */
	bool complete; /* recipients_complete then: whole lists and their meaning change together */
};

struct recipient_lists {
	struct loop *loop;
	struct config *config;
	struct loop_timer *look;
	pthread_rwlock_t lock; /* of `all` and what is in it */
	struct list *all;
	recipient_lists_changed changed; /* NULL: nobody wants to know */
	void *changed_arg;
};

static void locals_free(struct local_part **locals)
{
	struct local_part *item, *next;

	HASH_ITER(hh, *locals, item, next) {
		HASH_DEL(*locals, item);
		free(item);
	}
}

static void list_free(struct list *list)
{
	locals_free(&list->locals);
	free(list->domain);
	free(list->path);
	free(list->refused);
	free(list);
}

static void local_add(struct list *list, const char *local)
{
	size_t length = strlen(local);
	struct local_part *item;

	HASH_FIND(hh, list->locals, local, length, item);
	if (item != NULL)
		return;
	item = memory_alloc(sizeof(*item) + length + 1);
	memcpy(item->name, local, length + 1);
	HASH_ADD_KEYPTR(hh, list->locals, item->name, length, item);
	list->count++;
}

/* Other domains' addresses are passed over, so that one map can serve several domains. */
static bool is_of(const struct list *list, const struct recipient_entry *entry)
{
	char name[MAIL_DOMAIN_MAX + 1];

	return idna_domain_to_ascii(entry->domain, name, sizeof(name)) &&
	       strcmp(name, list->domain) == 0;
}

static void take_local(struct list *list, char *local)
{
	if (list->fold)
		text_lower(local);
	local_add(list, local);
}

static void take_entry(struct list *list, struct recipient_entry *entry)
{
	switch (entry->kind) {
	case RECIPIENT_ENTRY_ADDRESS:
		if (is_of(list, entry))
			take_local(list, entry->local);
		break;
	case RECIPIENT_ENTRY_LOCAL:
		if (!recipient_word_names_domain(entry->local, list->domain))
			take_local(list, entry->local);
		break;
	case RECIPIENT_ENTRY_CATCH_ALL:
		if (is_of(list, entry) && !list->catch_all) {
			list->catch_all = true;
			list->count++;
		}
		break;
	case RECIPIENT_ENTRY_NONE:
	case RECIPIENT_ENTRY_MALFORMED:
		break;
	}
}

static void read_lines(struct list *list, FILE *file)
{
	struct recipient_list_reader reader = { .has_value = false };
	struct recipient_entry entry;
	char line[LINE_MAX_BYTES];
	bool first = true;
	bool cut;

	while (lines_next(file, line, sizeof(line), &cut)) {
		if (first)
			list->form = recipient_file_form_of(line);
		first = false;
		recipient_list_read(&reader, line, cut, &entry);
		take_entry(list, &entry);
	}
}

/* Reads the file into an empty list. 0 or -errno. */
static int list_read(struct list *list, const char *path)
{
	struct stat status;
	FILE *file = fopen(path, "re");
	int error = 0;

	if (file == NULL)
		return -errno;
	if (fstat(fileno(file), &status) == 0) {
		list->changed = status.st_mtim;
		list->size = status.st_size;
	}
	read_lines(list, file);
	if (ferror(file))
		error = -EIO;
	fclose(file);
	return error;
}

/* ---- the last good list, kept over restarts ---- */

static char *kept_path(const struct recipient_lists *lists, const char *domain)
{
	return memory_format("%s/" KEPT_PREFIX "%s", lists->config->milter.state_dir, domain);
}

static bool write_list(const struct list *list, FILE *file)
{
	const struct local_part *item;

	fprintf(file, KEPT_FROM "%s\n", list->path);
	if (list->catch_all)
		fprintf(file, "@%s\n", list->domain);
	for (item = list->locals; item != NULL; item = item->hh.next)
		fprintf(file, "%s@%s\n", item->name, list->domain);
	return fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
}

static void list_keep(const struct recipient_lists *lists, const struct list *list)
{
	char *path = kept_path(lists, list->domain);
	char *fresh = memory_format("%s.new", path);
	FILE *file = fopen(fresh, "we");
	bool written = file != NULL && write_list(list, file);

	if (file != NULL)
		written = fclose(file) == 0 && written;
	if (!written || rename(fresh, path) != 0)
		log_warning("recipients: domain=%s the list cannot be kept for the next start: %s",
			    list->domain, strerror(errno));
	free(fresh);
	free(path);
}

static struct list *list_new(const struct recipient_lists *lists,
			     const struct config_domain *domain)
{
	struct list *list = memory_alloc(sizeof(*list));

	list->domain = memory_string(domain->name);
	list->path = memory_string(domain->recipients_file);
	list->fold = lists->config->recipients.local_part_case == CONFIG_CASE_FOLD;
	list->complete = domain->recipients_complete;
	return list;
}

/* True when the kept list at `path` was made of the file that is configured now. */
static bool is_kept_of(const struct list *list, const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");
	bool same = false;

	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) != NULL &&
	    strncmp(line, KEPT_FROM, strlen(KEPT_FROM)) == 0) {
		line[strcspn(line, "\n")] = '\0';
		same = strcmp(line + strlen(KEPT_FROM), list->path) == 0;
	}
	fclose(file);
	return same;
}

/* What was good when the daemon ran before; NULL when there is nothing. */
static struct list *list_kept(const struct recipient_lists *lists,
			      const struct config_domain *domain)
{
	struct list *list = list_new(lists, domain);
	char *path = kept_path(lists, domain->name);
	bool good = is_kept_of(list, path) && list_read(list, path) == 0 && list->count > 0;

	free(path);
	if (good) {
		list->size = -1; /* it was never this file: look at it again */
		return list;
	}
	list_free(list);
	return NULL;
}

/* Why a list that was read can't replace the one in use; NULL when it can. A file that is no list
 * is nothing that force could mean. */
static const char *refusal(const struct list *list, const struct list *old, bool force)
{
	if (list->form == RECIPIENT_FILE_PACKED)
		return "it is compressed; unpack it";
	if (list->form == RECIPIENT_FILE_BINARY && list->count == 0)
		return "it is no text; give a map's source, not what postmap(1) made of it";
	if (force)
		return NULL;
	if (list->count == 0)
		return "it has no address of this domain; if that is right: backupmxctl reload "
		       "--force";
	if (old != NULL && list->count * 100 < old->count * (100 - SHRINK_PERCENT))
		return "it has over 20 % fewer lines than before; if that is right: backupmxctl "
		       "reload --force";
	return NULL;
}

static void list_put(struct recipient_lists *lists, struct list *list, struct list *old)
{
	pthread_rwlock_wrlock(&lists->lock);
	if (old != NULL)
		HASH_DEL(lists->all, old);
	HASH_ADD_KEYPTR(hh, lists->all, list->domain, strlen(list->domain), list);
	pthread_rwlock_unlock(&lists->lock);
	if (old != NULL)
		list_free(old);
}

static struct list *list_find(struct recipient_lists *lists, const char *domain)
{
	struct list *list;

	HASH_FIND_STR(lists->all, domain, list);
	return list;
}

static bool file_changed(const struct list *list)
{
	struct stat status;

	if (stat(list->path, &status) != 0)
		return false; /* it may be on its way; a reload says so */
	return status.st_mtim.tv_sec != list->changed.tv_sec ||
	       status.st_mtim.tv_nsec != list->changed.tv_nsec || status.st_size != list->size;
}

/* Nothing about it has changed since it was read: a reload costs nothing then. */
static bool is_current(const struct recipient_lists *lists, const struct list *list,
		       const struct config_domain *domain)
{
	bool fold = lists->config->recipients.local_part_case == CONFIG_CASE_FOLD;

	return list != NULL && !file_changed(list) && list->fold == fold &&
	       list->complete == domain->recipients_complete &&
	       strcmp(list->path, domain->recipients_file) == 0;
}

static void tell_changed(const struct recipient_lists *lists, const char *domain)
{
	if (lists->changed != NULL)
		lists->changed(lists->changed_arg, domain);
}

static void load(struct recipient_lists *lists, const struct config_domain *domain, bool force)
{
	struct list *old = list_find(lists, domain->name);
	struct list *list = list_new(lists, domain);
	const char *why;
	int error = list_read(list, list->path);

	if (old == NULL && (old = list_kept(lists, domain)) != NULL)
		list_put(lists, old, NULL);
	why = error != 0 ? strerror(-error) : refusal(list, old, force);
	if (why == NULL) {
		log_info("recipients: domain=%s file=%s entries=%zu", list->domain, list->path,
			 list->count);
		list_put(lists, list, old);
		list_keep(lists, list);
		tell_changed(lists, list->domain);
		return;
	}
	log_error("recipients: domain=%s file=%s refused: %s; %s", list->domain, list->path, why,
		  old != NULL ? "the old list stays" : "there is no list");
	if (old != NULL) { /* don't refuse the same file each minute */
		old->changed = list->changed;
		old->size = list->size;
		free(old->refused);
		old->refused = memory_string(why);
	}
	list_free(list);
}

static void look(void *arg)
{
	struct recipient_lists *lists = arg;
	const struct config *config = lists->config;

	for (size_t i = 0; i < config->domain_count; i++) {
		const struct config_domain *domain = &config->domain[i];
		const struct list *list;

		if (domain->recipients_file[0] == '\0')
			continue;
		list = list_find(lists, domain->name);
		if (!is_current(lists, list, domain))
			load(lists, domain, false);
	}
	loop_timer_start(lists->look, LOOK_EVERY_MS);
}

static bool has_list(const struct config *config, const char *name)
{
	const struct config_domain *domain = config_domain_find(config, name);

	return domain != NULL && domain->recipients_file[0] != '\0' &&
	       strcmp(domain->name, name) == 0;
}

/* A list that was taken out of the configuration must not come back from the past one day. */
static void forget_kept(const struct recipient_lists *lists)
{
	const char *folder = lists->config->milter.state_dir;
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const char *domain = entry->d_name + strlen(KEPT_PREFIX);
		char *path;

		if (strncmp(entry->d_name, KEPT_PREFIX, strlen(KEPT_PREFIX)) != 0 ||
		    has_list(lists->config, domain))
			continue;
		path = memory_format("%s/%s", folder, entry->d_name);
		unlink(path);
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
}

static void drop_unconfigured(struct recipient_lists *lists)
{
	struct list *list, *next;

	HASH_ITER(hh, lists->all, list, next) {
		if (has_list(lists->config, list->domain))
			continue;
		pthread_rwlock_wrlock(&lists->lock);
		HASH_DEL(lists->all, list);
		pthread_rwlock_unlock(&lists->lock);
		tell_changed(lists, list->domain);
		list_free(list);
	}
}

void recipient_lists_configure(struct recipient_lists *lists, struct config *config, bool force)
{
	struct config *old = lists->config;

	lists->config = config_get(config);
	config_put(old);
	drop_unconfigured(lists);
	forget_kept(lists);
	for (size_t i = 0; i < config->domain_count; i++)
		if (config->domain[i].recipients_file[0] != '\0' &&
		    (force || !is_current(lists, list_find(lists, config->domain[i].name),
					  &config->domain[i])))
			load(lists, &config->domain[i], force);
}

void recipient_lists_watch(struct recipient_lists *lists, recipient_lists_changed changed,
			   void *arg)
{
	lists->changed = changed;
	lists->changed_arg = arg;
}

const char *recipient_lists_refusal(struct recipient_lists *lists, const char *domain)
{
	const struct list *list = list_find(lists, domain);

	if (list != NULL)
		return list->refused;
	return has_list(lists->config, domain) ? "it can't be used, see the log" : NULL;
}

struct recipient_lists *recipient_lists_new(struct loop *loop, struct config *config)
{
	struct recipient_lists *lists = memory_alloc(sizeof(*lists));

	lists->loop = loop;
	pthread_rwlock_init(&lists->lock, NULL);
	lists->look = loop_timer_new(loop, look, lists);
	recipient_lists_configure(lists, config, false);
	loop_timer_start(lists->look, LOOK_EVERY_MS);
	return lists;
}

void recipient_lists_free(struct recipient_lists *lists)
{
	struct list *list, *next;

	HASH_ITER(hh, lists->all, list, next) {
		HASH_DEL(lists->all, list);
		list_free(list);
	}
	loop_timer_free(lists->look);
	pthread_rwlock_destroy(&lists->lock);
	config_put(lists->config);
	free(lists);
}

static enum recipient_listed find_in(const struct list *list, const char *typed)
{
	char local[MAIL_LOCAL_MAX + 1];
	struct local_part *item;

	text_copy(local, sizeof(local), typed);
	if (list->fold)
		text_lower(local);
	HASH_FIND(hh, list->locals, local, strlen(local), item);
	if (item != NULL)
		return RECIPIENT_LIST_PRESENT;
	if (list->catch_all)
		return RECIPIENT_LIST_CATCH_ALL;
	return list->complete ? RECIPIENT_LIST_MISSING : RECIPIENT_LIST_ABSENT;
}

enum recipient_listed recipient_lists_find(struct recipient_lists *lists, const char *domain,
					   const char *local)
{
	enum recipient_listed listed = RECIPIENT_LIST_NONE;
	struct list *list;

	pthread_rwlock_rdlock(&lists->lock);
	HASH_FIND_STR(lists->all, domain, list);
	if (list != NULL)
		listed = find_in(list, local);
	pthread_rwlock_unlock(&lists->lock);
	return listed;
}

static bool is_askable(const struct list *list, const char *local)
{
	char typed[MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 2];
	struct mail_address address;

	snprintf(typed, sizeof(typed), "%s@%s", local, list->domain);
	mail_address_parse(typed, &address);
	return address.askable && address.is_ascii && !mail_local_is_role(local);
}

static size_t sample(const struct list *list, const char *except,
		     char (*locals)[MAIL_LOCAL_MAX + 1], size_t max)
{
	size_t looked = 0, count = 0;

	for (const struct local_part *item = list->locals;
	     item != NULL && count < max && looked < SAMPLE_LOOKS; item = item->hh.next) {
		looked++;
		if (is_askable(list, item->name) && strcmp(item->name, except) != 0)
			text_copy(locals[count++], sizeof(locals[0]), item->name);
	}
	return count;
}

size_t recipient_lists_sample(struct recipient_lists *lists, const char *domain, const char *except,
			      char (*locals)[MAIL_LOCAL_MAX + 1], size_t max)
{
	size_t count = 0;
	struct list *list;

	pthread_rwlock_rdlock(&lists->lock);
	HASH_FIND_STR(lists->all, domain, list);
	if (list != NULL)
		count = sample(list, except, locals, max);
	pthread_rwlock_unlock(&lists->lock);
	return count;
}

size_t recipient_lists_size(struct recipient_lists *lists, const char *domain)
{
	size_t count = 0;
	struct list *list;

	pthread_rwlock_rdlock(&lists->lock);
	HASH_FIND_STR(lists->all, domain, list);
	if (list != NULL)
		count = list->count;
	pthread_rwlock_unlock(&lists->lock);
	return count;
}
