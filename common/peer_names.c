/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The names that endpoints go by: two sorted arrays, of addresses and of endpoints that others answer for.
 */
#include "peer_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct endpoint at;
	char *name; /* NULL: none yet */
	char *pod, *service;
	uint16_t port;	/* of who answers */
	bool ambiguous; /* it has no name */
	bool by_service;
};

struct table {
	struct entry *all;
	size_t count, capacity;
};

struct peer_names {
	struct table addresses, asked;
};

static void free_entry(struct entry *entry)
{
	free(entry->name);
	free(entry->pod);
	free(entry->service);
}

static void free_table(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free_entry(&table->all[i]);
	free(table->all);
}

struct peer_names *peer_names_new(void)
{
	return calloc(1, sizeof(struct peer_names));
}

void peer_names_free(struct peer_names *names)
{
	if (!names)
		return;
	free_table(&names->addresses);
	free_table(&names->asked);
	free(names);
}

static struct entry *append(struct table *table, const struct endpoint *at)
{
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 32;
		struct entry *all = reallocarray(table->all, capacity, sizeof(*all));

		if (!all)
			return NULL;
		table->all = all;
		table->capacity = capacity;
	}
	table->all[table->count] = (struct entry){.at = *at};
	return &table->all[table->count++];
}

int peer_names_add(struct peer_names *names, const struct endpoint *address, const char *name,
		   const char *pod, const char *service)
{
	struct entry *entry = append(&names->addresses, address);

	if (!entry)
		return -ENOMEM;
	entry->name = strdup(name);
	entry->pod = strdup(pod);
	entry->service = strdup(service);
	if (entry->name && entry->pod && entry->service)
		return 0;
	free_entry(entry);
	names->addresses.count--;
	return -ENOMEM;
}

int peer_names_want(struct peer_names *names, const struct endpoint *asked)
{
	return append(&names->asked, asked) ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order = endpoint_compare(&left->at, &right->at);

	/* So that what becomes of those at one address does not depend on who came first. */
	return order || !left->name || !right->name ? order : strcmp(left->name, right->name);
}

static bool same_text(const char *left, const char *right)
{
	return left && right && *left && strcmp(left, right) == 0;
}

/* Another container has the same address. */
static void share(struct entry *entry, struct entry *other)
{
	bool same = same_text(entry->name, other->name) && !entry->ambiguous;
	bool pod = same_text(entry->pod, other->pod);

	if (!same_text(entry->service, other->service))
		*entry->service = '\0';
	if (!same && pod) {
		free(entry->name);
		entry->name = other->pod;
		other->pod = NULL;
	} else if (!same) {
		entry->ambiguous = true;
	}
	/* Of those with a pod's name, the pod is the same. */
	free_entry(other);
}

static void settle(struct table *table)
{
	size_t kept = 0;

	if (!table->count)
		return;
	qsort(table->all, table->count, sizeof(*table->all), compare);
	for (size_t i = 1; i < table->count; i++) {
		struct entry *entry = &table->all[kept];

		if (endpoint_compare(&entry->at, &table->all[i].at) != 0)
			table->all[++kept] = table->all[i];
		else if (entry->name)
			share(entry, &table->all[i]);
		else
			free_entry(&table->all[i]);
	}
	table->count = kept + 1;
}

void peer_names_settle(struct peer_names *names)
{
	settle(&names->addresses);
	settle(&names->asked);
}

static struct entry *find(const struct table *table, const struct endpoint *at)
{
	size_t from = 0, to = table->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = endpoint_compare(at, &table->all[middle].at);

		if (order == 0)
			return &table->all[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

static struct entry *find_address(const struct peer_names *names, const struct endpoint *endpoint)
{
	const struct endpoint address = endpoint_address(endpoint);

	return find(&names->addresses, &address);
}

static bool set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	free(*text);
	*text = copy;
	return copy;
}

static void first_answer(struct entry *entry, const struct entry *container, uint16_t port)
{
	entry->port = port;
	if (!set_text(&entry->name, container->name) || !set_text(&entry->service, container->service))
		entry->ambiguous = true;
}

void peer_names_answered(struct peer_names *names, const struct endpoint *asked,
			 const struct endpoint *answers)
{
	struct entry *entry = find(&names->asked, asked);
	const struct entry *container = entry ? find_address(names, answers) : NULL;

	if (!entry || entry->ambiguous)
		return;
	if (!container || container->ambiguous) {
		/* Somebody who is not known: not to be called by another's name. */
		entry->ambiguous = true;
		return;
	}
	if (!entry->name) {
		first_answer(entry, container, answers->port);
		return;
	}
	if (!entry->by_service && strcmp(entry->name, container->name) == 0)
		return;
	entry->by_service = true;
	if (!same_text(entry->service, container->service) || !set_text(&entry->name, entry->service))
		entry->ambiguous = true;
}

void peer_names_inherit(struct peer_names *names, const struct peer_names *other)
{
	for (size_t i = 0; other && i < other->asked.count; i++) {
		const struct entry *known = &other->asked.all[i];
		struct entry *entry = find(&names->asked, &known->at);

		if (!entry)
			continue;
		entry->port = known->port;
		entry->ambiguous = known->ambiguous || (known->name && !set_text(&entry->name, known->name));
	}
}

bool peer_names_has_address(const struct peer_names *names, const struct endpoint *endpoint)
{
	return find_address(names, endpoint);
}

bool peer_names_wants(const struct peer_names *names, const struct endpoint *asked)
{
	return find(&names->asked, asked);
}

size_t peer_names_wanted_count(const struct peer_names *names)
{
	return names->asked.count;
}

const char *peer_names_find(const struct peer_names *names, const struct endpoint *endpoint, uint16_t *port)
{
	const struct entry *entry = endpoint->port ? find(&names->asked, endpoint) : NULL;

	if (entry && entry->name && !entry->ambiguous) {
		*port = entry->port;
		return entry->name;
	}
	entry = find_address(names, endpoint);
	*port = endpoint->port;
	return entry && !entry->ambiguous ? entry->name : NULL;
}

static bool equal_texts(const char *left, const char *right)
{
	return left && right ? strcmp(left, right) == 0 : left == right;
}

static bool equal_tables(const struct table *left, const struct table *right)
{
	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++) {
		const struct entry *one = &left->all[i], *other = &right->all[i];

		if (endpoint_compare(&one->at, &other->at) != 0 || one->ambiguous != other->ambiguous ||
		    one->port != other->port || !equal_texts(one->name, other->name))
			return false;
	}
	return true;
}

bool peer_names_equal(const struct peer_names *left, const struct peer_names *right)
{
	return equal_tables(&left->addresses, &right->addresses) && equal_tables(&left->asked, &right->asked);
}
