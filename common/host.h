/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What is to be known of the host before anything is tried: rows of findings, no decisions.
 */
#ifndef DEEPMON_HOST_H
#define DEEPMON_HOST_H

#include "deepmon.h"

/* The kernel, its BTF, the machine, and the kernel's settings that bear on eBPF and perf. */
void host_find(const char *proc_root, const struct deepmon_logger *logger);

#endif
