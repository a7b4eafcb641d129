/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A cluster's InfluxDB, asked in the background. The thread makes rows and puts them where they are taken;
 * nobody holds the lock for longer than that takes.
 */
#include "influx.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../../common/clock.h"
#include "../../common/file.h"
#include "../../common/worker.h"
#include "influx_ask.h"

#define SECOND	  1000000000ull
#define LINGER_NS (60 * SECOND) /* that what was wanted is asked for on */

struct influx {
	struct influx_server server; /* the thread's, but for its end */
	double window;
	size_t rows_most;
	int known_schema; /* in which something was found last; -1: in none */

	int event_fd;
	pthread_mutex_t lock;
	struct worker worker; /* and all that follows is under the lock */
	/* CLOCK_MONOTONIC: until when it is wanted. */
	uint64_t figures_until_ns[DEEPMON_ENTITY_COUNT][TOP_FIGURE_COUNT], devices_until_ns;
	struct influx_want asked; /* of the last time */
	double interval;
	bool now;		 /* asks at once */
	struct influx_rows rows; /* to be taken */
	bool has_rows;
	bool is_asking, answered;
	double answer_seconds;
	char trouble[INFLUX_WHY_MAX + 256];

	/* Of whoever takes. */
	struct influx_host_state *hosts;
	size_t host_count;
};

/* ---- What is wanted ----------------------------------------------------------------------------- */

static struct influx_want wanted(const struct influx *influx)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct influx_want want = {.devices = influx->devices_until_ns > now_ns};

	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++)
		for (int i = 0; i < TOP_FIGURE_COUNT; i++)
			want.figures[entity][i] = influx->figures_until_ns[entity][i] > now_ns;
	return want;
}

/* Whether some of it was not asked for the last time. */
static bool note_want(struct influx *influx, const struct influx_want *want)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + LINGER_NS;
	bool is_new = want->devices && !influx->asked.devices;

	for (int entity = 0; entity < DEEPMON_ENTITY_COUNT; entity++)
		for (int i = 0; i < TOP_FIGURE_COUNT; i++) {
			if (!want->figures[entity][i])
				continue;
			influx->figures_until_ns[entity][i] = until_ns;
			is_new |= !influx->asked.figures[entity][i];
		}
	if (want->devices)
		influx->devices_until_ns = until_ns;
	return is_new;
}

void influx_want(struct influx *influx, const struct influx_want *want)
{
	pthread_mutex_lock(&influx->lock);
	if (note_want(influx, want)) {
		influx->now = true;
		worker_wake(&influx->worker);
	}
	pthread_mutex_unlock(&influx->lock);
}

void influx_ask_now(struct influx *influx)
{
	pthread_mutex_lock(&influx->lock);
	influx->now = true;
	worker_wake(&influx->worker);
	pthread_mutex_unlock(&influx->lock);
}

void influx_set_interval(struct influx *influx, double seconds)
{
	pthread_mutex_lock(&influx->lock);
	influx->interval = seconds;
	worker_wake(&influx->worker);
	pthread_mutex_unlock(&influx->lock);
}

/* ---- Asking ------------------------------------------------------------------------------------- */

static int ask_in(struct influx *influx, enum influx_schema schema, const struct influx_want *want,
		  struct influx_rows *rows)
{
	const struct influx_dialect dialect = {influx->server.api, schema, influx->server.database,
					       influx->window};
	int r = 0;

	/* From the last: if there are more rows than are kept, it is not the hosts themselves that lack. */
	for (size_t i = deepmon_measurement_count; i && !r; i--) {
		cleanup_free char *query =
		    influx_query(&dialect, want, &deepmon_measurement_table[i - 1], &r);

		if (query)
			r = influx_server_ask(&influx->server, query, rows);
		else if (r)
			snprintf(influx->server.why, sizeof(influx->server.why), "%s", strerror(-r));
	}
	return r;
}

/* In the schema that is there: while nothing is found, in each. */
static int ask(struct influx *influx, const struct influx_want *want, struct influx_rows *rows)
{
	int first = influx->known_schema < 0 ? 0 : influx->known_schema, r = 0;

	for (int i = 0; i < INFLUX_SCHEMAS && !r; i++) {
		int schema = (first + i) % INFLUX_SCHEMAS;

		r = ask_in(influx, (enum influx_schema)schema, want, rows);
		if (!r && rows->series) {
			influx->known_schema = schema;
			return 0;
		}
	}
	influx->known_schema = r ? influx->known_schema : -1;
	return r;
}

/* Under the lock. What was not taken is out of date. */
static void publish(struct influx *influx, struct influx_rows *rows, int error, double seconds)
{
	const uint64_t one = 1;

	if (error) {
		snprintf(influx->trouble, sizeof(influx->trouble), "%s", influx->server.why);
		influx_rows_clear(rows);
	} else {
		influx_rows_clear(&influx->rows);
		influx->rows = *rows;
		influx->has_rows = true;
		influx->answered = true;
		influx->answer_seconds = seconds;
		*influx->trouble = '\0';
		if (!rows->series)
			snprintf(influx->trouble, sizeof(influx->trouble),
				 "%.128s has nothing that deepmon told in the last %g s",
				 influx->server.database, influx->window);
		else if (rows->refused)
			snprintf(influx->trouble, sizeof(influx->trouble),
				 "more than %zu rows were told: what is beyond is not shown (--influx-rows)",
				 influx->rows_most);
	}
	if (write(influx->event_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void *run(void *argument)
{
	struct influx *influx = argument;

	pthread_mutex_lock(&influx->lock);
	while (!influx->worker.stopping) {
		uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
		const struct influx_want want = wanted(influx);
		struct influx_rows rows;
		int r;

		influx->asked = want;
		influx->now = false;
		influx->is_asking = true;
		pthread_mutex_unlock(&influx->lock);
		influx_rows_init(&rows, influx->rows_most, want.devices);
		r = ask(influx, &want, &rows);
		pthread_mutex_lock(&influx->lock);
		influx->is_asking = false;
		publish(influx, &rows, r, (double)(clock_ns(CLOCK_MONOTONIC) - begun_ns) / 1e9);
		while (!influx->worker.stopping && !influx->now) {
			uint64_t due_ns = begun_ns + (uint64_t)(influx->interval * 1e9);

			if (due_ns <= clock_ns(CLOCK_MONOTONIC))
				break;
			worker_wait(&influx->worker, due_ns);
		}
	}
	pthread_mutex_unlock(&influx->lock);
	return NULL;
}

/* ---- For whoever shows it ----------------------------------------------------------------------- */

int influx_open(struct influx **opened, const struct influx_settings *settings,
		const struct influx_want *want, char *why, size_t why_size)
{
	struct influx *influx = calloc(1, sizeof(*influx));
	int r;

	if (!influx)
		return -ENOMEM;
	influx->window = settings->window;
	influx->rows_most = (size_t)settings->rows;
	influx->interval = settings->interval;
	influx->known_schema = -1;
	pthread_mutex_init(&influx->lock, NULL);
	influx->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = influx->event_fd < 0 ? -errno : influx_server_open(&influx->server, settings);
	snprintf(why, why_size, "%s", *influx->server.why ? influx->server.why : strerror(-r));
	if (!r) {
		note_want(influx, want);
		r = worker_start(&influx->worker, &influx->lock, run, influx);
	}
	if (r) {
		influx_close(influx);
		return r;
	}
	*opened = influx;
	return 0;
}

static void forget_hosts(struct influx *influx)
{
	for (size_t i = 0; i < influx->host_count; i++)
		free(influx->hosts[i].name);
	free(influx->hosts);
	influx->hosts = NULL;
	influx->host_count = 0;
}

void influx_close(struct influx *influx)
{
	if (!influx)
		return;
	if (influx->server.http)
		http_client_stop(influx->server.http);
	worker_stop(&influx->worker);
	influx_server_close(&influx->server);
	influx_rows_clear(&influx->rows);
	forget_hosts(influx);
	file_close(&influx->event_fd);
	pthread_mutex_destroy(&influx->lock);
	free(influx);
}

int influx_fd(const struct influx *influx)
{
	return influx->event_fd;
}

/* Names go over to it. */
static int keep_hosts(struct influx *influx, struct influx_rows *rows)
{
	forget_hosts(influx);
	influx->hosts = calloc(rows->host_count, sizeof(*influx->hosts));
	if (!influx->hosts)
		return -ENOMEM;
	for (; influx->host_count < rows->host_count; influx->host_count++) {
		struct influx_host *host = rows->hosts[influx->host_count];

		influx->hosts[influx->host_count] =
		    (struct influx_host_state){host->name, host->newest_ns, host->rows};
		host->name = NULL;
	}
	return 0;
}

int influx_take(struct influx *influx, struct top_model *model)
{
	struct influx_rows rows = {0};
	uint64_t events;
	bool has_rows;
	int r;

	if (read(influx->event_fd, &events, sizeof(events)) < 0)
		return -EAGAIN;
	pthread_mutex_lock(&influx->lock);
	has_rows = influx->has_rows;
	if (has_rows) {
		rows = influx->rows;
		influx->rows = (struct influx_rows){0};
		influx->has_rows = false;
	}
	pthread_mutex_unlock(&influx->lock);
	r = has_rows ? influx_rows_tell(&rows, model) : -EAGAIN;
	if (!r)
		r = keep_hosts(influx, &rows);
	influx_rows_clear(&rows);
	return r == -ENODATA ? -EAGAIN : r;
}

void influx_look(struct influx *influx, struct influx_state *state)
{
	*state = (struct influx_state){.hosts = influx->hosts, .host_count = influx->host_count};
	for (size_t i = 0; i < influx->host_count; i++) {
		uint64_t time_ns = influx->hosts[i].newest_ns;

		state->newest_ns = time_ns > state->newest_ns ? time_ns : state->newest_ns;
		state->oldest_ns = !i || time_ns < state->oldest_ns ? time_ns : state->oldest_ns;
	}
	pthread_mutex_lock(&influx->lock);
	state->is_asking = influx->is_asking;
	state->answered = influx->answered;
	state->answer_seconds = influx->answer_seconds;
	memcpy(state->trouble, influx->trouble, sizeof(state->trouble));
	pthread_mutex_unlock(&influx->lock);
}
