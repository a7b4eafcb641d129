/* SPDX-License-Identifier: GPL-3.0-only
 *
 * collectd's notifications: a warning when something is not measured, an okay when it is again.
 */
#include <collectd/core/daemon/collectd.h>

#include <collectd/core/daemon/plugin.h>
#include <collectd/core/daemon/utils_cache.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "notices.h"

static const struct {
	bool told;
	int severity;
} levels[] = {
    [DEEPMON_ERROR] = {true, NOTIF_FAILURE},
    [DEEPMON_WARNING] = {true, NOTIF_WARNING},
    [DEEPMON_RECOVERED] = {true, NOTIF_OKAY},
    [DEEPMON_DEBUG] = {false, 0},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct notice {
	cdtime_t time;
	int severity;
	char text[NOTIF_MAX_MSG_LEN];
} kept[NOTICES_MAX];
static size_t count;

void notices_add(enum deepmon_log_level level, const char *line)
{
	if (!levels[level].told)
		return;
	pthread_mutex_lock(&lock);
	if (count < NOTICES_MAX) {
		struct notice *notice = &kept[count++];

		notice->time = cdtime();
		notice->severity = levels[level].severity;
		/* The whole of a long one is in the log. */
		if (snprintf(notice->text, sizeof(notice->text), "%s", line) >= (int)sizeof(notice->text))
			memcpy(notice->text + sizeof(notice->text) - 4, "...", 4);
	}
	pthread_mutex_unlock(&lock);
}

static void dispatch(const struct notice *notice)
{
	notification_t notification = {
	    .severity = notice->severity, .time = notice->time, .plugin = "deepmon"};

	snprintf(notification.message, sizeof(notification.message), "%s", notice->text);
	snprintf(notification.host, sizeof(notification.host), "%s", hostname_g);
	plugin_dispatch_notification(&notification);
}

void notices_dispatch(void)
{
	struct notice taken[NOTICES_MAX];
	size_t taken_count;

	pthread_mutex_lock(&lock);
	taken_count = count;
	memcpy(taken, kept, taken_count * sizeof(*taken));
	count = 0;
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < taken_count; i++)
		dispatch(&taken[i]);
}
