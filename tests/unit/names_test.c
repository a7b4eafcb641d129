/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Names of containers from what runtimes keep of them: containerd and CRI-O under Kubernetes, nerdctl,
 * podman; and files that are not what they should be.
 */
#include "../../common/names.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define ID	  "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static const struct {
	const char *path, *json;
	const char *name, *space, *pod, *image, *version, *runtime;
	bool sandbox;
} cases[] = {
    {"run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
     "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"web\","
     "\"io.kubernetes.cri.container-type\":\"container\","
     "\"io.kubernetes.cri.image-name\":\"docker.io/library/nginx:1.25\","
     "\"io.kubernetes.cri.sandbox-name\":\"shop-0\",\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}",
     "web", "prod", "shop-0", "docker.io/library/nginx", "1.25", "containerd", false},
    {"run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
     "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
     "\"io.kubernetes.cri.sandbox-name\":\"shop-0\"}}",
     "pod-sandboxes", "", "", "", "", "containerd", true},
    {"run/containerd/io.containerd.runtime.v2.task/default/" ID "/config.json",
     "{\"annotations\":{\"nerdctl/name\":\"cache\"}}", "cache", "", "", "", "", "containerd", false},
    {"run/containers/storage/overlay-containers/" ID "/userdata/config.json",
     "{\"annotations\":{\"io.kubernetes.container.name\":\"db\",\"io.kubernetes.pod.name\":\"pg-1\","
     "\"io.kubernetes.pod.namespace\":\"data\",\"io.kubernetes.cri-o.ContainerType\":\"container\","
     "\"io.kubernetes.cri-o.ImageName\":\"quay.io/pg@sha256:ab\"}}",
     "db", "data", "pg-1", "quay.io/pg", "", "cri-o", false},
    {"var/lib/containers/storage/overlay-containers/containers.json",
     "[{\"id\":\"other\",\"names\":[\"no\"]},{\"id\":\"" ID "\",\"names\":[\"web\"],"
     "\"metadata\":\"{\\\"image-name\\\":\\\"localhost/team/box:1.2\\\"}\"}]",
     "web", "", "", "localhost/team/box", "1.2", "podman", false},
    {"var/lib/containers/storage/vfs-containers/volatile-containers.json",
     "[{\"id\":\"" ID "\",\"names\":[\"brief\"],\"metadata\":\"no json\"}]", "brief", "", "", "", "",
     "podman", false},
};

static struct tree tree;
static struct names names;

static void set_up(void)
{
	struct deepmon_options options;
	char why[256];

	ck_assert_int_eq(tree_open(&tree), 0);
	deepmon_options_init(&options);
	ck_assert_int_eq(deepmon_options_set(&options, "HostRoot", tree.root, why, sizeof(why)), 0);
	names_init(&names, &options);
}

static void tear_down(void)
{
	tree_close(&tree);
}

/* A container of which the path does not tell the runtime, as under Kubernetes with cgroupfs. */
static struct identity nameless(void)
{
	struct identity identity;

	identity_from_path("/kubepods/burstable/pod1f2e/" ID, &identity);
	ck_assert_int_eq(identity.kind, IDENTITY_CONTAINER);
	ck_assert(!identity.named);
	return identity;
}

START_TEST(a_runtimes_files_tell)
{
	struct identity identity = nameless();

	ck_assert_int_eq(tree_write(&tree, cases[_i].path, cases[_i].json), 0);
	ck_assert_int_eq(names_read(&names, &identity), 0);
	ck_assert_int_eq(identity.kind, cases[_i].sandbox ? IDENTITY_SYSTEM : IDENTITY_CONTAINER);
	ck_assert_str_eq(identity.name, cases[_i].name);
	ck_assert_str_eq(identity.space, cases[_i].space);
	ck_assert_str_eq(identity.pod, cases[_i].pod);
	ck_assert_str_eq(identity.image, cases[_i].image);
	ck_assert_str_eq(identity.version, cases[_i].version);
	ck_assert_str_eq(identity.runtime, cases[_i].runtime);
	ck_assert(identity.named);
}
END_TEST

static const char *const broken[] = {
    "",
    "{",
    "null",
    "[]",
    "7",
    "\"text\"",
    "{\"annotations\":7}",
    "{\"annotations\":{}}",
    "{\"annotations\":{\"io.kubernetes.cri.container-name\":7}}",
    "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"\"}}",
    "[{\"id\":\"" ID "\"}]",
    "[{\"id\":\"" ID "\",\"names\":[]}]",
    "[{\"id\":\"" ID "\",\"names\":[7]}]",
    "[7,null,{}]",
};

START_TEST(what_is_broken_names_nobody)
{
	struct identity identity = nameless(), before = identity;

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_int_eq(tree_write(&tree, cases[i].path, broken[_i]), 0);
	ck_assert_int_ne(names_read(&names, &identity), 0);
	ck_assert_mem_eq(&identity, &before, sizeof(before));
}
END_TEST

/* It names a directory, so it must lead nowhere else. */
START_TEST(an_id_that_is_none_opens_nothing)
{
	struct identity identity = nameless();

	strcpy(identity.id, "../../../../etc");
	ck_assert_int_eq(containerd_name_from_file(names.containerd_root, &identity), -EINVAL);
	ck_assert_int_eq(crio_name_from_file(names.crio_root, &identity), -EINVAL);
	ck_assert_int_eq(podman_name_from_file(names.podman_root, &identity), -EINVAL);
}
END_TEST

/* A name may be of any length; what is kept stays unique. */
START_TEST(long_names_fit)
{
	char json[4096], name[2048];
	struct identity identity = nameless();

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(json, sizeof(json), "{\"annotations\":{\"nerdctl/name\":\"%s\"}}", name);
	ck_assert_int_eq(oci_name_from_json(json, strlen(json), &identity), 0);
	ck_assert_uint_lt(strlen(identity.name), sizeof(identity.name));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tcase = tcase_create("names");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, a_runtimes_files_tell, 0, COUNT(cases));
	tcase_add_loop_test(tcase, what_is_broken_names_nobody, 0, COUNT(broken));
	tcase_add_test(tcase, an_id_that_is_none_opens_nothing);
	tcase_add_test(tcase, long_names_fit);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
