/* Names that builds bake into their result. A release is built once for all
 * environments, so such a value cannot differ between them, unless it is put in
 * afterwards (`files: [{substitute: …}]`, template_substitute). */
#include "values/contract.h"

bool value_name_baked(struct slice name)
{
	/* Not NUXT_PUBLIC_: Nuxt 3 reads those when it runs. */
	static const char *const prefixes[] = {
		"VITE_",	/* Vite */
		"NEXT_PUBLIC_", /* Next.js */
		"REACT_APP_",	/* Create React App */
		"VUE_APP_",	/* Vue CLI */
		"GATSBY_",	/* Gatsby */
		"EXPO_PUBLIC_", /* Expo */
		"NG_APP_",	/* Angular with @ngx-env/builder */
		"MIX_",		/* Laravel Mix */
		"GRIDSOME_",	/* Gridsome */
		"RAZZLE_",	/* Razzle */
		"STORYBOOK_",	/* Storybook */
		"PUBLIC_",	/* Astro, SvelteKit */
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (name.len && name.ptr[0] == prefixes[i][0] && slice_starts_with(name, prefixes[i]) &&
		    name.len > strlen(prefixes[i]))
			return true;
	return false;
}
