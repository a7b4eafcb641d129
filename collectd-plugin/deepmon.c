/* SPDX-License-Identifier: GPL-3.0-only
 *
 * collectd's read plugin: hands every metric of a sample to the daemon, by the catalogue.
 */
#include <collectd/core/daemon/collectd.h>

#include <collectd/core/daemon/plugin.h>
#include <collectd/core/daemon/utils_cache.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/deepmon.h"
#include "identifier.h"
#include "notices.h"

static struct deepmon_options options;
static struct deepmon *collector;
static struct identifiers identifiers;

static void write_log(void *user, enum deepmon_log_level level, const char *line)
{
	static const int levels[] = {[DEEPMON_ERROR] = LOG_ERR,
				     [DEEPMON_WARNING] = LOG_WARNING,
				     [DEEPMON_RECOVERED] = LOG_INFO,
				     [DEEPMON_INFO] = LOG_INFO,
				     [DEEPMON_DEBUG] = LOG_DEBUG};

	(void)user;
	plugin_log(levels[level], "deepmon plugin: %s", line);
	notices_add(level, line);
}

static void set_option(const char *name, const char *value)
{
	char why[256];

	if (deepmon_options_set(&options, name, value, why, sizeof(why)))
		plugin_log(LOG_WARNING, "deepmon plugin: %s. The option is ignored", why);
}

static void set_value(const char *name, const oconfig_value_t *value)
{
	char number[64];

	switch (value->type) {
	case OCONFIG_TYPE_NUMBER:
		snprintf(number, sizeof(number), "%.15g", value->value.number);
		set_option(name, number);
		break;
	case OCONFIG_TYPE_BOOLEAN:
		set_option(name, value->value.boolean ? "true" : "false");
		break;
	default:
		set_option(name, value->value.string);
	}
}

static int configure(oconfig_item_t *block)
{
	for (int i = 0; i < block->children_num; i++) {
		const oconfig_item_t *item = &block->children[i];
		const struct deepmon_option *option = deepmon_option_find(item->key);
		bool many = option && option->type == DEEPMON_OPTION_LIST;

		if (item->values_num < 1 || (item->values_num > 1 && !many)) {
			plugin_log(LOG_WARNING,
				   "deepmon plugin: %s: one value is accepted. The option is "
				   "ignored",
				   item->key);
			continue;
		}
		for (int value = 0; value < item->values_num; value++)
			set_value(item->key, &item->values[value]);
	}
	return 0;
}

/* Those of our types that no TypesDB has given yet. */
static void register_types(void)
{
	for (size_t i = 0; i < deepmon_metric_count; i++) {
		const struct deepmon_metric *metric = &deepmon_metric_table[i];
		int type = deepmon_metric_is_derive(metric) ? DS_TYPE_DERIVE : DS_TYPE_GAUGE;
		data_source_t source = {.name = "value", .type = type, .min = 0, .max = NAN};
		data_set_t set = {.ds_num = 1, .ds = &source};

		snprintf(set.type, sizeof(set.type), "%s", metric->collectd_type);
		if (deepmon_metric_type_is_own(metric) && !plugin_get_ds(set.type))
			plugin_register_data_set(&set);
	}
}

static bool value_of(const struct deepmon_record *record, const struct deepmon_metric *metric, value_t *value)
{
	const data_set_t *set = plugin_get_ds(metric->collectd_type);
	uint64_t number;
	double gauge;

	if (set && set->ds[0].type == DS_TYPE_DERIVE) {
		if (!deepmon_value_u64(record, metric, &number))
			return false;
		value->derive = (derive_t)number;
		return true;
	}
	if (!deepmon_value_double(record, metric, &gauge))
		return false;
	value->gauge = gauge;
	return true;
}

static void dispatch_record(const struct deepmon_record *record, cdtime_t time)
{
	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(record->subject, &count);
	char instance[DATA_MAX_NAME_LEN];

	identifier_instance(&identifiers, record, instance, sizeof(instance));
	for (size_t i = 0; i < count; i++) {
		value_list_t list = VALUE_LIST_INIT;
		value_t value;

		if (!value_of(record, &metrics[i], &value))
			continue;
		list.values = &value;
		list.values_len = 1;
		list.time = time;
		snprintf(list.plugin, sizeof(list.plugin), "deepmon");
		snprintf(list.plugin_instance, sizeof(list.plugin_instance), "%s", instance);
		snprintf(list.type, sizeof(list.type), "%s", metrics[i].collectd_type);
		identifier_type_instance(record, &metrics[i], list.type_instance, sizeof(list.type_instance));
		plugin_dispatch_values(&list);
	}
}

/* Returns 0 on a passing failure too: anything else makes the daemon ask less often. */
static int read_sample(user_data_t *user)
{
	const struct deepmon_sample *sample;

	(void)user;
	notices_dispatch();
	if (deepmon_read(collector, &sample) || identifiers_take(&identifiers, sample))
		return 0;
	for (size_t i = 0; i < sample->record_count; i++)
		dispatch_record(&sample->records[i], NS_TO_CDTIME_T(sample->time_ns));
	return 0;
}

static int init(void)
{
	const struct deepmon_logger logger = {.log = write_log};

	if (collector)
		return 0;
	register_types();
	if (deepmon_open(&collector, &options, &logger))
		return -1;
	return plugin_register_complex_read(NULL, "deepmon", read_sample, 0, NULL);
}

static int stop(void)
{
	deepmon_close(collector);
	collector = NULL;
	identifiers_clear(&identifiers);
	return 0;
}

/* What the daemon looks for when it has loaded the file. */
__attribute__((visibility("default"))) void module_register(void);

void module_register(void)
{
	deepmon_options_init(&options);
	plugin_register_complex_config("deepmon", configure);
	plugin_register_init("deepmon", init);
	plugin_register_shutdown("deepmon", stop);
}
