/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted of a domain: verdicts and questions by any thread, mail on the loop; and who
 * hears of the mail.
 */
#include "watch/domain.h"

#define QUESTION_ASKED (1ULL << 32)

void domains_count_verdict(struct domains *domains, const char *name, enum decision_action action)
{
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL)
		atomic_fetch_add(&domain->verdicts[action], 1);
	pthread_rwlock_unlock(&domains->lock);
}

static void questions_add(struct domains *domains, const char *name, unsigned long long count)
{
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL)
		atomic_fetch_add_explicit(&domain->questions, count, memory_order_relaxed);
	pthread_rwlock_unlock(&domains->lock);
}

void domains_count_question(struct domains *domains, const char *name, bool known)
{
	questions_add(domains, name, QUESTION_ASKED + (known ? 1 : 0));
}

void domains_count_answer(struct domains *domains, const char *name)
{
	questions_add(domains, name, 1);
}

unsigned long domain_verdicts(const struct domain *domain, enum decision_action action)
{
	return atomic_load(&domain->verdicts[action]);
}

struct domain_questions domain_take_questions(struct domain *domain)
{
	unsigned long long taken = atomic_exchange(&domain->questions, 0);

	return (struct domain_questions){ .asked = (unsigned long)(taken / QUESTION_ASKED),
					  .known = (unsigned long)(taken % QUESTION_ASKED) };
}

unsigned long domain_mails_waiting(const struct domain *domain)
{
	return domain->mails;
}

void domain_tell_mail(const struct domain *domain)
{
	const struct domains *domains = domain->owner;

	for (size_t i = 0; i < domains->watcher_count; i++)
		if (domains->watchers[i].mail_taken != NULL)
			domains->watchers[i].mail_taken(domains->watchers[i].arg, domain);
}

static void tell_flushed(const struct domain *domain)
{
	const struct domains *domains = domain->owner;

	for (size_t i = 0; i < domains->watcher_count; i++)
		if (domains->watchers[i].flushed != NULL)
			domains->watchers[i].flushed(domains->watchers[i].arg, domain);
}

void domain_flushed(struct domain *domain)
{
	if (domain->mails > 0 || domain->mails_unsure)
		domain->flushed = loop_wall_seconds();
	domain->mails = 0;
	domain->mails_unsure = false;
	domain_record_save(domain);
	tell_flushed(domain);
}
