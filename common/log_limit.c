/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Bounds the log. Uses nothing but the clock.
 */
#include "log_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

#define MINUTE_NS 60000000000u

void log_limit_init(struct log_limit *limit, const struct deepmon_logger *to, unsigned most)
{
	*limit = (struct log_limit){.most = most};
	if (to)
		limit->to = *to;
	pthread_mutex_init(&limit->lock, NULL);
}

void log_limit_destroy(struct log_limit *limit)
{
	pthread_mutex_destroy(&limit->lock);
}

bool log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *left_out)
{
	*left_out = 0;
	if (!limit->begun || now_ns - limit->minute_ns >= MINUTE_NS) {
		*left_out = limit->left_out;
		limit->begun = true;
		limit->minute_ns = now_ns;
		limit->said = 0;
		limit->left_out = 0;
	}
	if (limit->said == limit->most) {
		limit->left_out++;
		return false;
	}
	limit->said++;
	return true;
}

static void log_limited(void *user, enum deepmon_log_level level, const char *line)
{
	struct log_limit *limit = user;
	struct timespec now;
	uint64_t left_out = 0;
	bool may = level == DEEPMON_DEBUG;

	if (!may) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		pthread_mutex_lock(&limit->lock);
		may = log_limit_take(limit, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
				     &left_out);
		pthread_mutex_unlock(&limit->lock);
	}
	if (left_out)
		log_warning(&limit->to,
			    "%" PRIu64 " lines of log were left out: MaxLogLines allows %u in a minute",
			    left_out, limit->most);
	if (may)
		limit->to.log(limit->to.user, level, line);
}

struct deepmon_logger log_limit_logger(struct log_limit *limit)
{
	return (struct deepmon_logger){.log = limit->to.log ? log_limited : NULL, .user = limit};
}
