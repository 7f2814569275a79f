/* Diagnostics for whoever debugs the program itself; results and progress do
 * not go here. Silent unless LOCKSTEP_LOG=error|warn|info|debug. One line each
 * on standard error, control characters escaped. Never a secret. */
#pragma once

#include "base/compiler.h"

enum log_level { LOG_ERROR = 1, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_setup(const char *who); /* reads LOCKSTEP_LOG; `who` is a static string */
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...) (log_enabled(LOG_INFO) ? log_line(LOG_INFO, __VA_ARGS__) : (void)0)
#define log_warn(...) (log_enabled(LOG_WARN) ? log_line(LOG_WARN, __VA_ARGS__) : (void)0)
