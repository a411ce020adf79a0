/*
 * Stands between a process and its disk, so that tests can make the disk fail. Loaded with LD_PRELOAD.
 * Files in the folder PARLEY_DISK_SHIM say what fails for as long as they are there:
 *
 *   fsync-fails        fsync and fdatasync return EIO
 *   fsync-fails-at     holds a number k: the k-th of them since the file appeared returns EIO; those
 *                      of folders do not count, for SQLite looks past their failing
 *   read-only          pwrite returns EROFS
 *   write-fails-at     holds a number k: the k-th pwrite since the file appeared returns EIO
 *   dies-after-fsync   holds a number k: the k-th sync succeeds, and the process is killed at once
 *
 * What happens at a number happens once: then its file is removed, by which one sees that it has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

/* Whether this is the k-th call that was counted since the marker appeared. */
static int is_due(const char *name, int *count) {
  const char *folder = getenv("PARLEY_DISK_SHIM");
  char path[4096];
  int k = marker(name);
  if (k < 0) *count = 0;
  else if (++*count == k) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return unlink(path) == 0;
  }
  return 0;
}

static int is_folder(int file) {
  struct stat about;
  return fstat(file, &about) == 0 && S_ISDIR(about.st_mode);
}

static int synced(const char *name, int file) {
  static int failing, dying;
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (marker("fsync-fails") >= 0) return fails(EIO);
  if (!is_folder(file) && is_due("fsync-fails-at", &failing)) return fails(EIO);
  int result = real(file);
  if (is_due("dies-after-fsync", &dying)) kill(getpid(), SIGKILL);
  return result;
}

int fsync(int file) { return synced("fsync", file); }

int fdatasync(int file) { return synced("fdatasync", file); }

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  static int writes;
  if (real == NULL)
    real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  if (marker("read-only") >= 0) return fails(EROFS);
  if (is_due("write-fails-at", &writes)) return fails(EIO);
  return real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  return pwrite64(file, bytes, count, at);
}
