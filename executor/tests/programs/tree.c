// Walks through everything that can be done with files, and prints each answer.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, int result) {
    if (result < 0) printf("%s: %s\n", what, strerror(errno));
    else printf("%s: %d\n", what, result);
}

static void list(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        printf("list %s: %s\n", path, strerror(errno));
        return;
    }
    printf("list %s:", path);
    struct dirent *entry;
    while ((entry = readdir(dir))) printf(" %s%s", entry->d_name, entry->d_type == DT_DIR ? "/" : "");
    printf("\n");
    closedir(dir);
}

static void show(const char *path) {
    struct stat stat_of;
    if (stat(path, &stat_of) < 0) printf("stat %s: %s\n", path, strerror(errno));
    else printf("stat %s: size %lld %s\n", path, (long long)stat_of.st_size, S_ISDIR(stat_of.st_mode) ? "dir" : "file");
}

int main(void) {
    list("/");
    list("/in");
    list("/in/deep");
    say("write input", open("/in/data", O_WRONLY));
    say("truncate input", open("/in/data", O_RDONLY | O_TRUNC));
    say("create in /in", open("/in/new", O_CREAT | O_WRONLY, 0600));
    say("create in /", open("/new", O_CREAT | O_WRONLY, 0600));
    say("unlink input", unlink("/in/data"));
    say("open missing", open("/in/missing", O_RDONLY));
    say("leave the tree", open("/../etc/passwd", O_RDONLY));
    say("file as directory", open("/in/data/x", O_RDONLY));

    say("mkdir", mkdir("/out/d", 0700));
    say("mkdir again", mkdir("/out/d", 0700));
    for (const char *name = "zax"; *name; name++) {
        char path[] = "/out/d/?.txt";
        path[7] = *name;
        FILE *file = fopen(path, "w");
        fprintf(file, "%c%c%c", *name, *name, *name);
        fclose(file);
    }
    list("/out/d");
    say("rmdir full", rmdir("/out/d"));
    say("rename", rename("/out/d/z.txt", "/out/d/b.txt"));
    say("rename over", rename("/out/d/b.txt", "/out/d/a.txt"));
    say("rename into itself", rename("/out/d", "/out/d/e"));
    say("rename input", rename("/in/data", "/out/data"));
    list("/out/d");
    DIR *dir = opendir("/out/d");
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char path[64];
        snprintf(path, sizeof path, "/out/d/%s", entry->d_name);
        if (entry->d_name[0] != '.') say("unlink while listing", unlink(path));
    }
    closedir(dir);
    say("rmdir empty", rmdir("/out/d"));

    int fd = open("/out/sparse", O_CREAT | O_RDWR | O_EXCL, 0600);
    say("open exclusive again", open("/out/sparse", O_CREAT | O_RDWR | O_EXCL, 0600));
    say("pwrite beyond end", (int)pwrite(fd, "end", 3, 1000));
    char bytes[8] = {1};
    say("pread hole", (int)pread(fd, bytes, 8, 500) + bytes[0]);
    say("seek", (int)lseek(fd, -3, SEEK_END));
    say("read", (int)read(fd, bytes, 8));
    printf("read back %.3s\n", bytes);
    say("seek before start", (int)lseek(fd, -1, SEEK_SET));
    say("truncate", ftruncate(fd, 10));
    show("/out/sparse");
    int reader = open("/out/sparse", O_RDONLY);
    say("write read-only", (int)write(reader, "x", 1));
    say("unlink open", unlink("/out/sparse"));
    say("write unlinked", (int)pwrite(fd, "y", 1, 0));
    say("close", close(fd));
    say("close again", close(fd));
    int log = open("/out/log", O_CREAT | O_WRONLY | O_APPEND, 0600);
    say("append", (int)write(log, "one ", 4));
    lseek(log, 0, SEEK_SET);
    say("append", (int)write(log, "two", 3));
    show("/out/log");
    show("/in/data");
    show("/in");
    say("symlink", symlink("/in/data", "/out/link"));
    say("link", link("/out/log", "/out/link"));
    say("readlink", (int)readlink("/out/log", bytes, 8));

    struct timespec start, end, pause = {.tv_sec = 5};
    clock_gettime(CLOCK_MONOTONIC, &start);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long slept = end.tv_sec - start.tv_sec;
    printf("slept %s\n", slept >= 5 && slept <= 6 ? "5 s" : "wrong");
    struct pollfd polled = {.fd = 0, .events = POLLIN};
    say("poll", poll(&polled, 1, -1));
    char input[32];
    ssize_t length = read(0, input, sizeof input - 1);
    input[length > 0 ? length : 0] = 0;
    printf("stdin \"%s\" then %d\n", input, (int)read(0, input, 1));
    printf("terminal %d\n", isatty(1));
    return 42;
}
