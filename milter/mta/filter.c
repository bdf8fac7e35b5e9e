/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmilter's callbacks. Each finds its session in the context and hands on; the callbacks of one
 * connection may run on different threads, one at a time.
 */
#include "mta/filter.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/drill_marks.h"
#include "io/log_valve.h"
#include "mta/session.h"

#define TICK_MS	       20
#define DRAIN_MS       1500 /* at the end, for callbacks in flight */
#define WAKE_MS	       100  /* after smfi_stop() was called */
#define SEND_MS	       100  /* and for their answers to be sent */
#define LISTEN_BACKLOG 512  /* an MTA that restarts connects with all its processes at once */

static struct gate
	*the_gate;	  /* libmilter has one filter per process, and no place for an argument */
static char *socket_path; /* of a unix socket, to be removed at the end */
static char *socket_spec; /* as configured */
static pthread_t milter_thread;
static atomic_bool milter_ended;
static atomic_bool stopping;
static atomic_int in_flight;
static void (*on_failure)(void *arg);
static void *on_failure_arg;

/* The steps whose answers the MTA agreed not to wait for. One MTA, one agreement: libmilter itself
 * keeps it per context only. */
static atomic_ulong silent_steps;
/* And whether it lets recipients be deleted and added again, and messages be held. */
static atomic_bool recipients_may_change;
static atomic_bool may_hold;

/* ---- signals ----
 *
 * libmilter runs a thread that takes SIGHUP, SIGTERM and SIGINT by sigwait(3) and stops the filter
 * on each of them. Here SIGHUP reloads, and stopping has an order of its own, so these three are
 * ours: the linker finds this sigwait() before libc's, and it never waits for them. */
int sigwait(const sigset_t *restrict set, int *restrict signal_number)
{
	static const int ours[] = { SIGHUP, SIGTERM, SIGINT };
	sigset_t rest = *set;
	bool any = false;
	int taken = -1;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigdelset(&rest, ours[i]);
	for (int i = 1; i < 32 && !any; i++)
		any = sigismember(&rest, i) == 1;
	while (taken < 0) {
		if (!any)
			pause();
		else
			taken = sigwaitinfo(&rest, NULL);
	}
	*signal_number = taken;
	return 0;
}

/* Every callback begins with enter() and, if that lets it in, ends with done(). Once we are
 * stopping none is let in: libmilter's workers may call until the very end, when all this is gone
 * already. (The flag is set before the number in flight is looked at, and looked at after it was
 * raised.) */
static bool enter(SMFICTX *ctx, struct session **session)
{
	atomic_fetch_add(&in_flight, 1);
	if (atomic_load(&stopping)) {
		atomic_fetch_sub(&in_flight, 1);
		return false;
	}
	*session = smfi_getpriv(ctx);
	return true;
}

static sfsistat done(sfsistat status)
{
	atomic_fetch_sub(&in_flight, 1);
	return status;
}

static sfsistat silently(unsigned long step)
{
	return done(atomic_load(&silent_steps) & step ? SMFIS_NOREPLY : SMFIS_CONTINUE);
}

static const char *macro(SMFICTX *ctx, const char *name)
{
	const char *value = smfi_getsymval(ctx, (char *)(uintptr_t)name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Postfix says so in {v}. Sendmail's {v} is a number; where it isn't passed on, the interface
 * macros and a queue id as early as MAIL tell it. */
static bool is_sendmail(SMFICTX *ctx)
{
	const char *version = macro(ctx, "v");

	if (version != NULL)
		return version[0] >= '0' && version[0] <= '9';
	return macro(ctx, "{if_addr}") != NULL || macro(ctx, "{if_name}") != NULL ||
	       macro(ctx, "i") != NULL;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
			     unsigned long unused1, unsigned long unused2,
			     unsigned long *wanted_actions, unsigned long *wanted_steps,
			     unsigned long *unused3, unsigned long *unused4)
{
	static const unsigned long left_out =
		SMFIP_NOHELO | SMFIP_NOBODY | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOEOH;
	static const unsigned long unanswered = SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_HDR;
	/* whatever the settings are: they change by a reload, connections stay */
	static const unsigned long on_recipients = SMFIF_ADDRCPT_PAR | SMFIF_DELRCPT;

	(void)ctx;
	(void)unused1;
	(void)unused2;
	*wanted_actions =
		actions & (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | on_recipients);
	*wanted_steps = steps & (left_out | unanswered);
	*unused3 = 0;
	*unused4 = 0;
	atomic_store(&silent_steps, *wanted_steps & unanswered);
	atomic_store(&recipients_may_change, (actions & on_recipients) == on_recipients);
	atomic_store(&may_hold, (actions & SMFIF_QUARANTINE) != 0);
	return SMFIS_CONTINUE;
}

/* Postfix names a client only when its name leads back to the address. Sendmail hands on any name
 * of the reverse zone, and says so elsewhere. */
static const char *verified_name(SMFICTX *ctx, const char *host)
{
	const char *client = macro(ctx, "_");

	if (host == NULL || (client != NULL && strstr(client, "(may be forged)") != NULL))
		return "";
	return host;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	struct ip_port client = { .port = 0 };
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_TEMPFAIL;
	session_free(session);
	if (address != NULL)
		ip_from_sockaddr((struct sockaddr *)address, &client);
	session = session_new(the_gate, &client.ip, verified_name(ctx, host));
	smfi_setpriv(ctx, session);
	return silently(SMFIP_NR_CONN);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	const char *name = macro(ctx, "j");
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_TEMPFAIL;
	if (session != NULL) {
		session_set_mta(session, is_sendmail(ctx), name != NULL ? name : "");
		session_mail(session, arguments[0], (const char *const *)arguments + 1,
			     macro(ctx, "{auth_authen}") != NULL);
	}
	return silently(SMFIP_NR_MAIL);
}

/* smfi_setreply() reads its text as a format. */
static void double_percents(const char *text, char *out, size_t size)
{
	struct text builder;

	text_init(&builder, out, size);
	for (; *text != '\0'; text++) {
		if (*text == '%')
			text_add_char(&builder, '%');
		text_add_char(&builder, *text);
	}
}

static sfsistat answer(SMFICTX *ctx, const struct session_reply *reply)
{
	char code[4];
	char text[SESSION_REPLY_MAX];
	TEXT_ON(digits, code);

	if (reply->code == 0)
		return SMFIS_CONTINUE;
	text_add_format(&digits, "%d", reply->code);
	double_percents(reply->text, text, sizeof(text));
	if (smfi_setreply(ctx, code, (char *)(uintptr_t)reply->xcode, text) != MI_SUCCESS &&
	    log_valve_admit(LOG_VALVE_MILTER))
		log_error("milter: the MTA's own text is used, libmilter refused ours: %s", text);
	return reply->code >= 500 ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct session_reply reply = { .code = 0 };
	struct session_recipient recipient = { .typed = arguments[0],
					       .parameters = (const char *const *)arguments + 1 };
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_TEMPFAIL;
	if (session == NULL)
		return done(SMFIS_CONTINUE);
	recipient.queue_id = macro(ctx, "i");
	recipient.mailer = macro(ctx, "{rcpt_mailer}");
	recipient.next_hop = macro(ctx, "{rcpt_host}");
	session_rcpt(session, &recipient, &reply);
	return done(answer(ctx, &reply));
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *session;

	(void)value;
	if (!enter(ctx, &session))
		return SMFIS_TEMPFAIL;
	if (session != NULL)
		session_header(session, name);
	return silently(SMFIP_NR_HDR);
}

/* All are deleted before one is added: what an MTA deletes may be written in another way. */
static bool replace_recipients(SMFICTX *ctx, const struct no_bounce *list)
{
	bool complete = true;

	for (size_t i = 0; i < list->count; i++)
		complete &= smfi_delrcpt(ctx, list->recipients[i].typed) == MI_SUCCESS;
	for (size_t i = 0; i < list->count; i++)
		if (list->recipients[i].parameters != NULL)
			complete &= smfi_addrcpt_par(ctx, list->recipients[i].typed,
						     list->recipients[i].parameters) == MI_SUCCESS;
	return complete;
}

/* False when a recipient may be lost: then the message must not be taken. */
static bool forbid_bounces(SMFICTX *ctx, const struct no_bounce *list)
{
	const char *queue_id = macro(ctx, "i");

	if (list->count == 0)
		return true;
	if (queue_id == NULL)
		queue_id = "NOQUEUE";
	if (!atomic_load(&recipients_may_change)) {
		if (log_valve_admit(LOG_VALVE_MILTER))
			log_error(
				"milter: queue_id=%s accept_no_bounce has no effect, the MTA lets "
				"no milter change recipients: what the primary refuses later "
				"will bounce",
				queue_id);
		return true;
	}
	if (replace_recipients(ctx, list))
		return true;
	if (log_valve_admit(LOG_VALVE_MILTER))
		log_error("milter: queue_id=%s the message is deferred, the MTA did not take the "
			  "change of recipients for accept_no_bounce",
			  queue_id);
	return false;
}

static bool change_header(SMFICTX *ctx, const struct session_changes *changes)
{
	bool failed = false;

	/* from the last to the first, so that the numbers of those before don't change */
	for (int i = changes->remove_tags; i > 0; i--)
		failed |= smfi_chgheader(ctx, (char *)(uintptr_t)TAG_HEADER, i, NULL) != MI_SUCCESS;
	if (changes->add_tag)
		failed |= smfi_insheader(ctx, 0, (char *)(uintptr_t)TAG_HEADER,
					 (char *)(uintptr_t)changes->tag) != MI_SUCCESS;
	if (failed && log_valve_admit(LOG_VALVE_MILTER))
		log_error("milter: the MTA did not take the changes to the header");
	return !failed;
}

static bool hold(SMFICTX *ctx)
{
	bool held = smfi_quarantine(ctx, (char *)(uintptr_t)DRILL_HOLD_REASON) == MI_SUCCESS;

	if (!held && log_valve_admit(LOG_VALVE_MILTER))
		log_error("milter: the MTA did not take the hold of a drill's message");
	return held;
}

static sfsistat on_end(SMFICTX *ctx)
{
	struct session_outcome outcome;
	struct session_changes changes;
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_TEMPFAIL;
	if (session == NULL)
		return done(SMFIS_CONTINUE);
	session_end(session, macro(ctx, "i"), atomic_load(&may_hold), &changes);
	outcome.taken = forbid_bounces(ctx, changes.no_bounce);
	outcome.tagged = change_header(ctx, &changes);
	outcome.held = outcome.taken && changes.hold && hold(ctx);
	session_settle(session, &outcome);
	session_reset(session);
	return done(outcome.taken ? SMFIS_CONTINUE : SMFIS_TEMPFAIL);
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_CONTINUE;
	if (session != NULL)
		session_reset(session);
	return done(SMFIS_CONTINUE);
}

/* May come without on_connect(); and after "QUIT, new connection" the context is used again. */
static sfsistat on_close(SMFICTX *ctx)
{
	struct session *session;

	if (!enter(ctx, &session))
		return SMFIS_CONTINUE;
	session_free(session);
	smfi_setpriv(ctx, NULL);
	return done(SMFIS_CONTINUE);
}

/* ---- start and stop ---- */

static int set_socket_rights(const struct filter_settings *settings)
{
	const struct group *group;

	if (socket_path == NULL)
		return 0;
	if (settings->socket_group[0] != '\0') {
		group = getgrnam(settings->socket_group);
		if (group == NULL) {
			log_error("milter: socket_group: there is no group \"%s\"",
				  settings->socket_group);
			return -1;
		}
		if (chown(socket_path, (uid_t)-1, group->gr_gid) != 0) {
			log_error("milter: cannot give %s to group %s: %s", socket_path,
				  settings->socket_group, strerror(errno));
			return -1;
		}
	}
	if (chmod(socket_path, (mode_t)settings->socket_mode) != 0) {
		log_error("milter: cannot set the mode of %s: %s", socket_path, strerror(errno));
		return -1;
	}
	return 0;
}

int filter_open(struct gate *gate, const struct filter_settings *settings)
{
	struct smfiDesc description = {
		.xxfi_name = (char *)(uintptr_t) "backupmx-milter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT_PAR | SMFIF_DELRCPT |
			      SMFIF_QUARANTINE,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eom = on_end,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};
	const char *colon = strchr(settings->socket, ':');
	mode_t old_mask;
	int result;

	the_gate = gate;
	socket_spec = memory_string(settings->socket);
	if (colon != NULL && (strncmp(settings->socket, "unix:", 5) == 0 ||
			      strncmp(settings->socket, "local:", 6) == 0))
		socket_path = memory_string(colon + 1);
	smfi_setbacklog(LISTEN_BACKLOG);
	if (smfi_setconn((char *)(uintptr_t)settings->socket) != MI_SUCCESS ||
	    smfi_register(description) != MI_SUCCESS) {
		log_error("milter: libmilter refuses socket = %s", settings->socket);
		return -EINVAL;
	}
	old_mask = umask(0177); /* set_socket_rights() opens it up as far as wanted */
	result = smfi_opensocket(true);
	umask(old_mask);
	if (result != MI_SUCCESS) {
		int error = errno;

		log_error("milter: cannot listen on %s: %s", settings->socket, strerror(error));
		return error == EADDRINUSE ? -EADDRINUSE : -EIO;
	}
	return set_socket_rights(settings) == 0 ? 0 : -EIO;
}

static void *run_milter(void *unused)
{
	int result = smfi_main();

	(void)unused;
	if (!atomic_load(&stopping)) {
		log_error("milter: libmilter ended by itself, result %d", result);
		on_failure(on_failure_arg);
	}
	atomic_store(&milter_ended, true);
	return NULL;
}

void filter_start(void (*failed)(void *arg), void *arg)
{
	on_failure = failed;
	on_failure_arg = arg;
	if (pthread_create(&milter_thread, NULL, run_milter, NULL) != 0)
		abort();
}

static void *ask_to_stop(void *unused)
{
	(void)unused;
	smfi_stop(); /* may block for seconds */
	return NULL;
}

/* The address behind "inet:PORT@HOST" or "unix:/PATH"; false when it can't be told. */
static bool own_address(struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_un *local = (struct sockaddr_un *)address;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *info = NULL;
	char *host = strchr(socket_spec, '@');
	char *port = strchr(socket_spec, ':');
	bool found;

	if (socket_path != NULL) {
		local->sun_family = AF_UNIX;
		*length = sizeof(*local);
		return text_copy(local->sun_path, sizeof(local->sun_path), socket_path);
	}
	if (host == NULL || port == NULL)
		return false;
	*host = '\0';
	found = getaddrinfo(host + 1, port + 1, &hints, &info) == 0;
	if (found) {
		memcpy(address, info->ai_addr, info->ai_addrlen);
		*length = info->ai_addrlen;
		freeaddrinfo(info);
	}
	return found;
}

/* libmilter's listener looks every five seconds whether it should stop, or when somebody connects.
 */
static void wake_listener(void)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = 0;
	int fd;

	if (!own_address(&address, &length))
		return;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* a success or a failure, it does the same */
	if (connect(fd, (struct sockaddr *)&address, length) != 0 && errno != EINPROGRESS)
		log_debug("milter: cannot wake the listener: %s", strerror(errno));
	close(fd);
}

static void sleep_ms(long milliseconds)
{
	const struct timespec time = { .tv_sec = milliseconds / 1000,
				       .tv_nsec = milliseconds % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Callbacks that waited have been told to stop waiting. libmilter, once told to stop, hangs up
 * without sending what they return: so they get a moment first, and their answers another one to go
 * out. */
static void let_answers_out(void)
{
	for (int ticks = DRAIN_MS / TICK_MS; ticks > 0 && atomic_load(&in_flight) > 0; ticks--)
		sleep_ms(TICK_MS);
	sleep_ms(SEND_MS);
}

bool filter_stop(int seconds)
{
	pthread_t stopper;
	bool woken = false;

	let_answers_out();
	atomic_store(&stopping, true);
	if (pthread_create(&stopper, NULL, ask_to_stop, NULL) == 0)
		pthread_detach(stopper);
	for (int ticks = seconds * 1000 / TICK_MS; ticks > 0; ticks--) {
		if (atomic_load(&milter_ended) && atomic_load(&in_flight) == 0)
			break;
		sleep_ms(TICK_MS);
		if (!woken && ticks % (WAKE_MS / TICK_MS) == 0) {
			wake_listener();
			woken = true;
		}
	}
	if (socket_path != NULL)
		unlink(socket_path);
	if (!atomic_load(&milter_ended))
		return false;
	pthread_join(milter_thread, NULL);
	return atomic_load(&in_flight) == 0;
}
