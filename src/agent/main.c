/* The agent: `agent-<digest> serve|observe PLACE`, started over ssh by a
 * controller. It listens on nothing and stays no longer than its conversation. */
#include "agent/session.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/stat.h>

static int usage(void)
{
	fputs("This is the agent of lockstep. It is started by `lockstep`, not by hand:\n"
	      "  agent serve PLACE      a conversation on standard input and output\n"
	      "  agent observe PLACE    the same, changing nothing\n"
	      "  agent --version\n"
	      "  agent --digest-self    the SHA-256 of this very program\n",
	      stderr);
	return ERR_USER;
}

static int print_digest(void)
{
	AUTO(close_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;
	struct digest digest;
	uint64_t size;
	char hex[DIGEST_HEX_LEN + 1];

	if (fd < 0 ? err_errno(&err, "/proc/self/exe") : digest_of_fd(fd, &digest, &size, &err)) {
		log_warn("%s", err.text);
		return err.code;
	}
	digest_to_hex(&digest, hex);
	return puts(hex) < 0 ? ERR_INTERNAL : 0;
}

/* Secrets pass through: no core dumps, and nobody of the same user looks into us. Not by
 * RLIMIT_CORE, which what a hook starts would inherit. */
static void hide_memory(void)
{
#ifdef __linux__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("lockstep-agent " LOCKSTEP_VERSION) < 0 ? ERR_INTERNAL : 0;
	if (argc == 2 && strcmp(argv[1], "--digest-self") == 0)
		return print_digest();
	if (argc != 3 || (strcmp(argv[1], "serve") != 0 && strcmp(argv[1], "observe") != 0))
		return usage();
	log_setup("agent");
	hide_memory();
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	fault_mark("agent.start");
	if (session_run(argv[2], strcmp(argv[1], "observe") == 0, &err)) {
		log_warn("%s", err.text);
		return err.code;
	}
	return 0;
}
