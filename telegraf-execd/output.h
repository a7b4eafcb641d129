/* SPDX-License-Identifier: GPL-3.0-only
 *
 * A descriptor whose reader may be slow, or gone: nothing here waits for it but output_drain.
 */
#ifndef DEEPMON_OUTPUT_H
#define DEEPMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One batch: the next begins when this one is written. */
struct output {
	int fd; /* the caller's */
	FILE *stream;
	char *bytes;
	size_t length, written;
};

/* -ENOMEM. */
int output_open(struct output *output, int fd);

/* Where the next batch is to be written; what was still unwritten of the last is dropped. */
FILE *output_begin(struct output *output);

/* Ends the batch, and writes what of it is taken at once. -errno, as output_write. */
int output_end(struct output *output);

/* Whether some of the batch is still to be written. */
bool output_pending(const struct output *output);

/* Writes what is taken without waiting. -EPIPE: the reader is gone. Another -errno: of write, or no memory.
 */
int output_write(struct output *output);

/* Writes the rest, and waits for it at most that long; negative: as long as it takes. -ETIMEDOUT: not done.
 */
int output_drain(struct output *output, int milliseconds);

/* Takes one that output_open has failed on, too. */
void output_close(struct output *output);

#endif
