/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams. Those that say something about names and servers are told one by one: DNS, mDNS and
 * LLMNR by their ports, and the first long-header packets of QUIC. All others are counted by
 * conversation. The owner is noted when the socket is made.
 */

#define CAP_QUIC 1536
#define CAP_SHORT 128
#define QUIC_PACKETS 6

struct udp {
	__be16 from;
	__be16 to;
	__be16 len;
	__be16 check;
};

struct datagram_record {
	struct webb_said_at head;
	struct webb_piece piece;
	/* As many bytes as were reserved. */
};

struct quic_record {
	struct webb_said_at head;
	struct webb_piece piece;
	__u8 data[CAP_QUIC];
};

static __always_inline int is_dns_port(__be16 port)
{
	return port == bpf_htons(53) || port == bpf_htons(5353) || port == bpf_htons(5355);
}

static __always_inline void fill_datagram(struct __sk_buff *skb, struct webb_said_at *h, const struct webb_udp *u,
				      const struct udp *udp, __u32 received)
{
	__builtin_memset(h, 0, sizeof(*h));
	h->kind = WEBB_DATAGRAM;
	h->netns = u->netns;
	h->cookie = u->cookie;
	h->netns_cookie = u->netns_cookie;
	h->local_port = bpf_ntohs(received ? udp->to : udp->from);
	h->peer_port = bpf_ntohs(received ? udp->from : udp->to);
	h->owner = u->owner;
	put_addresses(skb, h, received);
}

/* Whether it was told, and so need not be counted. `max` is a constant: most are short. */
static __always_inline int tell_dns(struct __sk_buff *skb, struct webb_said_at *head, const struct segment *g,
				    struct webb_counts *n, const __u32 max)
{
	struct datagram_record *r;
	__u32 cap = g->len < max ? g->len : max;

	n->pieces_produced++;
	r = bpf_ringbuf_reserve(&payload_ring, sizeof(*r) + max, 0);
	if (!r) {
		n->pieces_lost++;
		return 0;
	}
	r->head = *head;
	fill_piece(&r->piece, g, cap);
	cap = last_of(cap, max);
	if (bpf_skb_load_bytes(skb, g->at, (void *)(r + 1), cap + 1))
		r->piece.cap = 0;
	bpf_ringbuf_submit(r, payload_wakeup(&payload_ring));
	return 1;
}

static __always_inline int tell_short_or_long(struct __sk_buff *skb, struct webb_said_at *head, const struct segment *g,
					      struct webb_counts *n)
{
	if (g->len <= CAP_SHORT)
		return tell_dns(skb, head, g, n, CAP_SHORT);
	return tell_dns(skb, head, g, n, CAP_LARGE);
}

/* RFC 9000, section 17.2: long header, fixed bit, a version. */
static __always_inline int is_quic(struct __sk_buff *skb, const struct segment *g)
{
	__u32 version;
	__u8 first;

	if (g->len < 64 || g->len > CAP_QUIC || bpf_skb_load_bytes(skb, g->at, &first, 1) || (first & 0xc0) != 0xc0 ||
	    bpf_skb_load_bytes(skb, g->at + 1, &version, 4))
		return 0;
	return version == bpf_htonl(1) || version == bpf_htonl(0x6b3343cf);
}

/* An Initial is read only if it is whole: what proves it stands at its end. */
static __always_inline void tell_quic(struct __sk_buff *skb, struct webb_said_at *head, const struct segment *g,
				      struct webb_counts *n)
{
	struct quic_record *r;
	__u32 cap = g->len;

	n->pieces_produced++;
	r = bpf_ringbuf_reserve(&payload_ring, sizeof(*r), 0);
	if (!r) {
		n->pieces_lost++;
		return;
	}
	r->head = *head;
	fill_piece(&r->piece, g, cap);
	r->piece.flags |= WEBB_P_COUNTED;
	cap = last_of(cap, 2048);
	if (cap >= CAP_QUIC || bpf_skb_load_bytes(skb, g->at, r->data, cap + 1))
		r->piece.cap = 0;
	bpf_ringbuf_submit(r, payload_wakeup(&payload_ring));
}

static __always_inline void datagram(struct __sk_buff *skb, struct bpf_sock *sk, __u32 at, __u32 received)
{
	struct webb_config *c = get_config();
	struct webb_counts *n = get_counts();
	struct webb_said_at head;
	struct segment g = {};
	struct webb_udp *u;
	struct udp udp;

	if (!c || !n || !at || bpf_skb_load_bytes(skb, at, &udp, sizeof(udp)))
		return;
	g.at = at + sizeof(udp);
	if (skb->len < g.at)
		return;
	g.len = skb->len - g.at;
	u = bpf_sk_storage_get(&udps, sk, 0, 0);
	if (!u)
		return;
	g.now = bpf_ktime_get_boot_ns();
	g.flags = received ? 0 : WEBB_P_SENT;
	fill_datagram(skb, &head, u, &udp, received);
	if (c->decode == WEBB_DECODE_ON && g.len) {
		if ((is_dns_port(udp.from) || is_dns_port(udp.to)) &&
		    tell_short_or_long(skb, &head, &g, n))
			return;
		if (u->quic < QUIC_PACKETS && is_quic(skb, &g)) {
			u->quic++;
			tell_quic(skb, &head, &g, n);
		}
	}
	count_talk(u, &head, g.len, skb->gso_segs, g.now, received, n);
}

static __always_inline void fill_udp(struct webb_udp *u, struct task_struct *task, __u64 cookie, __u64 netns_cookie,
				     __u32 netns, __u32 evidence, __u64 adopted)
{
	u->cookie = cookie;
	u->netns_cookie = netns_cookie;
	u->netns = netns;
	u->adopted = adopted;
	set_owner(&u->owner, task, evidence);
}

SEC("cgroup/sock_create")
int webb_sock_create(struct bpf_sock *ctx)
{
	struct webb_config *c = get_config();
	struct task_struct *task;
	struct webb_udp *u;

	if (!c || ctx->type != SOCK_DGRAM || (ctx->family != AF_INET && ctx->family != AF_INET6))
		return 1;
	task = bpf_get_current_task_btf();
	if (BPF_CORE_READ(task, tgid) == c->self)
		return 1;
	u = bpf_sk_storage_get(&udps, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (u)
		fill_udp(u, task, bpf_get_socket_cookie(ctx), bpf_get_netns_cookie(ctx),
			 BPF_CORE_READ(task, nsproxy, net_ns, ns.inum), WEBB_OWNER_OPENED, 0);
	return 1;
}
