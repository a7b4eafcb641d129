/* SPDX-License-Identifier: GPL-3.0-only
 *
 * One question to an InfluxDB, and its answer as rows: of influx.c alone.
 */
#ifndef DEEPMON_TOP_INFLUX_ASK_H
#define DEEPMON_TOP_INFLUX_ASK_H

#include "../../common/http_client.h"
#include "influx.h"
#include "influx_rows.h"

/* The server, and who asks: texts of its own. */
struct influx_server {
	struct http_client *http;
	enum influx_api api;
	char *url; /* with all that is the same for each question */
	char *database;
	char *authorization; /* NULL: none */
	char *ca_file;
	int timeout_ms;
	size_t answer_most;
	char why[INFLUX_WHY_MAX]; /* of the last failure */
};

/* -EINVAL, -ENOSYS, -ENOMEM; why tells. To be closed in any case. */
int influx_server_open(struct influx_server *server, const struct influx_settings *settings);
void influx_server_close(struct influx_server *server);

/* -errno: why tells. Rows may have some of the answer then. */
int influx_server_ask(struct influx_server *server, const char *query, struct influx_rows *rows);

#endif
