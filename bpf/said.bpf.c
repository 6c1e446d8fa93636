/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is said: the first bytes of each message, with where they stand. Pieces gather in a batch on
 * the socket, both directions together, so that a record tells several exchanges; it leaves when
 * there is no more room, by the walk, or at close. Order, duplicates and gaps are for user space.
 */

/* Captured of one message. Powers of two: older verifiers want a mask. */
#define CAP_LARGE 1024
#define CAP_SMALL 256
#define BATCH 1680

struct webb_flow {
	__u32 lock; /* held by who appends; nobody waits for it */
	__u32 used;
	__u32 pieces;
	__u32 got[2];	 /* captured of the message that goes on, sent and received */
	__u32 next[2];	 /* HTTP/2, TLS: sequence number of the next frame's or record's head */
	__u32 want[2];	 /* HTTP/2: bytes of the frame before that are still to be captured; TLS: whether */
	__u32 walking[2]; /* a segment of this direction is being walked */
	__u32 whole[2];	  /* everything before this sequence number has passed */
	__u32 late[2][2]; /* what passed before its time: from, to; none where they are equal */
	__u64 late_at[2];
	__u8 began[2];
	__u8 pad2[6];
	__u32 records[2]; /* TLS: so far */
	__u32 asked[2];	 /* TLS: at so many records user space is asked */
	__u8 synced[2];	 /* HTTP/2, TLS: `next` is right */
	__u8 partial[2]; /* HTTP/2, TLS: bytes of a head that the last segment cut */
	__u8 head9[2][12];
	__u32 pad;
	struct webb_said head;
	__u8 batch[BATCH];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct webb_flow);
} flows SEC(".maps");

/* By cookie, enum webb_mode: what user space found out. Looked at when a batch leaves. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} modes SEC(".maps");

/* A segment, as far as it matters. */
struct segment {
	__u64 now;
	__u64 turned;
	__u32 seq;
	__u32 ack;
	__u32 len;
	__u32 at; /* where its payload begins */
	__u8 flags;
	__u8 pad[7]; /* older verifiers want every byte of an argument written */
};

static __always_inline void fill_head(struct webb_said *h, struct webb_sock *s, const struct webb_flow *f,
				      __u32 bytes)
{
	h->kind = WEBB_SAID;
	h->pad = 0;
	h->bytes = bytes;
	h->generation = s->generation;
	h->cookie = s->cookie;
	h->netns_cookie = s->netns_cookie;
	h->sent_last = f->began[0] ? s->way[0].last : 0;
	h->received_last = f->began[1] ? s->way[1].last : 0;
	h->sent_end = f->whole[0];
	h->received_end = f->whole[1];
}

static __always_inline void fill_piece(struct webb_piece *p, const struct segment *g, __u32 cap)
{
	p->at = g->now;
	p->turned = g->turned;
	p->seq = g->seq;
	p->ack = g->ack;
	p->len = g->len;
	p->cap = cap;
	p->flags = g->flags;
	p->pad = 0;
}

/* The batch leaves; its lock is held. */
static __always_inline void tell_said(void *ring, struct webb_sock *s, struct webb_flow *f)
{
	struct webb_counts *n = get_counts();
	__u32 used = f->used;
	__u64 key = s->cookie;
	__u32 *mode;

	if (!used || used > BATCH || !n)
		return;
	fill_head(&f->head, s, f, used);
	if (bpf_ringbuf_output(ring, &f->head, sizeof(f->head) + used, payload_wakeup(ring)))
		n->pieces_lost += f->pieces;
	f->used = 0;
	f->pieces = 0;
	mode = bpf_map_lookup_elem(&modes, &key);
	if (mode)
		s->mode = *mode;
}

static __always_inline int try_lock(struct webb_flow *f)
{
	return !__sync_lock_test_and_set(&f->lock, 1);
}

static __always_inline void unlock(struct webb_flow *f)
{
	__sync_lock_test_and_set(&f->lock, 0);
}

/* What is still in the batch leaves: the socket closes, or the walk comes by. */
static __always_inline void flush_said(void *ring, struct sock *sk, struct webb_sock *s)
{
	struct webb_flow *f = bpf_sk_storage_get(&flows, sk, 0, 0);

	if (!f || !f->used || !try_lock(f))
		return;
	tell_said(ring, s, f);
	unlock(f);
}

/*
 * Position of the last of `n` bytes, below `max`, a power of two. The mask changes nothing but what
 * an older verifier knows; the compiler must not know that.
 */
static __always_inline __u32 last_of(__u32 n, const __u32 max)
{
	n--;
	barrier_var(n);
	n &= max - 1;
	barrier_var(n);
	return n;
}

/* Both directions at once: the piece leaves by itself. */
static __always_inline void tell_alone(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
				       const struct segment *g, __u32 cap, struct webb_counts *n)
{
	struct {
		struct webb_said head;
		struct webb_piece piece;
		__u8 data[CAP_LARGE];
	} *r = bpf_ringbuf_reserve(&payload_ring, sizeof(*r), 0);

	if (!r) {
		n->pieces_lost++;
		return;
	}
	fill_head(&r->head, s, f, sizeof(r->piece) + ((cap + 7) & ~7u));
	/* What is still in the batch has passed, too, and is told later: it must not be given up. */
	r->head.sent_last = 0;
	r->head.received_last = 0;
	fill_piece(&r->piece, g, cap);
	/* It may overtake the batch: user space is to wait for what comes before it. */
	r->piece.flags &= ~WEBB_P_IN_ORDER;
	cap = last_of(cap, CAP_LARGE);
	if (bpf_skb_load_bytes(skb, g->at, r->data, cap + 1))
		r->piece.cap = 0;
	bpf_ringbuf_submit(r, payload_wakeup(&payload_ring));
}

/* `max` is a constant. */
static __always_inline void append(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
				   const struct segment *g, __u32 cap, const __u32 max)
{
	struct webb_piece *p;
	__u64 at; /* 64 bits: older verifiers lose the bounds of 32 */

	if (f->used > BATCH - sizeof(*p) - max)
		tell_said(&payload_ring, s, f);
	at = f->used;
	barrier_var(at);
	if (at > BATCH - sizeof(*p) - max)
		return;
	p = (void *)f->batch + at;
	fill_piece(p, g, cap);
	cap = last_of(cap, max);
	if (bpf_skb_load_bytes(skb, g->at, (void *)(p + 1), cap + 1))
		p->cap = 0;
	f->used = at + sizeof(*p) + ((cap + 8) & ~7u);
	f->pieces++;
}

/*
 * A piece joins the batch, or leaves by itself while the other direction is at it. A global function:
 * the verifier looks at it once, not once for every way that leads here.
 */
__attribute__((noinline)) int put_piece(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
					struct segment *g, __u32 cap)
{
	struct webb_counts *n = get_counts();

	if (!s || !f || !g || !n || !cap)
		return 0;
	n->pieces_produced++;
	if (!try_lock(f)) {
		tell_alone(skb, s, f, g, cap, n);
		return 0;
	}
	if (cap <= CAP_SMALL)
		append(skb, s, f, g, cap, CAP_SMALL);
	else
		append(skb, s, f, g, cap, CAP_LARGE);
	unlock(f);
	return 0;
}

#include "frames.bpf.c"
#include "tls.bpf.c"

/*
 * How far a direction is, without a hole: segments may overtake one another, and what is told as
 * passed must not come later. One stretch that came before its time is remembered; where there are
 * several, it goes on after a second.
 */
static __always_inline void passed(struct webb_flow *f, __u32 seq, __u32 end, __u64 now, __u32 way)
{
	__u32 whole;

	way &= 1;
	whole = f->whole[way];
	if (!f->began[way]) {
		f->began[way] = 1;
		whole = end;
	} else if ((__s32)(seq - whole) <= 0) {
		if ((__s32)(end - whole) > 0)
			whole = end;
	} else if (f->late[way][0] == f->late[way][1]) {
		f->late[way][0] = seq;
		f->late[way][1] = end;
		f->late_at[way] = now;
	} else if (seq == f->late[way][1]) {
		f->late[way][1] = end;
	} else if (now - f->late_at[way] > 1000000000ull) {
		whole = end;
		f->late[way][0] = f->late[way][1];
	}
	if (f->late[way][0] != f->late[way][1] && (__s32)(f->late[way][0] - whole) <= 0) {
		if ((__s32)(f->late[way][1] - whole) > 0)
			whole = f->late[way][1];
		f->late[way][0] = f->late[way][1];
	}
	f->whole[way] = whole;
}

/* New payload, `received` or sent. */
static __always_inline void told(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f, struct segment *g,
				 __u32 received)
{
	struct webb_config *c = get_config();
	__u32 got, cap, room;

	if (!c)
		return;
	if (s->mode == WEBB_MODE_FRAMES || begins_http2(skb, s, f, g, received)) {
		frames(skb, s, f, g, received & 1);
		return;
	}
	if (s->mode == WEBB_MODE_TLS) {
		tls(skb, s, f, g, received & 1);
		return;
	}
	got = g->turned || !s->way[received & 1].count ? 0 : f->got[received & 1];
	room = c->decode != WEBB_DECODE_HELLO && (received == s->asking || s->asking > 1) ? CAP_LARGE : CAP_SMALL;
	if (got >= room)
		return;
	if (!got && begins_tls(skb, s, f, g)) {
		tls(skb, s, f, g, received & 1);
		return;
	}
	cap = room - got;
	if (cap > g->len)
		cap = g->len;
	f->got[received & 1] = got + cap;
	put_piece(skb, s, f, g, cap);
}

static __always_inline void said(struct __sk_buff *skb, struct bpf_sock *sk, struct webb_sock *s,
				 struct segment *g, __u32 received)
{
	struct webb_counts *n = get_counts();
	struct webb_flow *f;
	__u32 seq, end;

	f = bpf_sk_storage_get(&flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!f || !n) {
		if (n) {
			n->pieces_produced++;
			n->pieces_lost++;
		}
		return;
	}
	seq = g->seq;
	end = g->seq + g->len;
	told(skb, s, f, g, received);
	passed(f, seq, end, g->now, received);
}
