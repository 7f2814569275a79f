/* The operations there are, one file each (docs/adding-an-operation.md). */
#pragma once

#include "api/operation.h"

extern const struct operation operation_deploy, operation_promote, operation_plan, operation_rollback,
	operation_status, operation_log, operation_releases, operation_server_check, operation_build, operation_init,
	operation_config_validate, operation_config_schema, operation_config_reference, operation_config_show, operation_config_impact, operation_store_verify,
	operation_store_gc, operation_secret_scan,
	operation_version;
extern const struct operation operation_secret_set, operation_secret_get, operation_secret_list,
	operation_secret_edit, operation_secret_remove, operation_secret_rotate, operation_secret_key,
	operation_config_explain, operation_config_diff, operation_config_history, operation_config_import, operation_secret_revoke;
extern const struct operation operation_diff, operation_parity, operation_drift, operation_facts, operation_checklist,
	operation_allow_add, operation_allow_list, operation_allow_remove, operation_accept, operation_revert,
	operation_assess;
