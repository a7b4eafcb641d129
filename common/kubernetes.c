/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What the kubelet tells of a container, whatever its runtime: the names of the links to the containers'
 * logs. Reads one directory; the logs themselves are nobody's business.
 */
#include "runtimes.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* 250 pods are usual at most, of some containers each, with a link for each time that one was started. */
#define LINKS_MOST 65536

#define ID_DIGITS 64

/* "POD_NAMESPACE_NAME-ID.log" of this id. The names themselves hold no '_'. */
int kubernetes_name_from_link(const char *link, struct identity *identity)
{
	static const char suffix[] = ".log";
	size_t length = strlen(link);
	char text[NAME_MAX + 1];
	char *name_space, *container;

	if (length > NAME_MAX || length < 1 + ID_DIGITS + strlen(suffix) ||
	    strcmp(link + length - strlen(suffix), suffix) != 0)
		return -ENOENT;
	length -= strlen(suffix) + ID_DIGITS;
	if (strncmp(link + length, identity->id, ID_DIGITS) != 0 || identity->id[ID_DIGITS] ||
	    link[length - 1] != '-')
		return -ENOENT;
	memcpy(text, link, length - 1);
	text[length - 1] = '\0';
	name_space = strchr(text, '_');
	container = name_space ? strchr(name_space + 1, '_') : NULL;
	if (!container || strchr(container + 1, '_'))
		return -EINVAL;
	*name_space++ = *container++ = '\0';
	return runtime_set_pod(identity, identity->runtime, name_space, text, container) ? 0 : -EINVAL;
}

int kubernetes_name_from_logs(const char *log_root, struct identity *identity)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *directory;
	int r = -ENOENT;

	if (!identity_is_id(identity->id, strlen(identity->id)))
		return -EINVAL;
	if (snprintf(path, sizeof(path), "%s/containers", log_root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	directory = opendir(path);
	if (!directory)
		return -errno;
	for (int i = 0; r == -ENOENT && i < LINKS_MOST && (entry = readdir(directory)); i++)
		r = kubernetes_name_from_link(entry->d_name, identity);
	closedir(directory);
	return r;
}
