/* A provider that streams slowly: one thread, epoll. In C, since a mock in Python costs more than what it measures.
 *
 *   provider PORT ANSWER_FILE
 *
 * A POST whose first 64 KB say "stream":true gets events until it is told to end; any other, once its body was read
 * to the end, the content of ANSWER_FILE. Each event carries the time it was written, so that a client on the same
 * machine sees how long it was on its way.
 *   GET /gap/MICROSECONDS   the pause between two events of a stream, for all streams that begin from now on
 *   GET /end                every open stream gets its usage and [DONE], and ends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEPT 65536
#define EVENTS 512

#define HEAD "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1763800000," \
             "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\","
#define EVENT "data: " HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@%020lld \"}," \
              "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
#define LAST "data: " HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" \
             "data: " HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":248,\"completion_tokens\":160," \
             "\"total_tokens\":408}}\n\ndata: [DONE]\n\n"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef struct Peer {
    int fd;
    size_t have;       /* bytes of this request so far */
    size_t want;       /* its length, 0 until the head is whole */
    size_t unsent;     /* what the kernel did not take of the last answer */
    const char *rest;
    int64_t gap_ns, due_ns;
    struct Peer *before, *after; /* the streams of one gap are due in the order in which they were put here */
    int streaming, closing;
    char request[KEPT + 1];
} Peer;

static Peer streams = {.before = &streams, .after = &streams};
static char *answer;
static size_t answer_size;
static int64_t gap_ns = 100 * 1000000LL;
static int poll_fd;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void take_out(Peer *peer) {
    if (!peer->streaming) return;
    peer->before->after = peer->after;
    peer->after->before = peer->before;
    peer->streaming = 0;
}

static void put_in(Peer *peer) {
    Peer *place = streams.before;
    while (place != &streams && place->due_ns > peer->due_ns) place = place->before;
    peer->before = place;
    peer->after = place->after;
    place->after->before = peer;
    place->after = peer;
    peer->streaming = 1;
}

static void leave(Peer *peer) {
    take_out(peer);
    close(peer->fd);
    peer->fd = -1;
    peer->closing = 1;
}

/* An event that does not go out whole is a reader that fell behind: what is left of it goes out before the next one. */
static void send_event(Peer *peer, const char *data, size_t size) {
    static char framed[4096];
    int length = snprintf(framed, sizeof framed, "%zx\r\n", size);
    memcpy(framed + length, data, size);
    memcpy(framed + length + size, "\r\n", 2);
    size_t all = (size_t)length + size + 2;
    ssize_t sent = send(peer->fd, framed, all, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)all || (sent < 0 && errno == EAGAIN)) return;
    if (sent < 0) { leave(peer); return; }
    int flags = fcntl(peer->fd, F_GETFL);
    fcntl(peer->fd, F_SETFL, flags & ~O_NONBLOCK);
    if (send(peer->fd, framed + sent, all - (size_t)sent, MSG_NOSIGNAL) < 0) { leave(peer); return; }
    fcntl(peer->fd, F_SETFL, flags);
}

static void send_due(void) {
    char event[1024];
    int64_t now = now_ns();
    while (streams.after != &streams && streams.after->due_ns <= now) {
        Peer *peer = streams.after;
        int length = snprintf(event, sizeof event, EVENT, (long long)now_ns());
        take_out(peer);
        peer->due_ns += peer->gap_ns;
        put_in(peer);
        send_event(peer, event, (size_t)length);
    }
}

static void end_streams(void) {
    while (streams.after != &streams) {
        Peer *peer = streams.after;
        take_out(peer);
        send_event(peer, LAST, sizeof LAST - 1);
        if (!peer->closing && send(peer->fd, "0\r\n\r\n", 5, MSG_NOSIGNAL) < 0) leave(peer);
    }
}

static void flush(Peer *peer) {
    while (peer->unsent) {
        ssize_t sent = send(peer->fd, peer->rest, peer->unsent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) { leave(peer); return; }
        peer->rest += sent;
        peer->unsent -= (size_t)sent;
    }
}

static void respond(Peer *peer) {
    static const char done[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    peer->request[peer->have < KEPT ? peer->have : KEPT] = 0;
    peer->rest = done;
    peer->unsent = sizeof done - 1;
    if (!strncmp(peer->request, "GET /gap/", 9)) {
        gap_ns = atoll(peer->request + 9) * 1000;
    } else if (!strncmp(peer->request, "GET /end", 8)) {
        end_streams();
    } else if (strstr(peer->request, "\"stream\":true") || strstr(peer->request, "\"stream\": true")) {
        peer->unsent = 0;
        if (send(peer->fd, STREAM_HEAD, sizeof STREAM_HEAD - 1, MSG_NOSIGNAL) < 0) { leave(peer); return; }
        peer->gap_ns = gap_ns;
        peer->due_ns = now_ns();
        put_in(peer);
    } else {
        peer->rest = answer;
        peer->unsent = answer_size;
    }
    peer->have = peer->want = 0;
    flush(peer);
}

/* Bytes beyond the first 64 KB are counted and forgotten. */
static void read_some(Peer *peer) {
    static char beyond[1 << 18];
    for (;;) {
        int kept = peer->have < KEPT;
        char *at = kept ? peer->request + peer->have : beyond;
        ssize_t got = recv(peer->fd, at, kept ? KEPT - peer->have : sizeof beyond, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) { leave(peer); return; }
        peer->have += (size_t)got;
        if (!peer->want) {
            peer->request[peer->have < KEPT ? peer->have : KEPT] = 0;
            char *end = strstr(peer->request, "\r\n\r\n");
            if (!end) continue;
            char *length = strcasestr(peer->request, "\r\ncontent-length:");
            peer->want = (size_t)(end + 4 - peer->request) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        }
        if (peer->have >= peer->want) {
            respond(peer);
            if (peer->closing) return;
        }
    }
}

static void welcome(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Peer *peer = calloc(1, sizeof *peer);
        if (!peer) die("calloc");
        peer->fd = fd;
        struct epoll_event wish = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = peer};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &wish)) die("epoll_ctl");
    }
}

static void read_answer(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    static char body[1 << 20];
    size_t size = fread(body, 1, sizeof body, file);
    fclose(file);
    answer = malloc(size + 256);
    int head = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", size);
    memcpy(answer + head, body, size);
    answer_size = (size_t)head + size;
}

int main(int count, char **words) {
    if (count != 3) { fprintf(stderr, "provider PORT ANSWER_FILE\n"); return 2; }
    read_answer(words[2]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    poll_fd = epoll_create1(0);
    struct epoll_event wish = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &wish)) die("epoll_ctl");
    for (;;) {
        struct timespec wait = {1, 0};
        if (streams.after != &streams) {
            int64_t left = streams.after->due_ns - now_ns();
            if (left < 0) left = 0;
            wait = (struct timespec){left / 1000000000LL, left % 1000000000LL};
        }
        int ready = epoll_pwait2(poll_fd, events, EVENTS, &wait, NULL);
        if (ready < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < ready; i++) {
            Peer *peer = events[i].data.ptr;
            if (!peer) { welcome(listener); continue; }
            if (!peer->closing && events[i].events & EPOLLOUT) flush(peer);
            if (!peer->closing && events[i].events & ~(uint32_t)EPOLLOUT) read_some(peer);
            if (peer->closing) free(peer);
        }
        send_due();
    }
}
