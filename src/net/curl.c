/* libcurl, loaded and started once: the functions of it that this folder uses, by their own
 * names. Not here: requests. */
#include "net/internal.h"

#include "base/library.h"
#include "base/wipe.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdarg.h>

#define LIBCURL_ROWS(CALL, CALL_VOID)                                                                        \
	CALL_VOID(void, curl_easy_cleanup, (CURL * easy), (easy))                                            \
	CALL(CURL *, curl_easy_init, (void), ())                                                             \
	CALL(CURLcode, curl_easy_perform, (CURL * easy), (easy))                                             \
	CALL_VOID(void, curl_easy_reset, (CURL * easy), (easy))                                              \
	CALL(const char *, curl_easy_strerror, (CURLcode code), (code))                                      \
	CALL_VOID(void, curl_free, (void *memory), (memory))                                                 \
	CALL(CURLcode, curl_global_init_mem,                                                                 \
	     (long flags, curl_malloc_callback m, curl_free_callback f, curl_realloc_callback r,             \
	      curl_strdup_callback s, curl_calloc_callback c),                                               \
	     (flags, m, f, r, s, c))                                                                         \
	CALL(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL * easy), (multi, easy))                  \
	CALL(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi))                                        \
	CALL(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left))                     \
	CALL(CURLM *, curl_multi_init, (void), ())                                                           \
	CALL(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running))                 \
	CALL(CURLMcode, curl_multi_poll,                                                                     \
	     (CURLM * multi, struct curl_waitfd fds[], unsigned count, int timeout_ms, int *ready),          \
	     (multi, fds, count, timeout_ms, ready))                                                         \
	CALL(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL * easy), (multi, easy))               \
	CALL(CURLMcode, curl_multi_socket_action,                                                            \
	     (CURLM * multi, curl_socket_t fd, int events, int *running), (multi, fd, events, running))      \
	CALL(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *line),           \
	     (list, line))                                                                                   \
	CALL_VOID(void, curl_slist_free_all, (struct curl_slist * list), (list))                             \
	CALL(CURLU *, curl_url, (void), ())                                                                  \
	CALL_VOID(void, curl_url_cleanup, (CURLU * url), (url))                                              \
	CALL(CURLUcode, curl_url_get, (CURLU * url, CURLUPart what, char **part, unsigned flags),            \
	     (url, what, part, flags))                                                                       \
	CALL(CURLUcode, curl_url_set, (CURLU * url, CURLUPart what, const char *part, unsigned flags),       \
	     (url, what, part, flags))                                                                       \
	CALL(const char *, curl_url_strerror, (CURLUcode code), (code))

/* These take what their option says, and are defined below. */
#define LIBCURL_ROWS_VARIADIC(ROW)                                                                           \
	ROW(CURLcode, curl_easy_getinfo, , )                                                                 \
	ROW(CURLcode, curl_easy_setopt, , )                                                                  \
	ROW(CURLMcode, curl_multi_setopt, , )

static struct {
	LIBCURL_ROWS(LIBRARY_POINTER, LIBRARY_POINTER)
	LIBCURL_ROWS_VARIADIC(LIBRARY_POINTER)
} loaded;

static const char names[] = LIBCURL_ROWS(LIBRARY_NAME, LIBRARY_NAME) LIBCURL_ROWS_VARIADIC(LIBRARY_NAME);

static const struct library library = {
	.soname = "libcurl.so.4", .package = "libcurl4", .names = names, .functions = (void **)&loaded};

LIBCURL_ROWS(LIBRARY_CALL, LIBRARY_CALL_VOID)

/* The range an option's number is in says what its value is. */
#define CALL_WITH_VALUE(function, handle, option)                                                            \
	va_list values;                                                                                      \
	va_start(values, option);                                                                            \
	bool is_long = (option) < CURLOPTTYPE_OBJECTPOINT;                                                   \
	bool is_offset = (option) >= CURLOPTTYPE_OFF_T && (option) < CURLOPTTYPE_BLOB;                       \
	__typeof__((function)(handle, option)) code =                                                        \
		is_long	    ? (function)(handle, option, va_arg(values, long))                               \
		: is_offset ? (function)(handle, option, va_arg(values, curl_off_t))                         \
			    : (function)(handle, option, va_arg(values, void *));                            \
	va_end(values);                                                                                      \
	return code

LIBRARY_HIDDEN CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
	CALL_WITH_VALUE(loaded.curl_easy_setopt, easy, option);
}

LIBRARY_HIDDEN CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...)
{
	CALL_WITH_VALUE(loaded.curl_multi_setopt, multi, option);
}

/* Whatever it tells, it is given where to put it. */
LIBRARY_HIDDEN CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
	va_list values;

	va_start(values, info);
	CURLcode code = (loaded.curl_easy_getinfo)(easy, info, va_arg(values, void *));
	va_end(values);
	return code;
}

/* --- starting it -------------------------------------------------------------------- */

static CURLcode outcome;

static void start(void)
{
	outcome = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc, wipe_strdup,
				       wipe_calloc);
}

int curl_start(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (library_load(&library, err) < 0)
		return -1;
	pthread_once(&once, start);
	if (outcome != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl could not be started: %s",
			       curl_easy_strerror(outcome));
	return 0;
}
