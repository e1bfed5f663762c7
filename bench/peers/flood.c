/* Sends UDP packets at a steady rate: flood ADDRESS COUNT PACKETS_PER_SECOND BYTES. Prints the rate that it reached. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char payload[65536];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct mmsghdr messages[BATCH];
	struct iovec data;
	long count, sent = 0;
	double rate, begin;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	count = atol(argv[2]);
	rate = atof(argv[3]);
	data = (struct iovec){ payload, atol(argv[4]) };
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	memset(messages, 0, sizeof messages);
	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &data, .msg_iovlen = 1 };
	begin = now();
	while (sent < count) {
		double early = begin + sent / rate - now();
		int n;

		if (early > 0) {
			struct timespec t = { 0, (long)(early * 1e9) };
			nanosleep(&t, NULL);
		}
		n = sendmmsg(fd, messages, count - sent < BATCH ? count - sent : BATCH, 0);
		if (n < 0) {
			perror("sendmmsg");
			return 1;
		}
		sent += n;
	}
	printf("%.0f\n", sent / (now() - begin));
	return 0;
}
