/* What package managers keep about what is installed, taken apart. Pure: foreign text goes
 * in, what comes out points into it; what cannot be understood is stepped over. */
#pragma once

#include "base/slice.h"

struct parsed_package {
	struct slice name, version, arch;
	bool multi_arch; /* may be there once an architecture (dpkg: Multi-Arch: same) */
	bool hold;
	struct slice state;	/* dpkg: "installed", "config-files", "half-configured", … */
	struct slice conffiles; /* dpkg: lines for parse_conffile */
};

/* The next stanza of /var/lib/dpkg/status; false at the end. */
bool parse_dpkg_next(struct slice *rest, struct parsed_package *out);
/* The next " /etc/x 0123… [obsolete]" that has a sum and is not obsolete. */
bool parse_conffile(struct slice *rest, struct slice *path, struct slice *md5);
/* "0123…  usr/bin/x" of info/NAME.md5sums. */
bool parse_md5sum(struct slice line, struct slice *md5, struct slice *path);

struct parsed_upgrade {
	struct slice when;		   /* "2026-11-20 06:12:01", local time */
	struct slice name, arch, from, to; /* from: empty when it was not there before */
};
/* A line of dpkg.log that installs or upgrades. */
bool parse_dpkg_log(struct slice line, struct parsed_upgrade *out);

/* The next block of /lib/apk/db/installed; false at the end. */
bool parse_apk_next(struct slice *rest, struct parsed_package *out);
/* "bash\tx86_64\t(none)\t5.1.8-6.el9": an epoch of 0 is none. */
bool parse_rpm(struct slice line, struct slice *epoch, struct parsed_package *out);
