/* Clocks, and times as people and records write them: always UTC. */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock_us(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return read_clock_us(CLOCK_REALTIME) / 1000;
}
int64_t clock_mono_ms(void)
{
	return read_clock_us(CLOCK_MONOTONIC) / 1000;
}
int64_t clock_mono_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

/* Howard Hinnant, "chrono-compatible low-level date algorithms". Not strftime(3) and
 * timegm(3): those bring time zones and locales into the static agent. */
static void civil_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	days += 719468;
	int64_t era = days / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * of_year + 2) / 153;

	*day = of_year - (153 * shifted + 2) / 5 + 1;
	*month = shifted + (shifted < 10 ? 3 : -9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

void clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1])
{
	int64_t seconds = wall_ms / 1000, year = 0, month = 0, day = 0;

	if (wall_ms < 0 || wall_ms > INT64_C(253402300799999))
		seconds = 0;
	else
		civil_from_days(seconds / 86400, &year, &month, &day);
	snprintf(out, CLOCK_ISO_LEN + 1, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000,
		 (unsigned)month % 100, (unsigned)day % 100, (unsigned)(seconds / 3600 % 24),
		 (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
}

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
	return month == 12 ? 31 : days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1);
}

bool clock_parse_iso(struct slice text, int64_t *wall_ms_out)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	int64_t number[6] = {0};
	int field = 0;

	if (text.len != CLOCK_ISO_LEN)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (shape[i] != 'd') {
			if (text.ptr[i] != shape[i])
				return false;
			field++;
			continue;
		}
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		number[field] = number[field] * 10 + (text.ptr[i] - '0');
	}
	if (number[0] < 1970 || number[1] < 1 || number[1] > 12 || number[2] < 1 ||
	    number[2] > days_in_month(number[0], number[1]) || number[3] > 23 || number[4] > 59 ||
	    number[5] > 59)
		return false;
	int64_t days = days_from_civil(number[0], number[1], number[2]);
	*wall_ms_out = (((days * 24 + number[3]) * 60 + number[4]) * 60 + number[5]) * 1000;
	return true;
}

void clock_put_age(struct buf *out, int64_t wall_ms, int64_t now_ms)
{
	static const struct {
		int64_t from_s, unit_s;
		const char *name;
	} steps[] = {{172800, 86400, "days"}, {5400, 3600, "h"}, {60, 60, "min"}, {10, 1, "s"}};
	int64_t age_s = (now_ms - wall_ms) / 1000;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (age_s >= steps[i].from_s) {
			buf_printf(out, "%" PRId64 " %s ago", age_s / steps[i].unit_s, steps[i].name);
			return;
		}
	}
	buf_puts(out, "just now");
}

void clock_put_duration(struct buf *out, int64_t duration_ms)
{
	duration_ms = MAX(duration_ms, 0);
	if (duration_ms < 10000)
		buf_printf(out, "%" PRId64 ".%" PRId64 " s", duration_ms / 1000, duration_ms % 1000 / 100);
	else if (duration_ms < 60000)
		buf_printf(out, "%" PRId64 " s", duration_ms / 1000);
	else
		buf_printf(out, "%" PRId64 " min %" PRId64 " s", duration_ms / 60000,
			   duration_ms / 1000 % 60);
}
