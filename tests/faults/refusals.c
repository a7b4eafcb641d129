/* SPDX-License-Identifier: GPL-3.0-only
 *
 * refusals memory|bpf|files FIRST STEP SYS_ROOT [OPTION=VALUE]...: what the core does where it is refused
 * something, under address sanitizer. In a process of its own for each FIRST, FIRST + STEP, ... a collector
 * is opened, read and closed, and then is refused: memory  that allocation of the core's, alone bpf     that
 * call of bpf(), with ENOMEM, alone files   any descriptor past that many until a process passes without a
 * refusal. A refusal may cost a figure; it must not cost a leak, a descriptor, a crash or a wrong figure, and
 * where nothing can be measured a line says so.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <sanitizer/lsan_interface.h>
#include <search.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "../../common/deepmon.h"

#define SECOND	 1000000000ull
#define SLACK_NS 20e6	/* files tell CPU time by ticks */
#define PASS_MAX 100000 /* refusals: the core comes to an end of its allocations long before */

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=1:allocator_may_return_null=1:exitcode=99";
}

/* ---- What is refused --------------------------------------------------------------------------- */

enum what { MEMORY, BPF, FILES };
static const char *const names[] = {"memory", "bpf", "files"};

static enum what refused;
static _Atomic long left; /* until the refusal; 0: none is to come */
static _Atomic bool was_refused;

static bool refuse(enum what what)
{
	if (what != refused || atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
		return false;
	atomic_store(&was_refused, true);
	return true;
}

static bool refuse_memory(void)
{
	if (!refuse(MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

/* The core's calls come here by the linker's --wrap: RESULT name(parameters), NULL where it is refused. */
#define WRAPPED(result, name, parameters, ...) \
	result __real_##name parameters; \
	result __wrap_##name parameters; \
	result __wrap_##name parameters \
	{ \
		return refuse_memory() ? NULL : __real_##name(__VA_ARGS__); \
	}
WRAPPED(void *, malloc, (size_t size), size)
WRAPPED(void *, calloc, (size_t count, size_t size), count, size)
WRAPPED(void *, realloc, (void *old, size_t size), old, size)
WRAPPED(void *, reallocarray, (void *old, size_t count, size_t size), old, count, size)
WRAPPED(char *, strdup, (const char *text), text)
WRAPPED(char *, strndup, (const char *text, size_t size), text, size)
WRAPPED(DIR *, opendir, (const char *path), path)
WRAPPED(DIR *, fdopendir, (int fd), fd)
WRAPPED(FILE *, fdopen, (int fd, const char *mode), fd, mode)
WRAPPED(void *, tsearch, (const void *key, void **root, __compar_fn_t compare), key, root, compare)
WRAPPED(cJSON *, cJSON_ParseWithLength, (const char *text, size_t size), text, size)

int __real_regcomp(regex_t *expression, const char *text, int flags);
int __wrap_regcomp(regex_t *expression, const char *text, int flags);
int __wrap_regcomp(regex_t *expression, const char *text, int flags)
{
	return refuse_memory() ? REG_ESPACE : __real_regcomp(expression, text, flags);
}

int __wrap_asprintf(char **text, const char *format, ...);
int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list arguments;
	int length;

	if (refuse_memory())
		return -1;
	va_start(arguments, format);
	length = vasprintf(text, format, arguments);
	va_end(arguments);
	return length;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *argument)
{
	return refuse_memory() ? EAGAIN : __real_pthread_create(thread, how, run, argument);
}

/* libbpf's calls come here, as the program's own symbol stands before the C library's. */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long arguments[6];
	va_list list;

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf && refuse(BPF)) {
		errno = ENOMEM;
		return -1;
	}
	return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		    arguments[5]);
}

/* ---- One collector ----------------------------------------------------------------------------- */

static struct deepmon_options options;
static int counter; /* the file of the one energy counter there is */
static uint64_t counted_uj;
static _Atomic unsigned lines_said;
static char last_line[1024];

static void hear(void *user, enum deepmon_log_level level, const char *line)
{
	(void)user;
	if (level <= DEEPMON_WARNING && atomic_fetch_add(&lines_said, 1) == 0)
		snprintf(last_line, sizeof(last_line), "%s", line);
}

static void wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("# ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	fflush(stdout);
	_exit(1);
}

/* Of a fixed length, and so never seen half written. */
static void count_energy(uint64_t uj)
{
	counted_uj += uj;
	if (dprintf(counter, "%012llu\n", (unsigned long long)counted_uj) < 0 || lseek(counter, 0, SEEK_SET))
		wrong("the counter can't be written");
}

static unsigned open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

/* What a sample says of the whole. */
struct whole {
	uint64_t began_ns, ended_ns; /* of the read */
	uint64_t cpu_ns, energy_uj, totals_uj;
	bool has_cpu, has_energy;
};

static struct whole sum_up(const struct deepmon_sample *sample)
{
	struct whole whole = {0};

	for (size_t i = 0; i < sample->record_count; i++) {
		const struct deepmon_record *record = &sample->records[i];

		if (record->subject == DEEPMON_SUBJECT_CPU && record->entity == DEEPMON_TOTAL) {
			whole.cpu_ns += record->values.cpu.cpu_time_ns;
			whole.has_cpu = true;
		}
		if (record->subject != DEEPMON_SUBJECT_ENERGY)
			continue;
		if (record->entity == DEEPMON_TOTAL)
			whole.totals_uj += record->values.energy.energy_joules;
		if (record->entity == DEEPMON_HOST) {
			whole.energy_uj += record->values.energy.energy_joules;
			whole.has_energy = true;
		}
	}
	return whole;
}

static void check(const struct whole *first, const struct whole *last, uint64_t expected_uj)
{
	if (last->has_energy && last->totals_uj != last->energy_uj)
		wrong("the parts make %llu uJ, the host has %llu", (unsigned long long)last->totals_uj,
		      (unsigned long long)last->energy_uj);
	if (last->has_energy && last->energy_uj != expected_uj)
		wrong("%llu uJ are told, the counter grew by %llu", (unsigned long long)last->energy_uj,
		      (unsigned long long)expected_uj);
	if (!first->has_cpu || !last->has_cpu || first == last)
		return;

	/* Each sample is somewhere within its read, however long that was put off. */
	double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN), told = (double)(last->cpu_ns - first->cpu_ns);
	double least = cpus * (double)(last->began_ns - first->ended_ns) - SLACK_NS;
	double most = cpus * (double)(last->ended_ns - first->began_ns) + SLACK_NS;

	if (told < least || told > most)
		wrong("%.1f ms of CPU time are told, there were %.1f to %.1f", told / 1e6, least / 1e6,
		      most / 1e6);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void pause_ns(long ns)
{
	const struct timespec time = {.tv_nsec = ns};

	nanosleep(&time, NULL);
}

#define READS 3

static void measure(struct deepmon *collector)
{
	const struct deepmon_sample *sample;
	struct whole first, last;
	unsigned taken = 0;

	for (int i = 0; i < READS; i++) {
		pause_ns(10000000);
		count_energy(1000000);

		uint64_t began_ns = now_ns();
		int r = deepmon_read(collector, &sample);

		if (r == -EAGAIN)
			continue;
		if (r)
			wrong("a read gives %s", strerror(-r));
		last = sum_up(sample);
		last.began_ns = began_ns;
		last.ended_ns = now_ns();
		if (!taken++)
			first = last;
		check(&first, taken > 1 ? &last : &first, counted_uj);
	}
	if (taken + 1 < READS)
		wrong("%u reads of %d had no sample", READS - taken, READS);
}

enum { PASSED = 10, WENT_ON, GAVE_UP };

static unsigned *lines_usual; /* said where nothing is refused; shared by all processes */

/* In a process of its own. */
static int be_refused(long at)
{
	const struct deepmon_logger logger = {.log = hear};
	struct deepmon *collector = NULL;
	unsigned files = open_files();
	struct rlimit limit;
	int r;

	count_energy(0);
	atomic_store(&left, refused == FILES ? 0 : at);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = refused == FILES ? files - 3 + (rlim_t)at : limit.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &limit);
	r = deepmon_open(&collector, &options, &logger);
	if (!r)
		measure(collector);
	else if (!atomic_load(&lines_said))
		wrong("open gives %s and says nothing", strerror(-r));
	deepmon_close(r ? NULL : collector);
	atomic_store(&left, 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (open_files() != files)
		wrong("%u descriptors were open before, and are %u after", files, open_files());
	if (at == PASS_MAX)
		*lines_usual = atomic_load(&lines_said);
	if (__lsan_do_recoverable_leak_check())
		wrong("leaks");
	if (refused == FILES)
		atomic_store(&was_refused, atomic_load(&lines_said) > *lines_usual);
	return r ? GAVE_UP : atomic_load(&was_refused) ? WENT_ON : PASSED;
}

/* ---- All of them ------------------------------------------------------------------------------- */

/* A /sys with one package's counter. */
static void make_sys(const char *root)
{
	static const char *const files[][2] = {
	    {"name", "package-0\n"}, {"max_energy_range_uj", "262143328850\n"}, {"energy_uj", ""}};
	static const char *const directories[] = {"", "/class", "/class/powercap",
						  "/class/powercap/intel-rapl:0"};
	char path[512];
	int fd = -1;

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, directories[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			exit(2);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/class/powercap/intel-rapl:0/%s", root, files[i][0]);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || dprintf(fd, "%s", files[i][1]) < 0)
			exit(2);
	}
	counter = fd;
}

static void set_option(const char *text)
{
	char name[64], why[512];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "="), text);
	if (!strchr(text, '=') ||
	    deepmon_options_set(&options, name, strchr(text, '=') + 1, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		exit(2);
	}
}

/* The outcome; another status than those is a mistake, and so is a signal, which is negative. */
static int in_a_child(long at)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(be_refused(at));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv)
{
	long first = argc > 3 ? atol(argv[2]) : 0, step = argc > 3 ? atol(argv[3]) : 0;
	unsigned outcomes[GAVE_UP + 1] = {0}, bad = 0;

	while (refused <= FILES && (argc < 5 || strcmp(argv[1], names[refused])))
		refused++;
	if (refused > FILES || first < 1 || step < 1) {
		fprintf(stderr, "refusals memory|bpf|files FIRST STEP SYS_ROOT [OPTION=VALUE]...\n");
		return 2;
	}
	deepmon_options_init(&options);
	make_sys(argv[4]);
	set_option("CgroupRoot=/sys/fs/cgroup");
	snprintf(options.sys_root, sizeof(options.sys_root), "%s", argv[4]);
	for (int i = 5; i < argc; i++)
		set_option(argv[i]);
	lines_usual =
	    mmap(NULL, sizeof(*lines_usual), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lines_usual == MAP_FAILED || in_a_child(PASS_MAX) != PASSED) {
		printf("not ok: where nothing is refused\n");
		return 1;
	}
	for (long at = first; at < PASS_MAX; at += step) {
		int code = in_a_child(at);

		if (code < PASSED || code > GAVE_UP) {
			printf("not ok: %s refused at %ld: %s %d\n", names[refused], at,
			       code < 0 ? "signal" : "status", abs(code));
			bad++;
			continue;
		}
		outcomes[code]++;
		if (code == PASSED)
			break;
	}
	printf("%s: %u refusals, of which %u opened nothing and %u went on; %u wrong%s\n", names[refused],
	       outcomes[GAVE_UP] + outcomes[WENT_ON] + bad, outcomes[GAVE_UP], outcomes[WENT_ON], bad,
	       outcomes[PASSED] ? "" : "; it never passed");
	return bad || !outcomes[PASSED];
}
