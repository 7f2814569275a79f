/* libcurl, started once. Not here: requests. */
#include "net/internal.h"

#include "base/wipe.h"

#include <curl/curl.h>
#include <pthread.h>

static CURLcode outcome;

static void start(void)
{
	outcome = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc, wipe_strdup,
				       wipe_calloc);
}

int curl_start(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, start);
	if (outcome != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl could not be started: %s",
			       curl_easy_strerror(outcome));
	return 0;
}
