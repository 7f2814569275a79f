/* What cmocka wants included before it, once. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

/* cmocka 1.1 writes "not ok N # SKIP", which meson counts as a failure. */
#undef skip
#define skip()                                                                                               \
	do {                                                                                                 \
		print_message("# SKIP %s\n", __func__);                                                      \
		return;                                                                                      \
	} while (0)
