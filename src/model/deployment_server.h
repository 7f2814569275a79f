/* What a deployment did on each of its servers. */
#pragma once

#include "model/model.h"

enum server_verdict {
	SERVER_PENDING = 1, /* nothing known yet */
	SERVER_OLD,	    /* has what it had before */
	SERVER_NEW,	    /* the new activation is live and verified */
	SERVER_NOT_CHECKED, /* the new activation is live; nothing verifies it */
	SERVER_UNVERIFIED,  /* the new activation is live; its verification failed */
	SERVER_RESTORED,    /* was switched and taken back */
	SERVER_UNKNOWN,	    /* could not be read again */
};
const char *server_verdict_name(enum server_verdict verdict);

struct deployment_server {
	const char *deployment; /* id; required */
	const char *server;	/* canonical place (place_key); required */
	const char *label;	/* for people: "deploy@web1:/var/www/shop" */
	const char *previous;	/* activation live before; NULL: none */
	const char *activation; /* the new one; NULL: not prepared */
	int64_t files;		/* sent */
	int64_t bytes;		/* sent over the line */
	int64_t duration_ms;
	enum server_verdict verdict;
	const char *error; /* NULL: none */
};

struct deployment_server_list {
	struct deployment_server *items;
	size_t count;
};

/* Inserts or replaces. The deployment must exist. */
int deployment_server_put(struct db *db, const struct deployment_server *row, struct err *err) CHECKED;
/* All of them, in one transaction. */
int deployment_server_put_all(struct db *db, const struct deployment_server *rows, size_t count,
			      struct err *err) CHECKED;
/* In the order they were put first. */
int deployment_server_list(struct db *db, struct arena *arena, const char *deployment,
			   struct deployment_server_list *out, struct err *err) CHECKED;
