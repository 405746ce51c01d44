/* meter: what load.c measures with: a clock, a histogram of latencies, what processes use and may use. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(3);
}

static void *allocated(void *memory)
{
    if (!memory) fail("out of memory");
    return memory;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- latencies: a logarithmic histogram ---- */

#define FINE 64 /* buckets for each power of two: an error below 1.6 % */

struct latencies {
    uint64_t count, longest_ns;
    uint32_t buckets[64 * FINE];
};

static size_t bucket(uint64_t ns)
{
    if (ns < FINE) return (size_t)ns;
    int power = 63 - __builtin_clzll(ns);
    return (size_t)(power - 5) * FINE + (size_t)((ns >> (power - 6)) & (FINE - 1));
}

static double bucket_ms(size_t index)
{
    if (index < FINE) return (double)index / 1e6;
    int power = (int)(index / FINE) + 5;
    return ((double)(1ull << power) + ((double)(index % FINE) + 0.5) * (double)(1ull << (power - 6))) / 1e6;
}

static void add(struct latencies *all, uint64_t ns)
{
    all->buckets[bucket(ns)]++;
    all->count++;
    if (ns > all->longest_ns) all->longest_ns = ns;
}

static double percentile_ms(const struct latencies *all, double share)
{
    double longest_ms = (double)all->longest_ns / 1e6;
    uint64_t wanted = (uint64_t)(share * (double)all->count), passed = 0;
    for (size_t i = 0; i < sizeof all->buckets / sizeof *all->buckets; i++) {
        passed += all->buckets[i];
        if (passed > wanted && bucket_ms(i) < longest_ms) return bucket_ms(i);
    }
    return longest_ms;
}

/* ---- processes ---- */

struct usage {
    double cpu_s;
    long rss_kib;
};

static struct usage usage_of(int pid)
{
    char path[64], text[1024], *fields = NULL;
    unsigned long user = 0, kernel = 0;
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file && fgets(text, sizeof text, file)) fields = strrchr(text, ')');
    if (file) fclose(file);
    /* the state, ten fields, both times, eight fields, the resident pages */
    if (!fields || sscanf(fields + 2, "%*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu"
                                      " %*s %*s %*s %*s %*s %*s %*s %*s %ld", &user, &kernel, &pages) != 3)
        fail("cannot read %s", path);
    return (struct usage){(double)(user + kernel) / (double)sysconf(_SC_CLK_TCK),
                          pages * (sysconf(_SC_PAGESIZE) / 1024)};
}

static double own_cpu_s(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}
