/* What the collectors see, for tests that look at them alone: prints facts as JSON, key →
 * {kind, value, evidence}; sets as lists.
 *
 *	collect_read [--url URL] [--own HOST] [--server HOST] [--tls HOST:PORT] [--name NAME]
 *	             [--endpoint NAME=VALUE] [--secret NAME=VALUE] [--group NAME=COUNT]
 *	             [--port HOST:PORT] [--ca FILE] [--time MS] [--now MS] [--offline]
 *	collect_read --reference */
#include "collect/collect.h"
#include "doc/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 300 };

static const char *urls[LIST_MAX], *own[LIST_MAX], *servers[LIST_MAX], *tls[LIST_MAX], *names[LIST_MAX],
	*ports[LIST_MAX];
static struct collect_endpoint endpoints[LIST_MAX];
static struct collect_group groups[LIST_MAX];

static char *cut_at_equals(char *text)
{
	char *equals = strchr(text, '=');

	ASSERT(equals);
	*equals = '\0';
	return equals + 1;
}

static void take(struct collect_request *request, const char *option, char *value)
{
	if (strcmp(option, "--url") == 0)
		urls[request->url_count++] = value;
	else if (strcmp(option, "--own") == 0)
		own[request->own_host_count++] = value;
	else if (strcmp(option, "--server") == 0)
		servers[request->server_host_count++] = value;
	else if (strcmp(option, "--tls") == 0)
		tls[request->tls_count++] = value;
	else if (strcmp(option, "--name") == 0)
		names[request->name_count++] = value;
	else if (strcmp(option, "--port") == 0)
		ports[request->port_count++] = value;
	else if (strcmp(option, "--ca") == 0)
		request->ca_file = value;
	else if (strcmp(option, "--time") == 0)
		request->time_ms = atoi(value);
	else if (strcmp(option, "--now") == 0)
		request->now_ms = atoll(value);
	else if (strcmp(option, "--group") == 0) {
		struct collect_group *group = &groups[request->group_count++];
		group->servers = (size_t)atoi(cut_at_equals(value));
		group->name = value;
	} else {
		struct collect_endpoint *endpoint = &endpoints[request->endpoint_count++];
		endpoint->value = slice_of(cut_at_equals(value));
		endpoint->variable = value;
		endpoint->secret = strcmp(option, "--secret") == 0;
	}
}

static json_t *value_json(const struct fact *fact)
{
	if (fact->kind == FACT_SET) {
		json_t *list = json_array();
		struct slice rest = fact->value;
		for (struct slice element; fact_set_next(&rest, &element);)
			json_array_append_new(list, json_stringn(element.ptr, element.len));
		return list;
	}
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	fact_put_value(&text, fact);
	return json_stringn(buf_str(&text), text.len);
}

static int print(struct buf *text)
{
	return write(STDOUT_FILENO, buf_str(text), text->len) == (ssize_t)text->len ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct collect_request request = {
		.urls = urls, .own_hosts = own, .server_hosts = servers, .tls = tls};
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(COLLECT_FACTS_BYTES_MAX);
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(16));
	struct err err = ERR_INIT;

	request.names = names;
	request.endpoints = endpoints;
	request.groups = groups;
	request.ports = ports;
	if (argc == 2 && strcmp(argv[1], "--reference") == 0) {
		collect_print_reference(&text);
		return print(&text);
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--offline") == 0) {
			request.offline = true;
			continue;
		}
		if (i + 1 == argc)
			return 2;
		take(&request, argv[i], argv[i + 1]);
		i++;
	}
	if (collect_all(&request, &list, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	fact_list_sort(&list);
	json_t *facts = json_object();
	for (size_t i = 0; i < list.count; i++) {
		const struct fact *fact = &list.items[i];
		if (fact_check(fact, &err)) {
			fprintf(stderr, "%.*s: %s\n", SLICE_ARG(fact->key), err.text);
			return 1;
		}
		json_t *json = json_pack("{s:s, s:o}", "kind", fact_kind_name(fact->kind), "value",
					 value_json(fact));
		if (fact->evidence)
			json_object_set_new(json, "evidence", json_true());
		json_object_set_new(facts, arena_str(&list.arena, fact->key), json);
	}
	json_put(&text, facts);
	json_free(&facts);
	buf_putc(&text, '\n');
	return print(&text);
}
