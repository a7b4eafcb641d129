/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reads what memory the processes of groups map, by turns: through census.h alone, and never under the
 * lock.
 *
 * In a round each group has its turn once. Those of which nothing is known come first, as soon as the budget
 * allows; the others are spread over the interval, those whose figures are oldest before the rest. A round
 * that does not fit into its interval takes longer.
 */
#include "surveyor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "log.h"
#include "recorder.h"
#include "root.h"
#include "texts.h"

/* Rests are not shorter, so that waking up costs little: a budget is overdrawn by its share of that. */
#define REST_NS 20000000ull

#define THREAD_NAME "deepmon-survey"

/* The words of the option ProportionalMemory, in its order. */
enum { PROPORTIONAL_OFF, PROPORTIONAL_ON };

/* A topmost cgroup of the round under way. */
struct survey_cgroup {
	uint64_t id;
	const char *path;
	const struct group *group; /* to tell those of one group by; it may be gone meanwhile */
	uint64_t read_ns;	   /* when that group was read last */
};

struct survey {
	const struct surveyor *surveyor;
	struct survey_cgroup *all;
	size_t count, capacity;
	struct texts paths;
};

/* ---- Whose turn it is --------------------------------------------------------------------------- */

static bool make_room(struct survey *survey)
{
	if (survey->count < survey->capacity)
		return true;

	size_t capacity = survey->capacity ? survey->capacity * 2 : 64;
	struct survey_cgroup *all = reallocarray(survey->all, capacity, sizeof(*all));

	if (!all)
		return false;
	survey->all = all;
	survey->capacity = capacity;
	return true;
}

static void choose(void *user, struct cgroup *cgroup, bool holds_others)
{
	struct survey *survey = user;
	const char *path;

	if (!cgroup_is_its_own(cgroup, holds_others) ||
	    !told_may_tell(survey->surveyor->told, cgroup->group, DEEPMON_SUBJECT_MEMORY) ||
	    !make_room(survey))
		return;
	path = texts_keep(&survey->paths, cgroup->path);
	if (path)
		survey->all[survey->count++] =
		    (struct survey_cgroup){cgroup->id, path, cgroup->group, cgroup->group->resident.read_ns};
}

static int compare_turns(const void *a, const void *b)
{
	const struct survey_cgroup *left = a, *right = b;

	if (left->read_ns != right->read_ns)
		return left->read_ns < right->read_ns ? -1 : 1;
	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

static void begin_round(struct survey *survey)
{
	const struct surveyor *surveyor = survey->surveyor;

	survey->count = 0;
	texts_clear(&survey->paths);
	pthread_mutex_lock(surveyor->lock);
	cgroups_each_topmost(surveyor->cgroups, choose, survey);
	pthread_mutex_unlock(surveyor->lock);
	if (survey->count)
		qsort(survey->all, survey->count, sizeof(*survey->all), compare_turns);
}

/* ---- Within the budget -------------------------------------------------------------------------- */

/* false: it is to stop. */
static bool rest_until(struct surveyor *surveyor, uint64_t moment)
{
	bool goes_on;

	pthread_mutex_lock(&surveyor->own_lock);
	while (!surveyor->worker.stopping && worker_wait(&surveyor->worker, moment))
		;
	goes_on = !surveyor->worker.stopping;
	pthread_mutex_unlock(&surveyor->own_lock);
	return goes_on;
}

static bool keep_pace(void *user)
{
	struct surveyor *surveyor = user;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	pace_work(&surveyor->pace, now, cpu_ns);
	__atomic_store_n(&surveyor->cpu_ns, cpu_ns, __ATOMIC_RELAXED);
	return surveyor->pace.free_ns < now + REST_NS || rest_until(surveyor, surveyor->pace.free_ns);
}

/* ---- What can't be read ------------------------------------------------------------------------- */

enum { SAID_PERMISSION = 1, SAID_KERNEL = 2, SAID_NAMESPACE = 4, SAID_OTHER = 8 };

static bool said_before(struct surveyor *surveyor, unsigned what)
{
	bool before = surveyor->said & what;

	surveyor->said |= what;
	surveyor->failed |= what;
	return before;
}

/* Once each, until it is no more. */
static void say(struct surveyor *surveyor, int r)
{
	const struct deepmon_logger *logger = surveyor->logger;

	if (r == -EACCES) {
		if (!said_before(surveyor, SAID_PERMISSION))
			log_warning(logger,
				    "ProportionalMemory: some processes' smaps_rollup can't be read "
				    "(Permission denied): RSS, PSS and USS of their containers and units are "
				    "left out. Run as root, or with CAP_SYS_PTRACE");
	} else if (r == -ENOSYS) {
		if (!said_before(surveyor, SAID_KERNEL))
			log_warning(
			    logger,
			    "ProportionalMemory: the kernel has no /proc/PID/smaps_rollup: RSS, PSS "
			    "and USS are left out. It takes Linux 4.14 with CONFIG_PROC_PAGE_MONITOR");
	} else if (r == -EXDEV) {
		if (!said_before(surveyor, SAID_NAMESPACE))
			log_warning(
			    logger,
			    "ProportionalMemory: deepmon is in a pid namespace other than the "
			    "processes of some cgroups, or than ProcRoot is of: their RSS, PSS and USS "
			    "are left out. Run it in the host's (hostPID: true, --pid=host)");
	} else if (!said_before(surveyor, SAID_OTHER)) {
		log_warning(
		    logger,
		    "ProportionalMemory: the processes of a container or unit can't be read (%s): its "
		    "RSS, PSS and USS are left out until they can",
		    strerror(-r));
	}
}

/* At the end of a round that came to all. */
static void say_well(struct surveyor *surveyor)
{
	if (surveyor->said && !surveyor->failed)
		log_recovered(
		    surveyor->logger,
		    "ProportionalMemory: the processes of all containers and units can be read: RSS, PSS "
		    "and USS of all are told");
	surveyor->said = surveyor->failed;
	surveyor->failed = 0;
}

/* A proc file system tells each reader who he is by its own numbers. A tree made by hand need not. */
static bool has_our_numbers(int proc_fd)
{
	struct stat status;
	char text[32];
	ssize_t length = readlinkat(proc_fd, "self", text, sizeof(text) - 1);
	uint64_t pid;

	if (length < 0)
		return fstatat(proc_fd, "self", &status, AT_SYMLINK_NOFOLLOW) != 0;
	text[length] = '\0';
	return parse_u64(text, &pid) == 0 && pid == (uint64_t)getpid();
}

/* ---- The rounds --------------------------------------------------------------------------------- */

/* The group goes by the first of those cgroups that is still there. */
static void tell(struct surveyor *surveyor, const struct survey_cgroup *cgroups, size_t count,
		 const struct resident *resident)
{
	const struct cgroup *cgroup = NULL;

	pthread_mutex_lock(surveyor->lock);
	for (size_t i = 0; i < count && (!cgroup || cgroup->removed_ns); i++)
		cgroup = cgroups_find(surveyor->cgroups, cgroups[i].id);
	if (cgroup && !cgroup->removed_ns) {
		recorder_resident(surveyor->cgroups->recorder, cgroup->id, resident);
		cgroup->group->resident = *resident;
	}
	pthread_mutex_unlock(surveyor->lock);
}

/* The turn of one group, with all its topmost cgroups. false: it is to stop. */
static bool take_turn(struct surveyor *surveyor, const struct survey_cgroup *cgroups, size_t count)
{
	struct resident resident = {.read_ns = clock_ns(CLOCK_MONOTONIC)};
	const char **paths = reallocarray(NULL, count, sizeof(*paths));
	int r = paths ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !r; i++)
		paths[i] = cgroups[i].path;
	if (!r)
		r = census_take(&surveyor->census, paths, count, &resident);
	free(paths);
	if (r == -ECANCELED)
		return false;
	if (r)
		say(surveyor, r);
	tell(surveyor, cgroups, count, &resident);
	return keep_pace(surveyor);
}

static bool run_round(struct surveyor *surveyor, const struct survey *survey)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	double step_ns = (double)surveyor->interval_ns / (double)(survey->count + 1);
	size_t end;

	for (size_t i = 0; i < survey->count; i = end) {
		const struct survey_cgroup *first = &survey->all[i];

		end = i + 1;
		while (end < survey->count && survey->all[end].group == first->group)
			end++;
		if (first->read_ns && !rest_until(surveyor, began + (uint64_t)(step_ns * (double)i)))
			return false;
		if (!take_turn(surveyor, first, end - i))
			return false;
	}
	say_well(surveyor);
	return rest_until(surveyor, began + surveyor->interval_ns);
}

static void *run(void *argument)
{
	struct surveyor *surveyor = argument;
	struct survey survey = {.surveyor = surveyor};

	pthread_setname_np(pthread_self(), THREAD_NAME);
	do
		begin_round(&survey);
	while (keep_pace(surveyor) && run_round(surveyor, &survey));
	texts_clear(&survey.paths);
	free(survey.all);
	return NULL;
}

/* ---- From outside ------------------------------------------------------------------------------- */

bool surveyor_is_wanted(const struct deepmon_options *options)
{
	return options->proportional_memory == PROPORTIONAL_ON;
}

int surveyor_start(struct surveyor *surveyor, const struct deepmon_options *options, struct cgroups *cgroups,
		   struct told *told, pthread_mutex_t *lock, const struct deepmon_logger *logger)
{
	char proc_root[ROOT_PATH_MAX];
	int r;

	*surveyor = (struct surveyor){
	    .logger = logger,
	    .cgroups = cgroups,
	    .told = told,
	    .lock = lock,
	    .interval_ns = (uint64_t)(options->proportional_memory_interval * 1e9),
	    .pace = {.share = options->proportional_memory_budget / 100},
	};
	root_proc(options, proc_root);
	surveyor->census = (struct census){
	    .hierarchy = cgroups->hierarchy,
	    .proc_fd = open(*proc_root ? proc_root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .pause = keep_pace,
	    .user = surveyor,
	};
	if (surveyor->census.proc_fd < 0) {
		r = -errno;
		log_warning(
		    logger,
		    "ProcRoot: %s can't be opened (%s): RSS, PSS and USS are left out. Set it to where "
		    "the host's /proc is",
		    proc_root, strerror(-r));
		return r;
	}
	pthread_mutex_init(&surveyor->own_lock, NULL);
	r = has_our_numbers(surveyor->census.proc_fd)
		? worker_start(&surveyor->worker, &surveyor->own_lock, run, surveyor)
		: -EXDEV;
	if (r) {
		say(surveyor, r);
		file_close(&surveyor->census.proc_fd);
	}
	return r;
}

void surveyor_stop(struct surveyor *surveyor)
{
	if (!surveyor->worker.runs)
		return;
	worker_stop(&surveyor->worker);
	pthread_mutex_destroy(&surveyor->own_lock);
	file_close(&surveyor->census.proc_fd);
}

bool surveyor_cpu_time(const struct surveyor *surveyor, uint64_t *cpu_ns)
{
	*cpu_ns = __atomic_load_n(&surveyor->cpu_ns, __ATOMIC_RELAXED);
	return surveyor->worker.runs;
}
