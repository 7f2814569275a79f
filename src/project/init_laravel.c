/* A Laravel application: artisan beside composer.json. */
#include "project/init.h"

static bool recognise(int dir_fd)
{
	return init_has(dir_fd, "artisan") && init_has(dir_fd, "composer.json");
}

extern const struct init_row init_laravel;
const struct init_row init_laravel = {
	.name = "laravel",
	.words = "a Laravel application",
	.recognise = recognise,
	.build = "build:\n"
		 "  run:\n"
		 "    - composer install --no-dev --no-interaction --optimize-autoloader\n"
		 "    # - npm ci\n"
		 "    # - npm run build\n"
		 "  cache: [~/.cache/composer]\n"
		 "  exclude: [tests/, phpunit.xml]\n",
	.deploy = "  shared_dirs: [storage]        # outlive releases\n"
		  "  shared_files: [.env]\n"
		  "  generated: [bootstrap/cache]  # written by the application: never an edit\n"
		  "  # user: www-data              # who runs the application\n"
		  "  # reload: \"systemd:php8.3-fpm\"\n"
		  "  hooks:\n"
		  "    after_prepare: php artisan config:cache\n",
};
