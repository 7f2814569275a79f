/* Names of users and groups by number, and what people need to read in a reason: the
 * agent is static and cannot ask the system's name services itself. */
#pragma once

#include "probe/probe.h"

/* From /etc/passwd and /etc/group, else by getent; the number where nobody knows it. Both
 * remember what they found, in the sink's arena. */
struct names {
	struct probe_sink *sink;
	struct known {
		uint64_t id;
		bool is_group;
		const char *name;
	} * known;
	size_t count, cap, last;
	struct slice files[2];
	size_t asked;
};
const char *names_user(struct names *names, uint64_t uid);
const char *names_group(struct names *names, uint64_t gid);
/* Who we are, for lines of sudoers. */
const char *names_us(struct names *names);

/* "3 Nov 14:02 UTC", with the year where it is not this one. */
void names_put_time(struct buf *out, int64_t seconds);
/* Who was logged in at that time as far as wtmp knows: "; logged in then: anna from 10.0.0.3". */
void names_put_logins(struct buf *out, int64_t seconds);
