/* SPDX-License-Identifier: GPL-3.0-only
 *
 * rapl-sim: a powercap tree whose counters follow a stated model of the machine's real CPU use, and the
 * truth beside it, so that what a collector reports can be held against what is known. Writes under --root
 * and to --truth alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cputime.h"
#include "model.h"
#include "tree.h"

#define NS_PER_S	 1000000000ULL
#define TRUTH_NS	 100000000ULL
#define CGROUPS_MAX	 64
#define DEFAULT_RANGE_UJ 262143328850ULL /* what most server processors say */

static const char usage[] =
    "Usage: rapl-sim --root DIR [option]...\n"
    "\n"
    "Writes a tree as under /sys (powercap zones and CPU topology) into DIR and keeps its energy counters\n"
    "going by the model below, until SIGTERM, SIGINT or SIGHUP. Prints \"ready\" once the tree is complete.\n"
    "Removes nothing; take a new DIR for another set of zones.\n"
    "\n"
    "  --root DIR             where the tree goes; stands for /sys; made if it is not there\n"
    "  --sockets N            deal the online CPUs out over N sockets (1)\n"
    "  --domains LIST         out of package,core,uncore,dram,psys (package,core,dram); zones below a\n"
    "                         package are numbered in this order\n"
    "  --range-uj N           max_energy_range_uj, 0: never wraps (262143328850)\n"
    "  --start-uj N           what every counter starts from, less than the range (0)\n"
    "  --idle-watts W         package, always (10)\n"
    "  --busy-watts W         package, for each busy CPU on top (20)\n"
    "  --dram-idle-watts W    dram, always (2)\n"
    "  --dram-busy-watts W    dram, for each busy CPU on top (3)\n"
    "  --period-ms N          time between two updates, 1 to 60000 (50)\n"
    "  --cgroup NAME=DIR      account for this cgroup in the truth; DIR may come and go; up to 64 times\n"
    "  --truth FILE           write the truth here, a line of JSON every 100 ms\n"
    "  --mmio                 mirror the packages as control type intel-rapl-mmio\n"
    "  --stat                 take CPU time from /proc/stat even if there is a cpuacct hierarchy\n"
    "  --duration S           end by itself after so many seconds\n"
    "  --help                 this\n"
    "\n"
    "The model. Over a step of dt seconds, in which the CPUs of socket s were busy for B(s) CPU seconds:\n"
    "  package(s) = idle * dt + busy * B(s)                J\n"
    "  core(s)    = 0.8 * busy * B(s)                      part of package\n"
    "  uncore(s)  = 0.1 * idle * dt                        part of package\n"
    "  dram(s)    = dram-idle * dt + dram-busy * B(s)      beside package\n"
    "  psys       = 1.25 * sum over s of (package(s) + dram(s)) + 2 W * dt\n"
    "psys counts packages and drams whether their zones are shown or not. CPU i of n online ones is in\n"
    "socket i * N / n (whole numbers). B comes from cpuacct.usage_percpu of the root cgroup (ns), or, where\n"
    "there is no cpuacct hierarchy, from user + nice + system + irq + softirq of /proc/stat (ticks). CPUs\n"
    "that come online later are not counted.\n"
    "Energy is held in attojoules and only the figure shown is rounded, down to a microjoule. It counts\n"
    "modulo max_energy_range_uj: range - old + new over a wrap is exact.\n"
    "\n"
    "The truth. Every number is a total since \"ready\". time_ns and monotonic_ns (CLOCK_REALTIME,\n"
    "CLOCK_MONOTONIC): when CPU times were read; steps; zones: uJ of each counter, not wrapped; idle_uj: "
    "the\n"
    "dt part of each domain over all sockets; busy_ns: B by socket; cgroups: for each,\n"
    "  cpu_ns           CPU time\n"
    "  proportional_uj  for each step and socket, the domain's energy * the cgroup's CPU time / B(s)\n"
    "  dynamic_uj       the same share of the B(s) part alone\n"
    "Nothing is charged in a step with B(s) = 0. CPU time beyond B(s) (files are read one after the other)\n"
    "waits for the next step. A cgroup of v2 (cpu.stat) tells no CPUs: its time is taken to lie as all busy\n"
    "time of the step does. A cgroup that is removed loses what it used since the last update.\n";

struct tracked {
	const char *path;
	char name[128];
	bool complained;
	struct sim_reading reading;
	struct sim_account account;
};

struct sim {
	/* Options. */
	const char *root;
	const char *truth_path;
	unsigned int sockets;
	struct sim_watts watts;
	uint64_t period_ns;
	uint64_t duration_ns; /* 0: until a signal */
	bool from_stat;

	struct cputime cputime;
	struct sim_model model;
	struct sim_tree tree;
	int truth_fd;

	uint64_t last_ns; /* the step before: when, and each socket's busy time */
	uint64_t last_busy_ns[SIM_SOCKETS_MAX];
	uint64_t steps;
	struct sim_span total;

	unsigned int cgroup_count;
	struct tracked cgroups[CGROUPS_MAX];
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- Options ----------------------------------------------------------------------------------- */

static int bad_option(const char *option, const char *value, const char *accepted)
{
	fprintf(stderr, "rapl-sim: --%s %s: %s\n", option, value, accepted);
	return -EINVAL;
}

static int option_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	char accepted[80];

	if (!parse_u64(text, value) && *value >= least && *value <= most)
		return 0;
	snprintf(accepted, sizeof(accepted), "a whole number from %" PRIu64 " to %" PRIu64 " is wanted",
		 least, most);
	return bad_option(option, text, accepted);
}

static int option_real(const char *option, const char *text, double most, double *value)
{
	char *end;
	char accepted[80];

	*value = strtod(text, &end);
	if (end != text && !*end && isfinite(*value) && *value >= 0 && *value <= most)
		return 0;
	snprintf(accepted, sizeof(accepted), "a number from 0 to %.0f is wanted", most);
	return bad_option(option, text, accepted);
}

static int option_domains(struct sim_tree *tree, const char *text)
{
	static const char accepted[] =
	    "a comma list out of package,core,uncore,dram,psys, each once, is wanted";
	const char *part = text;

	tree->domain_count = 0;
	for (;;) {
		size_t length = strcspn(part, ",");
		enum sim_domain d = SIM_PACKAGE;

		while (d < SIM_DOMAIN_COUNT && (strlen(sim_domain_names[d]) != length ||
						memcmp(sim_domain_names[d], part, length) != 0))
			d++;
		if (d == SIM_DOMAIN_COUNT || tree_has(tree, d))
			return bad_option("domains", text, accepted);
		tree->domains[tree->domain_count++] = d;
		if (!part[length])
			break;
		part += length + 1;
	}
	if (!tree_has(tree, SIM_PACKAGE) && (tree->domain_count > 1 || !tree_has(tree, SIM_PSYS)))
		return bad_option("domains", text, "core, uncore and dram stand below package: add it");
	return 0;
}

static int option_cgroup(struct sim *sim, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : 0;
	struct tracked *cgroup = &sim->cgroups[sim->cgroup_count];

	if (!length || !equals[1] || length >= sizeof(cgroup->name))
		return bad_option("cgroup", text, "NAME=DIR is wanted, NAME of at most 127 bytes");
	if (sim->cgroup_count == CGROUPS_MAX)
		return bad_option("cgroup", text, "there are 64 already, the most that are taken");
	memcpy(cgroup->name, text, length);
	cgroup->name[length] = '\0';
	cgroup->path = equals + 1;
	/* Goes into JSON as it is. */
	for (const char *c = cgroup->name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
			return bad_option("cgroup", text,
					  "NAME without quotes, backslashes, control characters");
	for (unsigned int i = 0; i < sim->cgroup_count; i++)
		if (!strcmp(sim->cgroups[i].name, cgroup->name))
			return bad_option("cgroup", text, "this NAME is there already");
	sim->cgroup_count++;
	return 0;
}

enum option_code {
	OPTION_ROOT = 256,
	OPTION_SOCKETS,
	OPTION_DOMAINS,
	OPTION_RANGE,
	OPTION_START,
	OPTION_IDLE,
	OPTION_BUSY,
	OPTION_DRAM_IDLE,
	OPTION_DRAM_BUSY,
	OPTION_PERIOD,
	OPTION_CGROUP,
	OPTION_TRUTH,
	OPTION_MMIO,
	OPTION_STAT,
	OPTION_DURATION,
	OPTION_HELP,
};

static const struct option options[] = {
    {"root", required_argument, NULL, OPTION_ROOT},
    {"sockets", required_argument, NULL, OPTION_SOCKETS},
    {"domains", required_argument, NULL, OPTION_DOMAINS},
    {"range-uj", required_argument, NULL, OPTION_RANGE},
    {"start-uj", required_argument, NULL, OPTION_START},
    {"idle-watts", required_argument, NULL, OPTION_IDLE},
    {"busy-watts", required_argument, NULL, OPTION_BUSY},
    {"dram-idle-watts", required_argument, NULL, OPTION_DRAM_IDLE},
    {"dram-busy-watts", required_argument, NULL, OPTION_DRAM_BUSY},
    {"period-ms", required_argument, NULL, OPTION_PERIOD},
    {"cgroup", required_argument, NULL, OPTION_CGROUP},
    {"truth", required_argument, NULL, OPTION_TRUTH},
    {"mmio", no_argument, NULL, OPTION_MMIO},
    {"stat", no_argument, NULL, OPTION_STAT},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* One option, `name` with its value in optarg. */
static int take_option(struct sim *sim, int code, const char *name)
{
	uint64_t number = 0;
	double real = 0;
	int error = 0;

	switch (code) {
	case OPTION_ROOT:
		sim->root = optarg;
		return *optarg ? 0 : bad_option(name, "''", "a directory is wanted");
	case OPTION_SOCKETS:
		error = option_number(name, optarg, 1, SIM_SOCKETS_MAX, &number);
		sim->sockets = (unsigned int)number;
		return error;
	case OPTION_DOMAINS:
		return option_domains(&sim->tree, optarg);
	case OPTION_RANGE:
		return option_number(name, optarg, 0, INT64_MAX, &sim->tree.range_uj);
	case OPTION_START:
		return option_number(name, optarg, 0, INT64_MAX, &sim->tree.start_uj);
	case OPTION_IDLE:
		return option_real(name, optarg, 1e6, &sim->watts.idle);
	case OPTION_BUSY:
		return option_real(name, optarg, 1e6, &sim->watts.busy);
	case OPTION_DRAM_IDLE:
		return option_real(name, optarg, 1e6, &sim->watts.dram_idle);
	case OPTION_DRAM_BUSY:
		return option_real(name, optarg, 1e6, &sim->watts.dram_busy);
	case OPTION_PERIOD:
		error = option_number(name, optarg, 1, 60000, &number);
		sim->period_ns = number * 1000000;
		return error;
	case OPTION_CGROUP:
		return option_cgroup(sim, optarg);
	case OPTION_TRUTH:
		sim->truth_path = optarg;
		return 0;
	case OPTION_MMIO:
		sim->tree.mmio = true;
		return 0;
	case OPTION_STAT:
		sim->from_stat = true;
		return 0;
	case OPTION_DURATION:
		error = option_real(name, optarg, 1e9, &real);
		sim->duration_ns = (uint64_t)(real * 1e9);
		return error		  ? error
		       : sim->duration_ns ? 0
					  : bad_option(name, optarg, "more than 0 is wanted");
	default:
		return -EINVAL; /* getopt_long has said what is wrong */
	}
}

/* 0; 1: --help was asked for; -EINVAL: a line on stderr says what is wrong. */
static int take_options(struct sim *sim, int argc, char **argv)
{
	int code, index = 0;

	sim->sockets = 1;
	sim->watts = (struct sim_watts){.idle = 10, .busy = 20, .dram_idle = 2, .dram_busy = 3};
	sim->period_ns = 50000000;
	sim->tree.range_uj = DEFAULT_RANGE_UJ;
	option_domains(&sim->tree, "package,core,dram");
	while ((code = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (code == OPTION_HELP)
			return 1;
		int error = take_option(sim, code, options[index].name);

		if (error)
			return error;
	}
	if (optind < argc) {
		fprintf(stderr, "rapl-sim: %s: no such argument; --help lists the options\n", argv[optind]);
		return -EINVAL;
	}
	if (!sim->root) {
		fprintf(stderr, "rapl-sim: --root DIR is missing; --help lists the options\n");
		return -EINVAL;
	}
	if (sim->tree.range_uj && sim->tree.start_uj >= sim->tree.range_uj) {
		fprintf(stderr,
			"rapl-sim: --start-uj %" PRIu64 ": less than the range, %" PRIu64 ", is wanted\n",
			sim->tree.start_uj, sim->tree.range_uj);
		return -EINVAL;
	}
	return 0;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

/* What the cgroup used since the last time. At the very first, its counters so far are the base. */
static void sample_cgroup(struct sim *sim, struct tracked *cgroup, bool first)
{
	uint64_t busy_ns[SIM_SOCKETS_MAX] = {0}, delta_ns[SIM_SOCKETS_MAX], id = 0;
	bool unsplit = false;
	int error = cputime_read_cgroup(&sim->cputime, cgroup->path, &id, &unsplit, busy_ns);

	if (error) {
		if (error != -ENOENT && error != -ENODEV && !cgroup->complained)
			fprintf(stderr, "rapl-sim: cgroup %s: %s: %s; its last figures stay\n", cgroup->name,
				cgroup->path, strerror(-error));
		cgroup->complained |= error != -ENOENT && error != -ENODEV;
		return;
	}
	sim_reading_advance(&cgroup->reading, id, busy_ns, sim->sockets, delta_ns);
	if (first)
		return;
	if (unsplit)
		sim_account_use_unsplit(&cgroup->account, delta_ns[0]);
	else
		sim_account_use(&cgroup->account, delta_ns, sim->sockets);
}

/* Takes in the time since the step before, and brings the counters to it. */
static int step(struct sim *sim, bool first)
{
	struct sim_span span = {0};
	uint64_t busy_ns[SIM_SOCKETS_MAX] = {0}, now;
	int error;

	/* The host last: no cgroup has then used more than it, but for what a tick adds between the two. */
	for (unsigned int i = 0; i < sim->cgroup_count; i++)
		sample_cgroup(sim, &sim->cgroups[i], first);
	now = now_ns(CLOCK_MONOTONIC);
	error = cputime_read(&sim->cputime, busy_ns);
	if (error) {
		fprintf(stderr, "rapl-sim: CPU time from %s: %s\n",
			sim->cputime.cpuacct[0] ? sim->cputime.cpuacct : "/proc/stat", strerror(-error));
		return error;
	}
	for (unsigned int s = 0; s < sim->sockets; s++) {
		if (!first && busy_ns[s] > sim->last_busy_ns[s])
			span.busy_ns[s] = busy_ns[s] - sim->last_busy_ns[s];
		if (first || busy_ns[s] > sim->last_busy_ns[s])
			sim->last_busy_ns[s] = busy_ns[s];
	}
	span.elapsed_ns = first ? 0 : now - sim->last_ns;
	sim->last_ns = now;
	sim->steps += !first;
	sim_span_add(&sim->total, &span, sim->sockets);
	for (unsigned int i = 0; i < sim->cgroup_count; i++)
		sim_account_charge(&sim->model, &span, &sim->cgroups[i].account);
	error = tree_update(&sim->tree, &sim->model, &sim->total);
	if (error)
		fprintf(stderr, "rapl-sim: writing a counter under %s: %s\n", sim->root, strerror(-error));
	return error;
}

/* ---- The truth --------------------------------------------------------------------------------- */

/* {"package":1,"dram":2} of what `energy` tells of each domain shown. */
static void print_domains(FILE *out, const struct sim *sim, const struct sim_account *account,
			  sim_aj (*energy)(const struct sim *sim, const struct sim_account *account,
					   enum sim_domain domain))
{
	for (unsigned int i = 0; i < sim->tree.domain_count; i++) {
		enum sim_domain d = sim->tree.domains[i];

		fprintf(out, "%c\"%s\":%" PRIu64, i ? ',' : '{', sim_domain_names[d],
			sim_uj(energy(sim, account, d)));
	}
	fputc('}', out);
}

static sim_aj idle_of(const struct sim *sim, const struct sim_account *account, enum sim_domain domain)
{
	(void)account;
	return sim_idle_energy(&sim->model, &sim->total, domain);
}

static sim_aj proportional_of(const struct sim *sim, const struct sim_account *account,
			      enum sim_domain domain)
{
	(void)sim;
	return account->proportional_aj[domain];
}

static sim_aj dynamic_of(const struct sim *sim, const struct sim_account *account, enum sim_domain domain)
{
	return sim_account_dynamic(&sim->model, account, domain);
}

static void print_truth(FILE *out, const struct sim *sim)
{
	const char *separator = "";
	/* When CPU times were read, on the other clock: it was a moment ago. */
	uint64_t time_ns = now_ns(CLOCK_REALTIME) - (now_ns(CLOCK_MONOTONIC) - sim->last_ns);

	fprintf(out,
		"{\"time_ns\":%" PRIu64 ",\"monotonic_ns\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"zones\":{",
		time_ns, sim->last_ns, sim->steps);
	for (unsigned int i = 0; i < sim->tree.zone_count; i++) {
		const struct sim_zone *zone = &sim->tree.zones[i];

		if (zone->mirror)
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, separator, zone->name,
			sim_uj(sim_energy(&sim->model, &sim->total, zone->domain, zone->socket)));
		separator = ",";
	}
	fprintf(out, "},\"idle_uj\":");
	print_domains(out, sim, NULL, idle_of);
	fprintf(out, ",\"busy_ns\":{");
	for (unsigned int s = 0; s < sim->sockets; s++)
		fprintf(out, "%s\"%u\":%" PRIu64, s ? "," : "", s, sim->total.busy_ns[s]);
	fprintf(out, "},\"cgroups\":{");
	for (unsigned int i = 0; i < sim->cgroup_count; i++) {
		const struct tracked *cgroup = &sim->cgroups[i];

		fprintf(out, "%s\"%s\":{\"cpu_ns\":%" PRIu64 ",\"proportional_uj\":", i ? "," : "",
			cgroup->name, cgroup->account.cpu_ns);
		print_domains(out, sim, &cgroup->account, proportional_of);
		fprintf(out, ",\"dynamic_uj\":");
		print_domains(out, sim, &cgroup->account, dynamic_of);
		fputc('}', out);
	}
	fprintf(out, "}}\n");
}

/* One line, in one write: who reads along never sees half of it but at the end of a full disk. */
static int write_truth(const struct sim *sim)
{
	char *line = NULL;
	size_t length = 0, written = 0;
	FILE *out;
	int error = 0;

	if (sim->truth_fd < 0)
		return 0;
	out = open_memstream(&line, &length);
	if (!out)
		return -ENOMEM;
	print_truth(out, sim);
	if (fclose(out))
		error = -ENOMEM;
	while (!error && written < length) {
		ssize_t n = write(sim->truth_fd, line + written, length - written);

		if (n > 0)
			written += (size_t)n;
		else if (n == 0 || errno != EINTR)
			error = n ? -errno : -EIO;
	}
	free(line);
	if (error)
		fprintf(stderr, "rapl-sim: writing the truth to %s: %s\n", sim->truth_path, strerror(-error));
	return error;
}

/* ---- The run ----------------------------------------------------------------------------------- */

/* 0, or the exit status of a failure that was said. */
static int start(struct sim *sim)
{
	int error = cputime_open(&sim->cputime, sim->from_stat);

	if (error) {
		fprintf(stderr, "rapl-sim: reading which CPUs are online: %s\n", strerror(-error));
		return 1;
	}
	if (sim->sockets > sim->cputime.online.count) {
		fprintf(stderr,
			"rapl-sim: --sockets %u: there are %u CPUs online, and each socket needs one\n",
			sim->sockets, sim->cputime.online.count);
		return 2;
	}
	cputime_deal(&sim->cputime, sim->sockets);
	sim_model_set(&sim->model, sim->sockets, &sim->watts);
	sim->tree.sockets = sim->sockets;
	error = tree_build(&sim->tree, sim->root, &sim->cputime);
	if (error) {
		fprintf(stderr, "rapl-sim: --root %s: %s\n", sim->root,
			error == -EEXIST
			    ? "holds a tree that rapl-sim did not write, or one with other zones; "
			      "give a new directory"
			    : strerror(-error));
		return 1;
	}
	if (sim->truth_path)
		sim->truth_fd =
		    open(sim->truth_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (sim->truth_path && sim->truth_fd < 0) {
		fprintf(stderr, "rapl-sim: --truth %s: %s\n", sim->truth_path, strerror(errno));
		return 1;
	}
	return step(sim, true) || write_truth(sim);
}

/* Waits until then, or for a signal to end, which it returns; 0: none came. */
static int wait_until(uint64_t deadline_ns, const sigset_t *ending)
{
	for (;;) {
		uint64_t now = now_ns(CLOCK_MONOTONIC);
		uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
		struct timespec timeout = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
		int number = sigtimedwait(ending, NULL, &timeout);

		if (number > 0)
			return number;
		if (errno == EAGAIN)
			return 0;
	}
}

static int run(struct sim *sim, const sigset_t *ending)
{
	uint64_t begin = sim->last_ns;
	uint64_t end = sim->duration_ns ? begin + sim->duration_ns : UINT64_MAX;
	uint64_t next = begin, truth = begin + TRUTH_NS;
	bool last = false;

	while (!last) {
		uint64_t now = now_ns(CLOCK_MONOTONIC);

		/* On a fixed grid; what was missed makes the next step longer. */
		next += sim->period_ns * (now > next ? (now - next) / sim->period_ns + 1 : 1);
		last = wait_until(next < end ? next : end, ending) || now_ns(CLOCK_MONOTONIC) >= end;
		if (step(sim, false))
			return 1;
		if (!last && sim->last_ns < truth)
			continue;
		if (write_truth(sim))
			return 1;
		if (sim->last_ns >= truth)
			truth += TRUTH_NS * ((sim->last_ns - truth) / TRUTH_NS + 1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	sigset_t ending;
	int status;

	if (!sim)
		return 1;
	sim->tree.rootfd = -1;
	sim->truth_fd = -1;
	/* Blocked, so that they are met between two steps alone. */
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGHUP);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	signal(SIGPIPE, SIG_IGN);

	status = take_options(sim, argc, argv);
	if (status > 0) {
		fputs(usage, stdout);
		status = 0;
	} else if (status < 0) {
		status = 2;
	} else {
		status = start(sim);
		if (!status) {
			puts("ready");
			fflush(stdout);
			status = run(sim, &ending);
		}
	}
	file_close(&sim->tree.rootfd);
	file_close(&sim->truth_fd);
	free(sim);
	return status;
}
