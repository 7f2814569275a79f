/* The agent: `agent-<digest> serve|observe PLACE`, started over ssh by a
 * controller. It listens on nothing and stays no longer than its conversation. */
#include "agent/session.h"
#include "base/fault.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int usage(void)
{
	fputs("This is the agent of lockstep. It is started by `lockstep`, not by hand:\n"
	      "  agent serve PLACE      a conversation on standard input and output\n"
	      "  agent observe PLACE    the same, changing nothing\n",
	      stderr);
	return 1;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (argc != 3 || (strcmp(argv[1], "serve") != 0 && strcmp(argv[1], "observe") != 0))
		return usage();
	log_setup("agent");
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	fault_mark("agent.start");
	if (session_run(argv[2], strcmp(argv[1], "observe") == 0, &err)) {
		log_warn("%s", err.text);
		return err.code;
	}
	return 0;
}
