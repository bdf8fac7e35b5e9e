/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching by libcurl. Whoever calls, waits. */
#include "io/https.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define HTTPS_PORT	   443
#define ADDRESSES_TEXT_MAX 2048

/* The file as it comes in. */
struct file {
	char *bytes;
	size_t length, limit;
	bool too_long;
};

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
	struct file *file = arg;
	size_t length = size * count;

	file->too_long = length > file->limit - file->length;
	if (file->too_long)
		return 0; /* libcurl gives up */
	memcpy(file->bytes + file->length, bytes, length);
	file->length += length;
	return length;
}

/* "host:443:192.0.2.1,[2001:db8::1]": libcurl asks nobody else. */
static struct curl_slist *addresses_given(const struct https_request *request)
{
	char line[ADDRESSES_TEXT_MAX];
	TEXT_ON(text, line);
	struct curl_slist *list;

	text_add_format(&text, "%s:%d:", request->host, HTTPS_PORT);
	for (size_t i = 0; i < request->address_count; i++) {
		bool is_v6 = request->addresses[i].family == IP_V6;
		char ip[IP_TEXT_MAX];

		ip_format(&request->addresses[i], ip, sizeof(ip));
		text_add_format(&text, is_v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", ip);
	}
	list = curl_slist_append(NULL, line);
	assert(list != NULL);
	return list;
}

static void set_up(CURL *curl, const struct https_request *request, const char *url)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "backupmxctl");
}

static enum https_result result_of(CURLcode code, const struct file *file)
{
	if (file->too_long)
		return HTTPS_TOO_LONG;
	switch (code) {
	case CURLE_OK:
		return HTTPS_ANSWERED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTPS_DISTRUSTED;
	default:
		return HTTPS_UNREACHABLE;
	}
}

static void type_read(CURL *curl, struct https_answer *answer)
{
	const char *type = NULL;

	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	if (type == NULL)
		return;
	text_copy(answer->type, sizeof(answer->type), type);
	answer->type[strcspn(answer->type, "; \t")] = '\0';
	text_lower(answer->type);
}

static void perform(CURL *curl, struct file *file, struct https_answer *answer)
{
	char words[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, file);
	code = curl_easy_perform(curl);
	answer->result = result_of(code, file);
	if (answer->result != HTTPS_ANSWERED)
		text_copy(answer->problem, sizeof(answer->problem),
			  words[0] != '\0' ? words : curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	answer->code = (int)status;
	type_read(curl, answer);
}

void https_get(const struct https_request *request, struct https_answer *answer)
{
	CURL *curl = curl_easy_init();
	struct file file = { memory_alloc(request->limit + 1), 0, request->limit, false };
	struct curl_slist *addresses = addresses_given(request);
	char *url = memory_format("https://%s%s", request->host, request->path);

	assert(curl != NULL);
	*answer = (struct https_answer){ .body = file.bytes };
	set_up(curl, request, url);
	curl_easy_setopt(curl, CURLOPT_RESOLVE, addresses);
	perform(curl, &file, answer);
	answer->length = file.length;
	curl_easy_cleanup(curl);
	curl_slist_free_all(addresses);
	free(url);
}

void https_answer_fini(struct https_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}
