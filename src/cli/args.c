#include "cli/args.h"

const struct global_option global_options[] = {
	{ "--json", NULL, "machine-readable: events and the result as JSON lines on standard output" },
	{ "--quiet", NULL, "no progress, only the result and errors" },
	{ "--no-color", NULL, "no colour (NO_COLOR in the environment does the same)" },
	{ "-C", "DIR", "behave as if started in DIR" },
	{ "--file", "PATH", "the project file, instead of the nearest lockstep.yml upwards" },
	{ "--help", NULL, "help for the verb" },
};
const size_t global_option_count = ARRAY_LEN(global_options);

void args_free(struct args *args)
{
	json_decref(args->input);
	args->input = NULL;
}

struct parser {
	struct arena *arena;
	struct args *args;
	int argc;
	char **argv;
	int at;
	struct slice words[256]; /* what is neither an option nor its value */
	size_t word_count;
};

/* The value of the option at parser->at: behind '=', or the next word. */
static int option_value(struct parser *parser, struct slice inline_value, const char *flag, const char **out,
			struct err *err)
{
	if (inline_value.ptr) {
		*out = arena_str(parser->arena, inline_value);
		return 0;
	}
	if (parser->at + 1 >= parser->argc)
		return err_set(err, ERR_USER, "%s needs a value", flag);
	*out = parser->argv[++parser->at];
	return 0;
}

/* 1: it was a global option; 0: it was not. */
static int parse_global(struct parser *parser, struct slice flag, struct slice value, struct err *err)
{
	struct args *args = parser->args;

	if (slice_is(flag, "--json"))
		args->json = true;
	else if (slice_is(flag, "--quiet") || slice_is(flag, "-q"))
		args->quiet = true;
	else if (slice_is(flag, "--no-color") || slice_is(flag, "--no-colour"))
		args->no_colour = true;
	else if (slice_is(flag, "--help") || slice_is(flag, "-h"))
		args->help = true;
	else if (slice_is(flag, "-C"))
		return option_value(parser, value, "-C", &args->directory, err) ? -1 : 1;
	else if (slice_is(flag, "--file"))
		return option_value(parser, value, "--file", &args->project_file, err) ? -1 : 1;
	else
		return 0;
	if (value.ptr)
		return err_set(err, ERR_USER, "%.*s takes no value", SLICE_ARG(flag));
	return 1;
}

/* "dry-run" on the command line is the key "dry_run". */
static const struct operation_key *find_option(const struct operation *operation, struct slice name)
{
	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		size_t len = strlen(key->name);
		if (key->positional || key->kind == OPERATION_VALUE || len != name.len)
			continue;
		size_t at = 0;
		while (at < len && (key->name[at] == name.ptr[at] || (key->name[at] == '_' && name.ptr[at] == '-')))
			at++;
		if (at == len)
			return key;
	}
	return NULL;
}

static int unknown_option(const struct operation *operation, struct slice flag, struct err *err)
{
	size_t best = 3;
	const char *nearest = NULL;
	struct slice name = slice_skip(flag, slice_starts_with(flag, "--") ? 2 : 1);

	for (size_t i = 0; i < operation->key_count; i++) {
		size_t distance = slice_edit_distance(slice_of(operation->keys[i].name), name);
		if (!operation->keys[i].positional && distance < best) {
			best = distance;
			nearest = operation->keys[i].name;
		}
	}
	err_set(err, ERR_USER, "%s has no option %.*s", operation->name, SLICE_ARG(flag));
	if (!nearest)
		return err_hint(err, "`lockstep help %s` lists its options", operation->name);
	char shown[64];
	snprintf(shown, sizeof(shown), "%s", nearest);
	for (char *c = shown; *c; c++)
		*c = *c == '_' ? '-' : *c;
	return err_hint(err, "did you mean --%s?", shown);
}

static int set_value(struct args *args, const struct operation_key *key, const char *text, struct err *err)
{
	int64_t number;

	if (!slice_is_utf8(slice_of(text)))
		return err_set(err, ERR_USER, "the value of %s is not UTF-8", key->name);
	switch (key->kind) {
	case OPERATION_STRING:
		return json_object_set_new(args->input, key->name, json_string(text));
	case OPERATION_INT:
		if (!slice_to_i64(slice_of(text), &number))
			return err_set(err, ERR_USER, "%s: \"%s\" is not a whole number", key->name, text);
		return json_object_set_new(args->input, key->name, json_integer(number));
	case OPERATION_DURATION:
		if (!slice_to_duration_ms(slice_of(text), &number)) {
			err_set(err, ERR_USER, "%s: \"%s\" is not a duration", key->name, text);
			return err_hint(err, "write for instance 30s, 5m or 2h");
		}
		return json_object_set_new(args->input, key->name, json_integer(number));
	case OPERATION_LIST: {
		json_t *list = json_object_get(args->input, key->name);
		if (!list) {
			list = json_array();
			json_object_set_new(args->input, key->name, list);
		}
		return json_array_append_new(list, json_string(text));
	}
	case OPERATION_FLAG:
	case OPERATION_VALUE:
		break;
	}
	ASSERT(!"a flag takes no value");
}

static int parse_option(struct parser *parser, const struct operation *operation, struct slice flag,
			struct slice value, struct err *err)
{
	const struct operation_key *key =
		slice_starts_with(flag, "--") ? find_option(operation, slice_skip(flag, 2)) : NULL;
	const char *text = NULL;

	if (!key)
		return unknown_option(operation, flag, err);
	if (key->kind == OPERATION_FLAG) {
		if (value.ptr)
			return err_set(err, ERR_USER, "%.*s takes no value", SLICE_ARG(flag));
		return json_object_set_new(parser->args->input, key->name, json_true());
	}
	if (json_object_get(parser->args->input, key->name) && key->kind != OPERATION_LIST)
		return err_set(err, ERR_USER, "%.*s is given twice", SLICE_ARG(flag));
	if (option_value(parser, value, arena_str(parser->arena, flag), &text, err))
		return -1;
	return set_value(parser->args, key, text, err);
}

const struct operation_key *args_value_key(const struct operation *operation)
{
	for (size_t i = 0; i < operation->key_count; i++)
		if (operation->keys[i].kind == OPERATION_VALUE)
			return &operation->keys[i];
	return NULL;
}

static int assign_positionals(struct parser *parser, const struct operation *operation, size_t first,
			      struct err *err)
{
	size_t at = first;

	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		if (!key->positional)
			continue;
		bool rest = key->kind == OPERATION_LIST;
		if (at >= parser->word_count && !key->optional) {
			err_set(err, ERR_USER, "%s needs %s: %s", operation->name, key->value, key->text);
			return err_hint(err, "`lockstep help %s` shows how it is used", operation->name);
		}
		while (at < parser->word_count) {
			if (set_value(parser->args, key, arena_str(parser->arena, parser->words[at++]), err))
				return -1;
			if (!rest)
				break;
		}
	}
	if (at < parser->word_count && args_value_key(operation)) {
		/* Not repeated: it is the value, as likely as not. */
		err_set(err, ERR_USER, "%s takes no value from the command line", operation->name);
		return err_hint(err, "others could read it there, and the shell keeps it: give it on standard input, or let "
				     "lockstep ask for it");
	}
	if (at < parser->word_count) {
		err_set(err, ERR_USER, "%s does not take \"%.*s\"", operation->name, SLICE_ARG(parser->words[at]));
		return err_hint(err, "`lockstep help %s` shows how it is used", operation->name);
	}
	return 0;
}

/* The longest verb that the leading words spell: "store gc" before "store". */
static const struct operation *find_verb(struct parser *parser, size_t *used)
{
	for (size_t words = MIN(parser->word_count, 2); words > 0; words--) {
		struct slice name = parser->words[0];
		if (words == 2)
			name = slice_of(arena_printf(parser->arena, "%.*s %.*s", SLICE_ARG(parser->words[0]),
						     SLICE_ARG(parser->words[1])));
		const struct operation *operation = operation_find(name);
		if (operation) {
			*used = words;
			return operation;
		}
	}
	return NULL;
}

static int unknown_verb(struct parser *parser, struct err *err)
{
	struct slice word = parser->words[0];
	struct buf shown = BUF_INIT(256);
	buf_put_printable(&shown, word);
	if (parser->word_count > 1) {
		buf_putc(&shown, ' ');
		buf_put_printable(&shown, parser->words[1]);
	}
	const struct operation *nearest = operation_nearest(slice_of(buf_str(&shown)));
	if (!nearest)
		nearest = operation_nearest(word);
	/* "store" alone: say what may follow. */
	struct buf family = BUF_INIT(512);
	for (size_t i = 0; i < operation_count; i++) {
		struct slice name = slice_of(operations[i]->name);
		struct slice head = slice_cut(&name, ' ');
		if (name.ptr && slice_equal(head, word))
			buf_printf(&family, "%s%s", family.len ? ", " : "", operations[i]->name);
	}
	if (family.len) {
		err_set(err, ERR_USER, "%.*s is not a whole verb", SLICE_ARG(word));
		err_hint(err, "there are: %s", buf_str(&family));
	} else {
		err_set(err, ERR_USER, "there is no verb \"%s\"", buf_str(&shown));
		if (nearest)
			err_hint(err, "did you mean `lockstep %s`? `lockstep help` lists all verbs", nearest->name);
		else
			err_hint(err, "`lockstep help` lists all verbs");
	}
	buf_free(&family);
	buf_free(&shown);
	return -1;
}

static bool is_option(const char *word) { return word[0] == '-' && word[1]; }

/* First pass: where the verb is. Options that take a value are only known once
 * the verb is, so here a word behind an option counts as its value unless that
 * option is one of the global flags. */
static void collect_leading_words(struct parser *parser)
{
	for (int i = 1; i < parser->argc && parser->word_count < 2; i++) {
		const char *word = parser->argv[i];
		if (strcmp(word, "--") == 0)
			break;
		if (!is_option(word))
			parser->words[parser->word_count++] = slice_of(word);
		else if (strcmp(word, "-C") == 0 || strcmp(word, "--file") == 0)
			i++;
		else if (parser->word_count > 0)
			break;
	}
}

int args_parse(struct arena *arena, int argc, char **argv, struct args *out, struct err *err)
{
	struct parser parser = { .arena = arena, .args = out, .argc = argc, .argv = argv, .at = 1 };
	size_t verb_words = 0;
	bool options_over = false;

	*out = (struct args){ .input = json_object() };
	collect_leading_words(&parser);
	bool asks_help = parser.word_count > 0 && slice_is(parser.words[0], "help");
	if (parser.word_count > 0 && !asks_help) {
		out->operation = find_verb(&parser, &verb_words);
		if (!out->operation)
			return unknown_verb(&parser, err);
	}
	parser.word_count = 0;
	for (; parser.at < argc; parser.at++) {
		struct slice word = slice_of(argv[parser.at]);
		if (!options_over && slice_is(word, "--")) {
			options_over = true;
			continue;
		}
		if (!options_over && is_option(argv[parser.at])) {
			struct slice value = word;
			struct slice flag = slice_cut(&value, '=');
			int known = parse_global(&parser, flag, value, err);
			if (known < 0)
				return -1;
			if (known)
				continue;
			if (slice_is(flag, "--version") && !out->operation && !asks_help) {
				out->operation = operation_find(SLICE("version"));
				continue;
			}
			if (!out->operation) {
				err_set(err, ERR_USER, "there is no option %.*s here", SLICE_ARG(flag));
				return err_hint(err, "`lockstep help` shows how it is used");
			}
			if (parse_option(&parser, out->operation, flag, value, err))
				return -1;
			continue;
		}
		if (parser.word_count == ARRAY_LEN(parser.words))
			return err_set(err, ERR_USER, "too many words on the command line");
		parser.words[parser.word_count++] = word;
	}
	if (asks_help || !out->operation) {
		out->help = true;
		if (parser.word_count > 2)
			out->help_topic = arena_printf(arena, "%.*s %.*s", SLICE_ARG(parser.words[1]),
						       SLICE_ARG(parser.words[2]));
		else if (parser.word_count > 1)
			out->help_topic = arena_str(arena, parser.words[1]);
		return 0;
	}
	if (out->help) {
		out->help_topic = out->operation->name;
		return 0;
	}
	if (assign_positionals(&parser, out->operation, verb_words, err))
		return -1;
	return operation_check_input(out->operation, out->input, err);
}
