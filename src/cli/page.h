/* What renderers share: a page under way, and how foreign text gets into it. Private
 * to this module. */
#pragma once

#include "cli/render.h"

struct page {
	struct buf *out;
	bool colour;
	bool stdout_tty; /* standard output is one */
	const json_t *result;
	const json_t *input; /* of the operation; NULL: none */
	size_t columns;	     /* of the terminal on standard output; 0: it is none, lines may be long */
};

/* Foreign text is always printed escaped. */
void styled(struct page *page, enum style style, const char *text);
void plain(struct page *page, const char *text);
/* The lines of a text behind one another. */
void one_line(struct page *page, const char *text);
void pad(struct page *page, size_t written, size_t width);
/* Padded to a width; how many columns the text took. */
size_t column(struct page *page, enum style style, const char *text, size_t width);
void age(struct page *page, int64_t at);

/* Members of a result: "" and 0 when absent. */
const char *str(const json_t *object, const char *key);
int64_t num(const json_t *object, const char *key);
bool flag(const json_t *object, const char *key);

/* render_config.c */
void render_explain(struct page *page);
void render_config_diff(struct page *page);
void render_config_history(struct page *page);
void render_config_import(struct page *page);
void render_secret_revoke(struct page *page);

/* render_parity.c */
void render_diff(struct page *page);
void render_parity(struct page *page);
void render_drift(struct page *page);
void render_facts(struct page *page);

/* render_advice.c */
void render_checklist(struct page *page);
void render_assess(struct page *page);
void render_fact_history(struct page *page);
void render_allow_add(struct page *page);
void render_allow_list(struct page *page);
void render_allow_remove(struct page *page);
void render_accept(struct page *page);
