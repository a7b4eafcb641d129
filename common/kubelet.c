/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Asks the kubelet and the API server. Two locks: the collector's for the groups, and within it one of its
 * own for what was told last.
 */
#include "kubelet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "file.h"
#include "http_client.h"
#include "log.h"
#include "pods.h"
#include "selection.h"
#include "worker.h"

#define SECOND_NS  1000000000ull
#define SOON_NS	   (2 * SECOND_NS) /* how often it is asked at most, for what is new */
#define TIMEOUT_MS 5000
/* A pod takes some 20 KiB, and a kubelet runs 110 unless it is told otherwise. */
#define ANSWER_MOST	(32 << 20)
#define NAMESPACES_MOST 256
#define PATH_MOST	512

/* One that is asked. */
struct server {
	const char *option, *ca_option; /* whose value the URL and the authority are */
	const char *right;		/* what the token's account must be allowed to do */
	const char *loss;		/* what is not told without it */
	char url[DEEPMON_TEXT_MAX];
	char ca_file[DEEPMON_TEXT_MAX];
	int said; /* the error that the log has */
};

struct told_by_kubelet {
	struct pods pods;
	struct pod_services services;
	bool has_services;
};

struct kubelet {
	const struct deepmon_logger *logger;
	struct http_client *http;
	struct server kubelet, api;
	char token_file[DEEPMON_TEXT_MAX];
	struct selection *labels; /* of pods, those to be kept */
	uint64_t interval_ns;

	pthread_mutex_t *groups_lock;
	struct groups *groups;
	struct worker worker;

	/* Of the thread alone. */
	struct services services;
	bool has_services;
	uint64_t asked_ns, due_ns, wait_ns, services_due_ns;
	uint64_t seen_changes; /* of groups.changes */
	bool failing;
	bool settled; /* it had a turn; under the lock of groups */

	pthread_mutex_t lock; /* of what follows */
	struct told_by_kubelet *told;
};

static void told_free(struct told_by_kubelet *told)
{
	if (!told)
		return;
	pods_clear(&told->pods);
	pod_services_clear(&told->services);
	free(told);
}

/* ---- What the log has of it --------------------------------------------------------------------- */

static void say_remedy(const struct kubelet *kubelet, const struct server *server, int error, char *text,
		       size_t size)
{
	if (error == -EKEYREJECTED)
		snprintf(text, size,
			 "%s must be a file with the authority that signed its certificate, and the host in "
			 "%s a name in that",
			 server->ca_option, server->option);
	else if (error == -EACCES)
		snprintf(text, size, "KubernetesToken (%s) must be of an account that may %s",
			 kubelet->token_file, server->right);
	else if (error == -EINVAL || error == -ENOENT)
		snprintf(text, size, "set %s to the right URL", server->option);
	else
		snprintf(text, size, "it is asked again");
}

/* Once for each way in which it fails, and when it answers after that. */
static void say(const struct kubelet *kubelet, struct server *server, int error)
{
	char remedy[2 * DEEPMON_TEXT_MAX];

	if (error == server->said || error == -ECANCELED)
		return;
	server->said = error;
	if (!error) {
		log_recovered(kubelet->logger, "%s: %s answers: %s are told", server->option, server->url,
			      server->loss);
		return;
	}
	say_remedy(kubelet, server, error, remedy, sizeof(remedy));
	log_warning(kubelet->logger, "%s: %s: %s: %s are not told until it answers; %s", server->option,
		    server->url,
		    error == -EBADMSG ? "what it answers is no such list" : http_client_why(kubelet->http),
		    server->loss, remedy);
}

/* ---- Asking ------------------------------------------------------------------------------------- */

/* The answer's length or -errno, which is said. */
static long ask(struct kubelet *kubelet, struct server *server, const char *path, char **answer)
{
	char url[DEEPMON_TEXT_MAX + PATH_MOST];
	const struct http_client_request request = {.url = url,
						    .ca_file = server->ca_file,
						    .token_file = kubelet->token_file,
						    .timeout_ms = TIMEOUT_MS,
						    .most = ANSWER_MOST};
	long length;

	snprintf(url, sizeof(url), "%s%s", server->url, path);
	length = http_client_get(kubelet->http, &request, answer);
	if (length < 0)
		say(kubelet, server, (int)length);
	return length;
}

static int ask_for_pods(struct kubelet *kubelet, struct pods *pods)
{
	cleanup_free char *answer = NULL;
	long length = ask(kubelet, &kubelet->kubelet, "/pods", &answer);
	int r = length < 0 ? (int)length : pods_read(pods, answer, (size_t)length);

	if (length >= 0)
		say(kubelet, &kubelet->kubelet, r ? -EBADMSG : 0);
	return r;
}

/* Of what Kubernetes allows in a name, so that it is a part of the path and no more. */
static bool is_namespace(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) &&
	       strlen(name) < 64;
}

static int ask_for_namespace(struct kubelet *kubelet, struct services *services, const char *name_space)
{
	cleanup_free char *answer = NULL;
	char path[PATH_MOST];
	long length;
	int r;

	/* What the API server has in memory is as good, and cheaper for it. */
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/services?resourceVersion=0", name_space);
	length = ask(kubelet, &kubelet->api, path, &answer);
	r = length < 0 ? (int)length : services_read(services, answer, (size_t)length);
	if (length >= 0 && r)
		say(kubelet, &kubelet->api, -EBADMSG);
	return r;
}

static int ask_for_services(struct kubelet *kubelet, const struct pods *pods, struct services *services)
{
	size_t asked = 0;
	int r = 0;

	for (size_t i = 0; i < pods->count && asked < NAMESPACES_MOST && !r; i++) {
		const char *name_space = pods->all[i].name_space;

		if ((i && !strcmp(name_space, pods->all[i - 1].name_space)) || !is_namespace(name_space))
			continue;
		r = ask_for_namespace(kubelet, services, name_space);
		asked++;
	}
	services_sort(services);
	if (!r)
		say(kubelet, &kubelet->api, 0);
	return r;
}

/* Whether one of the pods is in a namespace of which nothing was asked yet. */
static bool has_new_namespace(const struct kubelet *kubelet, const struct pods *pods)
{
	for (size_t i = 0; i < pods->count; i++)
		if (!kubelet->told || !pods_have(&kubelet->told->pods, pods->all[i].name_space))
			return true;
	return false;
}

/* If it is time. What was known before stays until there is something better. */
static void refresh_services(struct kubelet *kubelet, const struct pods *pods)
{
	struct services services = {0};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!*kubelet->api.url ||
	    (now < kubelet->services_due_ns && (kubelet->api.said || !has_new_namespace(kubelet, pods))))
		return;
	kubelet->services_due_ns = now + kubelet->interval_ns;
	if (ask_for_services(kubelet, pods, &services)) {
		services_clear(&services);
		return;
	}
	services_clear(&kubelet->services);
	kubelet->services = services;
	kubelet->has_services = true;
}

static void publish(struct kubelet *kubelet, struct told_by_kubelet *told)
{
	struct told_by_kubelet *before;

	pthread_mutex_lock(&kubelet->lock);
	before = kubelet->told;
	kubelet->told = told;
	pthread_mutex_unlock(&kubelet->lock);
	told_free(before);
}

static int learn(struct kubelet *kubelet)
{
	struct told_by_kubelet *told = calloc(1, sizeof(*told));
	int r = told ? ask_for_pods(kubelet, &told->pods) : -ENOMEM;

	if (!r) {
		refresh_services(kubelet, &told->pods);
		told->has_services = kubelet->has_services;
		if (told->has_services)
			r = pod_services_find(&told->services, &told->pods, &kubelet->services);
	}
	if (r)
		told_free(told);
	else
		publish(kubelet, told);
	return r;
}

/* ---- What is told of containers ------------------------------------------------------------------ */

int kubelet_name(struct kubelet *kubelet, struct identity *identity)
{
	int r = -ENOENT;

	if (!kubelet)
		return r;
	pthread_mutex_lock(&kubelet->lock);
	if (kubelet->told)
		r = pods_name_container(&kubelet->told->pods, identity);
	pthread_mutex_unlock(&kubelet->lock);
	return r;
}

/* false: its pod is not known, or it is in none. */
static bool tell(struct kubelet *kubelet, struct identity *identity)
{
	bool known;

	pthread_mutex_lock(&kubelet->lock);
	known = kubelet->told &&
		pods_tell(&kubelet->told->pods, kubelet->told->has_services ? &kubelet->told->services : NULL,
			  identity);
	pthread_mutex_unlock(&kubelet->lock);
	return known;
}

void kubelet_tell(struct kubelet *kubelet, struct identity *identity)
{
	if (kubelet)
		tell(kubelet, identity);
}

/* One without a name; the namer looks for that again, and finds it here. */
static bool knows_id(struct kubelet *kubelet, const struct group *group)
{
	struct identity identity;

	identity_from_path("", &identity);
	identity.kind = group->kind;
	strcpy(identity.id, group->id);
	return kubelet_name(kubelet, &identity) == 0;
}

/* false: it does not know of it. */
static bool tell_group(struct kubelet *kubelet, struct group *group)
{
	struct identity identity;

	if (!group->named) {
		bool known = knows_id(kubelet, group);

		if (known) {
			group->next_try_ns = 0;
			kubelet->groups->nameless = true;
		}
		return known;
	}
	identity.chosen = kubelet->labels;
	identity.label_count = group->label_count;
	memcpy(identity.labels, group->labels, group->label_count * sizeof(*group->labels));
	if (!tell(kubelet, &identity))
		return false;
	groups_label(group, &identity);
	return true;
}

/* Under the lock of groups. Whether there is one alive of which it knows nothing. */
static bool tell_groups(struct kubelet *kubelet)
{
	bool lacks = false;

	for (size_t i = 0; i < kubelet->groups->count; i++) {
		struct group *group = kubelet->groups->all[i];

		if (group->kind != IDENTITY_CONTAINER ||
		    !(group->named ? group_label(group, "pod_name") != NULL : group->in_pod))
			continue;
		if (!tell_group(kubelet, group))
			lacks |= group_lives(group);
	}
	return lacks;
}

/* ---- The thread --------------------------------------------------------------------------------- */

/* Under the lock of groups. */
static void look_for_new(struct kubelet *kubelet)
{
	uint64_t soon = kubelet->asked_ns + SOON_NS;

	if (kubelet->seen_changes == kubelet->groups->changes)
		return;
	kubelet->seen_changes = kubelet->groups->changes;
	if (kubelet->failing || !tell_groups(kubelet))
		return;
	kubelet->wait_ns = SOON_NS;
	if (soon < kubelet->due_ns)
		kubelet->due_ns = soon;
}

/* Under the lock of groups, which is let go meanwhile. What was not told is asked for less and less often. */
static void take_turn(struct kubelet *kubelet)
{
	bool lacks;
	int r;

	kubelet->asked_ns = clock_ns(CLOCK_MONOTONIC);
	kubelet->seen_changes = kubelet->groups->changes;
	pthread_mutex_unlock(kubelet->groups_lock);
	r = learn(kubelet);
	pthread_mutex_lock(kubelet->groups_lock);
	kubelet->failing = r != 0;
	lacks = r || tell_groups(kubelet);
	kubelet->settled = true;
	kubelet->due_ns = clock_ns(CLOCK_MONOTONIC) + (lacks ? kubelet->wait_ns : kubelet->interval_ns);
	kubelet->wait_ns = lacks ? kubelet->wait_ns * 2 : SOON_NS;
	if (kubelet->wait_ns > kubelet->interval_ns)
		kubelet->wait_ns = kubelet->interval_ns;
}

static void *run(void *argument)
{
	struct kubelet *kubelet = argument;

	pthread_mutex_lock(kubelet->groups_lock);
	while (!kubelet->worker.stopping) {
		look_for_new(kubelet);
		if (clock_ns(CLOCK_MONOTONIC) >= kubelet->due_ns)
			take_turn(kubelet);
		else
			worker_wait(&kubelet->worker, clock_ns(CLOCK_MONOTONIC) + SECOND_NS);
	}
	pthread_mutex_unlock(kubelet->groups_lock);
	return NULL;
}

/* ---- From beginning to end ----------------------------------------------------------------------- */

static void set_url(struct server *server, const char *url)
{
	size_t length = strlen(url);

	while (length && url[length - 1] == '/')
		length--;
	memcpy(server->url, url, length);
	server->url[length] = '\0';
}

static void set_up(struct kubelet *kubelet, const struct deepmon_options *options)
{
	struct server *own = &kubelet->kubelet, *api = &kubelet->api;

	*own = (struct server){.option = "Kubelet",
			       .ca_option = *options->kubelet_ca ? "KubeletCA" : "KubernetesCA",
			       .right = "get nodes/proxy",
			       .loss = "owners of pods"};
	*api = (struct server){.option = "KubernetesAPI",
			       .ca_option = "KubernetesCA",
			       .right = "list services in all namespaces",
			       .loss = "services"};
	set_url(own, options->kubelet);
	strcpy(own->ca_file, *options->kubelet_ca ? options->kubelet_ca : options->kubernetes_ca);
	set_url(api, options->kubernetes_api);
	strcpy(api->ca_file, options->kubernetes_ca);
	strcpy(kubelet->token_file, options->kubernetes_token);
	kubelet->interval_ns = (uint64_t)(options->kubelet_interval * (double)SECOND_NS);
	kubelet->wait_ns = SOON_NS < kubelet->interval_ns ? SOON_NS : kubelet->interval_ns;
}

int kubelet_open(struct kubelet **opened, const struct deepmon_options *options,
		 const struct deepmon_logger *logger)
{
	struct kubelet *kubelet;
	int r;

	if (!*options->kubelet) {
		if (*options->kubernetes_api)
			log_warning(logger,
				    "KubernetesAPI is not asked without Kubelet, which tells of the pods");
		return 0;
	}
	kubelet = calloc(1, sizeof(*kubelet));
	if (!kubelet)
		return -ENOMEM;
	r = selection_open(&kubelet->labels, &options->container_label);
	if (!r)
		r = http_client_open(&kubelet->http);
	if (r == -ENOSYS)
		log_warning(logger,
			    "Kubelet: there is no libcurl, so owners of pods and services are not told; "
			    "install libcurl4");
	if (r) {
		selection_close(kubelet->labels);
		free(kubelet);
		return r == -ENOSYS ? 0 : r;
	}
	kubelet->logger = logger;
	set_up(kubelet, options);
	pthread_mutex_init(&kubelet->lock, NULL);
	*opened = kubelet;
	return 0;
}

int kubelet_start(struct kubelet *kubelet, struct groups *groups, pthread_mutex_t *lock)
{
	if (!kubelet)
		return 0;
	kubelet->groups = groups;
	kubelet->groups_lock = lock;
	return worker_start(&kubelet->worker, lock, run, kubelet);
}

bool kubelet_is_settled(const struct kubelet *kubelet)
{
	return !kubelet || !kubelet->worker.runs || kubelet->settled;
}

void kubelet_close(struct kubelet *kubelet)
{
	if (!kubelet)
		return;
	if (kubelet->worker.runs)
		http_client_stop(kubelet->http);
	worker_stop(&kubelet->worker);
	http_client_close(kubelet->http);
	told_free(kubelet->told);
	services_clear(&kubelet->services);
	selection_close(kubelet->labels);
	pthread_mutex_destroy(&kubelet->lock);
	free(kubelet);
}
