/* Takes values, and what encodings make of them, out of text: each becomes "***".
 * One mask holds all values of a command; any number of texts and streams use it.
 *
 * Masked are, of each value: itself; each of its lines; base64 (both alphabets, also
 * in the middle of a longer text, and of the value alone in lines of 64 or 76);
 * hexadecimal; percent encoding as common libraries write it; what JSON and HTML make
 * of it; how shells print it in single quotes (`set -x`). Of all that stand at one place
 * the longest is taken.
 *
 * Not masked, since they would blank out everything: values shorter than MASK_MIN,
 * booleans and their like, and short numbers (mask_worthy). */
#pragma once

#include "base/buf.h"
#include "seal/secret.h"

enum { MASK_MIN = 4 };
#define MASK_TEXT "***"

struct mask;

struct mask *mask_open(void);
void mask_close(struct mask **mask); /* cleanup function; wipes. NULL is fine */

/* Whether a value is masked at all. */
bool mask_worthy(struct slice value);
/* Copies the value. Not while another thread uses the mask. */
void mask_add(struct mask *mask, struct slice value);
void mask_add_secret(struct mask *mask, struct secret value);

/* What is looked for; for tests. */
size_t mask_form_count(struct mask *mask);
struct slice mask_form(struct mask *mask, size_t index);

/* A whole text: a message, an event. Also where `mask` is NULL or empty. */
void mask_text(struct mask *mask, struct slice text, struct buf *out);
/* The text of an error and its hint, in place. */
void mask_err(struct mask *mask, struct err *err);

/* A stream, masked wherever the pieces are cut; held back is only what may be the
 * beginning of a value. */
struct mask_stream {
	struct mask *mask;
	int (*sink)(void *context, struct slice bytes, struct err *err);
	void *context;
	struct buf pending;
};
int mask_stream_put(struct mask_stream *stream, struct slice bytes, struct err *err) CHECKED;
int mask_stream_flush(struct mask_stream *stream, struct err *err) CHECKED; /* at the end, or before a pause */
void mask_stream_free(struct mask_stream *stream);			    /* cleanup function; wipes */
