/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Groups of cgroups: who is one, how they end and come back, and that no nanosecond is lost on the way.
 */
#include "../../common/groups.h"
#include "../../common/processes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(of)  (sizeof(of) / sizeof((of)[0]))
#define SOCKETS	   2
#define ENDED_MOST 3

static struct groups groups;

static void set_up(void)
{
	groups_init(&groups, SOCKETS, ENDED_MOST);
}

static void tear_down(void)
{
	groups_clear(&groups);
}

static struct identity identity_of(enum identity_kind kind, const char *name, const char *id)
{
	struct identity identity = {
	    .kind = kind, .runtime = kind == IDENTITY_CONTAINER ? "docker" : NULL, .user = -1};

	snprintf(identity.name, sizeof(identity.name), "%s", name);
	snprintf(identity.id, sizeof(identity.id), "%s", id);
	return identity;
}

static struct group *join(const char *name, const char *id)
{
	struct identity identity = identity_of(IDENTITY_CONTAINER, name, id);
	struct group *group = groups_join(&groups, &identity);

	ck_assert(group);
	return group;
}

static struct group *join_system(const char *name)
{
	struct identity identity = identity_of(IDENTITY_SYSTEM, name, "");
	struct group *group = groups_join(&groups, &identity);

	ck_assert(group);
	return group;
}

/* Gives the group that name as its runtime would. */
static struct group *name(struct group *group, const char *given)
{
	struct identity identity = identity_of(IDENTITY_CONTAINER, given, group->id);

	identity.named = true;
	snprintf(identity.image, sizeof(identity.image), "nginx");
	return groups_name(&groups, group, &identity);
}

static struct group *find(enum identity_kind kind, const char *wanted)
{
	for (size_t i = 0; i < groups.count; i++)
		if (groups.all[i]->kind == kind && !strcmp(groups.all[i]->name, wanted))
			return groups.all[i];
	return NULL;
}

/* ---- Joining and leaving ----------------------------------------------------------------------- */

START_TEST(a_kind_and_a_name_are_one_group)
{
	struct group *web = join("web", "id1");

	ck_assert_ptr_eq(join("web", "id1"), web);
	ck_assert_uint_eq(web->cgroups, 2);
	ck_assert_ptr_ne(join("db", "id2"), web);
	ck_assert_ptr_ne(join_system("web"), web);
	ck_assert_uint_eq(groups.count, 3);
	ck_assert_int_eq(group_part(web), PART_CONTAINER);
	ck_assert_int_eq(group_part(find(IDENTITY_SYSTEM, "web")), PART_SYSTEM);
}
END_TEST

START_TEST(the_last_to_leave_ends_it)
{
	struct group *web = join("web", "id1");

	join("web", "id1");
	groups_leave(&groups, web);
	ck_assert_uint_eq(web->ended_number, 0);
	ck_assert_uint_eq(groups.ended_count, 0);
	web->reported = true;
	groups_leave(&groups, web);
	ck_assert_uint_eq(web->ended_number, 1);
	ck_assert_uint_eq(groups.ended_count, 1);
	ck_assert_msg(!web->reported, "its end is not in a report yet");
}
END_TEST

START_TEST(who_comes_back_goes_on)
{
	struct group *web = join("web", "id1");

	web->account.used.cpu_ns = 5;
	web->account.claims[1].weight = 7;
	groups_leave(&groups, web);
	ck_assert_ptr_eq(join("web", "id2"), web);
	ck_assert_uint_eq(web->account.used.cpu_ns, 5);
	ck_assert_uint_eq(web->account.claims[1].weight, 7);
	ck_assert_uint_eq(web->ended_number, 0);
	ck_assert_uint_eq(groups.ended_count, 0);
	ck_assert_str_eq(web->id, "id2");
	ck_assert_ptr_eq(groups_find_container(&groups, "id2", -1), web);
	ck_assert_ptr_null(groups_find_container(&groups, "id1", -1));
}
END_TEST

START_TEST(a_container_is_found_by_its_id)
{
	struct group *web = join("web", "id1");

	join_system("unit");
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), web);
	ck_assert_ptr_null(groups_find_container(&groups, "id", -1));
	ck_assert_msg(!groups_find_container(&groups, "", -1), "system groups have no id to be found by");
	/* Two runtimes may claim one id: the first keeps it. */
	join("other", "id1");
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), web);
}
END_TEST

START_TEST(a_container_that_comes_back_under_another_name)
{
	struct group *old = join("old", "id1"), *new;

	groups_leave(&groups, old);
	new = join("new", "id1");
	ck_assert_ptr_ne(new, old);
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), new);
	groups_leave(&groups, new);
	ck_assert_ptr_eq(join("old", "id1"), old);
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), new);
}
END_TEST

START_TEST(one_id_of_two_users_is_two_containers)
{
	struct identity identity = identity_of(IDENTITY_CONTAINER, "web", "id1");
	struct group *roots = join("web", "id1"), *users;

	identity.user = 1000;
	groups_part(&groups, &identity);
	ck_assert_str_ne(identity.name, "web");
	users = groups_join(&groups, &identity);
	ck_assert_ptr_ne(users, roots);
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), roots);
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", 1000), users);
}
END_TEST

/* ---- Forgetting -------------------------------------------------------------------------------- */

START_TEST(those_that_ended_longest_ago_are_forgotten)
{
	static const char *const order[] = {"c", "a", "e", "b", "d"};

	for (size_t i = 0; i < COUNT(order); i++)
		join(order[i], order[i]);
	for (size_t i = 0; i < COUNT(order); i++) {
		find(IDENTITY_CONTAINER, order[i])->reported = true;
		groups_leave(&groups, find(IDENTITY_CONTAINER, order[i]));
	}
	find(IDENTITY_CONTAINER, "a")->reported = true;
	groups_forget_ended(&groups);
	ck_assert_uint_eq(groups.count, ENDED_MOST);
	ck_assert(!find(IDENTITY_CONTAINER, "c") && !find(IDENTITY_CONTAINER, "a"));
	ck_assert_msg(groups.ended_unreported == 1, "c was not in a report, a was");
	ck_assert_ptr_null(groups_find_container(&groups, "c", -1));
	groups_forget_ended(&groups);
	ck_assert_uint_eq(groups.count, ENDED_MOST);
}
END_TEST

START_TEST(the_living_are_never_forgotten)
{
	for (int i = 0; i < 10; i++) {
		char text[16];

		snprintf(text, sizeof(text), "c%d", i);
		join(text, text);
	}
	groups_forget_ended(&groups);
	ck_assert_uint_eq(groups.count, 10);
	ck_assert_uint_eq(groups.ended_unreported, 0);
}
END_TEST

/* ---- Names ------------------------------------------------------------------------------------- */

START_TEST(a_name_is_given)
{
	struct group *web = join("0123456789ab", "id1");

	ck_assert_ptr_eq(name(web, "web"), web);
	ck_assert_str_eq(web->name, "web");
	ck_assert_str_eq(web->image, "nginx");
	ck_assert(web->named);
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), web);
	ck_assert_ptr_eq(join("web", "id1"), web);
	/* The name that stood in for it is free again. */
	ck_assert_ptr_ne(join("0123456789ab", "id2"), web);
	ck_assert_ptr_eq(name(web, "web"), web);
}
END_TEST

static struct process *process(const char *name, uint64_t cpu_ns)
{
	struct process *process = calloc(1, sizeof(*process));

	ck_assert_ptr_nonnull(process);
	snprintf(process->name, sizeof(process->name), "%s", name);
	process->told.cpu_ns = cpu_ns;
	return process;
}

/* Of all of that name, of which there must be one. */
static uint64_t cpu_ns_of(const struct group *group, const char *name)
{
	uint64_t cpu_ns = 0;
	int count = 0;

	for (const struct process *p = group->processes; p; p = p->next) {
		if (strcmp(p->name, name) != 0)
			continue;
		cpu_ns += p->told.cpu_ns;
		count++;
	}
	ck_assert_int_eq(count, 1);
	return cpu_ns;
}

START_TEST(a_name_that_has_ended_takes_both_together)
{
	struct group *old = join("web", "id1"), *young = join("0123456789ab", "id2");

	old->account.used.cpu_ns = 5;
	old->account.reported.cpu_ns = 4;
	groups_leave(&groups, old);
	young->account.used.cpu_ns = 30;
	young->account.used.energy_uj[0] = 100;
	old->processes = process("nginx", 1);
	old->processes->next = process("sh", 2);
	young->processes = process("sh", 40);
	young->processes->next = process("php", 80);
	ck_assert_ptr_eq(name(young, "web"), old);
	ck_assert_uint_eq(groups.count, 1);
	ck_assert_uint_eq(groups.ended_count, 0);
	ck_assert_uint_eq(old->ended_number, 0);
	ck_assert_uint_eq(old->cgroups, 1);
	ck_assert_uint_eq(old->account.used.cpu_ns, 35);
	ck_assert_uint_eq(old->account.reported.cpu_ns, 4);
	ck_assert_uint_eq(old->account.used.energy_uj[0], 100);
	ck_assert_uint_eq(cpu_ns_of(old, "nginx"), 1);
	ck_assert_uint_eq(cpu_ns_of(old, "sh"), 42);
	ck_assert_uint_eq(cpu_ns_of(old, "php"), 80);
	ck_assert_str_eq(old->id, "id2");
	ck_assert_ptr_eq(groups_find_container(&groups, "id2", -1), old);
	ck_assert_ptr_null(groups_find_container(&groups, "id1", -1));
}
END_TEST

START_TEST(a_name_that_lives_takes_both_together)
{
	struct group *one = join("web", "id1"), *two = join("0123456789ab", "id2");

	join("web", "id1");
	ck_assert_ptr_eq(name(two, "web"), one);
	ck_assert_uint_eq(one->cgroups, 3);
	ck_assert_uint_eq(groups.count, 1);
	ck_assert_uint_eq(groups.ended_count, 0);
}
END_TEST

/* ---- One name, two containers ------------------------------------------------------------------ */

static struct identity parted(const char *name, const char *id, const char *runtime)
{
	struct identity identity = identity_of(IDENTITY_CONTAINER, name, id);

	identity.runtime = runtime;
	identity.named = true;
	groups_part(&groups, &identity);
	return identity;
}

START_TEST(two_that_live_with_one_name_are_kept_apart)
{
	struct identity first = parted("web", "id1", "docker"), second, again, third;

	ck_assert_str_eq(first.name, "web");
	groups_join(&groups, &first);
	ck_assert_str_eq(parted("web", "id1", "docker").name, "web");
	second = parted("web", "id2", "podman");
	again = parted("web", "id9", "podman");
	ck_assert_uint_eq(strlen(second.name), strlen("web~01234567"));
	ck_assert_str_eq(second.name, again.name);
	groups_join(&groups, &second);
	third = parted("web", "id3", "podman");
	ck_assert_str_ne(third.name, second.name);
	ck_assert_msg(!strncmp(third.name, "web~", 4), "%s", third.name);
	ck_assert_str_eq(parted("db", "id4", "docker").name, "db");
}
END_TEST

START_TEST(who_has_gone_leaves_the_name)
{
	struct identity first = parted("web", "id1", "docker");
	struct group *web = groups_join(&groups, &first);

	web->removed = 1;
	ck_assert_msg(!strcmp(parted("web", "id2", "docker").name, "web"), "its cgroup is gone");
	web->removed = 0;
	groups_leave(&groups, web);
	ck_assert_str_eq(parted("web", "id2", "docker").name, "web");
}
END_TEST

START_TEST(the_longest_name_is_parted_too)
{
	struct identity first = identity_of(IDENTITY_CONTAINER, "", "id1"), second = first;

	memset(first.name, 'a', sizeof(first.name) - 1);
	first.name[sizeof(first.name) - 1] = '\0';
	memcpy(second.name, first.name, sizeof(first.name));
	strcpy(second.id, "id2");
	strcpy(second.container, "a");
	groups_join(&groups, &first);
	groups_part(&groups, &second);
	ck_assert_uint_eq(strlen(second.name), sizeof(second.name) - 1);
	ck_assert_str_ne(second.name, first.name);
	ck_assert_int_eq(second.container[1], '~');
}
END_TEST

/* Its totals stay with the name that they were told under. */
START_TEST(who_is_renamed_begins_anew)
{
	struct group *old, *young;

	old = join("a", "id1");
	old->named = true;
	old->account.used.cpu_ns = 5;
	young = name(old, "b");
	ck_assert_ptr_ne(young, old);
	ck_assert_uint_eq(young->cgroups, 1);
	ck_assert_uint_eq(young->account.used.cpu_ns, 0);
	ck_assert_uint_eq(old->cgroups, 0);
	ck_assert_msg(old->ended_number && !old->reported, "its end is still to be told");
	ck_assert_ptr_eq(groups_find_container(&groups, "id1", -1), young);
	ck_assert_msg(name(young, "a") == old, "and back");
	ck_assert_uint_eq(old->ended_number, 0);
	ck_assert_uint_eq(groups.ended_count, 1);
}
END_TEST

START_TEST(a_sandbox_is_no_container)
{
	struct group *group = join("0123456789ab", "id1"), *pause;
	struct identity identity;

	group->account.used.cpu_ns = 5;
	identity_set_pause(&identity);
	pause = groups_name(&groups, group, &identity);
	ck_assert_int_eq(pause->kind, IDENTITY_SYSTEM);
	ck_assert_str_eq(pause->name, IDENTITY_PAUSE);
	ck_assert_uint_eq(pause->cgroups, 1);
	ck_assert_msg(group->account.used.cpu_ns == 5, "what the containers' total has stays a container's");
	ck_assert(group->ended_number);
	ck_assert_ptr_null(groups_find_container(&groups, "id1", -1));
}
END_TEST

START_TEST(labels_are_the_last_ones)
{
	struct identity identity = identity_of(IDENTITY_CONTAINER, "web", "id1");
	struct group *web;

	identity_set_label(&identity, "pod_name", "web-0");
	identity_set_label(&identity, "namespace", "shop");
	web = groups_join(&groups, &identity);
	ck_assert_str_eq(group_label(web, "namespace"), "shop");
	ck_assert_str_eq(group_label(web, "pod_name"), "web-0");
	ck_assert_ptr_null(group_label(web, "node"));
	ck_assert_str_eq(web->labels[0].key, "namespace");
	groups_leave(&groups, web);
	identity = identity_of(IDENTITY_CONTAINER, "web", "id2");
	ck_assert_ptr_eq(groups_join(&groups, &identity), web);
	ck_assert_ptr_null(group_label(web, "namespace"));
}
END_TEST

/* ---- Any ---------------------------------------------------------------------------------------- */

static uint64_t random_state = 5;

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

static uint64_t used_by_all(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < groups.count; i++)
		sum += groups.all[i]->account.used.cpu_ns;
	return sum;
}

static void check_whole(uint64_t cgroups)
{
	uint64_t alive = 0, ended = 0;

	for (size_t i = 0; i < groups.count; i++) {
		const struct group *group = groups.all[i];

		ck_assert_uint_eq(group->index, i);
		ck_assert_msg((group->cgroups == 0) == (group->ended_number != 0), "%s", group->name);
		ck_assert_ptr_eq(find(group->kind, group->name), group);
		alive += group->cgroups;
		ended += group->ended_number != 0;
	}
	ck_assert_uint_eq(alive, cgroups);
	ck_assert_uint_eq(ended, groups.ended_count);
}

/* One random step; what was dropped is added to *dropped. */
static int any_step(uint64_t *dropped)
{
	char given[16], id[16];
	struct group *group = groups.count ? groups.all[random_below(groups.count)] : NULL;
	uint64_t before = used_by_all();

	snprintf(given, sizeof(given), "n%d", (int)random_below(8));
	snprintf(id, sizeof(id), "i%d", (int)random_below(8));
	switch (random_below(5)) {
	case 0:
		join(given, id);
		return 1;
	case 1:
		join_system(given);
		return 1;
	case 2:
		if (!group || !group->cgroups)
			return 0;
		groups_leave(&groups, group);
		return -1;
	case 3:
		if (group && group->kind == IDENTITY_CONTAINER && group->cgroups)
			ck_assert(name(group, given));
		ck_assert_uint_eq(used_by_all(), before);
		return 0;
	default:
		groups_forget_ended(&groups);
		*dropped += before - used_by_all();
		return 0;
	}
}

START_TEST(any_order_of_steps)
{
	uint64_t cgroups = 0, given = 0, dropped = 0;

	for (int step = 0; step < 20000; step++) {
		cgroups += any_step(&dropped);
		if (groups.count) {
			groups.all[random_below(groups.count)]->account.used.cpu_ns += step;
			given += step;
		}
		ck_assert_uint_eq(used_by_all() + dropped, given);
		check_whole(cgroups);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("groups");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_kind_and_a_name_are_one_group);
	tcase_add_test(all, a_container_that_comes_back_under_another_name);
	tcase_add_test(all, one_id_of_two_users_is_two_containers);
	tcase_add_test(all, the_last_to_leave_ends_it);
	tcase_add_test(all, who_comes_back_goes_on);
	tcase_add_test(all, a_container_is_found_by_its_id);
	tcase_add_test(all, those_that_ended_longest_ago_are_forgotten);
	tcase_add_test(all, the_living_are_never_forgotten);
	tcase_add_test(all, a_name_is_given);
	tcase_add_test(all, a_name_that_has_ended_takes_both_together);
	tcase_add_test(all, a_name_that_lives_takes_both_together);
	tcase_add_test(all, two_that_live_with_one_name_are_kept_apart);
	tcase_add_test(all, who_has_gone_leaves_the_name);
	tcase_add_test(all, the_longest_name_is_parted_too);
	tcase_add_test(all, who_is_renamed_begins_anew);
	tcase_add_test(all, a_sandbox_is_no_container);
	tcase_add_test(all, labels_are_the_last_ones);
	tcase_add_test(all, any_order_of_steps);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
