// The floor of a commit in place: a server that makes the system calls of our daemon, in its order, and does nothing else. No delta is applied, nothing
// is checked or kept in memory, nobody is asked whether a Gambas program runs. What strace shows of the daemon under the case `set` is:
//   a batch      epoll_pwait, read, stat of the election's file, ... , stat of the sessions' directory, pwrite to the journal, ... , write
//   a commit     lock, fstat of the lock, fstat of the file; pwrite of the image, utimensat; unlock
// Frames are those of echo-main.ts: a length, then the length of the answer, the number of the session, and its image.
//
// usage: floor-daemon SOCKET DIRECTORY

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SESSIONS = 1 << 16, MAX_CONNECTIONS = 64, MAX_BATCH = 4096, BUFFER_BYTES = 1 << 16, RECORD_BYTES = 80, HEAD_BYTES = 12, ANSWER_BYTES = 48 };

struct session { int file, lock; };
struct connection { int fd; size_t used, answer; unsigned char bytes[BUFFER_BYTES]; };
struct commit { struct session *session; const unsigned char *image; size_t size; };

static struct session sessions[MAX_SESSIONS];
static struct connection connections[MAX_CONNECTIONS];
static struct commit batch[MAX_BATCH];
static char records[MAX_BATCH * RECORD_BYTES], answers[BUFFER_BYTES * 4];
static const char *directory;

static void must(int is_fine, const char *what) {
  if (is_fine) return;
  perror(what);
  exit(1);
}

static int opened(const char *kind, unsigned number) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s-%u", directory, kind, number);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  must(fd >= 0, path);
  return fd;
}

static struct session *session_of(uint32_t number) {
  struct session *session = &sessions[number % MAX_SESSIONS];
  if (session->file == 0) {
    session->file = opened("session", number);
    session->lock = opened("lock", number);
  }
  return session;
}

static void set_lock(int fd, short type) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  must(fcntl(fd, F_OFD_SETLK, &lock) == 0, "fcntl");
}

static uint32_t number_at(const unsigned char *bytes) {
  uint32_t number;
  memcpy(&number, bytes, sizeof number);
  return ntohl(number);
}

/** Adds the whole frames of a connection to the batch; how many bytes of the connection they are. */
static size_t collect(struct connection *from, size_t *count) {
  size_t at = 0;
  while (from->used - at >= HEAD_BYTES && *count < MAX_BATCH) {
    const unsigned char *frame = from->bytes + at;
    size_t length = number_at(frame);
    if (from->used - at < 4 + length) break;
    from->answer += 4 + ANSWER_BYTES;
    batch[(*count)++] = (struct commit){session_of(number_at(frame + 8)), frame + HEAD_BYTES, length + 4 - HEAD_BYTES};
    at += 4 + length;
  }
  return at;
}

static void carry_out(size_t count, const char *election, int journal) {
  static off_t journal_end;
  struct stat seen;
  must(stat(election, &seen) == 0, "stat");
  for (size_t i = 0; i < count; i++) {
    set_lock(batch[i].session->lock, F_WRLCK);
    must(fstat(batch[i].session->lock, &seen) == 0 && fstat(batch[i].session->file, &seen) == 0, "fstat");
  }
  must(stat(directory, &seen) == 0, "stat");
  must(pwrite(journal, records, count * RECORD_BYTES, journal_end) == (ssize_t)(count * RECORD_BYTES), "pwrite");
  journal_end += (off_t)(count * RECORD_BYTES);
  for (size_t i = 0; i < count; i++) {
    struct timespec now[2];
    clock_gettime(CLOCK_REALTIME, &now[0]);
    now[1] = now[0];
    must(pwrite(batch[i].session->file, batch[i].image, batch[i].size, 0) == (ssize_t)batch[i].size, "pwrite");
    must(futimens(batch[i].session->file, now) == 0, "futimens");
  }
  for (size_t i = 0; i < count; i++) set_lock(batch[i].session->lock, F_UNLCK);
}

/** False: the connection has ended. */
static int receive(struct connection *from) {
  ssize_t got = read(from->fd, from->bytes + from->used, BUFFER_BYTES - from->used);
  if (got <= 0) return 0;
  from->used += (size_t)got;
  return 1;
}

static void serve(int listening, const char *election, int journal) {
  int watch = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = MAX_CONNECTIONS}, ready[MAX_CONNECTIONS];
  must(epoll_ctl(watch, EPOLL_CTL_ADD, listening, &event) == 0, "epoll_ctl");
  for (int open_count = 0;;) {
    int number_ready = epoll_wait(watch, ready, MAX_CONNECTIONS, -1);
    size_t count = 0, taken[MAX_CONNECTIONS] = {0};
    for (int i = 0; i < number_ready; i++) {
      uint32_t number = ready[i].data.u32;
      if (number == MAX_CONNECTIONS) {
        must(open_count < MAX_CONNECTIONS, "too many connections");
        event.data.u32 = (uint32_t)open_count;
        connections[open_count].fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        must(epoll_ctl(watch, EPOLL_CTL_ADD, connections[open_count++].fd, &event) == 0, "epoll_ctl");
      } else if (receive(&connections[number])) {
        taken[number] = collect(&connections[number], &count);
      } else {
        close(connections[number].fd);
      }
    }
    if (count == 0) continue;
    carry_out(count, election, journal);
    for (int i = 0; i < open_count; i++) {
      struct connection *to = &connections[i];
      if (taken[i] == 0) continue;
      must(write(to->fd, answers, to->answer) == (ssize_t)to->answer, "write");
      to->answer = 0;
      to->used -= taken[i];
      memmove(to->bytes, to->bytes + taken[i], to->used);
    }
  }
}

int main(int argc, char **argv) {
  must(argc == 3, "usage: floor-daemon SOCKET DIRECTORY");
  directory = argv[2];
  struct rlimit files;
  must(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
  files.rlim_cur = files.rlim_max;
  must(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listening, (struct sockaddr *)&address, sizeof address) == 0 && listen(listening, MAX_CONNECTIONS) == 0, "listen");
  // An answer is a frame of zeros: its length is what the client goes by.
  uint32_t length = htonl(ANSWER_BYTES);
  for (size_t at = 0; at + 4 + ANSWER_BYTES <= sizeof answers; at += 4 + ANSWER_BYTES) memcpy(answers + at, &length, 4);
  char election[256];
  snprintf(election, sizeof election, "%s/election-0", directory);
  close(opened("election", 0));
  serve(listening, election, opened("journal", 0));
}
