/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Fuzzes what is read from containerd, CRI-O, podman and the kubelet: each leaves the identity as it was, or
 * names it. The input's first byte chooses whose it is.
 */
#include "../../common/runtimes.h"
#include "../../common/selection.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"

#define require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static int read_link(const char *text, size_t length, struct identity *identity)
{
	char *link = strndup(text, length);
	int result;

	require(link);
	result = kubernetes_name_from_link(link, identity);
	free(link);
	return result;
}

static void check_text(const char *text, size_t size)
{
	require(memchr(text, '\0', size));
}

static void check_named(const struct identity *identity)
{
	check_text(identity->name, sizeof(identity->name));
	check_text(identity->container, sizeof(identity->container));
	check_text(identity->image, sizeof(identity->image));
	check_text(identity->version, sizeof(identity->version));
	require(identity->name[0]);
	require(!strchr(identity->version, '/'));
	require(identity->label_count <= IDENTITY_LABELS_MAX);
	for (unsigned i = 0; i < identity->label_count; i++) {
		check_text(identity->labels[i].key, sizeof(identity->labels[i].key));
		check_text(identity->labels[i].value, sizeof(identity->labels[i].value));
		require(identity->labels[i].key[0] && identity->labels[i].value[0]);
		require(!strpbrk(identity->labels[i].key, " ,=\n"));
		require(!i || strcmp(identity->labels[i - 1].key, identity->labels[i].key) < 0);
	}
	if (identity->kind == IDENTITY_SYSTEM)
		require(!strcmp(identity->name, IDENTITY_PAUSE) && !identity->id[0]);
	else
		require(identity->named && !strcmp(identity->id, ID));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const readers[])(const char *, size_t, struct identity *) = {
	    containerd_name_from_json, crio_name_from_json, podman_name_from_json, read_link};
	static struct selection *chosen;
	static struct deepmon_list list = {.count = 1, .length = 4, .texts = "/./"};
	static struct identity identity, before;
	int result;

	if (!size)
		return 0;
	if (!chosen)
		require(selection_open(&chosen, &list) == 0);
	identity_from_path("/mine/" ID, &before);
	before.chosen = chosen;
	identity = before;
	result = readers[*data % 4]((const char *)data + 1, size - 1, &identity);
	require(result == 0 || result == -EINVAL || result == -ENOENT);
	if (result == 0)
		check_named(&identity);
	else
		require(!memcmp(&identity, &before, sizeof(identity)));
	return 0;
}
