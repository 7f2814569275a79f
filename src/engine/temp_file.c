#include "engine/temp_file.h"

#include "base/buf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int temp_file(int *fd_out, struct err *err)
{
	const char *dir = getenv("TMPDIR");

	*fd_out = open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd_out < 0) {
		AUTO(buf_free) struct buf path = BUF_INIT(4096);
		buf_printf(&path, "%s/lockstep-facts-XXXXXX", dir && *dir ? dir : "/var/tmp");
		*fd_out = mkostemp(path.ptr, O_CLOEXEC);
		if (*fd_out < 0)
			return err_errno(err, "%s", buf_str(&path));
		unlink(buf_str(&path));
	}
	return 0;
}
