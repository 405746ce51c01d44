/* load: plays many devices at WebSocket servers, and measures what comes back.
 *
 *   cc -O2 -o load load.c
 *   echo 'step 3 5' | ./load -n 1000 127.0.0.1:3000
 *
 * N connections, dealt round over the servers given, register as devices (API.md). Then it does what the
 * lines of its standard input say, and answers each with one JSON object on one line (so does the start):
 *
 *   step RATE SECONDS   every device sends RATE updates a second; measured over SECONDS after a warm-up
 *   stop K              K more connections, from the last, send no more and read no more
 *   storm               cut all connections at once, reconnect all, time it until each has its list
 *
 * The load is open: update k is due at a fixed time whatever the server does, and latency counts from that
 * time. Each update carries a mark in gpuName: when it was due, its sequence number, its device, this run.
 * A delivery counts if it is whole and newer than the last one of that sender on that connection.
 *
 * One thread, one epoll. The sockets are looked at every POLL_US, so that this program leaves most of the
 * machine to the servers; that adds at most as much to each latency.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "meter.h"

#define CONNECTION_LIMIT 20000
#define PAIRS_LIMIT 4000 /* connections up to which the order of each pair is watched */
#define SERVER_LIMIT 16
#define PROCESS_LIMIT 16
#define READ_BYTES (1u << 20)
#define LARGE_BYTES (64u << 10) /* an unfinished frame above this is counted, not kept */
#define EVENTS_AT_ONCE 512
#define CONNECT_LIMIT_S 60
#define LIFE_LIMIT_S 600 /* whatever it was told */
#define DRAIN_LIMIT_S 15
#define LATE_NS (2 * NS_PER_S) /* what has not come after so much silence is missing */
#define QUIET_LIMIT_S 15
#define QUIET_NS (300 * NS_PER_MS)
#define WARM_UP_NS (1 * NS_PER_S)
#define STOPPED_BUFFER_BYTES 4096

enum state { CLOSED, CONNECTING, UPGRADING, OPEN };

struct connection {
    int fd, id;
    enum state state;
    bool listed;  /* it has its list of devices */
    bool stopped; /* it reads no more */
    uint32_t sequence; /* of its latest update */
    uint32_t *heard; /* by sender: the latest sequence number heard */
    uint8_t *kept; /* the beginning of a frame whose end has not come */
    size_t kept_bytes, kept_room;
    uint64_t skip; /* bytes of a large frame that are still to come */
    bool skips_list;
    uint8_t *out;
    size_t out_bytes, out_sent, out_room;
    uint32_t events;
};

/* Something that repeats: its turn k is due at first_ns + k * gap_ns. */
struct beat {
    uint64_t first_ns, done;
    double gap_ns;
};

static struct {
    int connections, bytes, ramp, poll_us;
    double heartbeat_s;
    bool deaf; /* registers with `receives: none` */
    struct sockaddr_in servers[SERVER_LIMIT];
    int server_count;
    int pids[PROCESS_LIMIT];
    int pid_count;
} given = {.connections = 200, .bytes = 400, .ramp = 64, .poll_us = 500, .heartbeat_s = 5};

static struct connection *connections;
static int epoll, next_to_start, in_flight, listed, lost, publishers;
static uint32_t run;
static uint8_t *incoming;
static struct beat updates, heartbeats;
static char last_loss[128];

/* ---- what is counted ------------------------------------------------------------------------------- */

static struct {
    uint64_t from_ns, until_ns; /* updates due in this window count */
    uint64_t sent, disordered, repeated, malformed, refused, arrivals, reads;
    uint64_t late_ns; /* how late the latest update was sent: more than a few ms, and we are the limit */
    struct latencies latencies;
} seen;

static uint32_t chance(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* ---- out: frames to a server ------------------------------------------------------------------------ */

static void lose(struct connection *c, const char *why)
{
    if (c->state == CLOSED) return;
    snprintf(last_loss, sizeof last_loss, "connection %d: %s", c->id, why);
    *(c->listed ? &listed : &in_flight) -= 1;
    close(c->fd);
    c->state = CLOSED;
    c->listed = false;
    if (!c->stopped) lost++;
}

static void listen_for(struct connection *c, bool writable)
{
    uint32_t events = (c->stopped ? 0 : EPOLLIN) | (writable ? EPOLLOUT : 0) | EPOLLRDHUP;
    if (events == c->events) return;
    c->events = events;
    struct epoll_event change = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &change) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void flush(struct connection *c)
{
    while (c->out_sent < c->out_bytes) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) listen_for(c, true);
            else lose(c, strerror(errno));
            return;
        }
        c->out_sent += (size_t)n;
    }
    c->out_bytes = c->out_sent = 0;
    listen_for(c, false);
}

/* Room for `bytes` more at the end of what waits to be sent. */
static uint8_t *extend(struct connection *c, size_t bytes)
{
    if (c->out_bytes + bytes > c->out_room) {
        c->out_room = 2 * (c->out_bytes + bytes);
        c->out = allocated(realloc(c->out, c->out_room));
    }
    uint8_t *end = c->out + c->out_bytes;
    c->out_bytes += bytes;
    return end;
}

/* One masked frame of less than 64 KiB, as clients must send them. */
static void send_frame(struct connection *c, uint8_t opcode, const void *payload, size_t bytes)
{
    size_t head = bytes < 126 ? 2 : 4;
    uint8_t *frame = extend(c, head + 4 + bytes), *mask = frame + head, *body = mask + 4;
    uint32_t key = chance();
    frame[0] = 0x80 | opcode;
    frame[1] = (uint8_t)(0x80 | (head == 2 ? bytes : 126));
    if (head == 4) {
        frame[2] = (uint8_t)(bytes >> 8);
        frame[3] = (uint8_t)bytes;
    }
    memcpy(mask, &key, 4);
    for (size_t i = 0; i < bytes; i++) body[i] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
    flush(c);
}

static void __attribute__((format(printf, 2, 3))) say(struct connection *c, const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    int bytes = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    send_frame(c, 1, text, (size_t)bytes);
}

static void register_device(struct connection *c)
{
    say(c,
        "{\"type\":\"register\",\"deviceId\":\"load-%04x-%05d\",\"deviceName\":\"Load %d\","
        "\"platform\":\"linux\"%s}",
        run, c->id, c->id, given.deaf ? ",\"receives\":\"none\"" : "");
}

/* ---- updates, out and in ---------------------------------------------------------------------------- */

#define MARK "~load~"
#define MARK_BYTES 6
#define MARKED_BYTES (MARK_BYTES + 16 + 8 + 8 + 4)
static char padding[4096];
static size_t padding_bytes;

static int write_update(char *text, size_t room, struct connection *c, uint64_t due_ns)
{
    return snprintf(
        text, room,
        "{\"type\":\"resource_update\",\"deviceId\":\"load-%04x-%05d\",\"resources\":{\"cpuUsage\":45.5,"
        "\"cpuAvailable\":54.5,\"cpuCores\":8,\"memoryUsage\":8192,\"memoryAvailable\":8192,"
        "\"memoryTotal\":16384,\"storageUsage\":512000,\"storageAvailable\":488000,"
        "\"storageTotal\":1000000,\"hasGPU\":true,"
        "\"gpuName\":\"" MARK "%016" PRIx64 "%08x%08x%04x%s\",\"gpuUsage\":30.5}}",
        run, c->id, due_ns, c->sequence, (unsigned)c->id, run, padding);
}

static void pad_updates(void)
{
    char text[sizeof padding];
    int bare = write_update(text, sizeof text, &connections[0], 0);
    for (; bare + (int)padding_bytes < given.bytes; padding_bytes++)
        padding[padding_bytes] = (char)('a' + padding_bytes % 26);
}

static void send_update(struct connection *c, uint64_t due_ns)
{
    char text[sizeof padding + 512];
    c->sequence++;
    int bytes = write_update(text, sizeof text, c, due_ns);
    send_frame(c, 1, text, (size_t)bytes);
    if (due_ns >= seen.from_ns && due_ns < seen.until_ns) seen.sent++;
}

static uint64_t hex(const char *digits, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        char d = digits[i];
        value = value << 4 | (uint64_t)(d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
    }
    return value;
}

/* Where the mark stands: nearly always where it stood last time. */
static const char *find_mark(const char *text, size_t bytes)
{
    static size_t usual;
    if (usual + MARKED_BYTES + padding_bytes < bytes && !memcmp(text + usual, MARK, MARK_BYTES)) return text + usual;
    const char *mark = memmem(text, bytes, MARK, MARK_BYTES);
    if (!mark || (size_t)(text + bytes - mark) <= MARKED_BYTES + padding_bytes) return NULL;
    usual = (size_t)(mark - text);
    return mark;
}

static void on_update(struct connection *c, const char *text, size_t bytes, uint64_t now)
{
    const char *mark = find_mark(text, bytes);
    if (!mark || text[bytes - 1] != '}' || memcmp(mark + MARKED_BYTES, padding, padding_bytes)) {
        seen.malformed++;
        return;
    }
    const char *digits = mark + MARK_BYTES;
    uint64_t due_ns = hex(digits, 16);
    uint32_t sequence = (uint32_t)hex(digits + 16, 8), sender = (uint32_t)hex(digits + 24, 8);
    if (hex(digits + 32, 4) != run || sender >= (uint32_t)given.connections) return; /* of another run */
    seen.arrivals++;
    if (c->heard) {
        if (sequence <= c->heard[sender]) {
            if (sequence < c->heard[sender]) seen.disordered++;
            else seen.repeated++;
            return;
        }
        c->heard[sender] = sequence;
    }
    if (due_ns < seen.from_ns || due_ns >= seen.until_ns) return;
    add(&seen.latencies, now > due_ns ? now - due_ns : 0);
}

/* ---- in: frames from a server ----------------------------------------------------------------------- */

/* Every server that is measured writes the type first; some leave a space after the colon. */
static bool is_a(const char *type, const char *text, size_t bytes)
{
    static const char opening[] = "{\"type\":";
    size_t at = sizeof opening - 1, letters = strlen(type);
    if (bytes < at + letters + 4 || memcmp(text, opening, at)) return false;
    if (text[at] == ' ') at++;
    return text[at] == '"' && !memcmp(text + at + 1, type, letters) && text[at + 1 + letters] == '"';
}

static void on_list(struct connection *c)
{
    if (c->listed) return;
    c->listed = true;
    listed++;
    in_flight--;
}

static void on_text(struct connection *c, const char *text, size_t bytes, uint64_t now)
{
    if (is_a("resource_update", text, bytes)) {
        on_update(c, text, bytes, now);
        return;
    }
    if (is_a("devices", text, bytes)) on_list(c);
    else if (is_a("error", text, bytes) && !seen.refused++)
        fprintf(stderr, "load: connection %d: %.*s\n", c->id, (int)bytes, text);
}

static void on_frame(struct connection *c, uint8_t first, const uint8_t *payload, size_t bytes, uint64_t now)
{
    switch (first) {
    case 0x81: on_text(c, (const char *)payload, bytes, now); break;
    case 0x89: send_frame(c, 10, payload, bytes); break;
    case 0x8a: break;
    case 0x88: {
        char why[160] = "closed without a code";
        if (bytes >= 2)
            snprintf(why, sizeof why, "closed with %d %.*s", payload[0] << 8 | payload[1], (int)bytes - 2, payload + 2);
        lose(c, why);
        break;
    }
    default: seen.malformed++; /* fragments, binary: nobody has to send them */
    }
}

/* Bytes before the payload of the frame that begins here; 0 if they have not all come. */
static size_t head_of(const uint8_t *at, size_t left, uint64_t *payload)
{
    if (left < 2) return 0;
    size_t head = (at[1] & 127) < 126 ? 2 : (at[1] & 127) == 126 ? 4 : 10;
    if (left < head) return 0;
    *payload = head == 2 ? at[1] & 127 : 0;
    for (size_t i = 2; i < head; i++) *payload = *payload << 8 | at[i];
    return head;
}

/* Take the end of a large frame, which is a list or nothing we look into. */
static size_t take_large(struct connection *c, size_t bytes)
{
    size_t part = bytes < c->skip ? bytes : (size_t)c->skip;
    c->skip -= part;
    if (!c->skip && c->skips_list) on_list(c);
    return part;
}

/* All whole frames that are here; answers how many bytes they were. */
static size_t take_frames(struct connection *c, const uint8_t *data, size_t bytes, uint64_t now)
{
    size_t used = c->skip ? take_large(c, bytes) : 0;
    while (c->state == OPEN) {
        uint64_t payload = 0;
        size_t left = bytes - used, head = head_of(data + used, left, &payload);
        if (!head) break;
        if (left >= head + payload) {
            on_frame(c, data[used], data + used + head, (size_t)payload, now);
            used += head + (size_t)payload;
            continue;
        }
        if (payload > LARGE_BYTES && left >= head + 64) {
            c->skips_list = is_a("devices", (const char *)data + used + head, 64);
            c->skip = head + payload - left;
            used = bytes;
        }
        break;
    }
    return used;
}

static size_t take_upgrade(struct connection *c, const uint8_t *data, size_t bytes)
{
    const uint8_t *end = memmem(data, bytes, "\r\n\r\n", 4);
    if (!end) return 0;
    if (bytes < 12 || memcmp(data, "HTTP/1.1 101", 12)) {
        lose(c, "the upgrade was refused");
        return bytes;
    }
    c->state = OPEN;
    register_device(c);
    return (size_t)(end - data) + 4;
}

static void keep(struct connection *c, const uint8_t *data, size_t bytes)
{
    if (bytes > c->kept_room) {
        c->kept_room = bytes;
        c->kept = allocated(realloc(c->kept, bytes));
    }
    if (bytes) memcpy(c->kept, data, bytes);
    c->kept_bytes = bytes;
}

static void on_readable(struct connection *c)
{
    size_t before = c->kept_bytes;
    if (before) memcpy(incoming, c->kept, before);
    ssize_t n = recv(c->fd, incoming + before, READ_BYTES, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        lose(c, n ? strerror(errno) : "the server ended the connection");
        return;
    }
    seen.reads++;
    size_t bytes = before + (size_t)n, used = 0;
    if (c->state == UPGRADING) used = take_upgrade(c, incoming, bytes);
    if (c->state == OPEN) used += take_frames(c, incoming + used, bytes - used, now_ns());
    if (c->state != CLOSED) keep(c, incoming + used, bytes - used);
}

/* ---- connecting ------------------------------------------------------------------------------------- */

static void start(struct connection *c)
{
    const struct sockaddr_in *server = &given.servers[c->id % given.server_count];
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTING;
    c->listed = c->stopped = false;
    c->kept_bytes = c->out_bytes = c->out_sent = 0;
    c->skip = 0;
    c->events = EPOLLOUT;
    in_flight++;
    struct epoll_event interest = {.events = c->events, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &interest) < 0) fail("epoll_ctl: %s", strerror(errno));
    if (connect(c->fd, (const struct sockaddr *)server, sizeof *server) < 0 && errno != EINPROGRESS)
        lose(c, strerror(errno));
}

static void upgrade(struct connection *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        lose(c, strerror(error));
        return;
    }
    char request[256];
    int bytes = snprintf(request, sizeof request,
                         "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: cnBuIGxvYWQgbWFjaGluZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                         ntohs(given.servers[c->id % given.server_count].sin_port));
    c->state = UPGRADING;
    memcpy(extend(c, (size_t)bytes), request, (size_t)bytes);
    flush(c);
}

/* ---- turns: what is due goes out, what has come is taken -------------------------------------------- */

static uint64_t due_ns(const struct beat *beat)
{
    return beat->gap_ns > 0 ? beat->first_ns + (uint64_t)((double)beat->done * beat->gap_ns) : UINT64_MAX;
}

static void send_due(uint64_t now)
{
    for (uint64_t due; (due = due_ns(&updates)) <= now && due < seen.until_ns; updates.done++) {
        struct connection *c = &connections[updates.done % (uint64_t)publishers];
        if (!c->listed) continue;
        if (now - due > seen.late_ns) seen.late_ns = now - due;
        send_update(c, due);
    }
    for (; due_ns(&heartbeats) <= now; heartbeats.done++) {
        struct connection *c = &connections[heartbeats.done % (uint64_t)given.connections];
        if (c->listed) say(c, "{\"type\":\"heartbeat\",\"deviceId\":\"load-%04x-%05d\"}", run, c->id);
    }
}

static void rest_until(uint64_t instant)
{
    uint64_t now = now_ns();
    if (instant <= now) return;
    struct timespec rest = {0, (long)(instant - now)};
    nanosleep(&rest, NULL);
}

static void on_event(struct connection *c, uint32_t events)
{
    if (c->state == CONNECTING) upgrade(c);
    else if (c->stopped) lose(c, "cut while it did not read");
    else {
        if (events & EPOLLOUT) flush(c);
        if (c->state != CLOSED && events & ~(uint32_t)EPOLLOUT) on_readable(c);
    }
}

static void turn(uint64_t until)
{
    uint64_t now = now_ns(), next = until;
    send_due(now);
    while (next_to_start < given.connections && in_flight < given.ramp) start(&connections[next_to_start++]);
    if (due_ns(&updates) < next) next = due_ns(&updates);
    if (due_ns(&heartbeats) < next) next = due_ns(&heartbeats);
    struct epoll_event events[EVENTS_AT_ONCE];
    int wait_ms = next > now ? (int)((next - now) / NS_PER_MS) : 0;
    int count = epoll_wait(epoll, events, EVENTS_AT_ONCE, wait_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->state != CLOSED) on_event(c, events[i].events);
    }
    if (count < EVENTS_AT_ONCE) rest_until(now + (uint64_t)given.poll_us * 1000);
}

static void turn_until(uint64_t instant)
{
    while (now_ns() < instant) turn(instant);
}

/* Until nothing has come for a while. */
static void settle(void)
{
    uint64_t limit = now_ns() + QUIET_LIMIT_S * NS_PER_S, quiet_from = now_ns(), reads = seen.reads;
    while (now_ns() < limit && now_ns() - quiet_from < QUIET_NS) {
        turn(now_ns() + 20 * NS_PER_MS);
        if (seen.reads != reads) quiet_from = now_ns();
        reads = seen.reads;
    }
}

static double connect_all(void)
{
    uint64_t began = now_ns(), limit = began + CONNECT_LIMIT_S * NS_PER_S;
    next_to_start = in_flight = listed = lost = 0;
    while (listed + lost < given.connections && now_ns() < limit) turn(now_ns() + 10 * NS_PER_MS);
    return (double)(now_ns() - began) / 1e9;
}

/* ---- what it is told to do -------------------------------------------------------------------------- */

static void look(struct usage *usages)
{
    for (int i = 0; i < given.pid_count; i++) usages[i] = usage_of(given.pids[i]);
}

static void print_usages(const struct usage *before, const struct usage *after)
{
    printf("\"processes\":[");
    for (int i = 0; i < given.pid_count; i++)
        printf("%s{\"pid\":%d,\"cpu_s\":%.2f,\"rss_before_kib\":%ld,\"rss_kib\":%ld}", i ? "," : "", given.pids[i],
               after[i].cpu_s - before[i].cpu_s, before[i].rss_kib, after[i].rss_kib);
    printf("]}\n");
    fflush(stdout);
}

static int readers(void)
{
    int count = 0;
    for (int i = 0; i < given.connections; i++) count += connections[i].listed && !connections[i].stopped;
    return count;
}

/* Until all that was sent has come back, or nothing comes any more: what is late is not missing. */
static void drain(uint64_t expected)
{
    uint64_t limit = now_ns() + DRAIN_LIMIT_S * NS_PER_S, quiet_from = now_ns(), came = seen.latencies.count;
    while (seen.latencies.count < expected && now_ns() < limit && now_ns() - quiet_from < LATE_NS) {
        turn(now_ns() + 10 * NS_PER_MS);
        if (seen.latencies.count != came) quiet_from = now_ns();
        came = seen.latencies.count;
    }
}

static void step(double rate, double seconds)
{
    struct usage before[PROCESS_LIMIT], after[PROCESS_LIMIT];
    int lost_before = lost;
    memset(&seen, 0, sizeof seen);
    updates = (struct beat){now_ns(), 0, rate > 0 ? 1e9 / (rate * publishers) : 0};
    seen.from_ns = updates.first_ns + WARM_UP_NS;
    seen.until_ns = seen.from_ns + (uint64_t)(seconds * 1e9);
    turn_until(seen.from_ns);
    uint64_t arrivals = seen.arrivals, reads = seen.reads;
    double own_s = own_cpu_s();
    look(before);
    turn_until(seen.until_ns);
    send_due(seen.until_ns); /* what we are late with belongs to the step as well */
    look(after);
    own_s = own_cpu_s() - own_s;
    arrivals = seen.arrivals - arrivals;
    reads = seen.reads - reads;
    int hearing = readers();
    uint64_t expected = seen.sent * (uint64_t)hearing;
    drain(expected);
    updates.gap_ns = 0;
    printf("{\"did\":\"step\",\"readers\":%d,\"rate\":%.4f,\"seconds\":%.2f,\"sent\":%" PRIu64 ",\"expected\":%" PRIu64
           ",\"received\":%" PRIu64 ",\"arrivals\":%" PRIu64 ",\"reads\":%" PRIu64 ",",
           hearing, rate, seconds, seen.sent, expected, seen.latencies.count, arrivals, reads);
    printf("\"disordered\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"lost\":%d,", seen.disordered, seen.repeated, seen.malformed, seen.refused, lost - lost_before);
    printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"late_ms\":%.3f,\"own_cpu_s\":%.2f,",
           percentile_ms(&seen.latencies, 0.5), percentile_ms(&seen.latencies, 0.99),
           (double)seen.latencies.longest_ns / 1e6, (double)seen.late_ns / 1e6, own_s);
    print_usages(before, after);
    settle();
}

static void storm(void)
{
    struct usage before[PROCESS_LIMIT], after[PROCESS_LIMIT];
    struct linger cut = {1, 0}; /* a reset, no goodbye */
    look(before);
    for (int i = 0; i < given.connections; i++) {
        if (connections[i].state == CLOSED) continue;
        setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
        close(connections[i].fd);
        connections[i].state = CLOSED;
    }
    given.ramp = given.connections;
    double took_s = connect_all();
    look(after);
    printf("{\"did\":\"storm\",\"connections\":%d,\"back\":%d,\"lost\":%d,\"seconds\":%.3f,", given.connections,
           listed, lost, took_s);
    print_usages(before, after);
    settle();
}

static void stop_reading(int count)
{
    int bytes = STOPPED_BUFFER_BYTES;
    for (int i = 0; i < count && publishers > 2; i++) {
        struct connection *c = &connections[--publishers];
        c->stopped = true;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        if (c->state == OPEN) listen_for(c, false);
    }
    printf("{\"did\":\"stop\",\"readers\":%d}\n", readers());
    fflush(stdout);
}

static void obey(void)
{
    char line[128];
    double rate, seconds;
    int count;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "step %lf %lf", &rate, &seconds) == 2) step(rate, seconds);
        else if (sscanf(line, "stop %d", &count) == 1) stop_reading(count);
        else if (!strncmp(line, "storm", 5)) storm();
        else fail("what is %s", line);
        if (lost) fprintf(stderr, "load: %d connections lost, the last: %s\n", lost, last_loss);
    }
}

static void read_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "n:b:r:u:h:p:d")) != -1;) switch (option) {
        case 'n': given.connections = atoi(optarg); break;
        case 'b': given.bytes = atoi(optarg); break;
        case 'r': given.ramp = atoi(optarg); break;
        case 'u': given.poll_us = atoi(optarg); break;
        case 'h': given.heartbeat_s = atof(optarg); break;
        case 'd': given.deaf = true; break;
        case 'p':
            if (given.pid_count == PROCESS_LIMIT) fail("too many processes");
            given.pids[given.pid_count++] = atoi(optarg);
            break;
        default:
            fail("usage: load [-n connections] [-b bytes] [-r handshakes at once] [-u us between looks]"
                 " [-h s between heartbeats] [-d (receives none)] [-p pid]... ADDRESS:PORT...");
        }
    for (; optind < argc && given.server_count < SERVER_LIMIT; optind++) {
        char *colon = strrchr(argv[optind], ':');
        struct sockaddr_in *server = &given.servers[given.server_count++];
        if (!colon) fail("ADDRESS:PORT, not %s", argv[optind]);
        *colon = 0;
        server->sin_family = AF_INET;
        server->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, argv[optind], &server->sin_addr) != 1) fail("not an IPv4 address: %s", argv[optind]);
    }
    if (!given.server_count) fail("which server? ADDRESS:PORT");
    if (given.connections < 2 || given.connections > CONNECTION_LIMIT) fail("2 to %d connections", CONNECTION_LIMIT);
    if (given.bytes > 2048 || given.poll_us < 0 || given.poll_us > 100000 || given.ramp < 1) fail("out of bounds");
}

int main(int argc, char **argv)
{
    struct usage before[PROCESS_LIMIT], after[PROCESS_LIMIT];
    read_options(argc, argv);
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFE_LIMIT_S);
    run = (uint32_t)(now_ns() / 1000 ^ (uint64_t)getpid() << 4) & 0xffff;
    publishers = given.connections;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    incoming = allocated(malloc(READ_BYTES + LARGE_BYTES + 64 + 10));
    connections = allocated(calloc((size_t)given.connections, sizeof *connections));
    for (int i = 0; i < given.connections; i++) {
        connections[i].id = i;
        if (!given.deaf && given.connections <= PAIRS_LIMIT)
            connections[i].heard = allocated(calloc((size_t)given.connections, sizeof(uint32_t)));
    }
    pad_updates();
    if (given.heartbeat_s > 0) heartbeats = (struct beat){now_ns(), 0, given.heartbeat_s * 1e9 / given.connections};
    look(before);
    double took_s = connect_all();
    settle();
    look(after);
    printf("{\"did\":\"connect\",\"connections\":%d,\"listed\":%d,\"lost\":%d,\"seconds\":%.3f,", given.connections,
           listed, lost, took_s);
    print_usages(before, after);
    if (lost) fprintf(stderr, "load: the last loss: %s\n", last_loss);
    obey();
    return 0;
}
