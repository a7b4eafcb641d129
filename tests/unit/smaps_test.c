/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What memory a process maps: its file as kernels write it, anything else, and processes that are not there.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../../common/smaps.h"
#include "tree.h"

#define KB 1024ull

/* Of Linux 6.18. */
static const char today[] =
    "560ac77b2000-7ffedd1e8000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                1612 kB\n"
    "Pss:                 252 kB\n"
    "Pss_Dirty:           112 kB\n"
    "Pss_Anon:            112 kB\n"
    "Pss_File:            140 kB\n"
    "Pss_Shmem:             0 kB\n"
    "Shared_Clean:       1464 kB\n"
    "Shared_Dirty:          0 kB\n"
    "Private_Clean:        36 kB\n"
    "Private_Dirty:       112 kB\n"
    "Referenced:         1612 kB\n"
    "Anonymous:           112 kB\n"
    "Private_Hugetlb:       7 kB\n"
    "Swap:                  0 kB\n"
    "SwapPss:               0 kB\n"
    "Locked:                0 kB\n";

#define LEAST "Rss: 4 kB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n"

/* ---- The text ---------------------------------------------------------------------------------- */

START_TEST(a_file_of_today)
{
	struct smaps smaps;

	ck_assert_int_eq(smaps_parse(today, &smaps), 0);
	ck_assert_uint_eq(smaps.rss_bytes, 1612 * KB);
	ck_assert_uint_eq(smaps.pss_bytes, 252 * KB);
	ck_assert_uint_eq(smaps.uss_bytes, (36 + 112) * KB);
}
END_TEST

START_TEST(the_least_that_tells)
{
	struct smaps smaps;

	ck_assert_int_eq(smaps_parse(LEAST, &smaps), 0);
	ck_assert_uint_eq(smaps.rss_bytes, 4 * KB);
	ck_assert_uint_eq(smaps.pss_bytes, 3 * KB);
	ck_assert_uint_eq(smaps.uss_bytes, 3 * KB);
}
END_TEST

static const char *const strange[] = {
    "",
    "\n",
    "Rss: 4 kB\nPss: 3 kB\nPrivate_Clean: 2 kB\n",
    "Rss: 4 kB\nPss: 3 kB\nPrivate_Dirty: 2 kB\n",
    "Pss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 4 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    LEAST "Rss: 4 kB\n",
    "Rss: 4\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 4 MB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: -4 kB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: kB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 4 kBit\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 18014398509481984 kB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 99999999999999999999 kB\nPss: 3 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    "Rss: 4 kB\nPss: 3 kB\nPrivate_Clean: 10000000000000000 kB\nPrivate_Dirty: 10000000000000000 kB\n",
};

START_TEST(what_makes_no_sense)
{
	struct smaps smaps;

	ck_assert_msg(smaps_parse(strange[_i], &smaps) == -EINVAL, "%s", strange[_i]);
}
END_TEST

START_TEST(the_largest_numbers)
{
	struct smaps sum = {.rss_bytes = UINT64_MAX - 4 * KB, .pss_bytes = 1, .uss_bytes = 2}, one;

	ck_assert_int_eq(smaps_parse(LEAST, &one), 0);
	ck_assert_int_eq(smaps_add(&sum, &one), 0);
	ck_assert_uint_eq(sum.rss_bytes, UINT64_MAX);
	ck_assert_uint_eq(sum.pss_bytes, 1 + 3 * KB);
	ck_assert_uint_eq(sum.uss_bytes, 2 + 3 * KB);
	ck_assert_int_eq(smaps_add(&sum, &one), -EOVERFLOW);
}
END_TEST

/* ---- The file ---------------------------------------------------------------------------------- */

/* Past the largest number that a kernel gives a process. */
#define NOBODY 5000001

static struct tree tree;
static int proc_fd;

static void set_up(void)
{
	ck_assert_int_eq(tree_open(&tree), 0);
	proc_fd = open(tree.root, O_PATH | O_DIRECTORY);
	ck_assert_int_ge(proc_fd, 0);
}

static void tear_down(void)
{
	close(proc_fd);
	tree_close(&tree);
}

START_TEST(a_process)
{
	struct smaps smaps;

	ck_assert_int_eq(tree_write(&tree, "5000001/smaps_rollup", today), 0);
	ck_assert_int_eq(smaps_read(proc_fd, NOBODY, &smaps), 0);
	ck_assert_uint_eq(smaps.rss_bytes, 1612 * KB);
}
END_TEST

START_TEST(a_process_that_has_ended)
{
	struct smaps smaps;

	ck_assert_int_eq(smaps_read(proc_fd, NOBODY, &smaps), -ESRCH);
	ck_assert_int_eq(tree_write(&tree, "5000001/smaps_rollup", ""), 0);
	ck_assert_int_eq(smaps_read(proc_fd, NOBODY, &smaps), -ESRCH);
}
END_TEST

START_TEST(a_kernel_without_the_file)
{
	struct smaps smaps;

	ck_assert_int_eq(tree_write(&tree, "5000001/stat", "5000001 (web) S\n"), 0);
	ck_assert_int_eq(smaps_read(proc_fd, NOBODY, &smaps), -ENOSYS);
}
END_TEST

/* As with hidepid. */
START_TEST(a_process_without_a_directory)
{
	struct smaps smaps;

	ck_assert_int_eq(smaps_read(proc_fd, (uint32_t)getpid(), &smaps), -EACCES);
}
END_TEST

START_TEST(a_file_that_is_huge)
{
	char text[8192];
	struct smaps smaps;

	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, LEAST, strlen(LEAST));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(tree_write(&tree, "5000001/smaps_rollup", text), 0);
	ck_assert_int_eq(smaps_read(proc_fd, NOBODY, &smaps), -EFBIG);
}
END_TEST

/* ---- The kernel's own -------------------------------------------------------------------------- */

START_TEST(this_very_process)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);
	struct smaps smaps;

	ck_assert_int_eq(smaps_read(fd, (uint32_t)getpid(), &smaps), 0);
	ck_assert_uint_gt(smaps.rss_bytes, 0);
	ck_assert_uint_le(smaps.uss_bytes, smaps.rss_bytes);
	ck_assert_uint_le(smaps.pss_bytes, smaps.rss_bytes);
	close(fd);
}
END_TEST

/* It has no memory any more, and nobody has asked for its status yet. */
START_TEST(a_zombie)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);
	struct smaps smaps;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(smaps_read(fd, (uint32_t)pid, &smaps), -ESRCH);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(smaps_read(fd, (uint32_t)pid, &smaps), -ESRCH);
	close(fd);
}
END_TEST

/* As another user. */
START_TEST(a_process_that_we_may_not_look_at)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY), status;
	pid_t pid = fork();
	struct smaps smaps;

	if (pid == 0) {
		int r = setgid(65534) || setuid(65534) ? 0 : smaps_read(fd, (uint32_t)getppid(), &smaps);

		_exit(r == -EACCES ? 0 : 1 + (r != 0));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(getuid() != 0 || status == 0, "status %x", status);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("smaps");
	TCase *text = tcase_create("text"), *files = tcase_create("files"), *kernel = tcase_create("kernel");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(text, a_file_of_today);
	tcase_add_test(text, the_least_that_tells);
	tcase_add_loop_test(text, what_makes_no_sense, 0, sizeof(strange) / sizeof(strange[0]));
	tcase_add_test(text, the_largest_numbers);
	suite_add_tcase(suite, text);
	tcase_add_checked_fixture(files, set_up, tear_down);
	tcase_add_test(files, a_process);
	tcase_add_test(files, a_process_that_has_ended);
	tcase_add_test(files, a_kernel_without_the_file);
	tcase_add_test(files, a_process_without_a_directory);
	tcase_add_test(files, a_file_that_is_huge);
	suite_add_tcase(suite, files);
	tcase_add_test(kernel, this_very_process);
	tcase_add_test(kernel, a_zombie);
	tcase_add_test(kernel, a_process_that_we_may_not_look_at);
	suite_add_tcase(suite, kernel);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
