/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Finds the names that were not there when their containers came, and those that change. Reads and asks
 * through names.h alone, never under the lock.
 */
#include "namer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "recorder.h"

#define SECOND_NS    1000000000ull
#define QUIET_NS     (10 * SECOND_NS)  /* for a runtime that did not answer, or may not be read */
#define LOOK_NS	     SECOND_NS	       /* how often names are looked at that may have changed, */
#define LOOKS	     64		       /* and how many each time, */
#define LOOK_MOST_NS (20 * 1000000ull) /* as long as that takes no longer: files of users may be large */
#define DOUBLED_MOST 6		       /* times that the wait of a second for a late name is doubled */

static void identity_of(const struct group *group, struct identity *identity)
{
	identity_from_path("", identity);
	identity->kind = group->kind;
	identity->runtime = group->runtime;
	identity->user = group->user;
	snprintf(identity->id, sizeof(identity->id), "%s", group->id);
	snprintf(identity->name, sizeof(identity->name), "%s", group->name);
}

/* Whether it still waits for its name or labels. One that ended keeps on until a report has told of it
 * without.
 */
static bool is_nameless(const struct group *group)
{
	return group->kind == IDENTITY_CONTAINER && (!group->named || group->more) &&
	       !(group->ended_number && group->reported);
}

/* A container without a name whose turn it is. *due becomes the moment of the next one's, if it is sooner. */
static struct group *find_nameless(const struct namer *namer, uint64_t now, uint64_t *due)
{
	for (size_t i = 0; i < namer->groups->count; i++) {
		struct group *group = namer->groups->all[i];

		if (!is_nameless(group))
			continue;
		if (group->next_try_ns <= now)
			return group;
		if (group->next_try_ns < *due)
			*due = group->next_try_ns;
	}
	return NULL;
}

void namer_take_up(struct groups *groups, struct cgroups *cgroups, struct identity *identity, const char *id)
{
	struct group *group = groups_find_container(groups, id, identity->user);
	struct group *named;

	if (!group)
		return;
	groups_part(groups, identity);
	if (group->named && identity->kind == group->kind && !strcmp(group->name, identity->name))
		return;
	/* A new name, and the labels that it was asked for. */
	if (group->named && identity->more) {
		identity->more = group->more;
		identity->label_count = group->label_count;
		memcpy(identity->labels, group->labels, group->label_count * sizeof(*group->labels));
	}
	named = groups_name(groups, group, identity);
	if (named)
		cgroups_regroup(cgroups, group, named);
}

/* By now another may have the id, or nobody. */
static void take_up(struct namer *namer, struct identity *identity, const char *id)
{
	recorder_renamed(namer->recorder, id, identity);
	namer_take_up(namer->groups, namer->cgroups, identity, id);
}

static void take_up_labels(struct namer *namer, const struct identity *identity)
{
	struct group *group = groups_find_container(namer->groups, identity->id, identity->user);

	if (!group)
		return;
	group->more = false;
	groups_label(group, identity);
}

/* Of Docker's socket alone: without the others' answers labels are missing, not names. */
static void say_answer(struct namer *namer, int r)
{
	if (r == -ETIMEDOUT && !namer->silent) {
		namer->silent = true;
		log_warning(namer->logger,
			    "DockerSocket: %s does not answer: containers that no file names go by the first "
			    "digits of their ids until it does",
			    namer->names->docker_socket);
	} else if (!r && namer->silent) {
		namer->silent = false;
		log_recovered(namer->logger, "DockerSocket: %s answers: containers go by their names",
			      namer->names->docker_socket);
	}
}

static int find_name(struct namer *namer, bool ask, struct identity *identity)
{
	int r = -ENOENT;

	/* What a file tells is no answer of one that was silent. */
	if (!ask || namer->silent)
		r = names_read(namer->names, identity);
	if (!r || !ask)
		return r;
	r = names_ask(namer->names, identity);
	if (identity->user < 0)
		say_answer(namer, r);
	return r;
}

/* Under the lock, which is let go meanwhile. */
static void name(struct namer *namer, struct group *group, uint64_t now)
{
	struct identity identity;
	char id[IDENTITY_ID_MAX];
	bool ask = now >= namer->quiet_until_ns, named = group->named;
	int r = -EAGAIN;

	group->next_try_ns = now + (SECOND_NS << group->name_tries);
	group->name_tries += group->name_tries < DOUBLED_MOST;
	identity_of(group, &identity);
	strcpy(id, identity.id);
	namer->asking = true;
	pthread_mutex_unlock(namer->lock);
	if (!named)
		r = find_name(namer, ask, &identity);
	else if (ask)
		r = names_ask_more(namer->names, &identity);
	pthread_mutex_lock(namer->lock);
	namer->asking = false;
	if (r == -ETIMEDOUT)
		namer->quiet_until_ns = clock_ns(CLOCK_MONOTONIC) + QUIET_NS;
	if (!r && named)
		take_up_labels(namer, &identity);
	else if (!r)
		take_up(namer, &identity, id);
}

/* ---- Names that change -------------------------------------------------------------------------- */

struct look {
	const char *runtime;
	char id[IDENTITY_ID_MAX];
	int64_t user;
	uint64_t written;
	size_t index; /* among the groups */
};

/* The next some containers whose names may change. */
static size_t choose_looks(struct namer *namer, struct look *looks)
{
	size_t count = 0;

	if (namer->looked >= namer->groups->count)
		namer->looked = 0;
	for (; namer->looked < namer->groups->count && count < LOOKS; namer->looked++) {
		const struct group *group = namer->groups->all[namer->looked];

		if (group->kind != IDENTITY_CONTAINER || !group->named || !group->cgroups ||
		    !names_may_change(group->runtime))
			continue;
		looks[count] = (struct look){.runtime = group->runtime,
					     .user = group->user,
					     .written = group->name_written,
					     .index = namer->looked};
		strcpy(looks[count++].id, group->id);
	}
	return count;
}

static void look_again(struct namer *namer, const struct look *look)
{
	struct identity identity;
	char name_told[IDENTITY_NAME_MAX];
	struct group *group;
	uint64_t written;
	int r;

	identity_from_path("", &identity);
	identity.kind = IDENTITY_CONTAINER;
	identity.runtime = look->runtime;
	identity.user = look->user;
	strcpy(identity.id, look->id);
	written = names_written(namer->names, &identity);
	if (!written || written == look->written)
		return;
	/* Of a user's own, what is in his home. */
	r = look->user < 0 ? names_read(namer->names, &identity) : names_ask(namer->names, &identity);
	strcpy(name_told, identity.name);
	pthread_mutex_lock(namer->lock);
	if (!r)
		take_up(namer, &identity, look->id);
	group = groups_find_container(namer->groups, look->id, look->user);
	/*
	 * One that had to take another name is looked at until its own is free. What makes no sense is read
	 * no more until it is written again.
	 */
	if (group && (r || !strcmp(group->name, name_told)))
		group->name_written = written;
	pthread_mutex_unlock(namer->lock);
}

/* Under the lock, which is let go meanwhile. */
static void look_for_changes(struct namer *namer)
{
	struct look looks[LOOKS];
	size_t count = choose_looks(namer, looks), done = 0;
	uint64_t began;

	pthread_mutex_unlock(namer->lock);
	began = clock_ns(CLOCK_MONOTONIC);
	while (done < count && clock_ns(CLOCK_MONOTONIC) - began < LOOK_MOST_NS)
		look_again(namer, &looks[done++]);
	pthread_mutex_lock(namer->lock);
	/* The others are first next time. */
	if (done < count)
		namer->looked = looks[done].index;
}

/* ---- Names that can be read again --------------------------------------------------------------- */

/* names_find said that they can't. Under the lock, which is let go meanwhile. */
static void check_denied(struct namer *namer)
{
	pthread_mutex_unlock(namer->lock);
	namer->denied = !names_can_be_read(namer->names);
	if (!namer->denied)
		log_recovered(namer->logger, "what names containers can be read: they go by their names");
	pthread_mutex_lock(namer->lock);
	for (size_t i = 0; !namer->denied && i < namer->groups->count; i++)
		namer->groups->all[i]->next_try_ns = 0;
}

/* ---- The thread --------------------------------------------------------------------------------- */

static void *run(void *argument)
{
	struct namer *namer = argument;

	pthread_mutex_lock(namer->lock);
	while (!namer->worker.stopping) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), due = now + LOOK_NS;
		struct group *group;

		/* First, as there may be somebody nameless at any time where many come and go. */
		if (now >= namer->next_look_ns) {
			namer->next_look_ns = now + LOOK_NS;
			look_for_changes(namer);
		}
		if (namer->denied && now >= namer->next_check_ns) {
			namer->next_check_ns = now + QUIET_NS;
			check_denied(namer);
		}
		group = find_nameless(namer, now, &due);
		if (group)
			name(namer, group, now);
		else
			worker_wait(&namer->worker, due);
	}
	pthread_mutex_unlock(namer->lock);
	return NULL;
}

int namer_start(struct namer *namer, const struct names *names, struct groups *groups,
		struct cgroups *cgroups, struct recorder *recorder, const struct deepmon_logger *logger,
		pthread_mutex_t *lock)
{
	*namer = (struct namer){.names = names,
				.logger = logger,
				.groups = groups,
				.cgroups = cgroups,
				.recorder = recorder,
				.lock = lock,
				.denied = !names_can_be_read(names)};
	return worker_start(&namer->worker, lock, run, namer);
}

void namer_stop(struct namer *namer)
{
	worker_stop(&namer->worker);
}

void namer_wake(struct namer *namer)
{
	if (!namer->worker.runs || !namer->groups->nameless)
		return;
	namer->groups->nameless = false;
	worker_wake(&namer->worker);
}

bool namer_is_settled(const struct namer *namer)
{
	if (!namer->worker.runs)
		return true;
	if (namer->asking)
		return false;
	for (size_t i = 0; i < namer->groups->count; i++)
		if (is_nameless(namer->groups->all[i]) && !namer->groups->all[i]->next_try_ns)
			return false;
	return true;
}
