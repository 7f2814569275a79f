/* The shipped policy: what must be the same between environments, what may differ, how bad
 * it is when it does, why it matters, and what to do. Later rows stand over earlier ones.
 *
 * It is made so that a first run with no rules is useful: what code depends on must be the
 * same; what is meant to differ (size, names, credentials) may. */
#include "fact/rule.h"

#define LOW SEVERITY_LOW
#define MEDIUM SEVERITY_MEDIUM
#define HIGH SEVERITY_HIGH
#define CRITICAL SEVERITY_CRITICAL

#define ROW(pattern, rule_kind, how_bad, why, what)                                                          \
	{                                                                                                    \
		.fact = (pattern), .kind = (rule_kind), .severity = (how_bad), .text = (why),                \
		.advice = (what)                                                                             \
	}
#define SAME(pattern, how_bad, why, what) ROW(pattern, RULE_SAME, how_bad, why, what)
#define MINOR(pattern, how_bad, why, what) ROW(pattern, RULE_MINOR, how_bad, why, what)
#define MAJOR(pattern, how_bad, why, what) ROW(pattern, RULE_MAJOR, how_bad, why, what)
#define UNIQUE(pattern, how_bad, why, what) ROW(pattern, RULE_UNIQUE, how_bad, why, what)
#define PRESENT(pattern, how_bad, why, what) ROW(pattern, RULE_PRESENT, how_bad, why, what)
#define IGNORE(pattern, why) ROW(pattern, RULE_IGNORE, SEVERITY_NONE, why, NULL)

#define SECRET_TEXT "Two environments share a credential: whoever has the one is in the other."
#define SECRET_ADVICE "give {environment} a value of its own: lockstep secret set {environment} {subject}"
#define CREDENTIAL(pattern, how_bad) UNIQUE(pattern, how_bad, SECRET_TEXT, SECRET_ADVICE)
#define SAME_DATABASE "The same address and password: unless it is the machine's own, both use one database."
#define SWITCH_TEXT "It decides how the application behaves: code runs other paths where it differs."
#define SWITCH_ADVICE                                                                                        \
	"set {subject} alike where the values of {environment} come from, or declare that it may differ"
#define SWITCH(pattern) SAME(pattern, MEDIUM, SWITCH_TEXT, SWITCH_ADVICE)

static const char *const as_in_file[] = {"as in the file", "missing in the process", "only in the process"};
static const char *const as_installed[] = {"as installed"}, *const met[] = {"met"};
static const char *const is_yes[] = {"yes"};

const struct rule policy_rules[] = {
	SAME("*", LOW, "Environments are meant to be the same in everything that is not declared.",
	     "make {environment} alike, or declare that it may differ: lockstep allow add '{key}'"),

	/* ---- os ---- */
	SAME("os/*", LOW, "The systems below the application differ, and with them what it can rely on.",
	     "bring {environment} to the same system settings"),
	SAME("os/release/*", HIGH,
	     "Another release of the system brings other versions of every library and tool.",
	     "rebuild {environment} on the same release of the system"),
	SAME("os/arch*", HIGH, "Binaries and native extensions for one processor do not run on the other.",
	     "use machines of one architecture, or build for both"),
	MAJOR("os/kernel/*", MEDIUM, "Another major kernel has other system calls and limits.",
	      "upgrade the kernel of {environment}"),
	IGNORE("os/kernel/build", "The version tells what matters of it."),
	SAME("os/timezone*", HIGH, "Dates are computed and scheduled jobs run at other times.",
	     "timedatectl set-timezone the zone the others have"),
	SAME("os/time/zone", HIGH, "Dates are computed and scheduled jobs run at other times.",
	     "timedatectl set-timezone the zone the others have"),
	SAME("os/locale*", MEDIUM, "Sorting, formatting and encoding of text depend on it.",
	     "localectl set-locale as the others have it, and generate missing locales"),
	SAME("os/limit*", MEDIUM,
	     "Where limits are lower, load that passes elsewhere fails with 'too many open files'.",
	     "set the limit in a systemd drop-in or /etc/security/limits.d"),
	SAME("os/sysctl/*", LOW, "The kernel queues, forks and allocates by other rules.",
	     "set it in /etc/sysctl.d"),
	IGNORE("os/sysctl/kernel.hostname*", "Names of machines are meant to differ."),
	IGNORE("os/host*", "Names of machines are meant to differ."),
	IGNORE("os/machine*", "Identities of machines are meant to differ."),
	IGNORE("os/boot*", "Machines start at different times."),
	IGNORE("os/uptime*", "Machines start at different times."),
	IGNORE("os/clock/*", "A clock is never exactly another; what is too far off has a row of its own."),
	SAME("os/clock/synchronized*", MEDIUM,
	     "A clock nobody keeps right makes tokens, certificates and logs wrong.",
	     "enable systemd-timesyncd or chrony on {environment}"),
	SAME("os/clock/offset/state", MEDIUM,
	     "Clocks that are apart break tokens, certificates and the order of logs.",
	     "enable systemd-timesyncd or chrony on {environment}"),

	/* ---- hw: instance sizes are meant to differ, within reason ---- */
	IGNORE("hw/*", "Sizes of machines are meant to differ."),
	{.fact = "hw/memory*",
	 .kind = RULE_RATIO,
	 .ratio = 0.25,
	 .severity = LOW,
	 .text = "With less than a quarter of the memory, what passes here says little of there.",
	 .advice = "give {environment} at least a quarter of the memory, or declare another ratio"},
	IGNORE("hw/memory/available*", "What is in use changes by the minute."),
	IGNORE("hw/memory/free*", "What is in use changes by the minute."),
	{.fact = "hw/swap*",
	 .kind = RULE_PRESENT,
	 .severity = LOW,
	 .text = "Without swap the kernel ends processes where elsewhere they only become slow.",
	 .advice = "add swap, or take it away everywhere"},
	SAME("hw/mount*/type", LOW, "File systems differ in case, links, locks and limits.",
	     "use one kind of file system"),
	SAME("hw/mount*/options", MEDIUM,
	     "noexec, nosuid or read-only mounts make programs fail where others run.",
	     "mount it with the same options"),

	/* ---- runtime ---- */
	SAME("runtime/*", HIGH, "The language the application is written in behaves differently.",
	     "install the same version and settings on {environment}"),
	SAME("runtime/*/version", HIGH,
	     "Code runs on another version of its language than it was tested with.",
	     "install the version the reference has on {environment}, and pin it in the repository"),
	SAME("runtime/*/running*", HIGH, "The process that serves runs another version than is installed.",
	     "restart the application on {environment}"),
	SAME("runtime/*/ext/*", HIGH, "Code that uses an extension fails where it is missing or older.",
	     "install the extension {attribute} on {environment}"),
	SAME("runtime/*/ini/*", MEDIUM, "Limits, caches and error handling of the language differ.",
	     "set it alike in the ini files"),
	IGNORE("runtime/*/ini/*path*", "Folders of the system's own are meant to differ."),
	IGNORE("runtime/*/path", "Where a program is installed may differ; its version may not."),
	{.fact = "runtime/*/running_program",
	 .kind = RULE_ONE_OF,
	 .words = as_installed,
	 .word_count = ARRAY_LEN(as_installed),
	 .severity = HIGH,
	 .text = "The process that serves is not the program that is installed: it was upgraded since it "
		 "started.",
	 .advice = "restart the application on {environment}"},
	{.fact = "runtime/*/pinned",
	 .kind = RULE_ONE_OF,
	 .words = met,
	 .word_count = ARRAY_LEN(met),
	 .severity = HIGH,
	 .text = "The release asks for another version of its language than there is.",
	 .advice = "install the version the release asks for on {environment}, or change the pin"},
	SAME("runtime/*/pin/*", MEDIUM, "The release asks for another version of its language.",
	     "deploy the same release to {environment}"),
	SAME("runtime/*/lock/*", HIGH, "The lock file holds other versions of libraries.",
	     "deploy the same release to {environment}: it carries its libraries"),

	/* ---- pkg ---- */
	SAME("pkg/*", LOW, "A package of the system differs; most are not the application's.",
	     "upgrade {subject} on {environment}, or both at once"),
	SAME("pkg/php*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/libphp*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/python*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/ruby*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/node*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/openjdk*", MEDIUM, "A package of the application's language differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/postgresql*", MEDIUM, "The database's server or client differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/libpq*", MEDIUM, "The database's client differs.", "upgrade {subject} on {environment}"),
	SAME("pkg/mysql*", MEDIUM, "The database's server or client differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/mariadb*", MEDIUM, "The database's server or client differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/libmariadb*", MEDIUM, "The database's client differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/redis*", MEDIUM, "A service the application uses differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/nginx*", MEDIUM, "What answers before the application differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/apache2*", MEDIUM, "What answers before the application differs.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/openssl*", MEDIUM, "Protocols, ciphers and fixes of TLS differ.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/libssl*", MEDIUM, "Protocols, ciphers and fixes of TLS differ.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/imagemagick*", MEDIUM, "Images are converted differently.",
	     "upgrade {subject} on {environment}"),
	SAME("pkg/tzdata/*", MEDIUM, "Local times are computed by other rules.",
	     "upgrade tzdata on {environment}"),
	SAME("pkg/ca-certificates/*", MEDIUM, "Other certificates are trusted when calling out.",
	     "upgrade ca-certificates on {environment}"),
	SAME("pkg/*/changed_files", MEDIUM, "Files a package brought were changed by hand, and not alike.",
	     "bring the files in line, or list their paths under parity.paths to see how they differ"),
	SAME("pkg/*/state", MEDIUM, "A package is half installed or half removed.",
	     "dpkg --configure -a on {environment}"),
	IGNORE("pkg/linux-image-*", "The running kernel is what counts, and has a row of its own."),
	IGNORE("pkg/linux-headers-*", "The running kernel is what counts, and has a row of its own."),
	IGNORE("pkg/linux-modules-*", "The running kernel is what counts, and has a row of its own."),

	/* ---- env: every name everywhere, most values each its own ---- */
	PRESENT("env/*", HIGH, "Code that reads a variable meets nothing where it is missing.",
		"set {subject} where the values of {environment} come from, and deploy; or declare that it "
		"needs none"),
	{.fact = "env/*/running",
	 .kind = RULE_ONE_OF,
	 .words = as_in_file,
	 .word_count = ARRAY_LEN(as_in_file),
	 .severity = HIGH,
	 .text = "The running process still has another value than its file: it was not restarted, or was "
		 "started by hand.",
	 .advice = "restart the application on {environment}"},
	SWITCH("env/APP_DEBUG/value"),
	SWITCH("env/DEBUG/value"),
	SWITCH("env/*_DEBUG/value"),
	SWITCH("env/NODE_ENV/value"),
	SWITCH("env/FLASK_DEBUG/value"),
	SWITCH("env/*_DRIVER/value"),
	SWITCH("env/*_CONNECTION/value"),
	SWITCH("env/*_STORE/value"),
	SWITCH("env/TZ/value"),
	SWITCH("env/*TIMEZONE*/value"),
	SWITCH("env/LANG/value"),
	SWITCH("env/LC_*/value"),
	SWITCH("env/*LOCALE*/value"),
	SWITCH("env/*_VERSION/value"),
	SWITCH("env/*_TIMEOUT*/value"),
	SWITCH("env/*FEATURE*/value"),
	SWITCH("env/FF_*/value"),
	CREDENTIAL("env/*PASSWORD*/value", HIGH),
	CREDENTIAL("env/*PASSWD*/value", HIGH),
	CREDENTIAL("env/*SECRET*/value", HIGH),
	CREDENTIAL("env/*PRIVATE_KEY*/value", HIGH),
	CREDENTIAL("env/*ENCRYPTION_KEY*/value", HIGH),
	CREDENTIAL("env/APP_KEY/value", HIGH),
	CREDENTIAL("env/*_TOKEN/value", MEDIUM),
	CREDENTIAL("env/*API_KEY*/value", MEDIUM),
	CREDENTIAL("env/*_MASTER_KEY/value", HIGH),
	UNIQUE("env/DATABASE_URL/value", HIGH, SAME_DATABASE, "give {environment} a database of its own"),
	UNIQUE("env/*_DATABASE_URL/value", HIGH, SAME_DATABASE, "give {environment} a database of its own"),
	IGNORE("env/PATH/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/HOME/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/PWD/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/OLDPWD/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/SHLVL/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/USER/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/LOGNAME/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/SHELL/*", "The system's own; it is not of the application's configuration."),
	IGNORE("env/HOSTNAME/*", "Names of machines are meant to differ."),
	IGNORE("env/INVOCATION_ID/*", "systemd gives each start a number of its own."),
	IGNORE("env/JOURNAL_STREAM/*", "systemd gives each start a number of its own."),
	IGNORE("env/SYSTEMD_*/*", "systemd's own; it is not of the application's configuration."),
	IGNORE("env/MEMORY_PRESSURE_*/*", "systemd's own; it is not of the application's configuration."),
	IGNORE("env/LISTEN_*/*", "systemd's own; it is not of the application's configuration."),
	IGNORE("env/NOTIFY_SOCKET/*", "systemd's own; it is not of the application's configuration."),
	IGNORE("env/WATCHDOG_*/*", "systemd's own; it is not of the application's configuration."),
	IGNORE("env/XDG_*/*", "A session's own; it is not of the application's configuration."),
	IGNORE("env/SSH_*/*", "A session's own; it is not of the application's configuration."),

	/* ---- file ---- */
	SAME("file/*", MEDIUM, "A file of the release or its configuration differs.",
	     "deploy the same release to {environment}, or list the path under deploy.generated"),
	SAME("file/*/content", HIGH, "Other code runs there than was tested here.",
	     "deploy the same release to {environment}"),
	SAME("file/./commit", MEDIUM, "Other code runs there than was tested here.",
	     "deploy the same commit to {environment}"),
	PRESENT("file/.env*/content", HIGH, "The file of variables is missing; its values may differ.",
		"deploy the configuration to {environment}"),
	PRESENT("file/shared/*/content", HIGH, "A configuration file is missing; its values may differ.",
		"deploy the configuration to {environment}"),
	SAME("file/*/mode", MEDIUM, "What may be read, written or run there may not be here.",
	     "chmod it as the reference has it, or deploy again"),
	SAME("file/*/caps", HIGH, "A program may do there what it may not do here.", "setcap it alike"),
	SAME("file/*/owner", MEDIUM,
	     "Who may write or read it differs, so uploads and caches fail on one side.",
	     "chown it alike, or name the user in deploy.user"),
	IGNORE("file/*/size", "The content tells more."),

	/* ---- db ---- */
	SAME("db/*", HIGH, "The databases are not of one shape: queries that pass here fail there.",
	     "apply the same migrations to {environment}"),
	MINOR("db/*/server/version", HIGH,
	      "Another version of the database plans, locks and parses differently.",
	      "upgrade the database of {environment}"),
	SAME("db/*/server/product", CRITICAL, "It is another kind of database.",
	     "use the same database in {environment}"),
	SAME("db/*/server/standby", MEDIUM, "One side is a standby, which takes no writes.", NULL),
	IGNORE("db/*/server/build", "The version tells what matters of it."),
	IGNORE("db/*/machine/*", "Where a database keeps its files and listens is meant to differ."),
	SAME("db/*/extension/*", HIGH, "Queries that use an extension fail where it is missing or older.",
	     "create extension, or alter extension update, in {environment}"),
	SAME("db/*/setting/*", MEDIUM, "The database is tuned or limited differently.",
	     "set it alike in the configuration of the server, or declare that it may differ"),
	IGNORE("db/*/setting/*/source", "Where a setting is written may differ; its value counts."),
	IGNORE("db/*/setting/*_buffers/*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/effective_cache_size/*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/*work_mem/*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/max_parallel_*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/max_worker_processes/*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/*wal_size/*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/innodb_buffer_pool_*", "Sizes are meant to follow the machine."),
	IGNORE("db/*/setting/server_id/*", "Identities of machines are meant to differ."),
	IGNORE("db/*/setting/log_*", "What is logged may differ."),
	SAME("db/*/setting/log_timezone/*", LOW, "Logs of two environments cannot be laid side by side.",
	     "set it alike"),
	SAME("db/*/setting/sql_mode/*", HIGH, "The server refuses or bends wrong values by other rules.",
	     "set it alike"),
	SAME("db/*/setting/TimeZone/*", HIGH,
	     "Times are converted differently, and a change of type may rewrite a table.", "set it alike"),
	SAME("db/*/setting/max_connections/*", LOW, "Connections run out sooner on one side.",
	     "set it alike"),
	SAME("db/*/setting/*/pending*", MEDIUM,
	     "A setting waits for a restart: what runs is not what is written.",
	     "restart the database of {environment} in a quiet hour"),
	SAME("db/*/collation/*", HIGH, "Text sorts differently, and indexes may silently be wrong.",
	     "reindex, then alter collation refresh version, in {environment}"),
	SAME("db/*/role/*", MEDIUM, "Roles differ: what is allowed on one side is refused on the other.",
	     "create or alter the role in {environment}"),
	IGNORE("db/*/role/*/valid_until", "Passwords are renewed each at its time."),
	SAME("db/*/grant/*", MEDIUM, "Rights differ: what is allowed on one side is refused on the other.",
	     "grant or revoke it in {environment}"),
	SAME("db/*/owner/*", LOW, "Another role owns it, and only its owner may alter it.",
	     "alter its owner in {environment}"),
	SAME("db/*/table/*/index/*", HIGH,
	     "Queries are slow, or double rows get in, where an index is missing.",
	     "create it in {environment}, concurrently"),
	SAME("db/*/table/*/index/*/valid", HIGH,
	     "An index that is not valid slows writes and serves no query.",
	     "reindex index concurrently in {environment}"),
	SAME("db/*/table/*/constraint/*", HIGH, "Rows that one side refuses get into the other.",
	     "add it in {environment}: not valid first, then validate"),
	IGNORE("db/*/table/*/column/*/comment", "Comments change nothing."),
	IGNORE("db/*/table/*/rows*", "Environments share schema, not data."),
	SAME("db/*/migration/*", CRITICAL,
	     "Migrations were applied on one side only: the next deployment meets another schema.",
	     "deploy the release that holds them to {environment}, or run them there"),
	IGNORE("db/*/migration/*/count", "The set of those applied tells more."),
	SAME("db/*/fingerprint/schema", HIGH, "The schemas differ somewhere.",
	     "see the findings on its tables"),
	SAME("db/*/metadata/environment", MEDIUM,
	     "The database calls itself another environment: it may be a copy.", NULL),

	/* ---- net ---- */
	SAME("net/*", LOW, "Networks differ.", "make it alike, or declare that it may differ"),
	SAME("net/firewall/*", HIGH, "What is let through there is refused here, or the other way round.",
	     "bring the rules of {environment} in line"),
	IGNORE("net/firewall/*/digest", "The rules tell more."),
	SAME("net/listen/*", MEDIUM, "Another set of services listens, or to others.",
	     "start, stop or rebind the service on {environment}"),
	PRESENT("net/dns/*", HIGH, "A name does not resolve; its addresses may differ.",
		"add the name to the DNS {environment} asks"),
	IGNORE("net/resolver/nameservers*", "Each network has resolvers of its own."),
	IGNORE("net/resolver/upstream*", "Each network has resolvers of its own."),
	IGNORE("net/resolver/search*", "Domains of an environment are meant to differ."),
	IGNORE("net/route/*", "Addresses of networks are meant to differ."),
	SAME("net/route/default*", MEDIUM, "Without a default route nothing outside can be called.",
	     "add the route"),
	PRESENT("net/hosts/*", LOW, "A name in /etc/hosts is missing; its addresses may differ.",
		"add it to /etc/hosts"),
	IGNORE("net/hosts/*.local*/addresses", "Names of machines are meant to differ."),
	IGNORE("net/address/*", "Addresses are meant to differ."),
	IGNORE("net/interface/*", "Names of interfaces are meant to differ."),

	/* ---- dns, shape, tls, http, as seen from outside ---- */
	PRESENT("dns/*", HIGH, "A name does not resolve; its addresses may differ.", "add the record"),
	IGNORE("dns/*/cname", "Each environment points where its servers are."),
	SAME("shape/*", MEDIUM,
	     "What stands before the servers differs: headers, limits, time-outs and addresses with it.",
	     "put the same kind of balancer or CDN before {environment}"),
	{.fact = "shape/*/servers",
	 .kind = RULE_RATIO,
	 .ratio = 0.01,
	 .severity = MEDIUM,
	 .text = "A group has no server there; how many may differ.",
	 .advice = "give {environment} a server in the group {subject}"},
	SAME("shape/port/*", HIGH, "A port answers on one side only.",
	     "open or close it in the firewall of {environment}"),
	IGNORE("shape/front/addresses", "How many addresses stand before the servers may differ."),
	IGNORE("tls/*", "Each environment has certificates of its own."),
	SAME("tls/*/protocol", MEDIUM, "Another version of TLS is spoken: clients that work here fail there.",
	     "set the same protocols in the server of {environment}"),
	SAME("tls/*/chain", HIGH, "The chain of the certificate does not hold, so strict clients refuse it.",
	     "serve the full chain, from an authority all trust"),
	SAME("tls/*/trusted", HIGH,
	     "The chain of the certificate does not hold, so strict clients refuse it.",
	     "serve the full chain, from an authority all trust"),
	{.fact = "tls/*/days_left",
	 .kind = RULE_AT_LEAST,
	 .least = 14,
	 .severity = CRITICAL,
	 .text = "A certificate ends within 14 days, and with it every connection.",
	 .advice = "renew the certificate of {environment}"},
	SAME("http/*", MEDIUM, "The same address answers differently.",
	     "compare what stands before the application"),
	SAME("http/*/status", HIGH, "The same address answers with another status.",
	     "see the log of the web server, then that of the application"),
	SAME("http/*/location", MEDIUM, "The same address leads elsewhere.", "compare the redirects"),
	SAME("http/*/header/*", MEDIUM, "Headers that caches and browsers act on differ.",
	     "set the header alike in the web server or CDN"),
	IGNORE("http/*/header/date", "Changes with every answer."),
	IGNORE("http/*/header/etag", "Changes with every answer."),
	IGNORE("http/*/header/age", "Changes with every answer."),
	IGNORE("http/*/header/set-cookie", "Changes with every answer."),
	IGNORE("http/*/header/content-length", "Changes with the content."),
	IGNORE("http/*/header/last-modified", "Changes with the content."),
	IGNORE("http/*/header/expires", "Changes with every answer."),
	IGNORE("http/*/header/*request-id", "Changes with every answer."),
	IGNORE("http/*/header/x-runtime", "Changes with every answer."),
	IGNORE("http/*/header/cf-ray", "Changes with every answer."),

	/* ---- unit ---- */
	SAME("unit/*", MEDIUM, "Services differ.", "install the same units on {environment}"),
	SAME("unit/*/enabled", MEDIUM,
	     "After a restart of the machine the service is there on one side only.",
	     "systemctl enable, or disable, {subject} on {environment}"),
	SAME("unit/*/active", HIGH, "A service runs on one side only.",
	     "install, start or stop {subject} on {environment}; systemctl status says what it does"),
	SAME("unit/*/fragment", MEDIUM, "A service is started differently: user, limits or variables.",
	     "install the same unit file on {environment}, then systemctl daemon-reload"),
	SAME("unit/*/dropin/*", MEDIUM, "A service is started differently: user, limits or variables.",
	     "install the same drop-in on {environment}, then systemctl daemon-reload"),
	SAME("unit/cron:*", MEDIUM, "A job runs on one side only, or at another time.",
	     "install the same crontab on {environment}"),
	PRESENT("unit/cron:*/command", MEDIUM, "A job runs on one side only.",
		"install the same crontab on {environment}"),
	PRESENT("unit/cron:*/value", MEDIUM, "A variable of a crontab is missing; its value may differ.",
		"set it in the crontab of {environment}"),

	/* ---- container ---- */
	SAME("container/*", MEDIUM, "Containers differ.", "deploy the same composition to {environment}"),
	SAME("container/*/image", HIGH, "Another image was asked for.",
	     "deploy the same image to {environment}"),
	SAME("container/*/image_id", HIGH, "Another image runs, whatever its tag says.",
	     "pull by digest, and pin the digest in the compose file"),
	MAJOR("container/docker/version", LOW, "Another engine runs the containers.",
	      "upgrade docker on {environment}"),
	MAJOR("container/podman/version", LOW, "Another engine runs the containers.",
	      "upgrade podman on {environment}"),

	/* ---- endpoint ---- */
	SAME("endpoint/*", MEDIUM, "A service outside is reached differently.",
	     "compare the variables {subject}"),
	PRESENT("endpoint/*/host", MEDIUM, "A service outside is not configured; its host may differ.",
		"set {subject} in {environment}"),
	{.fact = "endpoint/*/mode",
	 .kind = RULE_LIVE_ONLY_IN,
	 .severity = CRITICAL,
	 .text = "A live key outside of the reference environment moves real money; a test key in it moves "
		 "none.",
	 .advice = "give {environment} a key of the right mode: lockstep secret set {environment} {subject}"},
	{.fact = "endpoint/*/reachable",
	 .kind = RULE_ONE_OF,
	 .words = is_yes,
	 .word_count = ARRAY_LEN(is_yes),
	 .severity = HIGH,
	 .text = "A service outside cannot be reached.",
	 .advice = "open the way out of {environment}"},
	{.fact = "endpoint/*/trusted",
	 .kind = RULE_ONE_OF,
	 .words = is_yes,
	 .word_count = ARRAY_LEN(is_yes),
	 .severity = HIGH,
	 .text = "The certificate of a service outside is not trusted.",
	 .advice = "check the host of {subject}, and the certificates {environment} trusts"},
	SAME("endpoint/*/rate_limit/*", MEDIUM,
	     "The service outside allows another rate, so load tests here say little.",
	     "ask for the same limits, or declare that they may differ"),

	/* ---- shown beside, never compared ---- */
	IGNORE("*/kept", "A fingerprint kept for one server's own history."),
};
const size_t policy_rule_count = ARRAY_LEN(policy_rules);

static void put_kind(struct buf *out, const struct rule *rule)
{
	buf_puts(out, rule_kind_name(rule->kind));
	if (rule->kind == RULE_RATIO)
		buf_printf(out, " %g%s", rule->ratio, rule->both ? " both ways" : "");
	if (rule->kind == RULE_AT_LEAST)
		buf_printf(out, " %g", rule->least);
	if (rule->kind == RULE_LIVE_ONLY_IN && !rule->word_count)
		buf_puts(out, ": the reference");
	for (size_t i = 0; i < rule->word_count; i++)
		buf_printf(out, "%s %s", i ? "," : ":", rule->words[i]);
}

void policy_print(struct buf *out)
{
	buf_puts(out, "# The parity policy\n\n"
		      "What must be the same between environments and what may differ, before any rule of "
		      "your own.\n"
		      "Of the rows that match a fact, the last one counts; a rule under `parity.allow` in "
		      "`lockstep.yml`\n"
		      "or made by `lockstep allow` stands over all of them. `*` matches any characters, `/` "
		      "too.\n\n"
		      "`same`: equal everywhere. `present`: there everywhere, whatever its value. `unique`: "
		      "no two\n"
		      "environments have the same. `minor`, `major`: versions, equal up to the second or "
		      "first number.\n"
		      "`ratio`: at least that part of the reference's number. `one_of`: one of the words.\n"
		      "`at_least`: each at least that number. `live_only_in`: live credentials only there. "
		      "`ignore`: may differ or be missing.\n\n"
		      "| facts | rule | severity | why it matters | what to do |\n"
		      "|---|---|---|---|---|\n");
	for (size_t i = 0; i < policy_rule_count; i++) {
		const struct rule *rule = &policy_rules[i];
		buf_printf(out, "| `%s` | ", rule->fact);
		put_kind(out, rule);
		buf_printf(out, " | %s | %s | %s |\n", rule->severity ? severity_name(rule->severity) : "",
			   rule->text, rule->advice ? rule->advice : "");
	}
}
