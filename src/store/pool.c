/* The same work for many things on a few threads. Knows nothing of stores. */
#include "store/internal.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { PER_WORKER = 16 }; /* a thread for fewer things costs more than it brings */

struct pool {
	size_t count;
	int (*work)(void *context, int worker, size_t index, struct err *err);
	void *context;
	size_t next; /* atomic */
	bool stop;   /* atomic */
	pthread_mutex_t mutex;
	size_t failed_at; /* SIZE_MAX: none */
	struct err *err;
};

struct worker {
	struct pool *pool;
	int number;
};

static void *run(void *context)
{
	struct worker *worker = context;
	struct pool *pool = worker->pool;
	struct err err = ERR_INIT;

	while (!__atomic_load_n(&pool->stop, __ATOMIC_RELAXED)) {
		size_t index = __atomic_fetch_add(&pool->next, 1, __ATOMIC_RELAXED);
		if (index >= pool->count)
			break;
		if (pool->work(pool->context, worker->number, index, &err) == 0)
			continue;
		/* Everything below `index` has been taken and will be finished. */
		__atomic_store_n(&pool->stop, true, __ATOMIC_RELAXED);
		pthread_mutex_lock(&pool->mutex);
		if (index < pool->failed_at) {
			pool->failed_at = index;
			*pool->err = err;
		}
		pthread_mutex_unlock(&pool->mutex);
	}
	return NULL;
}

static int processors(void)
{
#ifdef __linux__
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
#endif
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (int)MIN(online, (long)INT_MAX);
}

int pool_run(size_t count, int (*work)(void *context, int worker, size_t index, struct err *err),
	     void *context, struct err *err)
{
	struct pool pool = {count, work, context, 0, false, PTHREAD_MUTEX_INITIALIZER, SIZE_MAX, err};
	struct worker workers[POOL_WORKERS_MAX];
	pthread_t threads[POOL_WORKERS_MAX];
	bool started[POOL_WORKERS_MAX] = {false};
	size_t wanted = MIN((size_t)MIN(processors(), POOL_WORKERS_MAX), count / PER_WORKER);
	sigset_t all, before;

	/* Signals stay with the calling thread, as if there were no others. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < POOL_WORKERS_MAX; i++) {
		workers[i] = (struct worker){&pool, i};
		if (i > 0 && (size_t)i < wanted)
			started[i] = pthread_create(&threads[i], NULL, run, &workers[i]) == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* Should no thread have started, this one does it all. */
	run(&workers[0]);
	for (int i = 1; i < POOL_WORKERS_MAX; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
	return pool.failed_at == SIZE_MAX ? 0 : -1;
}
