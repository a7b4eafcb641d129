/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What reports tell: who is selected, who is among those told one by one, and that all others are one exact
 * line more, whatever happens.
 */
#include "../../common/told.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static struct deepmon_options options;
static struct groups groups;
static struct told told;

static void set_up(void)
{
	deepmon_options_init(&options);
	groups_init(&groups, 1, 4);
	told = (struct told){0};
}

static void tear_down(void)
{
	told_close(&told);
	groups_clear(&groups);
}

static void set(const char *name, const char *value)
{
	char why[256];

	ck_assert_msg(deepmon_options_set(&options, name, value, why, sizeof(why)) == 0, "%s", why);
}

static void open(void)
{
	ck_assert_int_eq(told_open(&told, &options), 0);
}

static struct group *join(enum identity_kind kind, const char *name)
{
	struct identity identity;
	struct group *group;

	identity_from_path("", &identity);
	identity.kind = kind;
	identity.named = true;
	snprintf(identity.name, sizeof(identity.name), "%s", name);
	if (kind == IDENTITY_CONTAINER)
		snprintf(identity.id, sizeof(identity.id), "%s", name);
	group = groups_join(&groups, &identity);
	ck_assert_ptr_nonnull(group);
	return group;
}

static struct group *container(const char *name)
{
	return join(IDENTITY_CONTAINER, name);
}

static void use(struct group *group, uint64_t cpu_ns, uint64_t energy_uj)
{
	group->account.used.cpu_ns += cpu_ns;
	group->account.used.energy_uj[ENERGY_PACKAGE] += energy_uj;
}

/* As sample.c does. */
static void tell(void)
{
	ck_assert_int_eq(told_choose(&told, &groups), 0);
	for (size_t i = 0; i < groups.count; i++) {
		struct group *group = groups.all[i];

		if (!group->telling)
			continue;
		group->reported = group->ended_number != 0;
		group->account.reported = group->account.used;
	}
	for (int kind = 0; kind < TOLD_KINDS; kind++)
		told.other[kind].reported = told.other[kind].used;
}

static uint64_t told_cpu(const struct group *group)
{
	struct account account;

	told_account(group, &account);
	return account.used.cpu_ns;
}

static uint64_t other_cpu(enum identity_kind kind)
{
	return told.other[kind].used.cpu_ns;
}

/* ---- Selection ---------------------------------------------------------------------------------- */

/* web of the image nginx:1.25 in the pod shop/web-0. */
static struct group *make_web(void)
{
	struct identity identity;

	identity_from_path("", &identity);
	identity.kind = IDENTITY_CONTAINER;
	strcpy(identity.id, "1");
	strcpy(identity.name, "shop/web-0/web");
	strcpy(identity.container, "web");
	strcpy(identity.image, "nginx");
	strcpy(identity.version, "1.25");
	identity_set_label(&identity, "namespace", "shop");
	identity_set_label(&identity, "pod_name", "web-0");
	return groups_join(&groups, &identity);
}

static const struct {
	const char *options[6]; /* name and value, one after another */
	bool selected;
} selections[] = {
    {{NULL}, true},
    {{"Container", "web"}, true},
    {{"Container", "shop/web-0/web"}, true},
    {{"Container", "/^web$/"}, true},
    {{"Container", "db"}, false},
    {{"Container", "db", "Container", "web"}, true},
    {{"Container", "db,/w.b/"}, true},
    {{"Image", "nginx"}, true},
    {{"Image", "nginx:1.25"}, true},
    {{"Image", "nginx:1.24"}, false},
    {{"Image", "/^nginx:/"}, true},
    {{"Namespace", "shop"}, true},
    {{"Namespace", "kube-system"}, false},
    {{"Pod", "/^web-/"}, true},
    {{"Container", "web", "Namespace", "shop"}, true},
    {{"Container", "web", "Namespace", "other"}, false},
    {{"Container", "db", "Namespace", "shop"}, false},
    {{"IgnoreSelected", "true"}, true},
    {{"IgnoreSelected", "true", "Container", "db"}, true},
    {{"IgnoreSelected", "true", "Container", "web"}, false},
    {{"IgnoreSelected", "true", "Container", "db", "Namespace", "shop"}, false},
};

START_TEST(a_container_is_selected_or_not)
{
	struct group *web = make_web();

	for (size_t i = 0; i < COUNT(selections[_i].options) && selections[_i].options[i]; i += 2)
		set(selections[_i].options[i], selections[_i].options[i + 1]);
	open();
	use(web, 5, 0);
	tell();
	ck_assert_int_eq(web->telling, selections[_i].selected);
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), selections[_i].selected ? 0 : 5);
	ck_assert_int_eq(told.has_other[IDENTITY_CONTAINER], !selections[_i].selected);
}
END_TEST

START_TEST(a_container_without_a_pod_is_in_no_namespace)
{
	struct group *db = container("db");

	set("Namespace", "/./");
	open();
	tell();
	ck_assert(!db->telling);
}
END_TEST

START_TEST(a_name_that_comes_late_is_selected_then)
{
	struct group *group = container("0123456789ab");
	struct identity identity;

	group->named = false;
	set("Container", "web");
	open();
	use(group, 5, 0);
	tell();
	ck_assert(!group->telling);
	identity_from_path("", &identity);
	identity.kind = IDENTITY_CONTAINER;
	identity.named = true;
	strcpy(identity.id, group->id);
	strcpy(identity.name, "web");
	ck_assert_ptr_eq(groups_name(&groups, group, &identity), group);
	use(group, 7, 0);
	tell();
	ck_assert(group->telling);
	ck_assert_uint_eq(told_cpu(group), 7);
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 5);
}
END_TEST

/* ---- How many ----------------------------------------------------------------------------------- */

START_TEST(those_that_use_most_are_told)
{
	struct group *a = container("a"), *b = container("b"), *c = container("c"), *d = container("d");

	set("MaxContainers", "2");
	open();
	use(a, 100, 1);
	use(b, 1, 3);
	use(c, 50, 1);
	use(d, 9, 2);
	tell();
	ck_assert_msg(b->telling && d->telling && !a->telling && !c->telling, "by energy");
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 150);
	use(a, 1, 0);
	use(b, 2, 0);
	use(c, 3, 0);
	tell();
	ck_assert_msg(b->telling && c->telling && !a->telling && !d->telling, "by CPU time");
	ck_assert_uint_eq(told_cpu(c), 3);
	ck_assert_uint_eq(told_cpu(b), 3);
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 151);
	tell();
	ck_assert_msg(b->telling && c->telling, "of equals, those that were told");
}
END_TEST

/* In the total it is, so in a line it must be; but no rate is of it. */
START_TEST(what_was_used_before_the_first_report_is_in_a_line)
{
	struct group *web = container("web"), *db = container("db");

	set("Container", "web");
	open();
	use(web, 5, 0);
	use(db, 7, 0);
	web->account.reported = web->account.used;
	db->account.reported = db->account.used;
	ck_assert_int_eq(told_choose(&told, &groups), 0);
	ck_assert_uint_eq(told_cpu(web), 5);
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 7);
	ck_assert_uint_eq(told.other[IDENTITY_CONTAINER].reported.cpu_ns, 7);
	tell();
	use(db, 2, 0);
	tell();
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 9);
	ck_assert_uint_eq(told_cpu(db), 0);
}
END_TEST

START_TEST(the_system_has_a_limit_of_its_own)
{
	struct group *web = container("web"), *cron = join(IDENTITY_SYSTEM, "cron"),
		     *sshd = join(IDENTITY_SYSTEM, "sshd");

	set("MaxUnits", "1");
	open();
	use(web, 1, 0);
	use(cron, 2, 0);
	use(sshd, 3, 0);
	tell();
	ck_assert(web->telling && sshd->telling && !cron->telling);
	ck_assert_uint_eq(other_cpu(IDENTITY_SYSTEM), 2);
	ck_assert(!told.has_other[IDENTITY_CONTAINER]);
}
END_TEST

START_TEST(who_never_ran_is_told_if_it_is_a_container)
{
	struct group *web = container("web"), *empty = join(IDENTITY_SYSTEM, "empty.slice");

	open();
	tell();
	ck_assert(web->telling && !empty->telling);
	use(empty, 1, 0);
	tell();
	ck_assert(empty->telling);
	tell();
	ck_assert(empty->telling);
}
END_TEST

START_TEST(an_end_past_the_limit_is_in_other)
{
	struct group *a = container("a"), *b = container("b");

	set("MaxContainers", "1");
	open();
	use(a, 5, 0);
	use(b, 3, 0);
	groups_leave(&groups, b);
	tell();
	ck_assert(a->telling && !b->telling && b->reported);
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 3);
	tell();
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 3);
	ck_assert_ptr_eq(container("b"), b);
	use(b, 9, 0);
	tell();
	ck_assert_msg(b->telling && told_cpu(b) == 9, "%lu", told_cpu(b));
}
END_TEST

START_TEST(who_is_forgotten_untold_is_in_other)
{
	char name[16];

	open();
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		use(container(name), 1, 0);
	}
	while (groups.ended_count < 10)
		groups_leave(&groups, groups.all[groups.ended_count]);
	groups_forget_ended(&groups);
	ck_assert_uint_eq(groups.count, 4);
	tell();
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 6);
	tell();
	ck_assert_uint_eq(other_cpu(IDENTITY_CONTAINER), 6);
}
END_TEST

/* ---- Switches ----------------------------------------------------------------------------------- */

START_TEST(a_switch_silences_its_subject)
{
	set("ReportEnergy", "false");
	set("ReportZones", "no");
	open();
	ck_assert(!told.tells[DEEPMON_CONTAINER][DEEPMON_SUBJECT_ENERGY]);
	ck_assert(!told.tells[DEEPMON_HOST][DEEPMON_SUBJECT_ENERGY]);
	ck_assert(!told.tells[DEEPMON_ZONE][DEEPMON_SUBJECT_COUNTER]);
	ck_assert(told.tells[DEEPMON_CONTAINER][DEEPMON_SUBJECT_CPU]);
	ck_assert(told.tells[DEEPMON_SELF][DEEPMON_SUBJECT_SELF_COST]);
}
END_TEST

START_TEST(without_units_nothing_is_moved)
{
	struct group *cron = join(IDENTITY_SYSTEM, "cron");

	set("ReportSystem", "false");
	open();
	use(cron, 5, 0);
	tell();
	ck_assert(!cron->telling && !told.has_other[IDENTITY_SYSTEM]);
	groups_leave(&groups, cron);
	tell();
	groups.ended_most = 0;
	groups_forget_ended(&groups);
	ck_assert_msg(!groups.ended_unreported, "nobody waited for its end");
}
END_TEST

/* ---- Any ---------------------------------------------------------------------------------------- */

#define NAMES 12

/* What reports told of each name so far, and what is used by all. */
static uint64_t last_told[NAMES], last_other, told_in_all, used_in_all;

static void check_report(void)
{
	size_t lines = 0;

	tell();
	for (size_t i = 0; i < groups.count; i++) {
		struct group *group = groups.all[i];
		uint64_t cpu_ns = told_cpu(group);
		int name = atoi(group->name + 1);

		if (!group->telling)
			continue;
		lines++;
		/* One that was forgotten begins anew. */
		told_in_all += cpu_ns >= last_told[name] ? cpu_ns - last_told[name] : cpu_ns;
		last_told[name] = cpu_ns;
	}
	must(lines <= told.most[IDENTITY_CONTAINER]);
	must(other_cpu(IDENTITY_CONTAINER) >= last_other);
	told_in_all += other_cpu(IDENTITY_CONTAINER) - last_other;
	last_other = other_cpu(IDENTITY_CONTAINER);
	must(told_in_all == used_in_all);
}

static void any_step(void)
{
	char name[16];
	struct group *group = groups.count ? groups.all[random_below(groups.count)] : NULL;
	uint64_t cpu_ns = random_below(1000);

	snprintf(name, sizeof(name), "c%d", (int)random_below(NAMES));
	switch (random_below(4)) {
	case 0:
		container(name);
		break;
	case 1:
		if (group && group->cgroups)
			groups_leave(&groups, group);
		break;
	default:
		if (!group || !group->cgroups)
			break;
		use(group, cpu_ns, random_below(3));
		used_in_all += cpu_ns;
	}
}

START_TEST(all_that_is_used_is_told_once)
{
	random_begin((uint64_t)_i);
	set("MaxContainers", _i % 2 ? "3" : "1");
	if (_i % 3 == 0)
		set("Container", "/[0-5]$/");
	open();
	memset(last_told, 0, sizeof(last_told));
	last_other = told_in_all = used_in_all = 0;
	groups.ended_most = NAMES;
	for (int step = 0; step < 5000; step++) {
		any_step();
		if (random_below(5) == 0)
			check_report();
	}
	/* What ended and was told of no more is in its report already. */
	check_report();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("told");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_loop_test(all, a_container_is_selected_or_not, 0, COUNT(selections));
	tcase_add_test(all, a_container_without_a_pod_is_in_no_namespace);
	tcase_add_test(all, a_name_that_comes_late_is_selected_then);
	tcase_add_test(all, those_that_use_most_are_told);
	tcase_add_test(all, what_was_used_before_the_first_report_is_in_a_line);
	tcase_add_test(all, the_system_has_a_limit_of_its_own);
	tcase_add_test(all, who_never_ran_is_told_if_it_is_a_container);
	tcase_add_test(all, an_end_past_the_limit_is_in_other);
	tcase_add_test(all, who_is_forgotten_untold_is_in_other);
	tcase_add_test(all, a_switch_silences_its_subject);
	tcase_add_test(all, without_units_nothing_is_moved);
	tcase_add_loop_test(all, all_that_is_used_is_told_once, 0, 12);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
