/* A Rails application: a Gemfile that names rails. */
#include "project/init.h"

static bool recognise(int dir_fd)
{
	return init_holds(dir_fd, "Gemfile", "rails");
}

extern const struct init_row init_rails;
const struct init_row init_rails = {
	.name = "rails",
	.words = "a Rails application",
	.recognise = recognise,
	.build = "build:\n"
		 "  run:\n"
		 "    - bundle config set --local deployment true\n"
		 "    - bundle install\n"
		 "    - bundle exec rails assets:precompile\n"
		 "  cache: [vendor/bundle]\n"
		 "  env: { RAILS_ENV: production, SECRET_KEY_BASE_DUMMY: \"1\" }\n",
	.deploy = "  shared_dirs: [log, storage, tmp/pids]   # outlive releases\n"
		  "  shared_files: [config/master.key]\n"
		  "  generated: [tmp/cache]        # written by the application: never an edit\n"
		  "  # reload: \"systemd:puma\"\n",
};
