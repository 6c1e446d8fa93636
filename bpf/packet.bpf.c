/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Segments as they pass a watched socket: cgroup_skb, both ways, attached at the watched cgroups.
 * It comes before TCP's own checks, so it sees duplicates and what is out of order, and charges what
 * comes with a handshake to the listener. These programs only observe: they return 1, always.
 */

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

struct ip4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 from;
	__be32 to;
};

struct ip6 {
	__be32 flow;
	__be16 payload;
	__u8 next;
	__u8 hops;
	__u8 from[16];
	__u8 to[16];
};

struct tcp {
	__be16 from;
	__be16 to;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

/* Where what IP carries begins, and what it is; 0 = behind extension headers, or a later fragment. */
static __always_inline __u32 payload_at(struct __sk_buff *skb, __u8 *protocol)
{
	struct ip4 ip;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.fragment & bpf_htons(0x1fff))
			return 0;
		*protocol = ip.protocol;
		return (ip.version_ihl & 15) * 4;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 6, protocol, 1))
		return 0;
	return sizeof(struct ip6);
}

/* By cookie: the direction in which the client of an adopted connection speaks. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} roles SEC(".maps");

static __always_inline void ask_role(struct webb_sock *s)
{
	__u64 key = s->cookie;
	__u32 *asking = bpf_map_lookup_elem(&roles, &key);

	if (asking)
		s->asking = *asking & 1;
}

static __always_inline void put_v4(__u8 *to, __be32 v4)
{
	*(__u64 *)to = 0;
	*(__u32 *)(to + 8) = bpf_htonl(0xffff);
	*(__u32 *)(to + 12) = v4;
}

/* Where a packet goes to and comes from, from its own head. */
static __always_inline int put_addresses(struct __sk_buff *skb, struct webb_said_at *r, __u32 received)
{
	__u8 *from = received ? r->peer : r->local, *to = received ? r->local : r->peer;
	struct ip4 ip;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return 0;
		put_v4(from, ip.from);
		put_v4(to, ip.to);
		return 1;
	}
	return !bpf_skb_load_bytes(skb, 8, from, 16) && !bpf_skb_load_bytes(skb, 24, to, 16);
}

#define EARLY_CHUNKS 4 /* a hello with a post-quantum key is longer than one */

static __always_inline void early_chunk(struct __sk_buff *skb, struct webb_sock *s, struct segment *g, __be16 from,
				  __be16 to)
{
	struct webb_counts *n = get_counts();
	struct early_record {
		struct webb_said_at head;
		struct webb_piece piece;
		__u8 data[CAP_LARGE];
	} *r;
	__u32 cap = g->len < CAP_LARGE ? g->len : CAP_LARGE;

	if (!n)
		return;
	n->pieces_produced++;
	r = bpf_ringbuf_reserve(&payload_ring, sizeof(*r), 0);
	if (!r) {
		n->pieces_lost++;
		return;
	}
	__builtin_memset(&r->head, 0, sizeof(r->head));
	r->head.kind = WEBB_EARLY;
	r->head.netns = s->netns;
	r->head.cookie = s->cookie;
	r->head.netns_cookie = s->netns_cookie;
	r->head.generation = s->generation;
	r->head.local_port = bpf_ntohs(to);
	r->head.peer_port = bpf_ntohs(from);
	put_addresses(skb, &r->head, 1);
	g->flags = WEBB_P_IN_ORDER;
	fill_piece(&r->piece, g, cap);
	cap = last_of(cap, CAP_LARGE);
	if (bpf_skb_load_bytes(skb, g->at, r->data, cap + 1))
		r->piece.cap = 0;
	bpf_ringbuf_submit(r, payload_wakeup(&payload_ring));
}

#include "talk.bpf.c"
#include "datagram.bpf.c"

/* What came with a handshake: the socket that it is for is not there yet. */
static __always_inline void early(struct __sk_buff *skb, struct webb_sock *s, const struct segment *g, __be16 from,
				  __be16 to)
{
	struct segment part = *g;

	for (__u32 i = 0; i < EARLY_CHUNKS && part.at < g->at + g->len; i++) {
		__u32 rest = g->at + g->len - part.at;

		/* The last one tells how long the segment is. */
		part.len = i + 1 < EARLY_CHUNKS && rest > CAP_LARGE ? CAP_LARGE : rest;
		early_chunk(skb, s, &part, from, to);
		part.seq += part.len;
		part.at += part.len;
	}
}

static __always_inline void shed(void)
{
	struct webb_counts *n = get_counts();

	if (n)
		n->messages_shed++;
}

/* Of what is received the first segment that is seen need not be the first that was sent. */
static __always_inline int is_first(struct bpf_sock *sk, struct webb_sock *s, const struct segment *g, __u32 received)
{
	struct bpf_tcp_sock *tp;

	if (!received || s->flags & WEBB_F_ADOPTED)
		return 1;
	tp = bpf_tcp_sock(sk);
	return !tp || tp->rcv_nxt == g->seq;
}

/* A greeting, a word before STARTTLS with its answer, and a hello, with room for one more exchange. */
#define BEGINNING 8

/* How a connection begins, and where a later message begins TLS. */
static __always_inline int is_beginning(struct __sk_buff *skb, const struct webb_sock *s, const struct segment *g)
{
	if (s->mode == WEBB_MODE_OFF || s->mode == WEBB_MODE_TLS)
		return s->mode == WEBB_MODE_TLS;
	return s->way[0].count + s->way[1].count < BEGINNING || (g->turned && is_hello(skb, g));
}

static __always_inline void segment(struct __sk_buff *skb, __u32 received)
{
	struct bpf_sock *sk = skb->sk;
	__u8 protocol = 0;
	struct webb_config *c;
	struct webb_sock *s;
	struct webb_way *way, *other;
	struct segment g = {};
	struct tcp tcp;
	__u32 at, fresh;

	if (!sk)
		return;
	at = payload_at(skb, &protocol);
	if (protocol == IPPROTO_UDP) {
		datagram(skb, sk, at, received);
		return;
	}
	if (!at || protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)))
		return;
	g.at = at + (tcp.offset >> 4) * 4;
	if (skb->len <= g.at)
		return;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || (!s->opened && !(s->flags & WEBB_F_ADOPTED)))
		return;
	c = get_config();
	if (!c)
		return;
	g.now = bpf_ktime_get_boot_ns();
	g.len = skb->len - g.at;
	g.seq = bpf_ntohl(tcp.seq);
	g.ack = bpf_ntohl(tcp.ack);
	if (s->role == WEBB_LISTENER) {
		if ((c->decode == WEBB_DECODE_ON || c->decode == WEBB_DECODE_HELLO) && received)
			early(skb, s, &g, tcp.from, tcp.to);
		return;
	}
	if (s->asking > 1)
		ask_role(s);
	way = &s->way[received & 1];
	other = &s->way[(received ^ 1) & 1];
	fresh = !way->count || (__s32)(g.seq + g.len - way->end) > 0;
	g.flags = received ? 0 : WEBB_P_SENT;
	if (way->count ? g.seq == way->end : is_first(sk, s, &g, received))
		g.flags |= WEBB_P_IN_ORDER;
	if (s->spoke != received && s->spoke < 2)
		g.turned = other->last;
	if (fresh || !(g.flags & WEBB_P_SENT)) {
		if (c->decode == WEBB_DECODE_ON && s->mode != WEBB_MODE_OFF)
			said(skb, sk, s, &g, received);
		else if (c->decode == WEBB_DECODE_HELLO && is_beginning(skb, s, &g))
			said(skb, sk, s, &g, received);
		else if (c->decode == WEBB_DECODE_SHED && (s->mode == WEBB_MODE_TLS || is_hello(skb, &g)))
			said(skb, sk, s, &g, received);
		else if (c->decode == WEBB_DECODE_SHED && g.turned)
			shed();
	}
	if (!fresh)
		return;
	if (s->asking != received && s->asking < 2)
		answered(s, g.now, g.ack);
	way->last = g.now;
	way->end = g.seq + g.len;
	way->count++;
	s->spoke = received;
}

SEC("cgroup_skb/ingress")
int webb_ingress(struct __sk_buff *skb)
{
	segment(skb, 1);
	return 1;
}

SEC("cgroup_skb/egress")
int webb_egress(struct __sk_buff *skb)
{
	segment(skb, 0);
	return 1;
}
