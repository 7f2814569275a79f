/* Reads the switches once, counts passes, acts. Which points exist is known only to
 * those who place them (LOCKSTEP_FAULT_LIST finds out). */
#include "base/fault.h"

#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RULES_MAX = 16 };

struct rule {
	struct slice name;
	struct slice action;
	uint64_t pass; /* acts when it has counted down to 0 */
};

static struct rule rules[RULES_MAX];
static size_t rule_count;
static const char *list_path;

static bool is_action(struct slice action)
{
	static const char *const actions[] = {"fail", "kill", "hang", "exit"};

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (slice_is(action, actions[i]))
			return true;
	return false;
}

static void set_up(void)
{
	const char *text = getenv("LOCKSTEP_FAULT");
	struct slice rest = slice_of(text);

	list_path = getenv("LOCKSTEP_FAULT_LIST");
	while (rest.ptr && rest.len) {
		struct slice action = slice_cut(&rest, ',');
		struct slice name = slice_cut(&action, '=');
		struct slice pass = action;
		action = slice_cut(&pass, ':');
		uint64_t number = 1;
		/* A test that switches on nothing would pass for the wrong reason. */
		if (rule_count == RULES_MAX || name.len == 0 || !is_action(action) ||
		    (pass.ptr && (!slice_to_u64(pass, &number) || number == 0))) {
			fprintf(stderr, "lockstep: LOCKSTEP_FAULT: cannot read \"%s\"\n", text);
			abort();
		}
		rules[rule_count++] = (struct rule){name, action, number};
	}
}

static void note(const char *name)
{
	char line[128];
	int saved = errno;
	int len = snprintf(line, sizeof(line), "%s\n", name);
	ASSERT(len > 0 && (size_t)len < sizeof(line));
	int fd = open(list_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	/* One write, because several processes append to the list at the same time. */
	if (fd < 0 || write(fd, line, (size_t)len) != len)
		perror("lockstep: LOCKSTEP_FAULT_LIST");
	if (fd >= 0)
		close(fd);
	errno = saved;
}

/* True when the point is told to fail; the other actions happen here. */
static bool pass_point(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_up);
	if (list_path)
		note(name);
	for (size_t i = 0; i < rule_count; i++) {
		struct rule *rule = &rules[i];
		if (!slice_is(rule->name, name) || rule->pass == 0 || --rule->pass > 0)
			continue;
		if (slice_is(rule->action, "kill"))
			kill(getpid(), SIGKILL);
		else if (slice_is(rule->action, "hang"))
			kill(getpid(), SIGSTOP);
		else if (slice_is(rule->action, "exit"))
			_exit(70);
		else
			return true;
	}
	return false;
}

int fault_point(const char *name, struct err *err)
{
	if (pass_point(name))
		return err_set(err, ERR_INTERNAL, "fault point %s: %s", name, strerror(EIO));
	return 0;
}

void fault_mark(const char *name)
{
	(void)pass_point(name);
}
