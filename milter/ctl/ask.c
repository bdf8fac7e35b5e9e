/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to the daemon: one request, one answer, over the control socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "conf/config.h"
#include "conf/options.h"
#include "ctl/ctl.h"

#define ANSWER_MAX     (256UL << 20)
#define PRINTABLE_MAX  4096
#define ANSWER_SECONDS 60

/* -s, else what the configuration says. The default one need not be there, nor be readable for
 * those who may use the socket; what else is wrong with it is the daemon's business. */
char *ctl_socket_path(const struct ctl *ctl)
{
	struct config_errors errors = { .lines = NULL };
	char message[1024];
	char *path;

	if (ctl->socket_path != NULL)
		return memory_string(ctl->socket_path);
	path = config_control_socket(
		ctl->config_path != NULL ? ctl->config_path : CONFIG_DEFAULT_PATH, &errors);
	if (path == NULL && ctl->config_path == NULL) {
		path = memory_string(options_find("milter", "control_socket")->standard);
	} else if (path == NULL) {
		snprintf(message, sizeof(message),
			 "-c %s; give the daemon's configuration, or its socket by -s",
			 errors.lines[0]);
		ctl_fail(ctl, CTL_EXIT_USAGE, message);
	}
	config_errors_fini(&errors);
	return path;
}

static int connect_to(const char *path, int seconds)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = seconds };
	int fd;

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

/* Reads up to the newline; NULL when the daemon hangs up, takes too long or says too much. */
static char *receive_line(int fd)
{
	size_t length = 0;
	size_t room = 4096;
	char *line = memory_alloc(room);

	for (;;) {
		ssize_t got = recv(fd, line + length, room - length - 1, 0);

		if (got <= 0 || room > ANSWER_MAX)
			break;
		length += (size_t)got;
		line[length] = '\0';
		if (line[length - 1] == '\n')
			return line;
		if (length + 1 == room) {
			room *= 2;
			line = memory_resize(line, room, 1);
		}
	}
	free(line);
	return NULL;
}

/* The daemon's answer; NULL with errno (0: it hung up) when there is none. */
static char *exchange(const char *path, int seconds, const char *request)
{
	char *answer = NULL;
	int fd = connect_to(path, seconds);

	if (fd < 0)
		return NULL;
	errno = 0;
	if (send_all(fd, request, strlen(request)) && send_all(fd, "\n", 1))
		answer = receive_line(fd);
	if (answer == NULL) {
		int error = errno;

		close(fd);
		errno = error;
		return NULL;
	}
	close(fd);
	return answer;
}

/* Names and bytes of others: only line ends reach the terminal as they are. */
static void print_error(const char *message)
{
	char shown[4096];
	TEXT_ON(text, shown);

	for (; *message != '\0'; message++) {
		if (*message == '\n')
			text_add_char(&text, '\n');
		else
			text_add_printable(&text, message, 1);
	}
	fprintf(stderr, "backupmxctl: %s\n", shown);
}

int ctl_fail(const struct ctl *ctl, int code, const char *message)
{
	json_t *error;

	if (ctl->problem != NULL) {
		text_copy(ctl->problem, CTL_PROBLEM_MAX, message);
		return code;
	}
	if (!ctl->json) {
		print_error(message);
		return code;
	}
	error = json_pack("{s:s}", "error", message);
	if (error == NULL) /* somebody's bytes that are no UTF-8 */
		error = json_pack("{s:o}", "error", ctl_printable(message));
	ctl_print_json(ctl, error);
	json_decref(error);
	return code;
}

static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
		return "no daemon has made it: is backupmx-milter running, with this "
		       "control_socket? (systemctl status backupmx-milter)";
	case ECONNREFUSED:
		return "no daemon listens there: start it (systemctl start backupmx-milter)";
	case EACCES:
	case EPERM:
		return "you may not use this socket: be root, or the daemon's user, or in the "
		       "socket's group";
	case ENOTSOCK:
	case EPROTOTYPE:
		return "that is no daemon's control socket: see -s and control_socket";
	case ENAMETOOLONG:
		return "the name of a socket has at most 107 characters";
	case EAGAIN:
		return "the daemon takes too long: it may be busy or hang (see its log)";
	default:
		return "the daemon gave no answer: see its log";
	}
}

static int fail_unreachable(const struct ctl *ctl, const char *path, int error)
{
	char message[1024];

	snprintf(message, sizeof(message), "%s: %s; %s", path,
		 error == 0	   ? "the connection was closed"
		 : error == EAGAIN ? "no answer in time"
				   : strerror(error),
		 advice(error));
	return ctl_fail(ctl, CTL_EXIT_UNREACHABLE, message);
}

/* Takes the answer apart. */
static int take_answer(const struct ctl *ctl, const char *line, json_t **result)
{
	json_t *answer = json_loads(line, 0, NULL);
	int code;

	if (!json_is_object(answer)) {
		json_decref(answer);
		return ctl_fail(ctl, CTL_EXIT_UNREACHABLE, "the daemon's answer makes no sense");
	}
	code = (int)ctl_number(answer, "exit");
	*result = json_incref(json_object_get(answer, "result"));
	if (*result == NULL)
		ctl_fail(ctl, code, ctl_string(answer, "error"));
	json_decref(answer);
	return code;
}

int ctl_ask(const struct ctl *ctl, json_t *request, json_t **result)
{
	char *text = json_dumps(request, JSON_COMPACT);
	char *path = NULL;
	char *line = NULL;
	int code = CTL_EXIT_USAGE;

	*result = NULL;
	json_decref(request);
	if (text == NULL) {
		ctl_fail(ctl, code, "an argument is no UTF-8 text");
		goto out;
	}
	path = ctl_socket_path(ctl);
	if (path == NULL)
		goto out;
	line = exchange(path, ctl->patience > 0 ? ctl->patience : ANSWER_SECONDS, text);
	if (line == NULL)
		code = fail_unreachable(ctl, path, errno);
	else
		code = take_answer(ctl, line, result);
out:
	free(line);
	free(path);
	free(text);
	return code;
}

int ctl_ask_pages(struct ctl *ctl, json_t *request, ctl_page_taker take, void *arg)
{
	char *path = ctl_socket_path(ctl);
	json_t *page, *after;
	bool more = path != NULL;
	int code = more ? CTL_EXIT_OK : CTL_EXIT_USAGE;

	ctl->socket_path = path;
	while (more) {
		code = ctl_ask(ctl, json_incref(request), &page);
		if (page == NULL)
			break;
		take(arg, page);
		after = json_object_get(page, "after");
		more = json_is_string(after);
		if (more)
			json_object_set(request, "after", after);
		json_decref(page);
	}
	ctl->socket_path = NULL;
	free(path);
	json_decref(request);
	return code;
}

bool ctl_print_json(const struct ctl *ctl, const json_t *result)
{
	if (!ctl->json)
		return false;
	json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	return true;
}

json_t *ctl_printable(const char *string)
{
	char shown[PRINTABLE_MAX];
	TEXT_ON(text, shown);

	text_add_printable(&text, string, strlen(string));
	return json_string(shown);
}

const char *ctl_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "-";
}

long long ctl_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool ctl_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

long long ctl_time(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	struct tm utc = { .tm_isdst = 0 };

	if (value == NULL || strptime(value, "%Y-%m-%dT%H:%M:%SZ", &utc) == NULL)
		return 0;
	return (long long)timegm(&utc);
}

const char *ctl_span(long long seconds, char *buffer, size_t size)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		snprintf(buffer, size, "%lld s", seconds);
	else if (seconds < 7200)
		snprintf(buffer, size, "%lld min", seconds / 60);
	else if (seconds < 172800)
		snprintf(buffer, size, "%lld h", seconds / 3600);
	else
		snprintf(buffer, size, "%lld days", seconds / 86400);
	return buffer;
}

const char *ctl_ago(const json_t *object, const char *key, char *buffer, size_t size)
{
	long long then = ctl_time(object, key);
	char span[32];

	if (then == 0)
		return "-";
	snprintf(buffer, size, "%s ago",
		 ctl_span((long long)time(NULL) - then, span, sizeof(span)));
	return buffer;
}
