/* Secrets that are committed, or about to enter an artifact: found, judged by the
 * exceptions of lockstep.yml, and what was found in a release remembered. */
#pragma once

#include "engine/artifact.h"
#include "scan/scan.h"

/* What stands in a release that is in the store, exceptions left out. Only what the
 * last release looked through did not hold is read. */
int scan_of_release(struct engine *engine, const struct digest *release, struct scan_findings *findings,
		    struct err *err) CHECKED;
/* Refuses a release with secrets in it (ERR_USER), naming the first ones; warns of
 * exceptions that lapse within two weeks. */
int scan_check_release(struct engine *engine, const struct artifact *artifact, struct err *err) CHECKED;
/* Takes out what lockstep.yml allows, and says which exceptions lapsed. */
void scan_allow(struct engine *engine, struct scan_findings *findings);
json_t *scan_findings_json(const struct scan_findings *findings);
