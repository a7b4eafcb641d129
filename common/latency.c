/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Makes the maps of bpf/latency.bpf.h and reads them: its pages are mapped memory, of which those that did
 * not change cost a look.
 */
#include "latency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf_object.h"
#include "file.h"
#include "kernel_copy.h"

/* Two CPUs that want a page for the same octave leave a hole for a while: no more than there are CPUs. */
#define HOLES_MOST 1024

/* What is kept of a page. */
struct taken {
	uint64_t sum_ns;
	struct histogram_page buckets;
	bool settled; /* nothing came since the round before: its buckets were not just being written */
};

struct latency {
	uint32_t page_count;
	uint32_t pages_used; /* one past the highest that was ever in use */
	int pages_fd, index_fd, free_fd, refused_fd;
	struct bpf_mapping pages;
	struct taken **taken;	   /* [page]; NULL: it was not in use yet */
	struct latency_copy *copy; /* taken from in place of the maps; NULL: they are read */
};

static int make_maps(struct latency *latency)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	LIBBPF_OPTS(bpf_map_create_opts, grows, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t pages = latency->page_count;

	latency->pages_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "latency_pages", sizeof(uint32_t),
					   sizeof(struct latency_page), pages, &mapped);
	if (latency->pages_fd < 0)
		return latency->pages_fd;
	latency->index_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "latency_index", sizeof(struct latency_key),
					   sizeof(uint32_t), pages, &grows);
	if (latency->index_fd < 0)
		return latency->index_fd;
	latency->free_fd =
	    bpf_map_create(BPF_MAP_TYPE_STACK, "latency_free", 0, sizeof(uint32_t), pages, NULL);
	if (latency->free_fd < 0)
		return latency->free_fd;
	latency->refused_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "latency_refused", sizeof(uint32_t),
					     sizeof(uint64_t), 1, NULL);
	return latency->refused_fd < 0 ? latency->refused_fd : 0;
}

static int prepare(struct latency *latency)
{
	size_t size = (size_t)latency->page_count * sizeof(struct latency_page);
	int r = make_maps(latency);

	if (!r)
		r = bpf_mapping_open_fd(&latency->pages, latency->pages_fd, size);
	for (uint32_t page = latency->page_count; !r && page-- > 0;)
		r = bpf_map_update_elem(latency->free_fd, NULL, &page, BPF_ANY);
	return r;
}

int latency_open(struct latency **opened, uint32_t page_count, const struct deepmon_logger *logger)
{
	struct latency *latency = calloc(1, sizeof(*latency));
	libbpf_print_fn_t print;
	int r;

	if (!latency)
		return -ENOMEM;
	latency->page_count = page_count;
	latency->pages_fd = latency->index_fd = latency->free_fd = latency->refused_fd = -1;
	latency->taken = calloc(page_count, sizeof(*latency->taken));
	print = bpf_object_silence();
	r = latency->taken ? prepare(latency) : -ENOMEM;
	libbpf_set_print(print);
	if (r) {
		bpf_object_log_refusal(logger, "the histograms of latencies", "made", r,
				       "Latencies are left out");
		latency_close(latency);
		return r;
	}
	*opened = latency;
	return 0;
}

void latency_close(struct latency *latency)
{
	if (!latency)
		return;
	bpf_mapping_close(&latency->pages);
	file_close(&latency->pages_fd);
	file_close(&latency->index_fd);
	file_close(&latency->free_fd);
	file_close(&latency->refused_fd);
	for (uint32_t page = 0; page < latency->pages_used && latency->taken; page++)
		free(latency->taken[page]);
	free(latency->taken);
	free(latency);
}

int latency_share(const struct latency *latency, const struct latency_maps *maps)
{
	int r = bpf_map__reuse_fd(maps->pages, latency->pages_fd);

	if (!r)
		r = bpf_map__reuse_fd(maps->index, latency->index_fd);
	if (!r)
		r = bpf_map__reuse_fd(maps->free, latency->free_fd);
	if (!r)
		r = bpf_map__reuse_fd(maps->refused, latency->refused_fd);
	return r;
}

/* What came to a page; false: nothing did, or there is no memory to remember it by. */
static bool take_page(struct latency *latency, uint32_t number, const struct latency_page *page,
		      struct latency_fresh *fresh)
{
	struct taken **taken = &latency->taken[number];
	uint64_t sum_ns = __atomic_load_n(&page->sum_ns, __ATOMIC_ACQUIRE), came = 0;

	if (!*taken)
		*taken = calloc(1, sizeof(**taken));
	if (!*taken || ((*taken)->settled && (*taken)->sum_ns == sum_ns))
		return false;
	fresh->slot = page->key.slot;
	fresh->kind = page->key.kind;
	fresh->octave = page->key.octave;
	fresh->sum_ns = sum_ns - (*taken)->sum_ns;
	(*taken)->settled = !fresh->sum_ns;
	(*taken)->sum_ns = sum_ns;
	for (uint32_t sub = 0; sub < HISTOGRAM_SUBS; sub++) {
		uint64_t count = __atomic_load_n(&page->buckets.counts[sub], __ATOMIC_RELAXED);

		fresh->buckets.counts[sub] = count - (*taken)->buckets.counts[sub];
		(*taken)->buckets.counts[sub] = count;
		came |= fresh->buckets.counts[sub];
	}
	return came || fresh->sum_ns;
}

static bool next_page(struct latency *latency, uint32_t *cursor, struct latency_fresh *fresh)
{
	const struct latency_page *pages = latency->pages.memory;
	uint32_t number = *cursor;

	while (number < latency->page_count && number < latency->pages_used + HOLES_MOST) {
		const struct latency_page *page = &pages[number++];

		if (!__atomic_load_n(&page->key.slot, __ATOMIC_ACQUIRE))
			continue;
		if (number > latency->pages_used)
			latency->pages_used = number;
		if (take_page(latency, number - 1, page, fresh)) {
			*cursor = number;
			return true;
		}
	}
	*cursor = number;
	return false;
}

bool latency_take(struct latency *latency, uint32_t *cursor, struct latency_fresh *fresh)
{
	return latency->copy ? latency_copy_take(latency->copy, cursor, fresh)
			     : next_page(latency, cursor, fresh);
}

uint64_t latency_refused(const struct latency *latency)
{
	uint32_t zero = 0;
	uint64_t refused = 0;

	bpf_map_lookup_elem(latency->refused_fd, &zero, &refused);
	return refused;
}

uint32_t latency_pages_used(const struct latency *latency)
{
	return latency->pages_used;
}

/* ---- Recordings -------------------------------------------------------------------------------- */

int latency_keep_copy(struct latency *latency, struct kernel_copy *copy)
{
	latency->copy = copy ? &copy->latency : NULL;
	return copy ? latency_copy_init(&copy->latency, latency->page_count, copy->slot_count) : 0;
}

/* What there is no memory for is in no histogram, neither here nor in the recording. */
void latency_capture(struct latency *latency, struct recording_out *out)
{
	struct latency_fresh fresh;
	uint32_t cursor = 0;

	recording_begin(out, RECORDING_LATENCIES);
	while (next_page(latency, &cursor, &fresh))
		if (latency_copy_add(latency->copy, &fresh) == 0)
			latency_copy_put(latency->copy, out, cursor - 1, &fresh);
	recording_put(out, 0);
	recording_end(out);
}

int latency_open_recorded(struct latency **opened, struct kernel_copy *copy)
{
	struct latency *latency = calloc(1, sizeof(*latency));

	if (!latency)
		return -ENOMEM;
	latency->pages_fd = latency->index_fd = latency->free_fd = latency->refused_fd = -1;
	latency->copy = &copy->latency;
	*opened = latency;
	return 0;
}
