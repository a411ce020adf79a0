/*
 * Stands between a process and its disk, so that tests can make the disk fail. Loaded with LD_PRELOAD.
 * Files in the folder PARLEY_DISK_SHIM say what fails for as long as they are there:
 *
 *   fsync-fails      fsync and fdatasync return EIO
 *   read-only        pwrite returns EROFS
 *   write-fails-at   holds a number k: the k-th pwrite since the file appeared returns EIO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The marker's number; 0 if it is there without one; -1 if it is not there. */
static int marker(const char *name) {
  const char *folder = getenv("PARLEY_DISK_SHIM");
  char path[4096], text[16] = {0};
  if (folder == NULL) return -1;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int file = open(path, O_RDONLY);
  if (file == -1) return -1;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  return length > 0 ? atoi(text) : 0;
}

static int fails(int error) {
  errno = error;
  return -1;
}

int fsync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return marker("fsync-fails") >= 0 ? fails(EIO) : real(file);
}

int fdatasync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return marker("fsync-fails") >= 0 ? fails(EIO) : real(file);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  static int writes;
  if (real == NULL)
    real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  if (marker("read-only") >= 0) return fails(EROFS);
  int k = marker("write-fails-at");
  if (k < 0) writes = 0;
  else if (++writes == k) return fails(EIO);
  return real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  return pwrite64(file, bytes, count, at);
}
