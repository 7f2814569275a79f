/* Time: wall clock in milliseconds since 1970 UTC, and a monotonic clock. */
#pragma once

#include "base/buf.h"

int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

enum { CLOCK_ISO_LEN = 20 }; /* "2026-11-22T09:41:07Z" */
void clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1]);
/* Exactly that form, from 1970 on, no leap seconds. */
bool clock_parse_iso(struct slice text, int64_t *wall_ms_out);
/* "just now", "4 min ago", "3 h ago", "2 days ago" */
void clock_put_age(struct buf *out, int64_t wall_ms, int64_t now_ms);
/* "0.4 s", "12 s", "3 min 20 s" */
void clock_put_duration(struct buf *out, int64_t duration_ms);
