/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What containerd, CRI-O, podman and the kubelet tell of containers: their files made wrong on purpose, and
 * pods' names and whose they are. Files as they should be are in layouts_test.
 */
#include "../../common/runtimes.h"
#include "../../common/selection.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define ID	  "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define OTHER	  "b0b0c0ffee00112233445566778899aabbccddeeff0123456789abcdef012345"
#define CRI	  "io.kubernetes.cri."
#define CRIO	  "io.kubernetes.cri-o."

static struct tree tree;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
}

static void tear_down(void)
{
	tree_close(&tree);
}

static struct identity container(const char *path)
{
	struct identity identity;

	memset(&identity, 0xaa, sizeof(identity));
	identity_from_path(path, &identity);
	return identity;
}

static void assert_untouched(const struct identity *identity, const struct identity *before)
{
	ck_assert_int_eq(identity->kind, before->kind);
	ck_assert_pstr_eq(identity->runtime, before->runtime);
	ck_assert_str_eq(identity->id, before->id);
	ck_assert_str_eq(identity->name, before->name);
	ck_assert_str_eq(identity->image, before->image);
	ck_assert_int_eq(identity->named, before->named);
	ck_assert_uint_eq(identity->label_count, before->label_count);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

typedef int reader(const char *, size_t, struct identity *);

#define CONFIG(annotations) "{\"ociVersion\":\"1.0.2\",\"annotations\":{" annotations "}}"
#define POD(name, pod, ns) \
	"\"" CRI "container-name\":\"" name "\",\"" CRI "sandbox-name\":\"" pod "\",\"" CRI \
	"sandbox-namespace\":\"" ns "\""
#define LISTED(more) "[{\"id\":\"" OTHER "\",\"names\":[\"x\"]},{\"id\":\"" ID "\"" more "}]"

static const struct {
	reader *read;
	const char *json;
	int result;
	const char *name, *image;
} bodies[] = {
    {containerd_name_from_json, CONFIG(POD("c", "p", "n")), 0, "n/p/c", ""},
    {containerd_name_from_json, CONFIG(POD("c", "p", "n") ",\"" CRI "image-name\":\"i:1\""), 0, "n/p/c", "i"},
    {containerd_name_from_json, CONFIG("\"" CRI "container-type\":\"sandbox\""), 0, IDENTITY_PAUSE, ""},
    {containerd_name_from_json, CONFIG("\"nerdctl/name\":\"web\""), 0, "web", ""},
    {containerd_name_from_json, CONFIG("\"nerdctl/name\":\"\""), 0, "4f1c0de9a2b3", ""},
    {containerd_name_from_json, CONFIG(""), 0, "4f1c0de9a2b3", ""},
    {containerd_name_from_json, "{\"ociVersion\":\"1\"}", 0, "4f1c0de9a2b3", ""},
    {containerd_name_from_json, "{\"ociVersion\":\"1\",\"annotations\":[7]}", 0, "4f1c0de9a2b3", ""},
    {containerd_name_from_json, CONFIG(POD("", "p", "n")), 0, "4f1c0de9a2b3", ""},
    {containerd_name_from_json, CONFIG("\"" CRI "container-type\":\"container\""), -ENOENT, NULL, NULL},
    {containerd_name_from_json, "{}", -EINVAL, NULL, NULL},
    {containerd_name_from_json, "[]", -EINVAL, NULL, NULL},
    {containerd_name_from_json, "", -EINVAL, NULL, NULL},
    {containerd_name_from_json, "{\"ociVersion\":1}", -EINVAL, NULL, NULL},
    {containerd_name_from_json, "{\"ociVersion\":\"1", -EINVAL, NULL, NULL},
    {crio_name_from_json, CONFIG("\"" CRIO "ContainerType\":\"sandbox\""), 0, IDENTITY_PAUSE, ""},
    {crio_name_from_json, CONFIG("\"" CRIO "ContainerType\":\"container\""), -ENOENT, NULL, NULL},
    {crio_name_from_json, CONFIG("\"" CRIO "ContainerType\":\"container\",\"" CRIO "Labels\":\"{\""), -ENOENT,
     NULL, NULL},
    {crio_name_from_json, CONFIG("\"" CRIO "ContainerType\":\"container\",\"" CRIO "Labels\":\"7\""), -ENOENT,
     NULL, NULL},
    {crio_name_from_json, CONFIG("\"" CRIO "TTY\":\"false\""), -ENOENT, NULL, NULL},
    {crio_name_from_json, "7", -EINVAL, NULL, NULL},
    {podman_name_from_json, LISTED(",\"names\":[\"web\"]"), 0, "web", ""},
    {podman_name_from_json, LISTED(",\"names\":[\"web\",\"other\"]"), 0, "web", ""},
    {podman_name_from_json,
     LISTED(",\"metadata\":\"{\\\"name\\\":\\\"web\\\",\\\"image-name\\\":\\\"i:1\\\"}\""), 0, "web", "i"},
    {podman_name_from_json, LISTED(",\"names\":[\"a85971a576d7-infra\"]"), 0, IDENTITY_PAUSE, ""},
    {podman_name_from_json, LISTED(",\"names\":[\"my-infra\"]"), 0, "my-infra", ""},
    {podman_name_from_json, LISTED(",\"names\":[\"we{}\\\"b\"]"), 0, "we{}\"b", ""},
    {podman_name_from_json, "[ { \"names\" : [\"web\"], \"id\" : \"" ID "\" } ]", 0, "web", ""},
    {podman_name_from_json, "[{\"names\":[\"" ID "\"],\"id\":\"" OTHER "\"}]", -ENOENT, NULL, NULL},
    {podman_name_from_json, "[7,null,{}, \"" ID "\"]", -ENOENT, NULL, NULL},
    {crio_name_from_json,
     CONFIG("\"" CRIO "ContainerType\":\"container\",\"io.kubernetes.pod.namespace\":\"n\","
	    "\"io.kubernetes.pod.name\":\"p\",\"io.kubernetes.container.name\":\"c\""),
     0, "n/p/c", ""},
    {podman_name_from_json, LISTED(",\"names\":[]"), -EINVAL, NULL, NULL},
    {podman_name_from_json, LISTED(",\"names\":[7],\"metadata\":7"), -EINVAL, NULL, NULL},
    {podman_name_from_json, LISTED(",\"metadata\":\"{\""), -EINVAL, NULL, NULL},
    {podman_name_from_json, "[{\"id\":\"" ID "\",\"names\":[\"web\"]", -EINVAL, NULL, NULL},
    {podman_name_from_json, "[{\"id\":\"" ID "\"", -EINVAL, NULL, NULL},
    {podman_name_from_json, "[{\"id\":\"" OTHER "\"}]", -ENOENT, NULL, NULL},
    {podman_name_from_json, "", -ENOENT, NULL, NULL},
    {podman_name_from_json, "null", -ENOENT, NULL, NULL},
};

START_TEST(a_body_is_read_or_refused)
{
	const struct identity before = container("/mine/" ID);
	struct identity identity = before;
	int result = bodies[_i].read(bodies[_i].json, strlen(bodies[_i].json), &identity);

	ck_assert_msg(result == bodies[_i].result, "%s: %d", bodies[_i].json, result);
	if (result) {
		assert_untouched(&identity, &before);
		return;
	}
	ck_assert_str_eq(identity.name, bodies[_i].name);
	ck_assert_str_eq(identity.image, bodies[_i].image);
	ck_assert_int_eq(identity.named, identity.kind == IDENTITY_CONTAINER);
	ck_assert_int_eq(identity.kind == IDENTITY_SYSTEM, !strcmp(identity.name, IDENTITY_PAUSE));
}
END_TEST

START_TEST(what_is_too_deep_or_too_much_is_refused)
{
	size_t size = 1 << 20;
	char *json = malloc(size + 1);
	struct identity identity = container("/mine/" ID);

	ck_assert_ptr_nonnull(json);
	memset(json, '[', size);
	ck_assert_ptr_null(runtime_parse(json, size));
	ck_assert_int_eq(containerd_name_from_json(json, size, &identity), -EINVAL);
	for (size_t i = 1; i < size; i++)
		json[i] = i % 2 ? '0' : ',';
	json[size - 1] = ']';
	ck_assert_ptr_null(runtime_parse(json, size));
	/* Within a text they are neither. */
	memset(json, '[', size);
	json[0] = json[size - 1] = '"';
	cleanup_json cJSON *text = runtime_parse(json, size);
	ck_assert(cJSON_IsString(text));
	free(json);
}
END_TEST

/* ---- Files that are large, and that change ------------------------------------------------------ */

#define TASKS	"io.containerd.runtime.v2.task/"
#define STORAGE "overlay-containers/"

static const struct {
	const char *path;
	int (*read)(const char *root, struct identity *);
	const char *cgroup, *short_text, *long_text; /* both name it: short, and long; what is half
						      * of each can name it nothing else */
} files[] = {
    {"containers/" ID "/config.v2.json", docker_name_from_file, "/docker/" ID, "{\"Name\":\"/short\"}",
     "{\"Config\":{\"Image\":\"nginx:1.25\",\"Env\":[\"A=1\",\"B=2\"]},\"Name\":\"/long\"}"},
    {TASKS "k8s.io/" ID "/config.json", containerd_name_from_file, "/mine/" ID,
     CONFIG("\"nerdctl/name\":\"short\""),
     "{\"annotations\":{\"a\":\"b\",\"nerdctl/"
     "name\":\"long\"},\"root\":{\"path\":\"rootfs\"},\"ociVersion\":\"1\"}"},
    {STORAGE ID "/userdata/config.json", crio_name_from_file, "/kubepods/pod1/crio-" ID,
     "{\"ociVersion\":\"1\",\"annotations\":{\"" CRIO "ContainerType\":\"sandbox\"}}",
     CONFIG("\"" CRIO "ContainerType\":\"container\",\"io.kubernetes.pod.namespace\":\"n\","
	    "\"io.kubernetes.pod.name\":\"p\",\"io.kubernetes.container.name\":\"long\"")},
    {STORAGE "containers.json", podman_name_from_file, "/machine.slice/libpod-" ID ".scope",
     "[{\"id\":\"" ID "\",\"names\":[\"short\"]}]", LISTED(",\"names\":[\"long\"],\"image\":\"long\"")},
};

START_TEST(a_file_of_1_gb_is_left_alone)
{
	const struct identity before = container(files[_i].cgroup);
	struct identity identity = before;
	char path[PATH_MAX];

	ck_assert_int_eq(tree_write(&tree, files[_i].path, files[_i].short_text), 0);
	ck_assert_int_eq(files[_i].read(tree.root, &identity), 0);
	snprintf(path, sizeof(path), "%s/%s", tree.root, files[_i].path);
	ck_assert_int_eq(truncate(path, 1 << 30), 0);
	identity = before;
	ck_assert_int_eq(files[_i].read(tree.root, &identity), -EFBIG);
	assert_untouched(&identity, &before);
}
END_TEST

START_TEST(a_file_10000_deep_is_refused)
{
	const struct identity before = container(files[_i].cgroup);
	struct identity identity = before;
	char *json = malloc(32768);
	int result;

	ck_assert_ptr_nonnull(json);
	sprintf(json, "{\"ociVersion\":\"1\",\"id\":\"" ID "\",\"Name\":\"/deep\",\"names\":");
	memset(json + strlen(json) + 1, '\0', 20000);
	memset(json + strlen(json), '[', 10000);
	memset(json + strlen(json), ']', 10000);
	strcat(json, "}");
	ck_assert_int_eq(tree_write(&tree, files[_i].path, json), 0);
	free(json);
	result = files[_i].read(tree.root, &identity);
	ck_assert_int_eq(result, -EINVAL);
	assert_untouched(&identity, &before);
}
END_TEST

static bool written_enough;

/* In place, as no runtime does it: whoever reads may get a part of each. */
static void *rewrite(void *argument)
{
	int i = *(int *)argument, fd;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tree.root, files[i].path);
	for (unsigned round = 0; !__atomic_load_n(&written_enough, __ATOMIC_RELAXED); round++) {
		const char *text = round % 2 ? files[i].long_text : files[i].short_text;
		size_t length = strlen(text);

		fd = open(path, O_WRONLY | O_CLOEXEC | (round % 3 ? O_TRUNC : 0));
		ck_assert_int_ge(fd, 0);
		ck_assert_int_gt(write(fd, text, length / 2), 0);
		ck_assert_int_gt(write(fd, text + length / 2, length - length / 2), 0);
		close(fd);
	}
	return NULL;
}

START_TEST(a_file_that_changes_while_it_is_read)
{
	const struct identity before = container(files[_i].cgroup);
	int named = 0, index = _i;
	pthread_t writer;

	ck_assert_int_eq(tree_write(&tree, files[_i].path, files[_i].short_text), 0);
	written_enough = false;
	ck_assert_int_eq(pthread_create(&writer, NULL, rewrite, &index), 0);
	for (int round = 0; round < 3000; round++) {
		struct identity identity = before;
		int result = files[_i].read(tree.root, &identity);

		ck_assert_msg(result == 0 || result == -EINVAL || result == -ENOENT, "%d", result);
		if (result)
			assert_untouched(&identity, &before);
		else
			ck_assert_msg(strstr(identity.name, "short") || strstr(identity.name, "long") ||
					  !strcmp(identity.name, before.name) ||
					  identity.kind == IDENTITY_SYSTEM,
				      "it is called %s", identity.name);
		named += !result;
	}
	__atomic_store_n(&written_enough, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	ck_assert_int_gt(named, 0);
}
END_TEST

/* ---- Files -------------------------------------------------------------------------------------- */

START_TEST(a_namespace_of_its_own_is_found)
{
	struct identity identity = container("/mine/" ID);

	ck_assert_int_eq(containerd_name_from_file(tree.root, &identity), -ENOENT);
	ck_assert_int_eq(tree_write(&tree, TASKS "moby/" ID "/config.json", CONFIG("")), 0);
	ck_assert_msg(containerd_name_from_file(tree.root, &identity) == -ENOENT, "that is Docker's");
	ck_assert_int_eq(
	    tree_write(&tree, TASKS "team/" ID "/config.json", CONFIG("\"nerdctl/name\":\"web\"")), 0);
	ck_assert_int_eq(containerd_name_from_file(tree.root, &identity), 0);
	ck_assert_str_eq(identity.name, "web");
	ck_assert_str_eq(identity.runtime, "containerd");
}
END_TEST

START_TEST(an_id_leads_nowhere_else)
{
	static const char *const leading[] = {"a/..", "../a", "a/b/c", "/a", "a/", "a//b", "/", "a/.hidden"};
	struct identity identity = container("/default/..");

	strcpy(identity.id, "..");
	ck_assert_int_eq(containerd_name_from_file(tree.root, &identity), -EINVAL);
	for (size_t i = 0; i < COUNT(leading); i++) {
		strcpy(identity.id, leading[i]);
		ck_assert_msg(containerd_name_from_file(tree.root, &identity) == -EINVAL, "%s", leading[i]);
	}
	strcpy(identity.id, "a/b");
	ck_assert_int_eq(containerd_name_from_file(tree.root, &identity), -ENOENT);
	ck_assert_int_eq(crio_name_from_file(tree.root, &identity), -EINVAL);
	ck_assert_int_eq(podman_name_from_file(tree.root, &identity), -EINVAL);
	ck_assert_int_eq(kubernetes_name_from_logs(tree.root, &identity), -EINVAL);
}
END_TEST

START_TEST(a_list_that_is_no_file)
{
	struct identity identity = container("/machine.slice/libpod-" ID ".scope");

	ck_assert_int_eq(podman_name_from_file(tree.root, &identity), -ENOENT);
	ck_assert_int_eq(tree_make_directory(&tree, "overlay-containers/containers.json"), 0);
	ck_assert_int_eq(podman_name_from_file(tree.root, &identity), -EISDIR);
	ck_assert_int_eq(
	    tree_write(&tree, "overlay-containers/volatile-containers.json", LISTED(",\"names\":[\"web\"]")),
	    0);
	ck_assert_int_eq(podman_name_from_file(tree.root, &identity), 0);
	ck_assert_str_eq(identity.name, "web");
}
END_TEST

static const struct {
	const char *passwd;
	bool found;
} homes[] = {
    {"ann:x:1000:1000:Ann:/home/ann:/bin/sh\n", true},
    {"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh", true},
    {"ann:x:1000:1000::/home/ann", true},
    {"ann:x:1001:1000::/home/ann:/bin/sh\n", false},
    {"ann:x:1000:1000:::/bin/sh\n", false},
    {"ann:x:1000\n", false},
    {"\n\n:::::::\n", false},
    {"", false},
};

START_TEST(a_users_own_is_in_his_home)
{
	struct identity identity =
	    container("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope");

	ck_assert_int_eq(identity.user, 1000);
	ck_assert_int_eq(
	    tree_write(&tree, "home/ann/.local/share/containers/storage/overlay-containers/containers.json",
		       LISTED(",\"names\":[\"web\"]")),
	    0);
	ck_assert_int_eq(podman_name_from_home(tree.root, &identity), -ENOENT);
	ck_assert_int_eq(tree_write(&tree, "etc/passwd", homes[_i].passwd), 0);
	ck_assert_int_eq(podman_name_from_home(tree.root, &identity), homes[_i].found ? 0 : -ENOENT);
	identity.user = -1;
	ck_assert_int_eq(podman_name_from_home(tree.root, &identity), -ENOENT);
}
END_TEST

/* A list of another's, below a user's storage by what he put there. */
static const struct {
	const char *at, *to; /* a link; NULL: a FIFO */
	int result;
} pointers[] = {
    {"overlay-containers/containers.json", "../../../../../../outside.json", -ELOOP},
    {"overlay-containers", "../../../../../outside", -ELOOP},
    {"overlay-containers/containers.json", NULL, -ENOENT},
};

#define ANNS "home/ann/.local/share/containers/storage/"

START_TEST(what_points_out_of_a_home_is_not_followed)
{
	struct identity identity =
	    container("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope");
	char text[256], path[PATH_MAX];

	ck_assert_int_eq(tree_write(&tree, "etc/passwd", "ann:x:1000:1000::/home/ann:/bin/sh"), 0);
	ck_assert_int_eq(tree_write(&tree, "outside.json", LISTED(",\"names\":[\"web\"]")), 0);
	ck_assert_int_eq(tree_write(&tree, "outside/containers.json", LISTED(",\"names\":[\"web\"]")), 0);
	snprintf(text, sizeof(text), ANNS "%s", pointers[_i].at);
	snprintf(path, sizeof(path), "%s/%s", tree.root, text);
	*strrchr(text, '/') = '\0';
	ck_assert_int_eq(tree_make_directory(&tree, text), 0);
	if (pointers[_i].to)
		ck_assert_int_eq(symlink(pointers[_i].to, path), 0);
	else
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(podman_name_from_home(tree.root, &identity), pointers[_i].result);
	ck_assert_int_eq(podman_list_written_home(tree.root, 1000) > 0, !pointers[_i].to);
}
END_TEST

/* ---- Pods --------------------------------------------------------------------------------------- */

static const struct {
	const char *link;
	int result;
} links[] = {
    {"p_n_c-" ID ".log", 0},
    {"p.with.dots-1_n_c-1-" ID ".log", 0},
    {"p_n_c-" OTHER ".log", -ENOENT},
    {"p_n_c" ID ".log", -ENOENT},
    {"p_n_c-" ID ".log.1", -ENOENT},
    {"p_n_c-" ID, -ENOENT},
    {ID ".log", -ENOENT},
    {"p_n-" ID ".log", -EINVAL},
    {"p_n_c_d-" ID ".log", -EINVAL},
    {"__-" ID ".log", -EINVAL},
    {"", -ENOENT},
};

START_TEST(a_link_tells_of_a_pod)
{
	const struct identity before = container("/kubepods/pod1/" ID);
	struct identity identity = before;

	ck_assert_int_eq(kubernetes_name_from_link(links[_i].link, &identity), links[_i].result);
	if (links[_i].result)
		assert_untouched(&identity, &before);
	else
		ck_assert_str_eq(identity_label(&identity, "namespace"), "n");
}
END_TEST

static const struct {
	const char *pod, *kind, *name;
} owners[] = {
    {"web-7d4b9c6f5d-x2x4z", "Deployment", "web"},
    {"web-api-7d4b9c6f5-x2x4z", "Deployment", "web-api"},
    {"web-1-7d4b9c6f-x2x4z", "Deployment", "web-1"},
    {"backup-28950000-b7x9c", "CronJob", "backup"},
    {"report-20261124-b7x9c", NULL, "report-20261124"},
    {"agent-tqhdf", NULL, "agent"},
    {"db-0", "StatefulSet", "db"},
    {"db-main-12", "StatefulSet", "db-main"},
    {"web", NULL, NULL},
    {"web-api", NULL, NULL},
    {"web-hello", NULL, NULL},
    {"-tqhdf", NULL, NULL},
    {"-0", NULL, NULL},
    {"-", NULL, NULL},
};

START_TEST(a_pods_name_tells_its_owner)
{
	struct identity identity = container("/kubepods/pod1/" ID);

	ck_assert(runtime_set_pod(&identity, "containerd", "n", owners[_i].pod, "c"));
	ck_assert_pstr_eq(identity_label(&identity, "owner_kind"), owners[_i].kind);
	ck_assert_pstr_eq(identity_label(&identity, "owner_name"), owners[_i].name);
}
END_TEST

START_TEST(labels_are_chosen_and_made_harmless)
{
	struct deepmon_list list = {0};
	struct identity identity = container("/docker/" ID);
	struct selection *chosen;
	char why[128], json[4096];
	int length = sprintf(json, "{\"Name\":\"/web\",\"Config\":{\"Labels\":{\"a b=c,d\":\"1\",\"n\":7,"
				   "\"empty\":\"\",\"other\":\"x\"");

	for (int i = 0; i < 40; i++)
		length += sprintf(json + length, ",\"many%02d\":\"%d\"", i, i);
	sprintf(json + length, "}}}");
	ck_assert_int_eq(selection_add(&list, "a b=c\\,d,n,empty,/^a b/,/^many/", why, sizeof(why)), 0);
	ck_assert_int_eq(selection_open(&chosen, &list), 0);
	identity.chosen = chosen;
	ck_assert_int_eq(docker_name_from_json(json, strlen(json), &identity), 0);
	selection_close(chosen);
	ck_assert_uint_eq(identity.label_count, IDENTITY_LABELS_MAX - IDENTITY_LABELS_LATE);
	ck_assert_str_eq(identity_label(&identity, "label_a_b_c_d"), "1");
	ck_assert_ptr_null(identity_label(&identity, "label_n"));
	ck_assert_ptr_null(identity_label(&identity, "label_other"));
	for (unsigned i = 1; i < identity.label_count; i++)
		ck_assert_str_lt(identity.labels[i - 1].key, identity.labels[i].key);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runtimes");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, a_body_is_read_or_refused, 0, COUNT(bodies));
	tcase_add_test(all, what_is_too_deep_or_too_much_is_refused);
	tcase_add_loop_test(all, a_file_of_1_gb_is_left_alone, 0, COUNT(files));
	tcase_add_loop_test(all, a_file_10000_deep_is_refused, 0, COUNT(files));
	tcase_add_loop_test(all, a_file_that_changes_while_it_is_read, 0, COUNT(files));
	tcase_add_test(all, a_namespace_of_its_own_is_found);
	tcase_add_test(all, an_id_leads_nowhere_else);
	tcase_add_test(all, a_list_that_is_no_file);
	tcase_add_loop_test(all, a_users_own_is_in_his_home, 0, COUNT(homes));
	tcase_add_loop_test(all, what_points_out_of_a_home_is_not_followed, 0, COUNT(pointers));
	tcase_add_loop_test(all, a_link_tells_of_a_pod, 0, COUNT(links));
	tcase_add_loop_test(all, a_pods_name_tells_its_owner, 0, COUNT(owners));
	tcase_add_test(all, labels_are_chosen_and_made_harmless);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
