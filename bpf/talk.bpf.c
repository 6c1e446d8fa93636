/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conversations over UDP: a socket and a peer, with what passed each way. Counted in a map as the
 * datagrams pass and told by a walk, once a second, as what came since the walk before; nothing per
 * datagram reaches user space. A conversation that is silent leaves the map, and begins anew when it
 * speaks again: user space knows that it is the same. A datagram that passes in the very moment in
 * which its silent conversation is removed is not counted.
 */

/* Silent for so long, it leaves the map. */
#define TALK_SILENT_NS 2000000000ull
/* A conversation of a socket that webb found open may be older than that, for so long. */
#define TALK_OLD_NS 15000000000ull

struct webb_udp {
	__u64 cookie;
	__u64 netns_cookie;
	__u64 adopted; /* when it was found open; 0 = it was made under our eyes */
	__u32 netns;
	__u32 quic; /* long-header packets told */
	struct webb_owner owner;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct webb_udp);
} udps SEC(".maps");

struct talk_key {
	__u64 cookie;
	__u8 peer[16];
	__u16 peer_port;
	__u16 pad[3];
};

struct talk {
	__u64 first; /* 0 while it is being made */
	__u64 last;
	__u64 bytes[2]; /* sent, received */
	__u64 packets[2];
	__u64 told_bytes[2];
	__u64 told_packets[2];
	__u64 netns_cookie;
	__u8 local[16];
	__u16 local_port;
	__u16 flags;
	__u32 netns;
	struct webb_owner owner;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct talk_key);
	__type(value, struct talk);
} talks SEC(".maps");

/* Never written: a conversation as it begins. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct talk);
} new_talk SEC(".maps");

static __always_inline struct talk *begin_talk(const struct talk_key *key)
{
	__u32 zero = 0;
	struct talk *empty = bpf_map_lookup_elem(&new_talk, &zero);

	if (!empty)
		return 0;
	/* Another processor may be quicker: then theirs is found. */
	bpf_map_update_elem(&talks, key, empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(&talks, key);
}

/* Counts a datagram; of several that the kernel handles as one, each. */
static __always_inline void count_talk(const struct webb_udp *u, const struct webb_said_at *at, __u32 len,
				       __u32 segments, __u64 now, __u32 received, struct webb_counts *n)
{
	struct talk_key key = {};
	struct talk *t;

	segments = segments ?: 1;
	key.cookie = u->cookie;
	__builtin_memcpy(key.peer, at->peer, 16);
	key.peer_port = at->peer_port;
	t = bpf_map_lookup_elem(&talks, &key);
	if (!t)
		t = begin_talk(&key);
	if (!t) {
		__sync_fetch_and_add(&n->datagrams_lost, segments);
		return;
	}
	received &= 1;
	__sync_fetch_and_add(&t->bytes[received], len);
	__sync_fetch_and_add(&t->packets[received], segments);
	t->last = now;
	if (t->first)
		return;
	t->netns_cookie = u->netns_cookie;
	t->netns = u->netns;
	t->owner = u->owner;
	__builtin_memcpy(t->local, at->local, 16);
	t->local_port = at->local_port;
	t->flags = (received ? 0 : WEBB_T_SENT_FIRST) |
		   (u->adopted && now - u->adopted < TALK_OLD_NS ? WEBB_T_OLD : 0);
	t->first = now;
}

/* What is told must not be told again, also if more is counted meanwhile. */
static __always_inline void tell_talk(const struct talk_key *key, struct talk *t, struct webb_counts *n)
{
	struct webb_talk *r;
	int i;

	n->sample_produced++;
	r = bpf_ringbuf_reserve(&sample_ring, sizeof(*r), 0);
	if (!r) {
		n->sample_lost++;
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->kind = WEBB_TALK;
	r->flags = t->flags;
	r->netns = t->netns;
	r->cookie = key->cookie;
	r->netns_cookie = t->netns_cookie;
	r->first = t->first;
	r->last = t->last;
	__builtin_memcpy(r->local, t->local, 16);
	__builtin_memcpy(r->peer, key->peer, 16);
	r->local_port = t->local_port;
	r->peer_port = key->peer_port;
	r->owner = t->owner;
	for (i = 0; i < 2; i++) {
		__u64 bytes = *(volatile __u64 *)&t->bytes[i], packets = *(volatile __u64 *)&t->packets[i];

		r->bytes[i] = bytes - t->told_bytes[i];
		r->packets[i] = packets - t->told_packets[i];
		t->told_bytes[i] = bytes;
		t->told_packets[i] = packets;
	}
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

SEC("iter/bpf_map_elem")
int webb_talks(struct bpf_iter__bpf_map_elem *ctx)
{
	struct webb_counts *n = get_counts();
	struct talk_key *at = ctx->key, key;
	struct talk *t = ctx->value;

	if (!at || !t || !n || !t->first)
		return 0;
	key = *at;
	if (t->packets[0] != t->told_packets[0] || t->packets[1] != t->told_packets[1])
		tell_talk(&key, t, n);
	else if (bpf_ktime_get_boot_ns() - t->last > TALK_SILENT_NS)
		bpf_map_delete_elem(&talks, &key);
	return 0;
}
