/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Asks the kernel what the descriptors of links are, and attaches programs again.
 */
#include "bpf_links.h"

#include <errno.h>

#include <bpf/bpf.h>

#include "bpf_object.h"

static const struct bpf_prog_skeleton *program_at(const struct bpf_object_skeleton *skeleton, int i)
{
	return (const void *)((const char *)skeleton->progs + (size_t)i * (size_t)skeleton->prog_skel_sz);
}

/* The id of the program that hangs by the link; 0: its descriptor is no link any more. -errno: unknown. */
static int64_t program_of(const struct bpf_link *link)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	int r = link ? bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) : -EBADF;

	if (!r)
		return info.prog_id;
	return r == -EBADF || r == -EBADFD || r == -EINVAL ? 0 : r;
}

/* Descriptors are used again: what answers may be a link or a map of another's. If in doubt it holds. */
static bool holds(const struct bpf_links *links, int i)
{
	int64_t id = program_of(*program_at(links->skeleton, i)->link);

	return id < 0 || id == links->programs[i];
}

void bpf_links_watch(struct bpf_links *links, const struct bpf_object_skeleton *skeleton)
{
	*links = (struct bpf_links){.skeleton = skeleton};
	for (int i = 0; i < skeleton->prog_cnt && i < BPF_LINKS_MAX; i++) {
		int64_t id = program_of(*program_at(skeleton, i)->link);

		links->programs[i] = id > 0 ? (uint32_t)id : 0;
	}
}

bool bpf_links_hold(const struct bpf_links *links, const struct bpf_program *program)
{
	for (int i = 0; i < links->skeleton->prog_cnt && i < BPF_LINKS_MAX; i++)
		if (*program_at(links->skeleton, i)->prog == program)
			return !links->programs[i] || holds(links, i);
	return true;
}

static int attach_again(struct bpf_links *links, int i)
{
	const struct bpf_prog_skeleton *program = program_at(links->skeleton, i);
	struct bpf_link *link = bpf_program__attach(*program->prog);

	if (!link)
		return -errno;
	/* Its descriptor is closed, or is somebody else's by now. */
	bpf_link__disconnect(*program->link);
	bpf_link__destroy(*program->link);
	*program->link = link;
	return 0;
}

void bpf_links_mend(struct bpf_links *links, struct bpf_links_state *state)
{
	*state = (struct bpf_links_state){0};
	for (int i = 0; i < links->skeleton->prog_cnt && i < BPF_LINKS_MAX; i++) {
		libbpf_print_fn_t print;
		int r;

		if (!links->programs[i] || holds(links, i))
			continue;
		state->lost += !(links->off >> i & 1);
		print = bpf_object_silence();
		r = attach_again(links, i);
		libbpf_set_print(print);
		links->off = (links->off & ~(1ull << i)) | (uint64_t)(r != 0) << i;
		state->off += r != 0;
		state->error = r ? r : state->error;
	}
}
