#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* https://no-color.org: any non-empty value switches colour off. */
static bool colour_wanted(int fd)
{
	const char *no_color = getenv("NO_COLOR");
	if (no_color && *no_color)
		return false;
	const char *term = getenv("TERM");
	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

void terminal_probe(struct terminal *terminal, bool no_colour)
{
	struct winsize size;

	*terminal = (struct terminal){ .columns = 80 };
	terminal->is_tty = isatty(STDERR_FILENO);
	terminal->colour = !no_colour && colour_wanted(STDOUT_FILENO);
	terminal->colour_err = !no_colour && colour_wanted(STDERR_FILENO);
	if (terminal->is_tty && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		terminal->columns = size.ws_col;
}

const char *style_begin(bool colour, enum style style)
{
	static const char *const sequences[] = {
		[STYLE_PLAIN] = "",	       [STYLE_BOLD] = "\033[1m",   [STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m",     [STYLE_BAD] = "\033[31m",   [STYLE_WARN] = "\033[33m",
		[STYLE_ACCENT] = "\033[36m",
	};
	return colour ? sequences[style] : "";
}

const char *style_end(bool colour, enum style style)
{
	return colour && style != STYLE_PLAIN ? "\033[0m" : "";
}
