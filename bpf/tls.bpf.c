/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TLS (RFC 8446, section 5.1): its records are walked. Told are all heads, and what is in the clear:
 * handshake, alert, change of cipher. Of encrypted records nothing but the head is looked at. It ends
 * when user space knows enough, or after so many records or bytes.
 *
 * A segment that comes before the one that it follows is told from its beginning, so that user space
 * may put it in order; where its records begin is not known then, unless one begins with it.
 */

#define TLS_HEAD 5
#define TLS_CLEAR 8192	/* of what is in the clear, each way */
#define TLS_RECORDS 96	/* each way */
#define TLS_ASK 8	/* records after which user space is asked whether it knows enough */
#define TLS_PER_SEGMENT 64
#define TLS_LONGEST (16384 + 2048)
#define TLS_ASTRAY 16	/* segments whose records are not found */

struct tls_walk {
	struct __sk_buff *skb;
	struct webb_sock *s;
	struct webb_flow *f;
	struct segment g;
	__u32 at;   /* of the next head, from the beginning of the segment */
	__u32 seq;  /* of the segment */
	__u32 from; /* where its payload begins in the packet */
	__u32 len;  /* of the segment */
	__u32 way;
	__u32 pad;
};

/* A content type, a version of SSL 3.0 or later, a length that is allowed. */
static __always_inline int is_record(const __u8 *h)
{
	return h[0] >= 20 && h[0] <= 23 && h[1] == 3 && h[2] <= 4 && ((__u32)h[3] << 8 | h[4]) <= TLS_LONGEST;
}

static long tls_chunk(__u32 i, void *data)
{
	struct tls_walk *w = data;
	__u32 len = w->g.len;

	if (!len)
		return 1;
	len = len < CAP_LARGE ? len : CAP_LARGE;
	{
		__u32 rest = w->g.len - len;

		w->g.len = len;
		put_piece(w->skb, w->s, w->f, &w->g, len);
		w->g.seq += len;
		w->g.at += len;
		w->g.len = rest;
		w->g.turned = 0;
	}
	return 0;
}

/* Tells a part of the segment, whole, as far as the budget goes. */
static __always_inline void tls_tell(struct tls_walk *w, __u32 at, __u32 len)
{
	__u32 way = w->way & 1, room = w->f->got[way] < TLS_CLEAR ? TLS_CLEAR - w->f->got[way] : 0;

	if (at >= w->len)
		return;
	len = min_u32(min_u32(len, w->len - at), room);
	if (!len)
		return;
	w->f->got[way] += len;
	w->g.seq = w->seq + at;
	w->g.at = w->from + at;
	w->g.len = len;
	bpf_loop(TLS_CLEAR / CAP_LARGE, tls_chunk, w, 0);
}

/* A head is at `at`, from which so many bytes lie in this segment: `have` lay in those before. */
static __always_inline int tls_record(struct tls_walk *w, __u32 at, const __u8 *head, __u32 have)
{
	__u32 way = w->way & 1, len = (__u32)head[3] << 8 | head[4], whole = TLS_HEAD - have + len;

	if (!is_record(head))
		return 0;
	w->f->want[way] = head[0] != 23;
	w->f->records[way]++;
	tls_tell(w, at, w->f->want[way] ? whole : TLS_HEAD - have);
	w->at = at + whole;
	return 1;
}

static long next_record(__u32 i, void *data)
{
	struct tls_walk *w = data;
	__u32 at = w->at, way = w->way & 1;
	__u8 head[TLS_HEAD];

	if (at >= w->len)
		return 1;
	if (at + TLS_HEAD > w->len) {
		/* Cut by the end of the segment. */
		__u32 have = w->len - at;

		for (__u32 k = 0; k < TLS_HEAD - 1; k++)
			if (k < have)
				bpf_skb_load_bytes(w->skb, w->from + at + k, &w->f->head9[way][k], 1);
		w->f->partial[way] = have;
		tls_tell(w, at, have);
		w->at = w->len;
		return 1;
	}
	if (bpf_skb_load_bytes(w->skb, w->from + at, head, TLS_HEAD) || !tls_record(w, at, head, 0)) {
		w->f->synced[way] = 0;
		return 1;
	}
	return 0;
}

/* More of a head that was cut. */
static __always_inline void rest_of_head(struct tls_walk *w)
{
	__u32 way = w->way & 1, have = w->f->partial[way], more;
	__u8 *head = w->f->head9[way];

	if (have >= TLS_HEAD)
		return;
	more = min_u32(TLS_HEAD - have, w->len);
	for (__u32 k = 0; k < TLS_HEAD; k++)
		if (k >= have && k < have + more)
			bpf_skb_load_bytes(w->skb, w->from + k - have, &head[k], 1);
	if (have + more < TLS_HEAD) {
		w->f->partial[way] = have + more;
		tls_tell(w, 0, more);
		w->at = w->len;
		return;
	}
	w->f->partial[way] = 0;
	if (!tls_record(w, 0, head, have))
		w->f->synced[way] = 0;
}

static __always_inline int begins_record(struct __sk_buff *skb, const struct segment *g)
{
	__u8 h[TLS_HEAD];

	return g->len >= TLS_HEAD && !bpf_skb_load_bytes(skb, g->at, h, TLS_HEAD) && is_record(h);
}

/* The first segment may hold no more than the beginning of a head. */
static __always_inline int may_begin_record(struct __sk_buff *skb, const struct segment *g)
{
	__u8 type;

	if (g->len >= TLS_HEAD)
		return begins_record(skb, g);
	return !bpf_skb_load_bytes(skb, g->at, &type, 1) && type >= 20 && type <= 23;
}

/* It is over: user space knows enough, or there was enough. */
static __always_inline void tls_over(struct webb_sock *s, struct webb_flow *f)
{
	s->mode = WEBB_MODE_OFF;
	if (try_lock(f)) {
		tell_said(&payload_ring, s, f);
		unlock(f);
	}
	s->mode = WEBB_MODE_OFF;
}

static __always_inline void walk_tls(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
				     struct segment *g, __u32 way)
{
	struct tls_walk w = {
		.skb = skb, .s = s, .f = f, .g = *g, .way = way & 1, .seq = g->seq, .from = g->at, .len = g->len,
	};
	__s32 ahead;

	way &= 1;
	if (!f->synced[way]) {
		if (!may_begin_record(skb, g)) {
			tls_tell(&w, 0, g->len);
			if (++f->records[way] > TLS_ASTRAY)
				tls_over(s, f);
			return;
		}
		f->synced[way] = 1;
		f->next[way] = g->seq;
		f->partial[way] = 0;
	}
	ahead = (__s32)(f->next[way] - g->seq);
	if (ahead < 0) {
		/* What comes before it has not come. */
		if (f->partial[way] || !begins_record(skb, g)) {
			tls_tell(&w, 0, g->len);
			if (++f->records[way] > TLS_RECORDS)
				tls_over(s, f);
			return;
		}
		ahead = 0;
	}
	if (f->partial[way]) {
		/* Its next byte is where this segment begins; else it came twice. */
		if (ahead)
			return;
		rest_of_head(&w);
	} else {
		if (ahead && f->want[way])
			tls_tell(&w, 0, ahead);
		w.at = ahead;
	}
	if (w.at < w.len && f->synced[way])
		bpf_loop(TLS_PER_SEGMENT, next_record, &w, 0);
	f->next[way] = g->seq + w.at;
	if (f->records[way] > TLS_RECORDS || f->got[way] >= TLS_CLEAR)
		tls_over(s, f);
	else if (f->records[way] >= f->asked[way]) {
		__u64 key = s->cookie;
		__u32 *mode = bpf_map_lookup_elem(&modes, &key);

		f->asked[way] = f->records[way] + TLS_ASK;
		if (mode && *mode == WEBB_MODE_OFF)
			s->mode = WEBB_MODE_OFF;
	}
}

/* As for HTTP/2: of two segments at the same time the second is told unwalked. */
static __always_inline void tls(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f, struct segment *g,
				__u32 way)
{
	way &= 1;
	if (__sync_lock_test_and_set(&f->walking[way], 1)) {
		struct tls_walk w = {
			.skb = skb, .s = s, .f = f, .g = *g, .way = way, .seq = g->seq, .from = g->at, .len = g->len,
		};

		w.g.flags &= ~WEBB_P_IN_ORDER;
		tls_tell(&w, 0, g->len);
		return;
	}
	walk_tls(skb, s, f, g, way);
	__sync_lock_test_and_set(&f->walking[way], 0);
}

/* A handshake is worth its cost also when the rest of what is said is shed. */
static __always_inline int is_hello(struct __sk_buff *skb, const struct segment *g)
{
	__u8 b[6];

	return g->len >= 6 && !bpf_skb_load_bytes(skb, g->at, b, 6) && b[0] == 0x16 && b[1] == 3 && b[5] == 1;
}

/* A message that begins like a hello: from here on both ways are TLS. */
static __always_inline int begins_tls(struct __sk_buff *skb, struct webb_sock *s, struct webb_flow *f,
				      const struct segment *g)
{
	__u8 b[3];

	if (g->len < 1 || bpf_skb_load_bytes(skb, g->at, b, 1) || b[0] != 0x16)
		return 0;
	if (g->len >= 3 && (bpf_skb_load_bytes(skb, g->at, b, 3) || b[1] != 3 || b[2] > 4))
		return 0;
	s->mode = WEBB_MODE_TLS;
	s->hello = 1;
	for (int i = 0; i < 2; i++) {
		f->synced[i] = 0;
		f->partial[i] = 0;
		f->want[i] = 0;
		f->got[i] = 0;
		f->records[i] = 0;
		f->asked[i] = TLS_ASK;
	}
	return 1;
}
