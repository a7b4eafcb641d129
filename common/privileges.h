/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What this process may do, and the command that would let it do more. Reads /proc/self.
 */
#ifndef DEEPMON_PRIVILEGES_H
#define DEEPMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/capability.h>

#include "deepmon.h"

#define PRIVILEGE(capability) (1ull << (capability))
#define PRIVILEGES_OF_BPF     (PRIVILEGE(CAP_BPF) | PRIVILEGE(CAP_PERFMON))

#define PRIVILEGES_REMEDY_MAX 640

/* Whether all of those capabilities are effective; CAP_SYS_ADMIN stands for each of PRIVILEGES_OF_BPF. */
bool privileges_held(uint64_t capabilities);

/*
 * What would give the process those capabilities: a command for its binary, or what must be written where it
 * was started, if that forbids them. "": it holds them.
 */
void privileges_remedy(uint64_t capabilities, char *remedy, size_t size);

/* A row for each capability that something in deepmon can use, and for what else binds the process. */
void privileges_find(const struct deepmon_logger *logger);

#endif
