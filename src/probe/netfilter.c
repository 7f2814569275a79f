#include "probe/netfilter.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* What answers: a netlink message, nfnetlink's own header, attributes (netlink(7)). */
static bool read_answer(const char *answer, size_t len, uint32_t *out)
{
	enum { HEADS = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)) };
	struct nlmsghdr head;
	struct nlattr attribute;

	if (len < HEADS)
		return false;
	memcpy(&head, answer, sizeof(head));
	if (head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		return false;
	for (size_t at = HEADS; at + sizeof(attribute) + sizeof(*out) <= len;) {
		memcpy(&attribute, answer + at, sizeof(attribute));
		if (attribute.nla_type == NFTA_GEN_ID && attribute.nla_len == NLA_HDRLEN + sizeof(*out)) {
			memcpy(out, answer + at + NLA_HDRLEN, sizeof(*out));
			*out = ntohl(*out);
			return true;
		}
		if (attribute.nla_len < NLA_HDRLEN)
			return false;
		at += NLA_ALIGN(attribute.nla_len);
	}
	return false;
}

bool netfilter_generation(uint32_t *out)
{
	struct {
		struct nlmsghdr head;
		struct nfgenmsg family;
	} question = {
		.head = {.nlmsg_len = sizeof(question),
			 .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			 .nlmsg_flags = NLM_F_REQUEST},
		.family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	const struct timeval second = {1, 0};
	char answer[512];
	AUTO(close_fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) != 0 ||
	    send(fd, &question, sizeof(question), 0) != (ssize_t)sizeof(question))
		return false;
	ssize_t len = recv(fd, answer, sizeof(answer), 0);
	return len > 0 && read_answer(answer, (size_t)len, out);
}
