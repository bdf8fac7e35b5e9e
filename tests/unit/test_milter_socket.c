/* SPDX-License-Identifier: BSD-2-Clause */
/* Our milter socket by Postfix's names for it: rows of tests/unit/data/milter_socket.table. */
#include "check/milter_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "table.h"

static void judge(const char *what, const char *socket, const struct milter_socket_place *place,
		  const char *expected)
{
	char name[256];
	bool seen;

	if (strcmp(what, "name") != 0) {
		assert_int_equal(milter_socket_is_ours(socket, expected, place),
				 strcmp(what, "same") == 0);
		return;
	}
	seen = milter_socket_name(socket, place, name, sizeof(name));
	assert_int_equal(seen, expected[0] != '!');
	assert_string_equal(name, expected + !seen);
	if (seen)
		assert_true(milter_socket_is_ours(socket, name, place));
}

static void test_table(void **state)
{
	FILE *file = table_open("milter_socket.table");
	char line[512];
	size_t rows = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		struct milter_socket_place place = { .queue = "/queue" };
		char *rest = line;
		const char *first, *what;
		char *socket;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		print_message("%s\n", line);
		first = table_field(&rest);
		what = strtok_r(line, " ", &socket);
		assert_ptr_equal(first, line);
		place.chrooted = strcmp(table_field(&rest), "yes") == 0;
		judge(what, socket, &place, rest);
		rows++;
	}
	fclose(file);
	assert_true(rows > 25);
}

/* Who may write to it: the user itself, its group, others; and each folder on the way counts. */
static void test_usable(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/milter-socket-XXXXXX";
	char why[256], socket_name[128];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/milter.sock", folder);
	snprintf(socket_name, sizeof(socket_name), "unix:%s", address.sun_path);
	assert_true(milter_socket_usable(socket_name, "root", why, sizeof(why)) || geteuid() != 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(chmod(folder, 0755) | chmod(address.sun_path, 0666), 0);
	assert_true(milter_socket_usable(socket_name, "daemon", why, sizeof(why)));
	assert_true(milter_socket_usable("inet:1@127.0.0.1", "daemon", why, sizeof(why)));
	assert_true(milter_socket_usable(socket_name, "no-such-user", why, sizeof(why)));
	chmod(address.sun_path, 0664);
	assert_false(milter_socket_usable(socket_name, "daemon", why, sizeof(why)));
	assert_non_null(strstr(why, "mode 0664, and the user daemon may not write to it"));
	if (geteuid() == 0) {
		assert_int_equal(chown(address.sun_path, 0, 1), 0);
		assert_true(milter_socket_usable(socket_name, "daemon", why, sizeof(why)));
		assert_int_equal(chown(address.sun_path, 1, 1) | chmod(address.sun_path, 0466), 0);
		assert_false(milter_socket_usable(socket_name, "daemon", why, sizeof(why)));
	}
	chmod(address.sun_path, 0666);
	chmod(folder, 0700);
	assert_false(milter_socket_usable(socket_name, "daemon", why, sizeof(why)));
	assert_non_null(strstr(why, "doesn't let the user daemon pass (mode 0700)"));
	unlink(address.sun_path);
	rmdir(folder);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
