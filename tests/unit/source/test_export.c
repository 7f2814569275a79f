/* The files of a commit on disk: attributes, submodules, Git LFS, odd names. */
#include "repository.h"

#include "source/source.h"

static struct source *source;
static struct commit commit;
static struct arena arena;

static int export_ref(const char *repository, const char *ref, const char *dest, struct err *err)
{
	source_close(&source);
	err_clear(err);
	assert_done(source_open(test_path("home"), repository, test_dir, &source, err), err);
	assert_done(source_fetch(source, NULL, err), err);
	assert_done(source_resolve(source, ref, &arena, &commit, err), err);
	return source_export(source, &commit, test_path(dest), NULL, err);
}

static int teardown(void **state)
{
	source_close(&source);
	arena_free(&arena);
	return test_teardown(state);
}

static void writes_files_as_they_are(void **state)
{
	struct err err = ERR_INIT;
	struct stat info;

	(void)state;
	sh("git init -q -b main up; cd up; mkdir 'a dir'; mkdir empty; : > empty/.gitattributes; printf x > 'a dir/run me'; chmod +x 'a dir/run me';"
	   "printf 'one\\r\\ntwo\\n' > crlf; printf y > \"$(printf 'new\\nline')\"; printf z > \"$(printf "
	   "'\\377\\376')\";"
	   "printf u > grün; printf q > -dash; ln -s /etc/passwd out; ln -s crlf in; printf ':' > ':(top)x';"
	   "git add -A; git commit -qm one; echo changed > crlf");
	assert_done(export_ref("up", "main", "out", &err), &err);
	assert_true(test_file_is("out/a dir/run me", "x", 1));
	assert_int_equal(stat(test_path("out/a dir/run me"), &info), 0);
	assert_true(info.st_mode & S_IXUSR);
	assert_int_equal(info.st_mtime, 1700000000);
	assert_int_equal(stat(test_path("out/a dir"), &info), 0);
	assert_int_equal(info.st_mtime, 1700000000);
	assert_true(test_file_is("out/crlf", "one\r\ntwo\n", 9));
	assert_true(test_file_is("out/new\nline", "y", 1));
	assert_true(test_file_is("out/\xff\xfe", "z", 1));
	assert_true(test_file_is("out/grün", "u", 1));
	assert_true(test_file_is("out/-dash", "q", 1));
	assert_true(test_file_is("out/:(top)x", ":", 1));
	assert_string_equal(sh_line("readlink out/out"), "/etc/passwd");
	assert_string_equal(sh_line("readlink out/in"), "crlf");
	assert_string_equal(sh_line("ls -A | tr '\\n' ' '"), "home out up ");
	assert_false(test_exists("out/.git"));
	/* Not into a folder that holds something. */
	assert_int_equal(export_ref("up", "main", "out", &err), -1);
	assert_says(&err, "not empty");
}

static void honours_the_attributes_of_the_tree(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sh("git init -q -b main up; cd up; mkdir -p docs/deep tests sub src/tests;"
	   "printf 'docs export-ignore\\n/tests/ export-ignore\\n.gitattributes export-ignore\\n*.bat text "
	   "eol=crlf\\n"
	   "*.sh text eol=lf\\n\"a b\" export-ignore\\n[attr]gone export-ignore\\n*.gone gone\\n' > "
	   ".gitattributes;"
	   "printf 'secret.txt export-ignore\\n*.gone -export-ignore\\n' > sub/.gitattributes;"
	   "echo x > docs/deep/a; echo x > tests/t; echo x > src/tests/kept; echo x > sub/secret.txt; echo x "
	   "> 'a b';"
	   "echo x > top.gone; echo x > sub/kept.gone; printf 'a\\nb\\n' > run.bat; printf 'a\\nb\\n' > "
	   "run.sh;"
	   "git add -A; git commit -qm one");
	/* What the user likes elsewhere has no say. */
	sh("printf '* text eol=crlf\\nsrc export-ignore\\n' > mine; git config -f cfg core.attributesFile "
	   "%s/mine;"
	   "git config -f cfg core.autocrlf true",
	   test_dir);
	setenv("GIT_CONFIG_GLOBAL", test_path("cfg"), 1);
	assert_done(export_ref("up", "main", "out", &err), &err);
	assert_string_equal(sh_line("cd out; find . -type f | LC_ALL=C sort | tr '\\n' ' '"),
			    "./run.bat ./run.sh ./src/tests/kept ./sub/kept.gone ");
	assert_true(test_file_is("out/run.bat", "a\r\nb\r\n", 6));
	assert_true(test_file_is("out/run.sh", "a\nb\n", 4));
	assert_false(test_exists("out/docs"));
	/* The very same files as git archive gives. */
	sh("mkdir ref; git -C up -c core.autocrlf=false -c core.attributesFile=/dev/null archive main | tar "
	   "-x -C ref;"
	   "diff -r ref out");
}

static void refuses_export_subst(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sh("git init -q -b main up; cd up; mkdir -p lib/x; printf '# export-subst\\n*.a -export-subst\\n\\n"
	   "version.txt\\texport-subst eol=lf\\n' > lib/x/.gitattributes;"
	   "echo x > lib/x/version.txt; git add -A; git commit -qm one");
	assert_int_equal(export_ref("up", "main", "out", &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_says(&err, "lib/x/.gitattributes:4:");
	sh("cd up; printf '# export-subst\\n*.a -export-subst\\nexport-subst text\\n' > lib/x/.gitattributes;"
	   "git commit -qam two");
	assert_done(export_ref("up", "main", "out2", &err), &err);
}

static void brings_submodules_along(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sh("for r in inner lib up; do git init -q -b main $r; done; cd inner; echo inner > i; echo n > not;"
	   "echo 'not export-ignore' > .gitattributes; git add -A; git commit -qm i;"
	   "cd ../lib; echo lib > l; git -c protocol.file.allow=always submodule --quiet add ../inner 'deep "
	   "er';"
	   "git add -A; git commit -qm l;"
	   "cd ../up; mkdir vendor; git -c protocol.file.allow=always submodule --quiet add -- ../lib "
	   "vendor/lib;"
	   "git add -A; git commit -qm u;"
	   "cd ../lib; git commit -q --amend -m 'no branch shows the commit that is used'");
	sh("git -C lib config uploadpack.allowAnySHA1InWant true");
	assert_done(export_ref("up", "main", "out", &err), &err);
	assert_true(test_file_is("out/vendor/lib/l", "lib\n", 4));
	assert_true(test_file_is("out/vendor/lib/deep er/i", "inner\n", 6));
	assert_false(test_exists("out/vendor/lib/deep er/not"));
	assert_string_equal(sh_line("find out -name .git"), "");
	/* A submodule nobody gave an address for is named. */
	sh("cd up; git update-index --add --cacheinfo 160000,$(git -C ../inner rev-parse HEAD),stray; git "
	   "commit -qm s");
	assert_int_equal(export_ref("up", "main", "out2", &err), -1);
	assert_says(&err, "submodule stray");
	/* Nor one whose commit is nowhere. */
	sh("cd up; git rm -q --cached stray; git update-index --cacheinfo "
	   "160000,1234567890123456789012345678901234567890,vendor/lib; git commit -qm s");
	assert_int_equal(export_ref("up", "main", "out3", &err), -1);
	assert_says(&err, "1234567890123456789012345678901234567890");
}

static void keeps_foreign_repositories_out_of_this_machine(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sh("git init -q -b main private; git -C private commit -q --allow-empty -m p;"
	   "git init -q -b main up; cd up; printf '[submodule \"x\"]\\npath = x\\nurl = %s/private\\n' > "
	   ".gitmodules;"
	   "git add -A; git update-index --add --cacheinfo 160000,$(git -C ../private rev-parse HEAD),x;"
	   "git commit -qm u; cd ..; git clone -q --bare up up.git; git -C up.git update-server-info",
	   test_dir);
	/* The smallest web server there is, for the dumb protocol. */
	sh("cat > serve.py <<'END'\nimport http.server, os\nos.chdir('%s')\n"
	   "class H(http.server.SimpleHTTPRequestHandler):\n def log_message(self, *a): pass\n"
	   "s = http.server.HTTPServer(('127.0.0.1', 0), H)\n"
	   "open('port.new', 'w').write(str(s.server_port))\nos.rename('port.new', "
	   "'port')\ns.serve_forever()\nEND\n"
	   "(python3 serve.py & echo $! > pid; wait) >/dev/null 2>&1 &\n"
	   "while [ ! -s port ] || [ ! -s pid ]; do sleep 0.02; done",
	   test_dir);
	char url[200];
	snprintf(url, sizeof(url), "http://127.0.0.1:%s/up.git", sh_line("cat port"));
	int result = export_ref(url, "main", "out", &err);
	sh("kill $(cat pid)");
	assert_int_equal(result, -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_says(&err, "submodule x");
}

static void brings_large_files_along(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(sh_status("git lfs version >/dev/null 2>&1"), 0);
	sh("git init -q -b main up; cd up; git lfs install --local >/dev/null; git lfs track '*.bin' "
	   ">/dev/null;"
	   "head -c 300000 /dev/zero | tr '\\0' x > big.bin; echo plain > plain.txt; git add -A; git commit "
	   "-qm one");
	assert_true(strncmp(sh_line("git -C up show main:big.bin"), "version https://git-lfs", 23) == 0);
	setenv("GIT_LFS_SKIP_SMUDGE", "1", 1);
	int result = export_ref("up", "main", "out", &err);
	unsetenv("GIT_LFS_SKIP_SMUDGE");
	assert_done(result, &err);
	sh("cmp up/big.bin out/big.bin; cmp up/plain.txt out/plain.txt");
	/* Content that is gone is an error that names the file, not a pointer in the release. */
	sh("rm -r up/.git/lfs home");
	assert_int_equal(export_ref("up", "main", "out2", &err), -1);
	assert_says(&err, "big.bin");
}

static void says_when_lfs_is_missing(void **state)
{
	struct err err = ERR_INIT;
	char *path = strdup(getenv("PATH"));

	(void)state;
	sh("git init -q -b main up; cd up; echo '*.bin filter=lfs' > .gitattributes; echo x > a.bin; git add "
	   "-A;"
	   "git commit -qm one; cd ..; mkdir bin; ln -s \"$(command -v git)\" bin/git");
	/* git finds its own subcommands elsewhere: an empty exec path has no lfs either. */
	setenv("PATH", test_path("bin"), 1);
	int missing = system("git lfs version >/dev/null 2>&1");
	int result = missing ? export_ref("up", "main", "out", &err) : 0;
	setenv("PATH", path, 1);
	free(path);
	assert_true(missing);
	assert_int_equal(result, -1);
	assert_says(&err, "a.bin");
	assert_says(&err, "Git LFS");
	assert_non_null(strstr(err.hint, "git-lfs"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, test_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_files_as_they_are),
		TEST(honours_the_attributes_of_the_tree),
		TEST(refuses_export_subst),
		TEST(brings_submodules_along),
		TEST(keeps_foreign_repositories_out_of_this_machine),
		TEST(brings_large_files_along),
		TEST(says_when_lfs_is_missing),
	};
	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
