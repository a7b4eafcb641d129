/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Reading other people's files: bounded, and sure of what was read.
 */
#ifndef DEEPMON_FILE_H
#define DEEPMON_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Releases what a variable owns when it goes out of scope:
 *   __attribute__((cleanup(file_close))) int fd = open(...);
 */
void file_close(int *fd);
void file_free(void *pointer_to_pointer);
#define cleanup_close __attribute__((cleanup(file_close)))
#define cleanup_free  __attribute__((cleanup(file_free)))

/*
 * Reads a whole file of at most size - 1 bytes, relative to dirfd, into buffer and ends it with NUL.
 * Returns its length, or -errno; -EFBIG: it is longer.
 */
long file_read(int dirfd, const char *path, char *buffer, size_t size);

/* The same into new memory, which the caller frees; at most `most` bytes. */
long file_read_new(int dirfd, const char *path, size_t most, char **contents);

/* Opens a file to be read, and never waits for it. A descriptor or -errno. */
int file_open(int dirfd, const char *path);
/* file_read_new of one that is open; of its -errno, that. */
long file_read_open(int fd, size_t most, char **contents);

/* The decimal number that is all of the file's contents but for white space after it. -EINVAL: no such. */
int file_read_u64(int dirfd, const char *path, uint64_t *value);

/* All of `text` as a decimal number, white space after it allowed. -EINVAL: it is none. -ERANGE: too large.
 */
int parse_u64(const char *text, uint64_t *value);

/* All of `text` as a number as C writes it, whatever the locale of the process is. -EINVAL: it is none. */
int parse_double(const char *text, double *value);

#endif
