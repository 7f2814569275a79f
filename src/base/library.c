/* Loading a library and finding its functions. */
#include "base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static int find_all(const struct library *library, void *handle, struct err *err)
{
	void **function = library->functions;

	for (const char *name = library->names; *name; name += strlen(name) + 1, function++) {
		*function = dlsym(handle, name);
		if (!*function) {
			library->functions[0] = NULL;
			err_set(err, ERR_INTERNAL, "%s lacks the function %s", library->soname, name);
			return err_hint(err, "install a newer one: apt-get install %s", library->package);
		}
	}
	return 0;
}

static int load(const struct library *library, struct err *err)
{
	if (library->functions[0])
		return 0;
	void *handle = dlopen(library->soname, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		err_set(err, ERR_INTERNAL, "the library %s cannot be loaded: %s", library->soname, dlerror());
		return err_hint(err, "apt-get install %s", library->package);
	}
	return find_all(library, handle, err);
}

int library_load(const struct library *library, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	int result = load(library, err);
	pthread_mutex_unlock(&lock);
	return result;
}
