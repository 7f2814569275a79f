#include "engine/snapshot_file.h"

#include "base/fd.h"

int snapshot_file_put(void *context, struct slice bytes, struct err *err)
{
	return fd_write_all(*(int *)context, bytes.ptr, bytes.len, err);
}

int snapshot_file_of_list(struct fact_list *list, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	AUTO(fact_writer_free) struct fact_writer writer = {0};

	if (file_nameless_open(NULL, &fd, err))
		return -1;
	fact_writer_init(&writer, snapshot_file_put, &fd);
	if (fact_list_write(list, &writer, err) || fact_writer_end(&writer, err))
		return -1;
	*fd_out = steal_fd(&fd);
	return 0;
}
