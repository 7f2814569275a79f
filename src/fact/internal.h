/* What comparing needs of a reader beyond snapshot.h: to step over a fact that is, byte
 * for byte, the one another reader has just decoded. Only for src/fact. */
#pragma once

#include "fact/snapshot.h"

/* The last fact's key, and that of the one before it. */
struct slice fact_reader_key(const struct fact_reader *reader);
struct slice fact_reader_key_before(const struct fact_reader *reader);
/* The last fact as it is written. Borrowed until the next call. */
struct slice fact_reader_entry(const struct fact_reader *reader);

/* 1: the next entry is `entry`, and was stepped over; 0: it is another, nothing moved; -1:
 * err. Both readers must have stood at one key before, for an entry says only how it goes
 * on from there; then one check is good for both. The reader does not learn its key: before
 * its next fact_next it is told by fact_reader_take_key. */
int fact_reader_pass(struct fact_reader *reader, struct slice entry, struct err *err) CHECKED;
/* The key this reader stands at. */
void fact_reader_take_key(struct fact_reader *reader, struct slice key);
