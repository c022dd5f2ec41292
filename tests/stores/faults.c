/* Makes the k-th call that writes or syncs a chosen file fail, and keeps a list of these calls.
 *
 * Loaded before libc (LD_PRELOAD); armed through fault_arm() from the process itself. Files are chosen by a part of
 * their path. Kinds: 'w' write, 's' sync, 't' change of size; 'm' is a mark that the test sets.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char part[4096];
static long seen, at;
static int error, sticky, fired;
static char calls[1 << 20];
static long listed;

void fault_arm(const char *path_part, long k, int number, int stay) {
    snprintf(part, sizeof part, "%s", path_part);
    seen = 0, fired = 0, listed = 0;
    at = k, error = number, sticky = stay;
}

void fault_disarm(void) { part[0] = 0; }
long fault_seen(void) { return seen; }
int fault_fired(void) { return fired; }
const char *fault_calls(void) { calls[listed] = 0; return calls; }

static void list(char kind, char of) {
    if (listed + 3 < (long)sizeof calls) calls[listed++] = kind, calls[listed++] = of;
}

void fault_mark(void) { list('m', '-'); }

/* Whether this call shall fail: errno is set then. */
static int fails(int descriptor, char kind) {
    char link[64], path[4096];
    if (!part[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    if (!strstr(path, part)) return 0;
    seen++;
    /* l the log, x its index, f the file or the folder */
    list(kind, strstr(path, "-wal") ? 'l' : strstr(path, "-shm") ? 'x' : 'f');
    if (at == 0 || (sticky ? seen < at : seen != at)) return 0;
    fired++;
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int d, const void *data, size_t n) { return fails(d, 'w') ? -1 : REAL(write)(d, data, n); }
ssize_t pwrite(int d, const void *data, size_t n, off_t o) { return fails(d, 'w') ? -1 : REAL(pwrite)(d, data, n, o); }
ssize_t pwrite64(int d, const void *data, size_t n, off64_t o) {
    return fails(d, 'w') ? -1 : REAL(pwrite64)(d, data, n, o);
}
int ftruncate(int d, off_t n) { return fails(d, 't') ? -1 : REAL(ftruncate)(d, n); }
int ftruncate64(int d, off64_t n) { return fails(d, 't') ? -1 : REAL(ftruncate64)(d, n); }
int fsync(int d) { return fails(d, 's') ? -1 : REAL(fsync)(d); }
int fdatasync(int d) { return fails(d, 's') ? -1 : REAL(fdatasync)(d); }
int posix_fallocate(int d, off_t o, off_t n) { return fails(d, 't') ? error : REAL(posix_fallocate)(d, o, n); }
