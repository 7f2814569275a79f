/* Asked to stop: said once for the whole process, looked at by whoever waits in a thread that
 * no signal wakes. It does not end a wait; those that wait look here a few times a second. */
#pragma once

#include <stdbool.h>

enum { STOP_LOOK_MS = 200 };

void stop_ask(void);
bool stop_asked(void);
