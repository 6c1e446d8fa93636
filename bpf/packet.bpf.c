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

/* Where the TCP header begins; 0 = not TCP, or behind extension headers. */
static __always_inline __u32 tcp_at(struct __sk_buff *skb)
{
	struct ip4 ip;
	__u8 next;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP)
			return 0;
		return (ip.version_ihl & 15) * 4;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 6, &next, 1) || next != IPPROTO_TCP)
		return 0;
	return sizeof(struct ip6);
}

static __always_inline void segment(struct __sk_buff *skb, __u32 received)
{
	struct bpf_sock *sk = skb->sk;
	struct webb_config *c;
	struct webb_sock *s;
	struct webb_way *way, *other;
	struct segment g = {};
	struct tcp tcp;
	__u32 at, fresh;

	if (!sk)
		return;
	at = tcp_at(skb);
	if (!at || bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)))
		return;
	g.at = at + (tcp.offset >> 4) * 4;
	if (skb->len <= g.at)
		return;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || (!s->opened && !(s->flags & WEBB_F_ADOPTED)))
		return;
	c = get_config();
	if (!c || s->role == WEBB_LISTENER)
		return;
	g.now = bpf_ktime_get_boot_ns();
	g.len = skb->len - g.at;
	g.seq = bpf_ntohl(tcp.seq);
	g.ack = bpf_ntohl(tcp.ack);
	way = &s->way[received & 1];
	other = &s->way[(received ^ 1) & 1];
	fresh = !way->count || (__s32)(g.seq + g.len - way->end) > 0;
	g.flags = received ? 0 : WEBB_P_SENT;
	if (!way->count || g.seq == way->end)
		g.flags |= WEBB_P_IN_ORDER;
	if (s->spoke != received && s->spoke < 2)
		g.turned = other->last;
	if (fresh || !(g.flags & WEBB_P_SENT)) {
		if (c->decode && s->mode != WEBB_MODE_OFF)
			said(skb, sk, s, &g, received);
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
