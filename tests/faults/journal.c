/* Preloaded into a process: writes down each change of files below JOURNAL_ROOT, in order, to the file JOURNAL.

A record is a line `operation <tab> inode <tab> offset <tab> length <tab> path <tab> other path`, then `length` bytes. One call
goes after the other, so that the order of the records is that of the changes. tests/faults/power.py reads it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static char root[PATH_MAX];

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("JOURNAL"), *below = getenv("JOURNAL_ROOT");
  if (!path || !below) return;
  snprintf(root, sizeof root, "%s", below);
  out = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(const char *what, long inode, long offset, const void *data, size_t length, const char *path, const char *other) {
  char head[2 * PATH_MAX + 100];
  int n = snprintf(head, sizeof head, "%s\t%ld\t%ld\t%zu\t%s\t%s\n", what, inode, offset, length, path, other);
  struct iovec parts[2] = {{head, n}, {(void *)data, length}};
  int before = errno;
  if (syscall(SYS_writev, out, parts, 2) != (long)(n + length)) abort();
  errno = before;
}

static int below(const char *path) {
  size_t n = strlen(root);
  return out >= 0 && n && !strncmp(path, root, n) && (path[n] == '/' || !path[n]);
}

static void path_of(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
  path[n > 0 ? n : 0] = 0;
}

static void absolute(int folder, const char *name, char *path) {
  char base[PATH_MAX] = "";
  if (name[0] == '/') {
    snprintf(path, PATH_MAX, "%s", name);
    return;
  }
  if (folder != AT_FDCWD) path_of(folder, base);
  else if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = 0;
  if ((size_t)snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) abort();
}

static long inode_of(int descriptor) {
  struct stat found;
  return fstat(descriptor, &found) ? 0 : (long)found.st_ino;
}

/* What the program marks: lines that it said. */
void journal_mark(const char *line) {
  pthread_mutex_lock(&lock);
  if (out >= 0) note("mark", 0, 0, line, strlen(line), "", "");
  pthread_mutex_unlock(&lock);
}

static int opened(int folder, const char *name, int flags, mode_t mode) {
  char path[PATH_MAX];
  absolute(folder, name, path);
  if (!below(path) || !(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, folder, name, flags, mode);
  pthread_mutex_lock(&lock);
  int was = !syscall(SYS_faccessat, folder, name, F_OK);
  int descriptor = syscall(SYS_openat, folder, name, flags, mode);
  if (descriptor >= 0 && !was) note("create", inode_of(descriptor), 0, "", 0, path, "");
  else if (descriptor >= 0 && flags & O_TRUNC) note("truncate", inode_of(descriptor), 0, "", 0, path, "");
  pthread_mutex_unlock(&lock);
  return descriptor;
}

#define OPENING(NAME)                                      \
  int NAME(const char *path, int flags, ...) {             \
    va_list more;                                          \
    va_start(more, flags);                                 \
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more);                                          \
    return opened(AT_FDCWD, path, flags, mode);            \
  }
#define OPENING_AT(NAME)                                   \
  int NAME(int folder, const char *path, int flags, ...) { \
    va_list more;                                          \
    va_start(more, flags);                                 \
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more);                                          \
    return opened(folder, path, flags, mode);              \
  }
OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)

static int watched(int descriptor, char *path) {
  if (out < 0 || descriptor == out) return 0;
  path_of(descriptor, path);
  return below(path);
}

ssize_t write(int descriptor, const void *data, size_t length) {
  char path[PATH_MAX];
  if (!watched(descriptor, path)) return syscall(SYS_write, descriptor, data, length);
  pthread_mutex_lock(&lock);
  ssize_t n = syscall(SYS_write, descriptor, data, length);
  if (n > 0) note("write", inode_of(descriptor), lseek(descriptor, 0, SEEK_CUR) - n, data, n, path, "");
  pthread_mutex_unlock(&lock);
  return n;
}

#define WRITING_AT(NAME)                                                              \
  ssize_t NAME(int descriptor, const void *data, size_t length, off_t offset) {       \
    char path[PATH_MAX];                                                              \
    if (!watched(descriptor, path)) return syscall(SYS_pwrite64, descriptor, data, length, offset); \
    pthread_mutex_lock(&lock);                                                        \
    ssize_t n = syscall(SYS_pwrite64, descriptor, data, length, offset);              \
    if (n > 0) note("write", inode_of(descriptor), offset, data, n, path, "");        \
    pthread_mutex_unlock(&lock);                                                      \
    return n;                                                                         \
  }
WRITING_AT(pwrite)
WRITING_AT(pwrite64)

/* Calls on a descriptor that answer 0. */
#define ON_DESCRIPTOR(NAME, PARAMETERS, CALL, WHAT, OFFSET)                           \
  int NAME PARAMETERS {                                                               \
    char path[PATH_MAX];                                                              \
    if (!watched(descriptor, path)) return CALL;                                      \
    pthread_mutex_lock(&lock);                                                        \
    int result = CALL;                                                                \
    if (!result) note(WHAT, inode_of(descriptor), OFFSET, "", 0, path, "");           \
    pthread_mutex_unlock(&lock);                                                      \
    return result;                                                                    \
  }
ON_DESCRIPTOR(ftruncate, (int descriptor, off_t length), syscall(SYS_ftruncate, descriptor, length), "truncate", length)
ON_DESCRIPTOR(ftruncate64, (int descriptor, off_t length), syscall(SYS_ftruncate, descriptor, length), "truncate", length)
ON_DESCRIPTOR(fsync, (int descriptor), syscall(SYS_fsync, descriptor), "sync", 0)
ON_DESCRIPTOR(fdatasync, (int descriptor), syscall(SYS_fdatasync, descriptor), "sync", 0)

/* Calls on names that answer 0. */
static int named(const char *what, int folder, const char *name, int other_folder, const char *other, long result_of(void *), void *call) {
  char path[PATH_MAX], second[PATH_MAX] = "";
  absolute(folder, name, path);
  if (other) absolute(other_folder, other, second);
  if (!below(path) && !below(second)) return result_of(call);
  pthread_mutex_lock(&lock);
  int result = result_of(call);
  if (!result) note(what, 0, 0, "", 0, path, second);
  pthread_mutex_unlock(&lock);
  return result;
}
struct names { int folder; const char *name; int other_folder; const char *other; int flags; mode_t mode; };
static long do_unlink(void *v) { struct names *c = v; return syscall(SYS_unlinkat, c->folder, c->name, c->flags); }
static long do_mkdir(void *v) { struct names *c = v; return syscall(SYS_mkdirat, c->folder, c->name, c->mode); }
static long do_link(void *v) { struct names *c = v; return syscall(SYS_linkat, c->folder, c->name, c->other_folder, c->other, c->flags); }
static long do_rename(void *v) { struct names *c = v; return syscall(SYS_renameat2, c->folder, c->name, c->other_folder, c->other, 0); }

#define NAMED(WHAT, CALL, ...)                                                        \
  {                                                                                   \
    struct names c = {__VA_ARGS__};                                                   \
    return named(WHAT, c.folder, c.name, c.other_folder, c.other, CALL, &c);          \
  }
int unlink(const char *p) NAMED("unlink", do_unlink, AT_FDCWD, p, 0, 0, 0, 0)
int unlinkat(int d, const char *p, int f) NAMED("unlink", do_unlink, d, p, 0, 0, f, 0)
int rmdir(const char *p) NAMED("unlink", do_unlink, AT_FDCWD, p, 0, 0, AT_REMOVEDIR, 0)
int mkdir(const char *p, mode_t m) NAMED("mkdir", do_mkdir, AT_FDCWD, p, 0, 0, 0, m)
int mkdirat(int d, const char *p, mode_t m) NAMED("mkdir", do_mkdir, d, p, 0, 0, 0, m)
int link(const char *p, const char *q) NAMED("link", do_link, AT_FDCWD, p, AT_FDCWD, q, 0, 0)
int linkat(int d, const char *p, int e, const char *q, int f) NAMED("link", do_link, d, p, e, q, f, 0)
int rename(const char *p, const char *q) NAMED("rename", do_rename, AT_FDCWD, p, AT_FDCWD, q, 0, 0)
int renameat(int d, const char *p, int e, const char *q) NAMED("rename", do_rename, d, p, e, q, 0, 0)
