/* Opens many streams at once and reads them: one thread, epoll. In C, so that the load costs less than the target.
 *
 *   streams PORT NUMBER SPREAD_MS REQUEST_FILE
 *
 * The streams begin spread over SPREAD_MS, as independent callers do. Asked with a line on its standard input it answers
 * with a line of JSON: `count` says how far it is, `forget` drops the delays seen so far, `end` leaves.
 * An event is what ends in an empty line; its delay is the time since the provider wrote it (the digits after an @).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define DELAYS 1000000

typedef struct Stream {
    int fd, status_seen, newlines, digits; /* digits: how many of a time were read, -1 outside of one */
    int64_t written_ns;
    long events;
    char tail[16]; /* the last bytes, to know a whole answer from a cut one */
} Stream;

static struct sockaddr_in address = {.sin_family = AF_INET};
static char request[1 << 16];
static size_t request_size;
static int poll_fd;
static long started, opened, finished, errors, events_seen, delays;
static float delay_ms[DELAYS];

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void stop(Stream *stream, int whole) {
    close(stream->fd);
    stream->fd = -1;
    finished++;
    errors += !whole;
}

static void start(Stream *stream) {
    started++;
    stream->digits = -1;
    stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(stream->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) { stop(stream, 0); return; }
    struct epoll_event wish = {.events = EPOLLIN | EPOLLOUT, .data.ptr = stream};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, stream->fd, &wish);
}

static void send_request(Stream *stream) {
    if (send(stream->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) { stop(stream, 0); return; }
    struct epoll_event wish = {.events = EPOLLIN, .data.ptr = stream};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, stream->fd, &wish);
}

static void see(Stream *stream, char byte, int64_t now) {
    if (byte == '@') {
        stream->digits = 0;
        stream->written_ns = 0;
    } else if (stream->digits >= 0 && byte >= '0' && byte <= '9') {
        stream->written_ns = stream->written_ns * 10 + (byte - '0');
        if (++stream->digits == 20) {
            stream->digits = -1;
            if (delays < DELAYS) delay_ms[delays++] = (float)(now - stream->written_ns) / 1e6f;
        }
    } else {
        stream->digits = -1;
    }
    stream->newlines = byte == '\n' ? stream->newlines + 1 : 0;
    if (stream->newlines == 2) {
        events_seen++;
        if (!stream->events++) opened++;
    }
}

static void receive(Stream *stream) {
    static char data[65536];
    ssize_t got = recv(stream->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { stop(stream, 0); return; }
    if (!stream->status_seen) {
        stream->status_seen = 1;
        if (got < 12 || memcmp(data + 8, " 200", 4)) {
            fprintf(stderr, "%.*s\n", (int)(got < 400 ? got : 400), data);
            stop(stream, 0);
            return;
        }
    }
    int64_t now = now_ns();
    for (ssize_t i = 0; i < got; i++) see(stream, data[i], now);
    size_t kept = (size_t)got < sizeof stream->tail ? (size_t)got : sizeof stream->tail;
    memmove(stream->tail, stream->tail + kept, sizeof stream->tail - kept);
    memcpy(stream->tail + sizeof stream->tail - kept, data + got - kept, kept);
    if (!memcmp(stream->tail + sizeof stream->tail - 7, "\r\n0\r\n\r\n", 7)) stop(stream, 1);
}

static int by_size(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static void report(void) {
    qsort(delay_ms, (size_t)delays, sizeof *delay_ms, by_size);
    float p50 = delays ? delay_ms[delays / 2] : 0, p99 = delays ? delay_ms[delays * 99 / 100] : 0;
    printf("{\"started\":%ld,\"opened\":%ld,\"finished\":%ld,\"errors\":%ld,\"events\":%ld,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           started, opened, finished, errors, events_seen, p50, p99);
    fflush(stdout);
}

static void obey(void) {
    char word[64];
    ssize_t got = read(0, word, sizeof word - 1);
    if (got <= 0 || !strncmp(word, "end", 3)) exit(0);
    if (!strncmp(word, "forget", 6)) delays = 0;
    report();
}

int main(int count, char **words) {
    if (count != 5) { fprintf(stderr, "streams PORT NUMBER SPREAD_MS REQUEST_FILE\n"); return 2; }
    address.sin_port = htons((uint16_t)atoi(words[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long number = atol(words[2]);
    int64_t spread_ns = atoll(words[3]) * 1000000, began = now_ns();
    FILE *file = fopen(words[4], "rb");
    if (!file) { perror(words[4]); return 1; }
    request_size = fread(request, 1, sizeof request, file);
    fclose(file);
    Stream *streams = calloc((size_t)number, sizeof *streams);
    poll_fd = epoll_create1(0);
    struct epoll_event wish = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &wish);
    for (;;) {
        while (started < number && now_ns() >= began + spread_ns * started / number) start(&streams[started]);
        int ready = epoll_wait(poll_fd, events, EVENTS, started < number ? 1 : 1000);
        for (int i = 0; i < ready; i++) {
            Stream *stream = events[i].data.ptr;
            if (!stream) { obey(); continue; }
            if (stream->fd >= 0 && events[i].events & EPOLLOUT) send_request(stream);
            else if (stream->fd >= 0) receive(stream);
        }
    }
}
