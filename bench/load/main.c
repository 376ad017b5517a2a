/* Options, the measured window, the result as one line of JSON on standard output. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

/* Maximum number of concurrent requests with --rate. */
#define OPEN_SLOTS 200000
/* By then, everything written during connecting has been read. */
#define SETTLE_NS 200000000ULL
/* Maximum number of requests that one turn starts with --rate. */
#define TURN_MAX 1000
/* A turn takes place after this time even without events. */
#define TURN_NS 50000000LL

struct options options = {
    .host = "127.0.0.1",
    .clients = 1,
    .workers = 1,
    .services = 1,
    .credit = 1,
    .outstanding = 1,
    .size = 16,
    .heartbeat_ms = 2500,
    .seconds = 3,
    .warmup = 1,
};
uint8_t *body;

struct slot {
    uint64_t start_ns;
    bool out;
};

static struct slot *slots;
static uint32_t slot_count;
/* Free slots; only with --rate. */
static uint32_t *free_slots, free_count;
static char (*names)[24];
static size_t *name_sizes;
static uint64_t requests, started, start_ns, window_ns, end_ns;
static double own_cpu, broker_cpu;

enum { SETTLING, WARMING, MEASURING } phase;

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000ULL + (uint64_t) now.tv_nsec;
}

const char *service_name(unsigned index, size_t *size)
{
    *size = name_sizes[index % options.services];
    return names[index % options.services];
}

unsigned next_service(void)
{
    static unsigned next;

    if (++next >= options.busy)
        next = 0;
    return next;
}

static void start(uint32_t slot, uint64_t at)
{
    slots[slot] = (struct slot){at, true};
    started++;
    options.protocol->request(client(slot % options.clients), slot);
}

void answered(uint32_t slot)
{
    if (slot >= slot_count || !slots[slot].out)
        die("a reply that nothing waits for");
    slots[slot].out = false;
    requests++;
    histogram_add(now_ns - slots[slot].start_ns);
    if (options.rate > 0)
        free_slots[free_count++] = slot;
    else
        start(slot, now_ns);
}

/*
 * Starts the requests that are due. A request's latency counts from its due time, whenever it is
 * sent. Returns the nanoseconds until the next one is due.
 */
static int64_t start_due(void)
{
    for (unsigned turn = 0; turn < TURN_MAX; turn++) {
        uint64_t due = start_ns + (uint64_t) ((double) started * 1e9 / options.rate);
        if (due > now_ns)
            return (int64_t) (due - now_ns);
        if (free_count == 0)
            return 1000000;
        start(free_slots[--free_count], due);
    }
    return 0;
}

static void heartbeats(void)
{
    static uint64_t sent;

    if (options.protocol->heartbeat == NULL || options.workers == 0)
        return;
    double intervals = (double) (now_ns - start_ns) / 1e6 / options.heartbeat_ms;
    for (uint64_t due = (uint64_t) (intervals * options.workers); sent < due; sent++)
        options.protocol->heartbeat(worker((unsigned) (sent % options.workers)));
}

static double own_cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double) used.tv_sec + (double) used.tv_nsec / 1e9;
}

/* User and system time of all threads of a process, as reported by the kernel. */
static double cpu_seconds_of(long pid)
{
    char path[64], line[1024];
    unsigned long user, system;

    sprintf(path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        die("cannot read %s", path);
    fclose(file);
    /* The second field is a name in parentheses, which may contain anything. */
    char *after = strrchr(line, ')');
    if (after == NULL
        || sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system)
            != 2)
        die("cannot parse %s", path);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

static double broker_cpu_seconds(void)
{
    double seconds = 0;

    for (unsigned at = 0; at < options.pid_count; at++)
        seconds += cpu_seconds_of(options.pids[at]);
    return seconds;
}

static long broker_resident_bytes(void)
{
    char path[64];
    long pages = 0;

    if (options.pid_count == 0)
        return 0;
    sprintf(path, "/proc/%ld/statm", options.pids[0]);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        die("cannot read %s", path);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void print_result(void)
{
    double seconds = (double) (now_ns - window_ns) / 1e9;
    double own = own_cpu_seconds() - own_cpu, broker = broker_cpu_seconds() - broker_cpu;

    printf("{\"requests\":%lu,\"seconds\":%.6f,\"p50Us\":%.2f,\"p99Us\":%.2f,\"p999Us\":%.2f,"
           "\"loadCpuSeconds\":%.6f,\"brokerCpuSeconds\":%.6f,\"brokerResidentBytes\":%ld}\n",
           (unsigned long) requests, seconds, histogram_us(0.5), histogram_us(0.99),
           histogram_us(0.999), own, broker, broker_resident_bytes());
}

static void start_load(void)
{
    start_ns = now_ns;
    phase = WARMING;
    window_ns = now_ns + (uint64_t) (options.warmup * 1e9);
    if (options.clients == 0)
        return;
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        if (options.rate > 0)
            free_slots[free_count++] = slot;
        else
            start(slot, now_ns);
    }
}

static int64_t turn(void)
{
    int64_t timeout_ns = TURN_NS;

    if (phase == SETTLING) {
        if (now_ns < start_ns)
            return (int64_t) (start_ns - now_ns);
        start_load();
    }
    if (phase == WARMING && now_ns >= window_ns) {
        phase = MEASURING;
        window_ns = now_ns;
        end_ns = now_ns + (uint64_t) (options.seconds * 1e9);
        requests = 0;
        histogram_reset();
        own_cpu = own_cpu_seconds();
        broker_cpu = broker_cpu_seconds();
    }
    if (phase == MEASURING && now_ns >= end_ns) {
        print_result();
        return -1;
    }
    if (options.rate > 0 && options.clients > 0)
        timeout_ns = start_due();
    heartbeats();
    return timeout_ns < TURN_NS ? timeout_ns : TURN_NS;
}

static const struct option names_of_options[] = {
    {"protocol", 1, NULL, 'p'},     {"host", 1, NULL, 'h'},       {"port", 1, NULL, 'P'},
    {"clients", 1, NULL, 'c'},      {"workers", 1, NULL, 'w'},    {"services", 1, NULL, 's'},
    {"busy", 1, NULL, 'b'},         {"credit", 1, NULL, 'C'},     {"outstanding", 1, NULL, 'o'},
    {"size", 1, NULL, 'z'},         {"seconds", 1, NULL, 't'},    {"warmup", 1, NULL, 'u'},
    {"rate", 1, NULL, 'r'},         {"batch", 0, NULL, 'B'},      {"single", 0, NULL, 'S'},
    {"pid", 1, NULL, 'i'},          {"idle", 1, NULL, 'I'},       {"queued", 1, NULL, 'q'},
    {"life", 0, NULL, 'L'},         {"heartbeat-ms", 1, NULL, 'H'}, {"server-key", 1, NULL, 'k'},
    {"secret-key", 1, NULL, 'K'},   {"keep-awake", 1, NULL, 'A'},   {"worker-port", 1, NULL, 'W'},
    {NULL, 0, NULL, 0},
};

static unsigned whole(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == 0 || *end != 0 || value > 100000000)
        die("not a whole number: %s", text);
    return (unsigned) value;
}

static double decimal(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (*text == 0 || *end != 0 || value < 0)
        die("not a number: %s", text);
    return value;
}

static const uint8_t *key(const char *hex)
{
    uint8_t *bytes = calloc(1, 32);

    if (bytes == NULL || strlen(hex) != 64)
        die("a key is 64 hexadecimal digits");
    for (int at = 0; at < 32; at++) {
        if (sscanf(hex + 2 * at, "%2hhx", &bytes[at]) != 1)
            die("a key is 64 hexadecimal digits");
    }
    if (!curve_known())
        die("compiled without CURVE");
    return bytes;
}

static const struct protocol *protocol_named(const char *name)
{
    const struct protocol *known[] = {&mdp,     &mdp01,      &pirate, &nats, &gearman, &titanic, &titanic_call, &beanstalkd, &redis,
                                      &http, &http_traced, &http_varied, &http_parsed, &http_durable, &http_events,
                                      &restate};

    for (unsigned at = 0; at < sizeof known / sizeof known[0]; at++) {
        if (strcmp(name, known[at]->name) == 0)
            return known[at];
    }
    die("--protocol is mdp, mdp01, pirate, nats, gearman, titanic, titanic-call, beanstalkd, redis, http, http-traced, http-varied, http-parsed, http-durable, http-events or restate");
}

static void read_options(int count, char **arguments)
{
    options.protocol = &mdp;
    for (int option; (option = getopt_long(count, arguments, "", names_of_options, NULL)) >= 0;) {
        switch (option) {
        case 'p': options.protocol = protocol_named(optarg); break;
        case 'h': options.host = optarg; break;
        case 'P': options.port = whole(optarg); break;
        case 'W': options.worker_port = whole(optarg); break;
        case 'c': options.clients = whole(optarg); break;
        case 'w': options.workers = whole(optarg); break;
        case 's': options.services = whole(optarg); break;
        case 'b': options.busy = whole(optarg); break;
        case 'C': options.credit = whole(optarg); break;
        case 'o': options.outstanding = whole(optarg); break;
        case 'z': options.size = whole(optarg); break;
        case 't': options.seconds = decimal(optarg); break;
        case 'u': options.warmup = decimal(optarg); break;
        case 'r': options.rate = decimal(optarg); break;
        case 'B': options.single = false; break;
        case 'S': options.single = true; break;
        case 'i':
            if (options.pid_count == PIDS_MAX)
                die("at most %d times --pid", PIDS_MAX);
            options.pids[options.pid_count++] = whole(optarg);
            break;
        case 'I': options.idle = whole(optarg); break;
        case 'q': options.queued = whole(optarg); break;
        case 'L': options.life = true; break;
        case 'A': keep_awake((int) whole(optarg));
        case 'H': options.heartbeat_ms = whole(optarg); break;
        case 'k': options.server_key = key(optarg); break;
        case 'K': options.secret_key = key(optarg); break;
        default: exit(64);
        }
    }
    if (optind < count || options.port == 0 || options.services == 0 || options.heartbeat_ms == 0)
        die("usage: load --port PORT [--protocol NAME] [--clients N] [--workers N] …");
    if (options.worker_port == 0)
        options.worker_port = options.port;
    if (options.busy == 0 || options.busy > options.services)
        options.busy = options.services;
    if ((options.server_key != NULL) != (options.secret_key != NULL))
        die("--server-key and --secret-key go together");
    bool is_titanic = options.protocol == &titanic || options.protocol == &titanic_call;
    bool is_stored = is_titanic || options.protocol == &beanstalkd
        || options.protocol == &redis;
    if (options.life && (!is_stored || options.clients == 0 || options.rate > 0 || options.size < 16))
        die("--life is for stores: with clients, without --rate, with bodies of at least 16 bytes");
    if (options.protocol != &mdp && options.queued > 0)
        die("--queued is MDP's");
    if (options.protocol == &titanic_call && !options.life)
        die("titanic-call is for --life");
    if (options.protocol != &mdp && !is_titanic && options.credit > 1)
        die("--credit is MDP's");
}

static void prepare(void)
{
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    slot_count = options.rate > 0 ? OPEN_SLOTS : options.outstanding;
    slots = calloc(slot_count, sizeof *slots);
    free_slots = calloc(slot_count, sizeof *free_slots);
    names = calloc(options.services, sizeof *names);
    name_sizes = calloc(options.services, sizeof *name_sizes);
    body = malloc(options.size + 1);
    if (!slots || !free_slots || !names || !name_sizes || !body)
        die("out of memory");
    memset(body, 'x', options.size);
    for (unsigned at = 0; at < options.services; at++) {
        int size = options.services == 1 ? sprintf(names[at], "echo")
                                         : sprintf(names[at], "echo-%u", at);
        name_sizes[at] = (size_t) size;
    }
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    prepare();
    open_all();
    start_ns = clock_ns() + SETTLE_NS;
    run(turn);
    return 0;
}
