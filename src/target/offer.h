/* Compressed streams that links send: a release's manifest and the objects a server
 * lacks. Twenty servers that lack the same get the same bytes, so each stream is
 * made once, by one thread of its own, into a file that has no name, and every link
 * reads it at its own pace. The thread never runs far ahead of the fastest reader,
 * and what the slowest has read is given back to the disk.
 *
 * `struct offers` belongs to one release; `struct offer` is one stream; `struct
 * offer_reader` a link's place in it. All calls come from the loop's thread. */
#pragma once

#include "base/arena.h"
#include "net/loop.h"
#include "store/store.h"

struct offers;
struct offer;

struct offers_spec {
	struct store *store; /* read from both threads; must outlive the offers */
	struct digest release;
	const char *temp_dir; /* NULL: $TMPDIR, else /var/tmp */
	/* More of some stream is there, or it ended or failed. From the loop. */
	void (*more)(void *context);
	void *context;
};
/* Loads the release's manifest. */
int offers_open(struct loop *loop, const struct offers_spec *spec, struct offers **offers_out,
		struct err *err) CHECKED;
/* No reader may be left. Ends the thread, waiting for the piece it is at. */
void offers_close(struct offers **offers);

const struct manifest *offers_manifest(const struct offers *offers);
/* Whether the store has that release's manifest. */
bool offers_knows(const struct offers *offers, const struct digest *release);

enum offer_first_kind {
	OFFER_LACKING = 1, /* what the server is believed to lack */
	OFFER_NOTHING,	   /* the manifest only: the server says what it needs */
	OFFER_FORECAST,	   /* as OFFER_LACKING, but not needed yet: may be given up */
};
/* The first stream for a server that keeps these releases. `base` is the one that is
 * live there, for deltas and as the manifest's prefix; NULL, or not in the store:
 * none. Of `kept`, those not in the store are passed over. */
struct offer *offers_first(struct offers *offers, const struct digest *kept, size_t kept_count,
			   const struct digest *base, enum offer_first_kind kind, struct err *err);
/* Exactly these objects. `plain` of false allows deltas against `base`; of true says that what
 * came before may have been damaged: then each is hashed before it goes out again. A digest
 * the manifest does not name, or the store does not have, is an error. */
struct offer *offers_exactly(struct offers *offers, const struct digest *wanted, size_t count,
			     const struct digest *base, bool plain, struct err *err);
bool offer_holds(const struct offer *offer, const struct digest *digest);
/* The base whose manifest is the prefix of the manifest's frame; NULL: none. */
const struct digest *offer_base(const struct offer *offer);
size_t offer_object_count(const struct offer *offer);

struct offer_reader {
	struct offer *offer;
	uint64_t offset;
	struct offer_reader *next;
};
void offer_attach(struct offer *offer, struct offer_reader *reader);
void offer_detach(struct offer_reader *reader); /* safe when not attached */

enum offer_piece { OFFER_WAIT = 1, OFFER_MANIFEST, OFFER_OBJECTS, OFFER_ENDED };
/* The next piece for this reader, at most `room` bytes; pieces are of one kind. */
int offer_read(struct offer_reader *reader, char *bytes, size_t room, size_t *len_out,
	       enum offer_piece *piece_out, struct err *err) CHECKED;
/* Length of the whole stream; 0 while it is still being made. */
uint64_t offer_length(const struct offer *offer);
