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
#include "ctl/ctl.h"

#define DEFAULT_SOCKET "/run/backupmx-milter/control.sock"
#define ANSWER_MAX     (256UL << 20)
#define ANSWER_SECONDS 60

/* -s, else what the configuration says, else the default: an unreadable configuration is no reason
 * not to try. */
char *ctl_socket_path(const struct ctl *ctl)
{
	struct config_errors errors = { .lines = NULL };
	struct config *config;
	char *path;

	if (ctl->socket_path != NULL)
		return memory_string(ctl->socket_path);
	config = config_load(ctl->config_path, &errors);
	path = memory_string(config != NULL ? config->milter.control_socket : DEFAULT_SOCKET);
	config_put(config);
	config_errors_fini(&errors);
	return path;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
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

static char *exchange(const char *path, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	char *answer = NULL;
	int fd = connect_to(path);

	json_decref(request);
	if (fd >= 0 && text != NULL && send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1))
		answer = receive_line(fd);
	else if (errno == 0)
		errno = EPROTO;
	if (fd >= 0)
		close(fd);
	free(text);
	return answer;
}

int ctl_fail(const struct ctl *ctl, int code, const char *message)
{
	json_t *error;

	if (!ctl->json) {
		fprintf(stderr, "backupmxctl: %s\n", message);
		return code;
	}
	error = json_pack("{s:s}", "error", message);
	json_dumpf(error, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(error);
	return code;
}

static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "is backupmx-milter running?";
	case EACCES:
		return "you may not use this socket: be root, or in its group";
	default:
		return "no answer from the daemon";
	}
}

int ctl_ask(const struct ctl *ctl, json_t *request, json_t **result)
{
	char *path = ctl_socket_path(ctl);
	json_t *answer = NULL;
	char message[1024];
	char *line;
	int code;

	*result = NULL;
	errno = 0;
	line = exchange(path, request);
	if (line == NULL) {
		snprintf(message, sizeof(message), "%s: %s; %s", path,
			 errno != 0 ? strerror(errno) : "the connection was closed", advice(errno));
		free(path);
		return ctl_fail(ctl, CTL_EXIT_UNREACHABLE, message);
	}
	free(path);
	answer = json_loads(line, 0, NULL);
	free(line);
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

bool ctl_print_json(const struct ctl *ctl, const json_t *result)
{
	if (!ctl->json)
		return false;
	json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	return true;
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

const char *ctl_ago(const json_t *object, const char *key, char *buffer, size_t size)
{
	const char *value = json_string_value(json_object_get(object, key));
	struct tm utc = { .tm_isdst = 0 };
	long long seconds;

	if (value == NULL || strptime(value, "%Y-%m-%dT%H:%M:%SZ", &utc) == NULL)
		return "-";
	seconds = (long long)(time(NULL) - timegm(&utc));
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		snprintf(buffer, size, "%lld s ago", seconds);
	else if (seconds < 7200)
		snprintf(buffer, size, "%lld min ago", seconds / 60);
	else if (seconds < 172800)
		snprintf(buffer, size, "%lld h ago", seconds / 3600);
	else
		snprintf(buffer, size, "%lld days ago", seconds / 86400);
	return buffer;
}
