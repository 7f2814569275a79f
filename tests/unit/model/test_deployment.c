/* Deployments and their servers as history. */
#include "fixture.h"

#include "model/deployment.h"
#include "model/deployment_server.h"

enum { DAY_MS = 86400000 };
static const int64_t nov_22 = INT64_C(1795305600000); /* 2026-11-22T00:00:00Z */

static struct deployment example(const char *id, int64_t started_ms)
{
	return (struct deployment){
		.id = id,
		.kind = DEPLOYMENT_DEPLOY,
		.project = "shop",
		.environment = "staging",
		.started_ms = started_ms,
		.outcome = OUTCOME_RUNNING,
	};
}

static void an_id_is_the_day_and_five_characters(void **state)
{
	(void)state;
	const struct {
		int64_t now_ms;
		const char *day;
	} cases[] = {
		{nov_22, "261122-"},
		{nov_22 - 1, "261121-"},
		{nov_22 + DAY_MS - 1, "261122-"},
		{0, "700101-"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char id[DEPLOYMENT_ID_LEN + 1];
		deployment_make_id(cases[i].now_ms, id);
		assert_int_equal(strlen(id), DEPLOYMENT_ID_LEN);
		assert_memory_equal(id, cases[i].day, 7);
		assert_true(deployment_id_valid(slice_of(id)));
	}
	static const char *const wrong[] = {"",
					    "261122",
					    "261122-k3m9",
					    "261122-k3m9xx",
					    "261122-k3m9i",
					    "261122_k3m9x",
					    "26112a-k3m9x",
					    "261122-K3M9X"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(deployment_id_valid(slice_of(wrong[i])));
}

/* With 2^25 ids a day some of 100,000 are made twice: the table must refuse them. */
static void a_hundred_thousand_deployments_have_ids_of_their_own(void **state)
{
	struct fixture *f = *state;
	enum { DEPLOYMENTS = 100000, DOUBLES_MAX = 500 };
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	assert_int_equal(db_begin(f->db, &transaction, &f->err), 0);
	int doubles = 0;
	for (int i = 0; i < DEPLOYMENTS;) {
		char id[DEPLOYMENT_ID_LEN + 1];
		deployment_make_id(nov_22, id);
		struct deployment deployment = example(id, nov_22 + i);
		if (deployment_insert(f->db, &deployment, &f->err) == 0) {
			i++;
			continue;
		}
		assert_int_equal(f->err.code, ERR_CONFLICT);
		assert_non_null(strstr(f->err.text, id));
		doubles++;
	}
	assert_int_equal(db_commit(&transaction, &f->err), 0);
	assert_true(doubles < DOUBLES_MAX); /* chance gives about 150 */

	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, "select count(distinct id) as n from deployment", &f->err),
			 0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	assert_int_equal(db_column_int(stmt, "n"), DEPLOYMENTS);
}

static void what_becomes_known_is_recorded(void **state)
{
	struct fixture *f = *state;
	struct deployment in = example("261122-k3m9x", nov_22);
	struct deployment out;
	assert_int_equal(deployment_insert(f->db, &in, &f->err), 0);
	assert_int_equal(deployment_find(f->db, &f->arena, "shop", SLICE("261122-k3m9x"), &out, &f->err), 0);
	assert_int_equal(out.outcome, OUTCOME_RUNNING);
	assert_null(out.release);

	in.release = hex64(f, "3fa9");
	in.config = hex64(f, "c0");
	in.plan = hex64(f, "b1");
	in.commit = "3fa9c1d2";
	in.ref = "main";
	in.subject = "Pay: round to cents";
	in.who = "ana";
	in.hotfix = true;
	in.reason = "checkout is down";
	in.ended_ms = nov_22 + 5000;
	in.outcome = OUTCOME_MIXED;
	in.exit_code = ERR_MIXED;
	in.error = "web2 was lost";
	in.run = "runs/261122-k3m9x";
	assert_int_equal(deployment_update(f->db, &in, &f->err), 0);
	assert_int_equal(deployment_find(f->db, &f->arena, NULL, SLICE("k3m9x"), &out, &f->err), 0);
	assert_int_equal(out.kind, DEPLOYMENT_DEPLOY);
	assert_string_equal(out.environment, "staging");
	assert_string_equal(out.release, in.release);
	assert_string_equal(out.config, in.config);
	assert_string_equal(out.plan, in.plan);
	assert_string_equal(out.commit, in.commit);
	assert_string_equal(out.ref, in.ref);
	assert_string_equal(out.subject, in.subject);
	assert_string_equal(out.who, in.who);
	assert_true(out.hotfix);
	assert_string_equal(out.reason, in.reason);
	assert_true(out.started_ms == nov_22 && out.ended_ms == in.ended_ms);
	assert_int_equal(out.outcome, OUTCOME_MIXED);
	assert_int_equal(out.exit_code, ERR_MIXED);
	assert_string_equal(out.error, in.error);
	assert_string_equal(out.run, in.run);

	in.id = "261122-zzzzz";
	assert_int_equal(deployment_update(f->db, &in, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
}

static void every_kind_and_outcome_comes_back(void **state)
{
	struct fixture *f = *state;
	for (int kind = DEPLOYMENT_DEPLOY; kind <= (int)DEPLOYMENT_RECOVER; kind++)
		for (int outcome = OUTCOME_RUNNING; outcome <= (int)OUTCOME_REFUSED; outcome++) {
			char id[DEPLOYMENT_ID_LEN + 1];
			snprintf(id, sizeof(id), "261122-%02d%02dx", kind, outcome);
			struct deployment in = example(id, nov_22);
			struct deployment out;
			in.kind = (enum deployment_kind)kind;
			in.outcome = (enum deployment_outcome)outcome;
			assert_int_equal(deployment_insert(f->db, &in, &f->err), 0);
			assert_int_equal(
				deployment_find(f->db, &f->arena, "shop", slice_of(id), &out, &f->err), 0);
			assert_int_equal(out.kind, kind);
			assert_int_equal(out.outcome, outcome);
			assert_string_not_equal(deployment_kind_name(out.kind), "?");
			assert_string_not_equal(deployment_outcome_name(out.outcome), "?");
		}
	assert_string_equal(deployment_outcome_name((enum deployment_outcome)0), "?");
	assert_string_equal(deployment_outcome_name((enum deployment_outcome)99), "?");
}

static void an_id_may_be_shortened_at_either_end(void **state)
{
	struct fixture *f = *state;
	struct deployment one = example("261122-k3m9x", nov_22);
	struct deployment two = example("261122-k3m0z", nov_22);
	struct deployment three = example("261123-aam9x", nov_22 + DAY_MS);
	assert_int_equal(deployment_insert(f->db, &one, &f->err), 0);
	assert_int_equal(deployment_insert(f->db, &two, &f->err), 0);
	assert_int_equal(deployment_insert(f->db, &three, &f->err), 0);
	const struct {
		const char *text;
		const char *project;
		enum err_code code;
		const char *id;
	} cases[] = {
		{"261122-k3m9x", NULL, ERR_NONE, "261122-k3m9x"},
		{"k3m9x", "shop", ERR_NONE, "261122-k3m9x"},
		{"m0z", NULL, ERR_NONE, "261122-k3m0z"},
		{"261123", NULL, ERR_NONE, "261123-aam9x"},
		{"k3m9x", "blog", ERR_NOT_FOUND, NULL},
		{"m9x", NULL, ERR_USER, NULL},
		{"261122", NULL, ERR_USER, NULL},
		{"zzzzz", NULL, ERR_NOT_FOUND, NULL},
		{"9x", NULL, ERR_USER, NULL},
		{"", NULL, ERR_USER, NULL},
		{"%%%%%", NULL, ERR_USER, NULL},
		{"_____", NULL, ERR_USER, NULL},
		{"261122-k3m9xx", NULL, ERR_USER, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct deployment found;
		err_clear(&f->err);
		int status = deployment_find(f->db, &f->arena, cases[i].project, slice_of(cases[i].text),
					     &found, &f->err);
		assert_int_equal(f->err.code, cases[i].code);
		if (status == 0)
			assert_string_equal(found.id, cases[i].id);
	}
}

static void the_list_is_newest_first_in_pages(void **state)
{
	struct fixture *f = *state;
	enum { DEPLOYMENTS = 17, PAGE = 4 };
	char ids[DEPLOYMENTS][DEPLOYMENT_ID_LEN + 1];
	for (int i = 0; i < DEPLOYMENTS; i++) {
		snprintf(ids[i], sizeof(ids[i]), "261122-%05d", i);
		struct deployment deployment = example(ids[i], nov_22 + i / 2);
		deployment.environment = i % 3 == 0 ? "production" : "staging";
		deployment.ended_ms = i == 5 || i == 7 ? 0 : nov_22 + 100;
		deployment.outcome = deployment.ended_ms ? OUTCOME_LIVE : OUTCOME_RUNNING;
		assert_int_equal(deployment_insert(f->db, &deployment, &f->err), 0);
	}
	struct page page = {.limit = PAGE};
	struct deployment_list list;
	int next = DEPLOYMENTS - 1;
	do {
		assert_int_equal(deployment_list(f->db, &f->arena, "shop", NULL, &page, &list, &f->err), 0);
		for (size_t i = 0; i < list.count; i++)
			assert_string_equal(list.items[i].id, ids[next--]);
		if (list.count > 0) {
			page.before_ms = list.items[list.count - 1].started_ms;
			page.before_id = list.items[list.count - 1].id;
		}
	} while (list.count == PAGE);
	assert_int_equal(next, -1);

	assert_int_equal(deployment_list(f->db, &f->arena, "shop", "production", NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 6);
	assert_int_equal(deployment_list(f->db, &f->arena, "blog", NULL, NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(deployment_list_running(f->db, &f->arena, "shop", "staging", &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].id, ids[5]);
}

static void servers_keep_their_order_and_last_verdict(void **state)
{
	struct fixture *f = *state;
	struct deployment deployment = example("261122-k3m9x", nov_22);
	assert_int_equal(deployment_insert(f->db, &deployment, &f->err), 0);
	struct deployment_server rows[] = {
		{.deployment = deployment.id,
		 .server = "ssh://web2:22/srv",
		 .label = "web2",
		 .verdict = SERVER_PENDING},
		{.deployment = deployment.id,
		 .server = "ssh://web1:22/srv",
		 .label = "web1",
		 .verdict = SERVER_PENDING},
	};
	assert_int_equal(deployment_server_put_all(f->db, rows, ARRAY_LEN(rows), &f->err), 0);
	rows[0].previous = "000041-aaaaaaaaaaaa";
	rows[0].activation = "000042-3fa9c1d20b7e";
	rows[0].files = 139;
	rows[0].bytes = 19000000;
	rows[0].duration_ms = 900;
	rows[0].verdict = SERVER_RESTORED;
	rows[0].error = "answered 500";
	assert_int_equal(deployment_server_put(f->db, &rows[0], &f->err), 0);

	struct deployment_server_list list;
	assert_int_equal(deployment_server_list(f->db, &f->arena, deployment.id, &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].label, "web2");
	assert_string_equal(list.items[0].previous, rows[0].previous);
	assert_string_equal(list.items[0].activation, rows[0].activation);
	assert_true(list.items[0].files == 139 && list.items[0].bytes == 19000000);
	assert_true(list.items[0].duration_ms == 900);
	assert_int_equal(list.items[0].verdict, SERVER_RESTORED);
	assert_string_equal(list.items[0].error, "answered 500");
	assert_string_equal(list.items[1].label, "web1");
	assert_int_equal(list.items[1].verdict, SERVER_PENDING);

	rows[1].deployment = "261122-zzzzz";
	assert_int_equal(deployment_server_put_all(f->db, rows, ARRAY_LEN(rows), &f->err), -1);
	for (int verdict = SERVER_PENDING; verdict <= (int)SERVER_UNKNOWN; verdict++)
		assert_string_not_equal(server_verdict_name((enum server_verdict)verdict), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_the_day_and_five_characters),
		CASE(a_hundred_thousand_deployments_have_ids_of_their_own),
		CASE(what_becomes_known_is_recorded),
		CASE(every_kind_and_outcome_comes_back),
		CASE(an_id_may_be_shortened_at_either_end),
		CASE(the_list_is_newest_first_in_pages),
		CASE(servers_keep_their_order_and_last_verdict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
