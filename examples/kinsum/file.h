/* file.h -- the calls that block, for fibers on IO.
 *
 * Each returns a value >= 0, or fails as kin does: the code is returned, the
 * message is in the current error.
 *
 * None suspends and none is inlined.  errno belongs to a thread, a fiber may
 * go on on another one, and a compiler that sees what stands before and after
 * a suspension keeps the address of the first thread's errno. */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens a regular file, and nothing else, for reading; "-" is stdin. */
int file_open(const char *path);

/* Fills bytes, or reads up to the end of the file: *length < size means that
 * there is no more.  Waiting for stdin ends when the fiber is cancelled. */
int file_read(int fd, unsigned char *bytes, size_t size, size_t *length);

/* Leaves stdin open; a negative fd is fine. */
void file_close(int fd);

/* The size of a regular file; 0 if there is no telling. */
uint64_t file_size(const char *path);

/* True if a write of up to PIPE_BUF bytes would not block. */
bool file_is_writable(int fd);

/* Writes all of it. */
int file_write(int fd, const char *bytes, size_t length);

/* As kin_fail, with the message of errno. */
int file_fail(void);

#endif
