/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the kubelet and the API server tell of pods: the answers in tests/fixtures/kubernetes, and answers
 * made wrong on purpose.
 */
#include "../../common/pods.h"
#include "../../common/runtimes.h"
#include "../../common/selection.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/file.h"

#define COUNT(of) (int)(sizeof(of) / sizeof((of)[0]))
#define FIXTURES  "tests/fixtures/kubernetes/"
#define DIGITS	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"
#define MEBI	  (1 << 20)

static struct pods pods;
static struct services services;
static struct pod_services found;

static char *fixture(const char *path, size_t *length)
{
	char *text;
	long read = file_read_new(AT_FDCWD, path, MEBI, &text);

	ck_assert_msg(read > 0, "%s: %ld", path, read);
	*length = (size_t)read;
	return text;
}

static void read_services(const char *path)
{
	size_t length;
	cleanup_free char *json = fixture(path, &length);

	ck_assert_int_eq(services_read(&services, json, length), 0);
}

static void set_up(void)
{
	size_t length;
	cleanup_free char *json = fixture(FIXTURES "pods.json", &length);

	ck_assert_int_eq(pods_read(&pods, json, length), 0);
	read_services(FIXTURES "services-shop.json");
	read_services(FIXTURES "services-kube-system.json");
	services_sort(&services);
	ck_assert_int_eq(pod_services_find(&found, &pods, &services), 0);
}

static void tear_down(void)
{
	pod_services_clear(&found);
	pods_clear(&pods);
	services_clear(&services);
}

/* As the runtime's files tell of it. */
static struct identity container_of(const char *name_space, const char *pod)
{
	struct identity identity;

	identity_from_path("/kubepods/pod1/d1" DIGITS, &identity);
	ck_assert(runtime_set_pod(&identity, "containerd", name_space, pod, "c"));
	return identity;
}

/* ---- The fixtures ------------------------------------------------------------------------------- */

static const struct {
	const char *name_space, *pod, *owner_kind, *owner_name, *services;
} owners[] = {
    {"shop", "web-7d4b9c6f5d-x2x4z", "Deployment", "web", "front,web"},
    {"kube-system", "agent-tqhdf", "DaemonSet", "agent", "metrics"},
    {"shop", "db-0", "StatefulSet", "db", "db,db-headless"},
    {"shop", "load-b7x9c", "Job", "load", NULL},
    {"shop", "backup-29500000-b7x9c", "CronJob", "backup", NULL},
    {"shop", "report-20261124-b7x9c", "Job", "report-20261124", NULL},
    /* A ReplicaSet that no Deployment made. */
    {"shop", "lone-abcde", "ReplicaSet", "lone", NULL},
    /* Named by hand like a StatefulSet's, and the label makes it one of the service's. */
    {"shop", "shell-0", NULL, NULL, "web"},
    {"kube-system", "etcd-node-1", NULL, NULL, NULL},
    {"shop", "queue-0", "CloneSet", "queue", NULL},
};

START_TEST(who_made_a_pod_and_what_sends_to_it)
{
	struct identity identity = container_of(owners[_i].name_space, owners[_i].pod);

	ck_assert(pods_tell(&pods, &found, &identity));
	ck_assert_pstr_eq(identity_label(&identity, "owner_kind"), owners[_i].owner_kind);
	ck_assert_pstr_eq(identity_label(&identity, "owner_name"), owners[_i].owner_name);
	ck_assert_pstr_eq(identity_label(&identity, "service_name"), owners[_i].services);
	ck_assert_pstr_eq(identity_label(&identity, "node"), "node-1");
	ck_assert_pstr_eq(identity_label(&identity, "pod_name"), owners[_i].pod);
}
END_TEST

START_TEST(a_pod_that_is_not_known_keeps_what_its_name_tells)
{
	struct identity identity = container_of("shop", "web-7d4b9c6f5d-zzzzz");

	ck_assert(!pods_tell(&pods, &found, &identity));
	ck_assert_pstr_eq(identity_label(&identity, "owner_kind"), "Deployment");
	ck_assert_ptr_null(identity_label(&identity, "node"));
	identity = container_of("other", "db-0");
	ck_assert(!pods_tell(&pods, &found, &identity));
	identity_from_path("/docker/d1" DIGITS, &identity);
	ck_assert(!pods_tell(&pods, &found, &identity));
	ck_assert_uint_eq(identity.label_count, 0);
}
END_TEST

START_TEST(services_come_and_go_and_without_them_they_stay)
{
	static const struct services nothing;
	struct pod_services none = {0};
	struct identity identity = container_of("shop", "db-0");

	ck_assert_int_eq(pod_services_find(&none, &pods, &nothing), 0);
	identity_set_label(&identity, "node", "called-otherwise");
	ck_assert(pods_tell(&pods, NULL, &identity));
	ck_assert_ptr_null(identity_label(&identity, "service_name"));
	ck_assert(pods_tell(&pods, &found, &identity));
	ck_assert(pods_tell(&pods, NULL, &identity));
	ck_assert_pstr_eq(identity_label(&identity, "service_name"), "db,db-headless");
	ck_assert(pods_tell(&pods, &none, &identity));
	ck_assert_ptr_null(identity_label(&identity, "service_name"));
	ck_assert_pstr_eq(identity_label(&identity, "node"), "called-otherwise");
	pod_services_clear(&none);
}
END_TEST

START_TEST(namespaces_that_have_pods)
{
	ck_assert(pods_have(&pods, "shop"));
	ck_assert(pods_have(&pods, "kube-system"));
	ck_assert(!pods_have(&pods, "default"));
	ck_assert(!pods_have(&pods, "z"));
	ck_assert(!pods_have(&pods, ""));
}
END_TEST

static const struct {
	const char *path, *runtime, *name, *image;
} containers[] = {
    {"/kubepods/pod1/c1" DIGITS, "containerd", "shop/web-7d4b9c6f5d-x2x4z/web",
     "registry.example.com/team/web:1.2"},
    {"/kubepods/pod1/c4" DIGITS, "containerd", "shop/web-7d4b9c6f5d-x2x4z/sidecar",
     "registry.example.com/team/proxy:3"},
    {"/kubepods/pod1/e1" DIGITS, "cri-o", "shop/db-0/db", "docker.io/library/postgres:16"},
    {"/system.slice/docker-d5" DIGITS ".scope", "docker", "shop/shell-0/shell",
     "docker.io/library/busybox:1"},
};

START_TEST(a_container_is_named_by_its_id)
{
	struct identity identity;
	char image[2 * IDENTITY_NAME_MAX + 2];

	identity_from_path(containers[_i].path, &identity);
	ck_assert_int_eq(pods_name_container(&pods, &identity), 0);
	ck_assert_str_eq(identity.name, containers[_i].name);
	ck_assert_pstr_eq(identity.runtime, containers[_i].runtime);
	snprintf(image, sizeof(image), "%s:%s", identity.image, identity.version);
	ck_assert_str_eq(image, containers[_i].image);
	identity_from_path("/kubepods/pod1/ff" DIGITS, &identity);
	ck_assert_int_eq(pods_name_container(&pods, &identity), -ENOENT);
	ck_assert(!identity.named);
}
END_TEST

START_TEST(labels_of_its_own_leave_room)
{
	struct identity identity = container_of("shop", "db-0");
	struct deepmon_list list = {.count = 1, .length = 4, .texts = "/./"};
	struct selection *chosen;
	char json[4096] = "{\"a00\":\"1\"";
	cleanup_json cJSON *labels = NULL;

	for (int i = 1; i < 40; i++)
		sprintf(json + strlen(json), ",\"a%02d\":\"1\"", i);
	strcat(json, "}");
	labels = cJSON_Parse(json);
	ck_assert_int_eq(selection_open(&chosen, &list), 0);
	identity.chosen = chosen;
	identity_drop_label(&identity, "owner_kind");
	identity_drop_label(&identity, "owner_name");
	runtime_set_labels(&identity, labels);
	ck_assert(pods_tell(&pods, &found, &identity));
	selection_close(chosen);
	ck_assert_ptr_null(identity_label(&identity, "label_app"));
	ck_assert_pstr_eq(identity_label(&identity, "owner_kind"), "StatefulSet");
	ck_assert_pstr_eq(identity_label(&identity, "owner_name"), "db");
	ck_assert_pstr_eq(identity_label(&identity, "node"), "node-1");
	ck_assert_pstr_eq(identity_label(&identity, "service_name"), "db,db-headless");
}
END_TEST

START_TEST(labels_of_a_pod_are_chosen)
{
	struct identity identity = container_of("shop", "web-7d4b9c6f5d-x2x4z");
	struct deepmon_list list = {0};
	struct selection *chosen;
	char why[128];

	ck_assert_int_eq(selection_add(&list, "app,/^ti/,none", why, sizeof(why)), 0);
	ck_assert_int_eq(selection_open(&chosen, &list), 0);
	identity.chosen = chosen;
	identity_set_label(&identity, "label_app", "an old one");
	ck_assert(pods_tell(&pods, NULL, &identity));
	selection_close(chosen);
	ck_assert_pstr_eq(identity_label(&identity, "label_app"), "web");
	ck_assert_pstr_eq(identity_label(&identity, "label_tier"), "front");
	ck_assert_ptr_null(identity_label(&identity, "label_pod-template-hash"));
}
END_TEST

/* ---- What is no such answer ---------------------------------------------------------------------- */

#define POD(more) "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"" more "}"

static const struct {
	const char *json;
	int result;
	size_t pods, containers;
} answers[] = {
    {"{\"items\":[]}", 0, 0, 0},
    {"{\"items\":null}", 0, 0, 0},
    {" { \"kind\" : \"PodList\" , \"items\" : [ ] } ", 0, 0, 0},
    {"{\"items\":[" POD("") "}]}", 0, 1, 0},
    {"{\"items\":[" POD("") "}," POD("") "}]}", 0, 2, 0},
    {"{\"metadata\":{\"items\":[7]},\"items\":[" POD("") "}]}", 0, 1, 0},
    {"{\"x\":\"items\",\"items\":[" POD("") "}]}", 0, 1, 0},
    {"{\"x\":\"\\\"items\\\":\",\"items\":[]}", 0, 0, 0},
    {"{\"items\":[" POD(",\"labels\":[7],\"ownerReferences\":{}") ",\"spec\":7,\"status\":[]}]}", 0, 1, 0},
    {"{\"items\":[" POD(",\"ownerReferences\":[7,{\"controller\":true},{\"controller\":\"true\"}]") "}]}", 0,
     1, 0},
    {"{\"items\":[" POD("") ",\"status\":{\"containerStatuses\":[7,{},{\"name\":\"c\",\"containerID\":\"x\"},"
			    "{\"name\":\"c\",\"containerID\":\"docker://../..\"},"
			    "{\"name\":\"c\",\"containerID\":\"docker://d1" DIGITS "\"}]}}]}",
     0, 1, 1},
    {"", -EINVAL, 0, 0},
    {"{", -EINVAL, 0, 0},
    {"{}", -EINVAL, 0, 0},
    {"[]", -EINVAL, 0, 0},
    {"\"items\":[]", -EINVAL, 0, 0},
    {"{\"items\"", -EINVAL, 0, 0},
    {"{\"items\":", -EINVAL, 0, 0},
    {"{\"items\":[", -EINVAL, 0, 0},
    {"{\"items\":{}}", -EINVAL, 0, 0},
    {"{\"items\":[7]}", -EINVAL, 0, 0},
    {"{\"items\":[{}]}", -EINVAL, 0, 0},
    {"{\"items\":[{\"metadata\":{\"name\":\"\",\"namespace\":\"n\"}}]}", -EINVAL, 0, 0},
    {"{\"items\":[{\"metadata\":{\"name\":7,\"namespace\":\"n\"}}]}", -EINVAL, 0, 0},
    {"{\"items\":[" POD(""), -EINVAL, 0, 0},
    {"{\"items\":[" POD("") "}", -EINVAL, 0, 0},
    {"{\"items\":[{\"metadata\":]}}]}", -EINVAL, 0, 0},
    {"Unauthorized", -EINVAL, 0, 0},
};

START_TEST(an_answer_is_read_or_refused)
{
	struct pods read = {0};
	struct services selected = {0};
	int result = pods_read(&read, answers[_i].json, strlen(answers[_i].json));

	ck_assert_msg(result == answers[_i].result, "%s: %d", answers[_i].json, result);
	if (!result) {
		ck_assert_uint_eq(read.count, answers[_i].pods);
		ck_assert_uint_eq(read.container_count, answers[_i].containers);
	}
	/* Services are lists of the same shape; without a selector they are none. */
	ck_assert_int_eq(services_read(&selected, answers[_i].json, strlen(answers[_i].json)), result);
	ck_assert_uint_eq(selected.count, 0);
	pods_clear(&read);
	services_clear(&selected);
}
END_TEST

START_TEST(what_is_cut_short_anywhere_is_refused)
{
	size_t length;
	cleanup_free char *json = fixture(FIXTURES "pods.json", &length);
	size_t end = length;

	while (json[end - 1] != ']')
		end--;
	for (size_t cut = 0; cut < end; cut += cut % 7 + 1) {
		struct pods read = {0};

		ck_assert_int_eq(pods_read(&read, json, cut), -EINVAL);
		pods_clear(&read);
	}
}
END_TEST

START_TEST(too_deep_a_pod_or_too_many_are_refused)
{
	static const char pod[] = POD("") "},";
	size_t size = (PODS_MOST + 1) * strlen(pod) + 64, at;
	cleanup_free char *json = malloc(size + 1);
	struct pods read = {0};

	ck_assert_ptr_nonnull(json);
	strcpy(json, "{\"items\":[");
	at = strlen(json);
	for (int i = 0; i <= PODS_MOST; i++, at += strlen(pod))
		strcpy(json + at, pod);
	strcpy(json + at - 1, "]}");
	ck_assert_int_eq(pods_read(&read, json, strlen(json)), -E2BIG);
	ck_assert_uint_eq(read.count, PODS_MOST);
	pods_clear(&read);

	/* 10,000 deep, and another's list of numbers. */
	strcpy(json, "{\"items\":[{\"metadata\":");
	at = strlen(json);
	memset(json + at, '[', 10000);
	memset(json + at + 10000, ']', 10000);
	strcpy(json + at + 20000, "}]}");
	ck_assert_int_eq(pods_read(&read, json, strlen(json)), -EINVAL);
	for (size_t i = 0; i < 200000; i++)
		json[at + 1 + i] = i % 2 ? ',' : '7';
	strcpy(json + at + 200000, "]}]}");
	ck_assert_int_eq(pods_read(&read, json, strlen(json)), -EINVAL);
	pods_clear(&read);
}
END_TEST

START_TEST(too_many_services_are_refused)
{
	static const char service[] = "{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},"
				      "\"spec\":{\"selector\":{\"a\":\"b\"}}},";
	size_t size = (SERVICES_MOST + 1) * strlen(service) + 64, at;
	cleanup_free char *json = malloc(size);
	struct services read = {0};

	ck_assert_ptr_nonnull(json);
	strcpy(json, "{\"items\":[");
	at = strlen(json);
	for (int i = 0; i <= SERVICES_MOST; i++, at += strlen(service))
		strcpy(json + at, service);
	strcpy(json + at - 1, "]}");
	ck_assert_int_eq(services_read(&read, json, strlen(json)), -E2BIG);
	ck_assert_uint_eq(read.count, SERVICES_MOST);
	services_clear(&read);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pods");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, who_made_a_pod_and_what_sends_to_it, 0, COUNT(owners));
	tcase_add_test(all, a_pod_that_is_not_known_keeps_what_its_name_tells);
	tcase_add_test(all, services_come_and_go_and_without_them_they_stay);
	tcase_add_test(all, namespaces_that_have_pods);
	tcase_add_loop_test(all, a_container_is_named_by_its_id, 0, COUNT(containers));
	tcase_add_test(all, labels_of_its_own_leave_room);
	tcase_add_test(all, labels_of_a_pod_are_chosen);
	tcase_add_loop_test(all, an_answer_is_read_or_refused, 0, COUNT(answers));
	tcase_add_test(all, what_is_cut_short_anywhere_is_refused);
	tcase_add_test(all, too_deep_a_pod_or_too_many_are_refused);
	tcase_add_test(all, too_many_services_are_refused);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
