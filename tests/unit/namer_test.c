/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The namer beside a collector: containers that come, go, come back and get new names at random while it
 * looks, reads and asks. In the end each goes by its name, and nothing that was used is lost. For
 * ThreadSanitizer, too.
 */
#include "../../common/namer.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/cgroups.h"
#include "random.h"

static const struct deepmon_logger silent;

#define CONTAINERS 24
#define STEPS	   1500
#define ENDED_MOST 6

/* ---- The runtime -------------------------------------------------------------------------------- */

static struct container {
	char id[65], name[32];
	bool readable; /* there is something that tells its name */
	uint64_t written;
	uint64_t cgroup; /* 0: it does not run */
} containers[CONTAINERS];
static unsigned next_name;
static uint64_t next_cgroup;
static pthread_mutex_t runtime = PTHREAD_MUTEX_INITIALIZER; /* of all that */

static struct container *find_container(const char *id)
{
	for (int i = 0; i < CONTAINERS; i++)
		if (!strcmp(containers[i].id, id))
			return &containers[i];
	return NULL;
}

bool names_can_be_read(const struct names *names)
{
	(void)names;
	return true;
}

int names_read(const struct names *names, struct identity *identity)
{
	struct container *container;
	int r = -ENOENT;

	(void)names;
	pthread_mutex_lock(&runtime);
	container = find_container(identity->id);
	if (container && container->readable) {
		strcpy(identity->name, container->name);
		identity->named = true;
		r = 0;
	}
	pthread_mutex_unlock(&runtime);
	return r;
}

/* One in a while does not answer in time. */
int names_ask(const struct names *names, struct identity *identity)
{
	static unsigned asked;

	return ++asked % 7 ? names_read(names, identity) : -ETIMEDOUT;
}

int names_ask_more(const struct names *names, struct identity *identity)
{
	(void)names, (void)identity;
	return -ENOENT;
}

void names_identify(const struct names *names, const char *path, struct identity *identity)
{
	(void)names;
	identity_from_path(path, identity);
}

bool names_may_change(const char *which)
{
	return which != NULL;
}

uint64_t names_written(const struct names *names, const struct identity *identity)
{
	const struct container *container;
	uint64_t written;

	(void)names;
	pthread_mutex_lock(&runtime);
	container = find_container(identity->id);
	written = container ? container->written : 0;
	pthread_mutex_unlock(&runtime);
	return written;
}

/* ---- The collector ------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct names names;
static struct groups groups;
static struct cgroups cgroups;
static struct namer namer;
static uint64_t used; /* in all */

/* Under the lock: what one uses, and then no report has told of it. */
static void use(const struct container *container)
{
	struct cgroup *cgroup = cgroups_find(&cgroups, container->cgroup);

	must(cgroup != NULL);
	cgroup->group->account.used.cpu_ns++;
	used++;
}

static void start(struct container *container)
{
	char path[128];

	container->cgroup = ++next_cgroup;
	snprintf(path, sizeof(path), "/docker/%s", container->id);
	must(cgroups_add(&cgroups, container->cgroup, path) != NULL);
	use(container);
	namer_wake(&namer);
}

static void stop(struct container *container)
{
	struct cgroup *cgroup = cgroups_find(&cgroups, container->cgroup);

	must(cgroup != NULL);
	use(container);
	cgroups_remove(&cgroups, container->cgroup, 1);
	cgroups.removed = cgroup->next;
	cgroups_forget(&cgroups, cgroup);
	groups_forget_ended(&groups);
	container->cgroup = 0;
}

/* Sometimes to a name that another one has, or had. */
static void rename_it(struct container *container)
{
	unsigned number = random_number() % 2 ? next_name++ : (unsigned)(random_number() % (next_name + 1));

	pthread_mutex_lock(&runtime);
	snprintf(container->name, sizeof(container->name), "c%u", number);
	container->written++;
	pthread_mutex_unlock(&runtime);
}

static void make_readable(struct container *container)
{
	pthread_mutex_lock(&runtime);
	container->readable = true;
	container->written++;
	pthread_mutex_unlock(&runtime);
}

static void step(void)
{
	struct container *container = &containers[random_number() % CONTAINERS];

	switch (random_number() % 4) {
	case 0:
		rename_it(container);
		break;
	case 1:
		make_readable(container);
		break;
	default:
		pthread_mutex_lock(&lock);
		if (container->cgroup)
			stop(container);
		else
			start(container);
		pthread_mutex_unlock(&lock);
	}
}

/* ---- In the end --------------------------------------------------------------------------------- */

static uint64_t used_of_all(void)
{
	uint64_t sum = groups.dropped[IDENTITY_CONTAINER].cpu_ns;

	for (size_t i = 0; i < groups.count; i++)
		sum += groups.all[i]->account.used.cpu_ns;
	return sum;
}

/* By its name, or by that and what parts it from another that has it. */
static bool goes_by_its_name(const struct container *container)
{
	const struct group *group = groups_find_container(&groups, container->id, -1);
	size_t length = strlen(container->name);

	return group && group->named && group_lives(group) &&
	       !strncmp(group->name, container->name, length) &&
	       (!group->name[length] || group->name[length] == '~') &&
	       cgroups_find(&cgroups, container->cgroup)->group == group;
}

static int count_named(void)
{
	int count = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < CONTAINERS; i++)
		count += goes_by_its_name(&containers[i]);
	pthread_mutex_unlock(&lock);
	return count;
}

static void check_all_are_apart(void)
{
	for (size_t i = 0; i < groups.count; i++)
		for (size_t other = 0; other < i; other++)
			must(strcmp(groups.all[i]->name, groups.all[other]->name) != 0);
}

static void run(uint64_t seed)
{
	random_begin(seed);
	memset(containers, 0, sizeof(containers));
	used = 0;
	groups_init(&groups, 1, ENDED_MOST);
	cgroups_init(&cgroups, NULL, &names, &groups, 1000);
	for (int i = 0; i < CONTAINERS; i++) {
		snprintf(containers[i].id, sizeof(containers[i].id), "%064x", i + 1);
		rename_it(&containers[i]);
	}
	ck_assert_int_eq(namer_start(&namer, &names, &groups, &cgroups, NULL, &silent, &lock), 0);
	for (random_step = 0; random_step < STEPS; random_step++) {
		step();
		usleep((useconds_t)random_below(3000));
	}
	for (int i = 0; i < CONTAINERS; i++) {
		make_readable(&containers[i]);
		pthread_mutex_lock(&lock);
		if (!containers[i].cgroup)
			start(&containers[i]);
		pthread_mutex_unlock(&lock);
	}
	/* One that did not answer is not asked for 10 s, and late names are looked for less and less often.
	 */
	for (int tries = 0; tries < 300 && count_named() < CONTAINERS; tries++)
		usleep(100000);
	ck_assert_int_eq(count_named(), CONTAINERS);
	namer_stop(&namer);
	ck_assert_uint_eq(used_of_all(), used);
	check_all_are_apart();
	cgroups_clear(&cgroups);
	groups_clear(&groups);
}

START_TEST(each_goes_by_its_name_in_the_end)
{
	random_seeds("namer", run, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namer");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(all, each_goes_by_its_name_in_the_end);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
