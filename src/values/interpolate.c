/* ${NAME} in texts. One scanner, used by both public functions. */
#include "values/interpolate.h"

#include "base/buf.h"

enum piece_kind { PIECE_TEXT = 1, PIECE_NAME };

struct piece {
	enum piece_kind kind;
	struct slice text;
};

/* Cuts the next piece off *rest, which is not empty. A malformed `${` is an error
 * with *out left unset. */
static int next_piece(struct slice *rest, struct piece *out, struct err *err)
{
	if (slice_starts_with(*rest, "$${")) {
		*out = (struct piece){PIECE_TEXT, SLICE("${")};
		*rest = slice_skip(*rest, 3);
		return 0;
	}
	if (slice_starts_with(*rest, "${")) {
		struct slice inside = slice_skip(*rest, 2);
		ptrdiff_t end = slice_find(inside, '}');
		if (end < 0)
			return err_set(err, ERR_USER, "a `${` without its `}`");
		inside.len = (size_t)end;
		if (!value_name_valid(inside)) {
			err_set(err, ERR_USER, "`${%.*s}`: not the name of a value",
				(int)MIN(inside.len, 100), inside.ptr);
			return err_hint(err, "write $${ for a `${` that is meant as it stands");
		}
		*out = (struct piece){PIECE_NAME, inside};
		*rest = slice_skip(*rest, inside.len + 3);
		return 0;
	}
	size_t len = 1;
	while (len < rest->len && rest->ptr[len] != '$')
		len++;
	*out = (struct piece){PIECE_TEXT, slice_make(rest->ptr, len)};
	*rest = slice_skip(*rest, len);
	return 0;
}

static int unknown_name(const struct value_list *values, struct slice name, struct err *err)
{
	const char *best = NULL;
	size_t best_distance = MAX((size_t)1, name.len / 3) + 1;
	for (size_t i = 0; i < values->count; i++) {
		size_t distance = slice_edit_distance(name, slice_of(values->items[i].name));
		if (distance < best_distance) {
			best_distance = distance;
			best = values->items[i].name;
		}
	}
	err_set(err, ERR_USER, "`${%.*s}`: there is no value of this name", SLICE_ARG(name));
	if (best)
		err_hint(err, "did you mean `%s`?", best);
	return -1;
}

int interpolate(struct arena *arena, const char *text, const struct value_list *values, const char **out,
		struct err *err)
{
	AUTO(buf_free) struct buf result = BUF_INIT(INTERPOLATE_MAX);
	struct slice rest = slice_of(text);
	while (rest.len) {
		struct piece piece = {0};
		if (next_piece(&rest, &piece, err))
			return -1;
		if (piece.kind == PIECE_TEXT) {
			buf_put_slice(&result, piece.text);
			continue;
		}
		const char *value = value_list_get(values, piece.text);
		if (!value)
			return unknown_name(values, piece.text, err);
		buf_puts(&result, value);
	}
	if (buf_check(&result, "the text with its values", err))
		return -1;
	*out = arena_str(arena, buf_slice(&result));
	return 0;
}

int interpolate_each(const char *text, int (*visit)(void *context, struct slice name, struct err *err),
		     void *context, struct err *err)
{
	struct slice rest = slice_of(text);
	while (rest.len) {
		struct piece piece = {0};
		if (next_piece(&rest, &piece, err))
			return -1;
		if (piece.kind == PIECE_NAME && visit(context, piece.text, err))
			return -1;
	}
	return 0;
}
