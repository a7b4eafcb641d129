/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Return probes by tracefs. What is made there outlives its maker, so its name has that one's process number.
 */
#include "kretprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

#define GROUP	    "deepmon_"
#define EVENTS_MOST (1 << 20)

/* NULL: it is not mounted, or not for us. */
static const char *tracefs(void)
{
	static const char *const mounts[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[64];

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		snprintf(path, sizeof(path), "%s/kprobe_events", mounts[i]);
		if (access(path, W_OK) == 0)
			return mounts[i];
	}
	return NULL;
}

static int command(const char *mount, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/kprobe_events", mount);

	cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static void remove_event(const char *mount, const char *event)
{
	char text[128];

	snprintf(text, sizeof(text), "-:%s\n", event);
	command(mount, text);
}

static int open_event(const char *mount, const char *event)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attributes)};
	char path[192];
	uint64_t id;
	int r;

	snprintf(path, sizeof(path), "%s/events/%s/id", mount, event);
	r = file_read_u64(AT_FDCWD, path, &id);
	if (r)
		return r;
	attributes.config = id;
	r = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return r < 0 ? -errno : r;
}

static int attach_event(struct kretprobe *probe, const struct bpf_program *program, const char *mount)
{
	int fd = open_event(mount, probe->event);

	if (fd < 0)
		return fd;
	/* The link has the event then. */
	probe->link = bpf_program__attach_perf_event(program, fd);
	if (probe->link)
		return 0;
	close(fd);
	return -errno;
}

static int attach_by_tracefs(struct kretprobe *probe, const struct bpf_program *program, const char *function)
{
	const char *mount = tracefs();
	char text[192];
	int r;

	if (!mount)
		return -EACCES;
	snprintf(probe->event, sizeof(probe->event), GROUP "%d/%s", getpid(), function);
	snprintf(text, sizeof(text), "r%d:%s %s\n", KRETPROBE_CALLS, probe->event, function);
	r = command(mount, text);
	if (!r) {
		r = attach_event(probe, program, mount);
		if (r)
			remove_event(mount, probe->event);
	}
	return r;
}

int kretprobe_attach(struct kretprobe *probe, const struct bpf_program *program, const char *function)
{
	if (attach_by_tracefs(probe, program, function) == 0)
		return 0;
	probe->event[0] = '\0';
	probe->link = bpf_program__attach_kprobe(program, true, function);
	return probe->link ? 0 : -errno;
}

void kretprobe_detach(struct kretprobe *probe)
{
	const char *mount = probe->event[0] ? tracefs() : NULL;

	bpf_link__destroy(probe->link);
	if (mount)
		remove_event(mount, probe->event);
	*probe = (struct kretprobe){0};
}

/* "r4096:deepmon_123/inet_recvmsg inet_recvmsg": whether 123 is no more. */
static bool is_left_behind(const char *line, char event[96])
{
	const char *name = strstr(line, ":" GROUP);
	int pid, length = 0;

	if (!name || sscanf(name, ":" GROUP "%d/%*[a-z0-9_]%n", &pid, &length) != 1 || length < 2 ||
	    length > 95)
		return false;
	memcpy(event, name + 1, (size_t)length - 1);
	event[length - 1] = '\0';
	return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

void kretprobe_sweep(void)
{
	const char *mount = tracefs();
	cleanup_free char *events = NULL;
	char path[64], event[96], *rest = NULL;

	if (!mount)
		return;
	snprintf(path, sizeof(path), "%s/kprobe_events", mount);
	if (file_read_new(AT_FDCWD, path, EVENTS_MOST, &events) < 0)
		return;
	for (char *line = strtok_r(events, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (is_left_behind(line, event))
			remove_event(mount, event);
}
