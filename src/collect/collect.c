/* Runs collectors side by side, each in a thread of its own: looking at one host after the
 * other would take as long as all time limits together. */
#include "collect/kinds.h"

#include <pthread.h>
#include <stdio.h>

enum { COLLECTORS_MAX = 16 };

struct job {
	const struct collector *collector;
	const struct collect_request *request;
	struct fact_list facts;
	struct err err;
	int result;
	pthread_t thread;
	bool started;
};

static void *work(void *context)
{
	struct job *job = context;

	job->result = job->collector->run(job->request, &job->facts, &job->err);
	return NULL;
}

static int take(struct job *job, struct fact_list *out, struct err *err)
{
	char key[64];

	snprintf(key, sizeof(key), "%s/", job->collector->dimension);
	if (job->result)
		return fact_add(out, slice_of(key), FACT_NOT_CHECKED, slice_of(job->err.text), err);
	for (size_t i = 0; i < job->facts.count; i++)
		if (fact_add_fact(out, &job->facts.items[i], err))
			return -1;
	return 0;
}

int collect_all(const struct collect_request *request, struct fact_list *out, struct err *err)
{
	struct job jobs[COLLECTORS_MAX];
	size_t count = 0;
	int result = 0;

	for (; collectors[count] && count < COLLECTORS_MAX; count++) {
		struct job *job = &jobs[count];
		*job = (struct job){.collector = collectors[count],
				    .request = request,
				    .facts = FACT_LIST_INIT(COLLECT_FACTS_BYTES_MAX),
				    .err = ERR_INIT};
		job->started = pthread_create(&job->thread, NULL, work, job) == 0;
		if (!job->started)
			work(job);
	}
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].started)
			pthread_join(jobs[i].thread, NULL);
		if (result == 0)
			result = take(&jobs[i], out, err);
		fact_list_free(&jobs[i].facts);
	}
	return result;
}
