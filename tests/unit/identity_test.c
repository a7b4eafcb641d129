/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What cgroup paths tell: one row for each way a runtime names a container, the system's units, and paths
 * that nobody should make.
 */
#include "../../common/identity.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_A	"4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"
#define HEX_B	"b0b0c0ffee00112233445566778899aabbccddeeff0123456789abcdef012345"
#define SHORT_A "4f1c0de9a2b3"
#define SHORT_B "b0b0c0ffee00"
#define POD	"0a1b2c3d-1111-2222-3333-444455556666"
#define POD_	"0a1b2c3d_1111_2222_3333_444455556666"
#define USER	"/user.slice/user-1000.slice/user@1000.service"

/* ---- Containers --------------------------------------------------------------------------------- */

static const struct {
	const char *path, *runtime, *id, *name;
	bool named;
} containers[] = {
    /* Docker */
    {"/system.slice/docker-" HEX_A ".scope", "docker", HEX_A, SHORT_A, false},
    {"/docker/" HEX_A, "docker", HEX_A, SHORT_A, false},
    {USER "/user.slice/docker-" HEX_A ".scope", "docker", HEX_A, SHORT_A, false},
    {"/my.slice/docker-" HEX_A ".scope", "docker", HEX_A, SHORT_A, false},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" HEX_A ".scope", "docker", HEX_A, SHORT_A, false},
    {"/system.slice:docker:" HEX_A, "docker", HEX_A, SHORT_A, false},
    {"/my-cgroup-parent/" HEX_A, NULL, HEX_A, SHORT_A, false},
    {"/ecs/00112233445566778899aabbccddeeff/" HEX_A, NULL, HEX_A, SHORT_A, false},
    /* containerd */
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/cri-containerd-" HEX_A
     ".scope",
     "containerd", HEX_A, SHORT_A, false},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" HEX_A ".scope", "containerd", HEX_A,
     SHORT_A, false},
    {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" HEX_A
     ".scope",
     "containerd", HEX_A, SHORT_A, false},
    {"/kubepods/burstable/pod" POD "/" HEX_A, NULL, HEX_A, SHORT_A, false},
    {"/kubepods/pod" POD "/" HEX_A, NULL, HEX_A, SHORT_A, false},
    {"/kubelet/kubepods/besteffort/pod" POD "/" HEX_A, NULL, HEX_A, SHORT_A, false},
    {"/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" HEX_A, "containerd", HEX_A, SHORT_A, false},
    {"/system.slice/containerd.service/kubepods-pod" POD_ ".slice:cri-containerd:" HEX_A, "containerd", HEX_A,
     SHORT_A, false},
    {"/default/" HEX_A, "containerd", HEX_A, SHORT_A, false},
    {"/default/web", "containerd", "web", "web", false},
    {"/default/web/nested", "containerd", "web", "web", false},
    {"/system.slice/nerdctl-" HEX_A ".scope", "containerd", HEX_A, SHORT_A, false},
    {"/user.slice:nerdctl:" HEX_A, "containerd", HEX_A, SHORT_A, false},
    /* CRI-O */
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/crio-" HEX_A ".scope",
     "cri-o", HEX_A, SHORT_A, false},
    {"/kubepods/besteffort/pod" POD "/crio-" HEX_A, "cri-o", HEX_A, SHORT_A, false},
    {"/kubepods.slice:crio:" HEX_A, "cri-o", HEX_A, SHORT_A, false},
    /* podman */
    {"/machine.slice/libpod-" HEX_A ".scope", "podman", HEX_A, SHORT_A, false},
    {"/machine.slice/libpod-" HEX_A ".scope/container", "podman", HEX_A, SHORT_A, false},
    {"/machine.slice/machine-libpod_pod_" HEX_B ".slice/libpod-" HEX_A ".scope", "podman", HEX_A, SHORT_A,
     false},
    {USER "/user.slice/libpod-" HEX_A ".scope/container", "podman", HEX_A, SHORT_A, false},
    {"/system.slice/web.service/libpod-payload-" HEX_A, "podman", HEX_A, SHORT_A, false},
    {"/libpod_parent/libpod-" HEX_A, "podman", HEX_A, SHORT_A, false},
    {"/libpod_parent/" HEX_B "/libpod-" HEX_A, "podman", HEX_A, SHORT_A, false},
    /* nspawn */
    {"/machine.slice/systemd-nspawn@build.service", "systemd-nspawn", "build", "build", true},
    {"/machine.slice/systemd-nspawn@build.service/payload", "systemd-nspawn", "build", "build", true},
    {"/machine.slice/systemd-nspawn@build.service/payload/system.slice/nginx.service", "systemd-nspawn",
     "build", "build", true},
    {"/machine.slice/systemd-nspawn@my\\x2dbox.service/payload", "systemd-nspawn", "my-box", "my-box", true},
    {"/machine.slice/machine-my\\x2dbox.scope/payload", NULL, "my-box", "my-box", true},
    /* LXC */
    {"/lxc.payload.web-1", "lxc", "web-1", "web-1", true},
    {"/lxc.payload.web-1/system.slice/nginx.service", "lxc", "web-1", "web-1", true},
    {"/lxc.payload/web", "lxc", "web", "web", true},
    {"/lxc/101/ns/init.scope", "lxc", "101", "101", true},
    /* libvirt */
    {"/machine.slice/machine-qemu\\x2d3\\x2dubuntu\\x2d22.scope/libvirt/vcpu0", "libvirt", "3-ubuntu-22",
     "ubuntu-22", true},
    {"/machine.slice/machine-qemu-3-ubuntu.scope", "libvirt", "3-ubuntu", "ubuntu", true},
    {"/my.slice/my-vms.slice/machine-lxc\\x2d12\\x2dweb.scope", "libvirt", "12-web", "web", true},
    {"/machine/qemu-1-db.libvirt-qemu/emulator", "libvirt", "1-db", "db", true},
    {"/machine.slice/machine-qemu\\x2dx.scope", NULL, "qemu-x", "qemu-x", true},
    /* Nested: the container, and of several the innermost. */
    {"/docker/" HEX_A "/init.scope", "docker", HEX_A, SHORT_A, false},
    {"/docker/" HEX_A "/system.slice/nginx.service", "docker", HEX_A, SHORT_A, false},
    {"/docker/" HEX_A "/docker/" HEX_B, "docker", HEX_B, SHORT_B, false},
    {"/docker/" HEX_A "/docker/" HEX_B "/deep/er", "docker", HEX_B, SHORT_B, false},
    {"/docker/" HEX_A "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
     ".slice/cri-containerd-" HEX_B ".scope",
     "containerd", HEX_B, SHORT_B, false},
    {"/lxc.payload.web/system.slice/docker-" HEX_A ".scope", "docker", HEX_A, SHORT_A, false},
    {"/docker/" HEX_A "/machine.slice/libpod-conmon-" HEX_B ".scope", "docker", HEX_A, SHORT_A, false},
    /* Spellings */
    {"/../../docker/" HEX_A, "docker", HEX_A, SHORT_A, false},
    {"docker/" HEX_A, "docker", HEX_A, SHORT_A, false},
    {"//docker//" HEX_A "//", "docker", HEX_A, SHORT_A, false},
};

START_TEST(a_container_is_told_by_its_path)
{
	struct identity identity;

	identity_from_path(containers[_i].path, &identity);
	ck_assert_msg(identity.kind == IDENTITY_CONTAINER, "%s: no container", containers[_i].path);
	ck_assert_pstr_eq(identity.runtime, containers[_i].runtime);
	ck_assert_str_eq(identity.id, containers[_i].id);
	ck_assert_str_eq(identity.name, containers[_i].name);
	ck_assert_int_eq(identity.named, containers[_i].named);
	ck_assert_str_eq(identity.image, "");
	ck_assert_str_eq(identity.version, "");
}
END_TEST

/* ---- The system --------------------------------------------------------------------------------- */

static const struct {
	const char *path, *name;
} systems[] = {
    {"/", "root"},
    {"", "root"},
    {"//", "root"},
    {"/init.scope", "init.scope"},
    /* Units */
    {"/system.slice/nginx.service", "nginx.service"},
    {"/system.slice/nginx.service/", "nginx.service"},
    {"/system.slice/nginx.service/x/y", "nginx.service"},
    {"system.slice//nginx.service", "nginx.service"},
    {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
    {"/system.slice/docker.socket", "docker.socket"},
    {"/system.slice/home-my\\x2dfiles.mount", "home-my-files.mount"},
    {"/system.slice/dev-vda2.swap", "dev-vda2.swap"},
    {"/system.slice/_cpu.service", "cpu.service"},
    {"/user.slice/user-1000.slice/session-3.scope", "user-1000.slice"},
    {"/user.slice/user-1000.slice/session-3.scope/x", "user-1000.slice"},
    {"/user.slice/session-3.scope", "session-3.scope"},
    {USER, "user@1000.service"},
    {USER "/init.scope", "user@1000.service/init.scope"},
    {USER "/app.slice/foo.service", "user@1000.service/foo.service"},
    {USER "/app.slice/app-org.gnome.slice/foo.service/worker", "user@1000.service/foo.service"},
    {"/../../system.slice/nginx.service", "nginx.service"},
    {"/unknown/system.slice/nginx.service", "unknown/nginx.service"},
    /* Slices */
    {"/system.slice", "system.slice"},
    {"/user.slice/user-1000.slice", "user-1000.slice"},
    {"/system.slice/mine", "system.slice/mine"},
    {"/user.slice/user-1000.slice/mine", "user-1000.slice/mine"},
    {USER "/app.slice", "user@1000.service"},
    {"/kubepods.slice/kubepods-burstable.slice", "kubepods-burstable.slice"},
    /* Others */
    {"/mygroup/sub", "mygroup/sub"},
    {"/mygroup//sub/", "mygroup/sub"},
    {"/mygroup/a\\x2db", "mygroup/a\\x2db"},
    {"/.service", ".service"},
    {"/..", ".."},
    {"/../mine", "../mine"},
    {"/docker", "docker"},
    {"/docker/buildkit/x", "docker/buildkit/x"},
    {"/kubepods/burstable/pod" POD, "kubepods/burstable/podID"},
    /* Beside containers, but none */
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" HEX_A ".scope", "crio-conmon-ID.scope"},
    {"/kubepods/pod" POD "/crio-conmon-" HEX_A, "kubepods/podID/crio-conmon-ID"},
    {"/machine.slice/libpod-conmon-" HEX_A ".scope", "libpod-conmon-ID.scope"},
    {"/libpod_parent/" HEX_A, "libpod_parent/ID"},
    {"/libpod_parent/" HEX_A "/conmon", "libpod_parent/ID/conmon"},
    {"/lxc.monitor.web", "lxc.monitor.web"},
    {"/lxc.monitor/web", "lxc.monitor/web"},
    {"/system.slice/docker-" HEX_A ".mount", "docker-ID.mount"},
    {"/system.slice/run-docker-netns-x.mount", "run-docker-netns-x.mount"},
    {"/system.slice/" HEX_A ".service", "ID.service"},
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice",
     "kubepods-burstable-podID.slice"},
    {"/system.slice/run-r00112233445566778899aabbccddeeff.scope", "run-rID.scope"},
    {"/ecs/00112233445566778899aabbccddeeff", "ecs/ID"},
    {"/ecs/00112233445566778899aabbccddeef", "ecs/00112233445566778899aabbccddeef"},
    {"/machine.slice/machine-libpod_pod_" HEX_B ".slice", "machine-libpod_pod_ID.slice"},
    /* Nearly containers */
    {"/docker/4f1c0de9a2b3", "docker/4f1c0de9a2b3"},
    {"/docker/" HEX_A "0", "docker/" HEX_A "0"},
    {"/docker/x" HEX_A, "docker/xID"},
    {"/docker/4F1C0DE9A2B37586FEDCBA98765432100123456789ABCDEF0F1E2D3C4B5A6978",
     "docker/4F1C0DE9A2B37586FEDCBA98765432100123456789ABCDEF0F1E2D3C4B5A6978"},
    {"/system.slice/docker-web.scope", "docker-web.scope"},
    {"/system.slice/docker-" HEX_A "0.scope", "docker-" HEX_A "0.scope"},
    {"/system.slice/xdocker-" HEX_A ".scope", "xdocker-ID.scope"},
    {"/machine.slice/systemd-nspawn@.service", "systemd-nspawn@.service"},
    {"/machine.slice/machine-.scope", "machine-.scope"},
    {"/system.slice/machine-web.scope", "machine-web.scope"},
    {"/lxc.payload.", "lxc.payload."},
    {"/lxc", "lxc"},
    {"/machine/qemu--db.libvirt-qemu", "machine/qemu--db.libvirt-qemu"},
    {"/machine/qemu-1-.libvirt-qemu", "machine/qemu-1-.libvirt-qemu"},
    {"/machine/qemu-1.libvirt-qemu", "machine/qemu-1.libvirt-qemu"},
    /* Bytes */
    {"/a\xff\xfe/b", "a__/b"},
    {"/a\nb", "a_b"},
    {"/a\\b\\\\", "a\\b__"},
    {"/a\xe2\x82\xac", "a\xe2\x82\xac"},
    {"/system.slice/a\\x00b\\x2.service", "a\\x00b\\x2.service"},
    {"/system.slice/a\\x.service", "a\\x.service"},
    {"/system.slice/a\\xe2\\x82\\xac.service", "a\xe2\x82\xac.service"},
};

START_TEST(the_rest_is_named_by_unit_or_path)
{
	struct identity identity;

	identity_from_path(systems[_i].path, &identity);
	ck_assert_msg(identity.kind == IDENTITY_SYSTEM, "%s: a container", systems[_i].path);
	ck_assert_str_eq(identity.name, systems[_i].name);
	ck_assert_str_eq(identity.id, "");
	ck_assert_ptr_null(identity.runtime);
	ck_assert_int_eq(identity.named, false);
}
END_TEST

/* ---- Length ------------------------------------------------------------------------------------- */

/* A path of `prefix`, `length` times `c`, and `suffix`; the caller frees it. */
static char *long_path(const char *prefix, char c, size_t length, const char *suffix)
{
	size_t before = strlen(prefix);
	char *path = malloc(before + length + strlen(suffix) + 1);

	ck_assert_ptr_nonnull(path);
	memcpy(path, prefix, before);
	memset(path + before, c, length);
	strcpy(path + before + length, suffix);
	return path;
}

static struct identity identity_of_long(const char *prefix, char c, size_t length, const char *suffix)
{
	struct identity identity;
	char *path = long_path(prefix, c, length, suffix);

	memset(&identity, 0xaa, sizeof(identity));
	identity_from_path(path, &identity);
	free(path);
	return identity;
}

START_TEST(a_name_that_just_fits_is_whole)
{
	struct identity identity = identity_of_long("/", 'a', 253, "/b");

	ck_assert_uint_eq(strlen(identity.name), 255);
	ck_assert_int_eq(identity.name[0], 'a');
	identity = identity_of_long("/", 'a', 254, "/b");
	ck_assert_uint_eq(strlen(identity.name), 255);
	ck_assert_int_eq(identity.name[8], '~');
}
END_TEST

START_TEST(long_names_keep_their_end_and_stay_apart)
{
	struct identity one = identity_of_long("/one/", 'a', 10240, "/end");
	struct identity two = identity_of_long("/two/", 'a', 10240, "/end");
	struct identity again = identity_of_long("/one/", 'a', 10240, "/end");

	ck_assert_uint_eq(strlen(one.name), 255);
	ck_assert_str_eq(one.name + 251, "/end");
	ck_assert_uint_eq(strspn(one.name, "0123456789abcdef"), 8);
	ck_assert_int_eq(one.name[8], '~');
	ck_assert_str_ne(one.name, two.name);
	ck_assert_str_eq(one.name + 9, two.name + 9);
	ck_assert_str_eq(one.name, again.name);
}
END_TEST

START_TEST(a_long_name_is_of_its_unit_alone)
{
	struct identity one = identity_of_long("/", 'a', 300, "/web.service/worker-1");
	struct identity two = identity_of_long("/", 'a', 300, "/web.service/worker-2");

	ck_assert_str_eq(one.name, two.name);
	ck_assert_str_eq(one.name + 255 - strlen("/web.service"), "/web.service");
}
END_TEST

START_TEST(a_component_no_file_system_has_is_no_container)
{
	ck_assert_int_eq(identity_of_long("/lxc.payload.", 'a', 10240, "").kind, IDENTITY_SYSTEM);
	ck_assert_int_eq(identity_of_long("/lxc/", 'a', 256, "").kind, IDENTITY_SYSTEM);
	/* Above a container, it does not matter. */
	ck_assert_int_eq(identity_of_long("/", 'a', 10240, "/docker/" HEX_A).kind, IDENTITY_CONTAINER);
	ck_assert_int_eq(identity_of_long("/docker/" HEX_A "/", 'a', 10240, "").kind, IDENTITY_CONTAINER);
}
END_TEST

START_TEST(a_long_container_name_is_cut_to_an_id)
{
	struct identity identity = identity_of_long("/lxc/", 'a', 254, "z");

	ck_assert_int_eq(identity.kind, IDENTITY_CONTAINER);
	ck_assert_uint_eq(strlen(identity.name), 255);
	ck_assert_uint_eq(strlen(identity.id), IDENTITY_ID_MAX - 1);
	ck_assert_int_eq(identity.id[8], '~');
	ck_assert_int_eq(identity.id[IDENTITY_ID_MAX - 2], 'z');
}
END_TEST

START_TEST(slashes_and_dots_without_end)
{
	ck_assert_str_eq(identity_of_long("", '/', 10240, "").name, "root");
	ck_assert_str_eq(identity_of_long("/system.slice/", '/', 10240, "a.service").name, "a.service");
	ck_assert_str_eq(identity_of_long("/", '\xff', 200, ".service").name + 200, ".service");
}
END_TEST

static const struct {
	const char *text;
	size_t size;
	const char *copy; /* after the hash, if it begins with '~' */
} texts[] = {
    {"", 18, ""},
    {"a", 18, "a"},
    {"12345678901234567", 18, "12345678901234567"},
    {"123456789012345678", 18, "~12345678"},
    {"abcdefghijklmnopqrstuvwxyz", 20, "~qrstuvwxyz"},
    /* Not from within a character: of the Euro's three bytes two would stay. */
    {"abcdefghijklmnop\xe2\x82\xacqrstuvwx", 20, "~qrstuvwx"},
};

START_TEST(a_text_is_made_to_fit)
{
	char copy[IDENTITY_NAME_MAX];

	memset(copy, 0xaa, sizeof(copy));
	identity_text(copy, texts[_i].size, texts[_i].text, strlen(texts[_i].text));
	if (texts[_i].copy[0] == '~') {
		ck_assert_uint_eq(strspn(copy, "0123456789abcdef"), 8);
		ck_assert_str_eq(copy + 8, texts[_i].copy);
	} else {
		ck_assert_str_eq(copy, texts[_i].copy);
	}
	ck_assert_int_eq(copy[texts[_i].size], (char)0xaa);
}
END_TEST

START_TEST(an_id_is_64_hex_digits)
{
	ck_assert(identity_is_id(HEX_A, 64));
	ck_assert(!identity_is_id(HEX_A, 63));
	ck_assert(!identity_is_id(HEX_A "0", 65));
	ck_assert(!identity_is_id("", 0));
	ck_assert(!identity_is_id("../../../../../../../../../../../../../../../../../../../../../x", 64));
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table[0]))

int main(void)
{
	Suite *suite = suite_create("identity");
	TCase *paths = tcase_create("paths");
	TCase *lengths = tcase_create("lengths");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(paths, a_container_is_told_by_its_path, 0, ROWS(containers));
	tcase_add_loop_test(paths, the_rest_is_named_by_unit_or_path, 0, ROWS(systems));
	suite_add_tcase(suite, paths);
	tcase_add_test(lengths, a_name_that_just_fits_is_whole);
	tcase_add_test(lengths, long_names_keep_their_end_and_stay_apart);
	tcase_add_test(lengths, a_long_name_is_of_its_unit_alone);
	tcase_add_test(lengths, a_component_no_file_system_has_is_no_container);
	tcase_add_test(lengths, a_long_container_name_is_cut_to_an_id);
	tcase_add_test(lengths, slashes_and_dots_without_end);
	tcase_add_loop_test(lengths, a_text_is_made_to_fit, 0, ROWS(texts));
	tcase_add_test(lengths, an_id_is_64_hex_digits);
	suite_add_tcase(suite, lengths);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
