/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps and the few functions that every concern uses. */
#ifndef WEBB_COMMON_H
#define WEBB_COMMON_H

#include "kernel.h"
#include "webb.h"

/* One direction of a socket. Written only by the program that sees this direction. */
struct webb_way {
	__u64 last;  /* when payload last passed */
	__u32 end;   /* sequence number after the highest payload */
	__u32 count; /* segments with new payload */
};

/* One per watched socket, freed by the kernel with the socket. */
struct webb_sock {
	__u64 cookie;
	__u64 netns_cookie;
	__u64 opened;
	__u64 established;
	__u64 attempt; /* connect() was called then, and no SYN was sent yet */
	__u64 base_sent; /* counters when adopted: a baseline, not traffic */
	__u64 base_received;
	__u64 last_sent; /* counters of the last sample */
	__u64 last_received;
	__u64 dst; /* address of the route that `route` speaks of */
	struct webb_owner owner;
	struct webb_owner holder; /* first process that a pass found holding it */
	__u32 base_retransmits;
	__u32 last_retransmits;
	__u32 fin_data_segs; /* data segments that had come when the application closed */
	__u32 generation;
	__u32 netns;
	__u32 described; /* epoch in which user space was told everything, 0 = never */
	__u32 pass;	 /* pass that last met it */
	__u8 confirmed;	 /* the owner was among the holders of that pass */
	__u8 role;
	__u8 role_evidence;
	__u8 flags;
	__u16 attempt_port;
	__u8 asking;  /* direction in which the client speaks: 0 sent, 1 received, 2 not known */
	__u8 spoke;   /* direction of the last payload */
	__u8 answer;  /* state of the answer that goes on: enum answer */
	__u8 mode;    /* enum webb_mode */
	__u8 hello;   /* TLS began */
	__u8 route;   /* enum webb_route, as it was told last */
	__u8 attempt_addr[16];
	__u16 step;   /* states before and after its last change */
	__u8 pad[6];
	struct webb_way way[2]; /* sent, received */
	__u64 asked;		/* last byte asked of the answer that goes on */
	__u32 answered;		/* count of way[asking] that was answered */
	__u32 turns;		/* codes so far */
	__u32 turns_told;
	__u32 turn[WEBB_TURN_CODES];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct webb_sock);
} socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct webb_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct webb_counts);
} counts SEC(".maps");

/* Sizes are set at load time. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} state_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} sample_ring SEC(".maps");

/* What is said; written at direction turns, so that it may be given up first. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} payload_ring SEC(".maps");

/* Fill of the state ring at which its reader is woken before its timer. */
const volatile __u64 wake_at = 1 << 18;
const volatile __u64 payload_wake_at = 1 << 18;

static __always_inline __u64 payload_wakeup(void *ring)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= payload_wake_at ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline struct webb_config *get_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct webb_counts *get_counts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero);
}

/*
 * Before 6.1. Not inlined: the compiler would hoist the relocation out of the branch that guards
 * it, and there it cannot be resolved on a newer kernel.
 */
static __noinline __u64 ancestor_id_before_6_1(struct cgroup *cg, __u32 level)
{
	__u64 id = 0;

	bpf_probe_read_kernel(&id, sizeof(id),
			      (void *)cg + bpf_core_field_offset(struct cgroup___ids, ancestor_ids) + level * 8);
	return id;
}

static __always_inline __u64 ancestor_id(struct cgroup *cg, __u32 level)
{
	struct cgroup *ancestor = 0;

	if (!bpf_core_field_exists(cg->ancestors))
		return ancestor_id_before_6_1(cg, level);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
			      (void *)cg + bpf_core_field_offset(struct cgroup, ancestors) + level * 8);
	return BPF_CORE_READ(ancestor, kn, id);
}

/* The one ancestor test: is the socket's own cgroup under a watched one? */
static __always_inline int in_scope(const struct sock *sk)
{
	struct webb_config *c = get_config();
	struct cgroup *cg;
	__u32 level;

	if (!c)
		return 0;
	if (c->all)
		return 1;
	cg = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	if (!cg)
		return 0;
	level = BPF_CORE_READ(cg, level);
	for (int i = 0; i < WEBB_SCOPES; i++) {
		if (i >= c->scopes)
			break;
		if (c->scope_level[i] <= level && ancestor_id(cg, c->scope_level[i]) == c->scope_id[i])
			return 1;
	}
	return 0;
}

/* The cgroup is the process's own: a socket that was handed over was made in another one. */
static __always_inline void set_owner(struct webb_owner *o, struct task_struct *task, __u32 evidence)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	o->pid = BPF_CORE_READ(task, tgid);
	o->start = BPF_CORE_READ(leader, start_boottime);
	o->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	o->evidence = evidence;
	BPF_CORE_READ_STR_INTO(&o->comm, leader, comm);
}

static __always_inline int is_owner(const struct webb_owner *o, struct task_struct *task)
{
	return BPF_CORE_READ(task, tgid) == o->pid && BPF_CORE_READ(task, group_leader, start_boottime) == o->start;
}

/* Everything about a socket that stays; counters and times start at zero. */
static __always_inline void begin(struct webb_sock *s, struct sock *sk, __u8 role, __u8 evidence)
{
	s->cookie = bpf_get_socket_cookie(sk);
	s->netns_cookie = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
	s->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	s->opened = 0;
	s->established = 0;
	s->attempt = 0;
	s->base_sent = 0;
	s->base_received = 0;
	s->base_retransmits = 0;
	s->last_sent = 0;
	s->last_received = 0;
	s->last_retransmits = 0;
	s->described = 0;
	s->pass = 0;
	s->confirmed = 0;
	s->role = role;
	s->role_evidence = evidence;
	s->flags = 0;
	s->asking = role == WEBB_UNKNOWN ? 2 : role == WEBB_SERVER;
	s->spoke = 2;
	s->answer = 0;
	s->mode = WEBB_MODE_MESSAGES;
	s->hello = 0;
	s->route = 0;
	s->dst = 0;
	__builtin_memset(s->way, 0, sizeof(s->way));
	s->asked = 0;
	s->answered = 0;
	s->turns = 0;
	s->turns_told = 0;
}

struct reading {
	__u64 sent;
	__u64 received;
	__u32 retransmits;
	__u32 srtt_us;
	__u32 min_rtt_us;
	__u32 peer_fin;
};

/*
 * Payload counters of a socket. bytes_sent counts retransmissions again; bytes_received counts the
 * peer's FIN as one byte, and SOCK_DONE is set by tcp_fin() and by nothing else.
 */
static __always_inline void read_tcp(struct tcp_sock *tp, struct reading *r)
{
	__u64 done = 1ull << bpf_core_enum_value(enum sock_flags, SOCK_DONE);

	r->peer_fin = !!(tp->inet_conn.icsk_inet.sk.__sk_common.skc_flags & done);
	r->sent = tp->bytes_sent - tp->bytes_retrans;
	r->received = tp->bytes_received - r->peer_fin;
	r->retransmits = tp->total_retrans;
	r->srtt_us = tp->srtt_us >> 3;
	r->min_rtt_us = tp->rtt_min.s[0].v;
}

static __always_inline void put_address(__u8 *to, __u16 family, __be32 v4, const struct in6_addr *v6)
{
	if (family == AF_INET6) {
		bpf_probe_read_kernel(to, 16, v6);
		return;
	}
	*(__u64 *)to = 0;
	*(__u32 *)(to + 8) = bpf_htonl(0xffff);
	*(__u32 *)(to + 12) = v4;
}

/*
 * Where a socket's packets go. What is read for it may be missing in a kernel, and must not keep a
 * program that tells more from loading: each function is guarded by its caller, and not inlined, for
 * the reason given above.
 */

/* A chain of transforms begins with the innermost, such as a compression; ESP may not encrypt. */
static __noinline int encrypts(struct dst_entry *dst)
{
	struct xfrm_state *x;
	__u8 algorithm;

	for (int i = 0; i < 4 && dst; i++) {
		x = BPF_CORE_READ(dst, xfrm);
		if (!x)
			break;
		algorithm = BPF_CORE_READ(x, props.ealgo);
		if (BPF_CORE_READ(x, id.proto) == IPPROTO_ESP && algorithm != SADB_EALG_NULL &&
		    algorithm != SADB_X_EALG_NULL_AES_GMAC)
			return 1;
		dst = BPF_CORE_READ((struct xfrm_dst *)dst, child);
	}
	return 0;
}

/* By what the device is, and for Cilium by what it is called. */
static __noinline __u8 wireguard(struct dst_entry *dst)
{
	char text[16] __attribute__((aligned(8))) = {};

	bpf_probe_read_kernel_str(text, sizeof(text), BPF_CORE_READ(dst, dev, rtnl_link_ops, kind));
	if (__builtin_memcmp(text, "wireguard", sizeof("wireguard")))
		return 0;
	BPF_CORE_READ_STR_INTO(&text, dst, dev, name);
	return WEBB_R_WIREGUARD | (__builtin_memcmp(text, "cilium_wg0", sizeof("cilium_wg0")) ? 0 : WEBB_R_CILIUM);
}

/* Of a route whose device is gone, nothing says where it led. */
static __noinline int is_dead(struct dst_entry *dst)
{
	return BPF_CORE_READ(dst, obsolete) >= DST_OBSOLETE_DEAD;
}

/* The route of the last packet, enum webb_route; 0 = there is none now. */
static __noinline __u8 route_of(struct dst_entry *dst)
{
	__u8 route = WEBB_R_KNOWN;

	if (!dst || !bpf_core_field_exists(dst->obsolete) || is_dead(dst))
		return 0;
	if (bpf_core_field_exists(dst->dev) && bpf_core_field_exists(struct net_device, rtnl_link_ops) &&
	    bpf_core_field_exists(struct rtnl_link_ops, kind))
		route |= wireguard(dst);
	if (bpf_core_field_exists(dst->xfrm) && bpf_core_field_exists(struct xfrm_dst, child) &&
	    bpf_core_field_exists(struct xfrm_state, props.ealgo) && encrypts(dst))
		route |= WEBB_R_ESP;
	return route;
}

/* Everything known of a TCP socket. At CLOSE skc_num is already 0; inet_sport still holds it. */
static __always_inline void describe(struct webb_record *r, struct webb_sock *s, struct sock *sk,
				     struct tcp_sock *tp, __u8 kind)
{
	__u16 family = sk->__sk_common.skc_family;
	struct reading now;

	read_tcp(tp, &now);
	r->route = route_of(BPF_CORE_READ(sk, sk_dst_cache));
	if (r->route)
		s->route = r->route;
	r->pad[0] = 0;
	r->pad[1] = 0;
	r->kind = kind;
	r->role = s->role;
	r->role_evidence = s->role_evidence;
	r->flags = s->flags | (now.peer_fin ? WEBB_F_PEER_FIN : 0);
	r->old_state = 0;
	r->state = sk->__sk_common.skc_state;
	r->err = sk->sk_err;
	r->generation = s->generation;
	r->netns = s->netns;
	r->at = bpf_ktime_get_boot_ns();
	r->cookie = s->cookie;
	r->netns_cookie = s->netns_cookie;
	r->opened = s->opened;
	r->established = s->established;
	put_address(r->local, family, sk->__sk_common.skc_rcv_saddr, &sk->__sk_common.skc_v6_rcv_saddr);
	put_address(r->peer, family, sk->__sk_common.skc_daddr, &sk->__sk_common.skc_v6_daddr);
	r->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	r->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	r->isn_tx = tp->snd_una - (__u32)tp->bytes_acked;
	r->isn_rx = tp->rcv_nxt - (__u32)tp->bytes_received;
	r->retransmits = now.retransmits - s->base_retransmits;
	r->owner = s->owner;
	r->sent = now.sent - s->base_sent;
	r->received = now.received - s->base_received;
	r->srtt_us = now.srtt_us;
	r->min_rtt_us = now.min_rtt_us;
	r->backlog = sk->sk_ack_backlog;
	r->max_backlog = sk->sk_max_ack_backlog;
	r->turn_from = 0;
	r->turns = 0;
	r->turn[0] = 0;
	r->turn[1] = 0;
}

/* A record for the state ring, or 0 when it is full: counted either way. */
static __always_inline struct webb_record *reserve_state(struct webb_counts *n)
{
	struct webb_record *r = bpf_ringbuf_reserve(&state_ring, sizeof(*r), 0);

	n->state_produced++;
	if (!r)
		n->state_lost++;
	return r;
}

static __always_inline void submit_state(struct webb_record *r)
{
	__u64 fill = bpf_ringbuf_query(&state_ring, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(r, fill >= wake_at ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif
