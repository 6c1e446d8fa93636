/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Certificates that TLS libraries hand over, with --tls-identities only: uprobes where they parse the
 * peer's certificate. It belongs to the socket that its thread read last, while that one is at its
 * handshake. What is parsed for other reasons (a file, an own chain) does not stand in a TLS Certificate
 * message, where its length stands before it (RFC 8446, section 4.4.2). GnuTLS copies it out of there first.
 */

#define CERT_MAX 4096
#define CERT_BEFORE 8
/* A handshake is over after so many bytes received. */
#define CERT_WITHIN (128 << 10)

struct webb_reads {
	__u64 cookie;
	__u64 netns_cookie;
	__u32 generation;
	__u32 pad;
};

/* By thread: the socket that it read last, if that is at a TLS handshake. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct webb_reads);
} reads SEC(".maps");

/* Registers are not described by BTF that every kernel has; set at load time. */
const volatile __u32 arm64;

/* struct pt_regs: x0, x1, x2, or rdi, rsi, rdx. Not in C: the compiler would make one load of the two. */
static __always_inline __u64 argument(const __u64 *ctx, const int n)
{
	__u64 value;

	if (arm64)
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(value) : "r"(ctx), "i"(n * 8));
	else
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(value) : "r"(ctx), "i"((14 - n) * 8));
	return value;
}

/* In process context, before a read returns. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(webb_reads, struct sock *sk)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct webb_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct webb_reads r = {};

	if (!s || !s->hello || !tp || tp->bytes_received > CERT_WITHIN) {
		if (bpf_map_lookup_elem(&reads, &thread))
			bpf_map_delete_elem(&reads, &thread);
		return 0;
	}
	r.cookie = s->cookie;
	r.netns_cookie = s->netns_cookie;
	r.generation = s->generation;
	bpf_map_update_elem(&reads, &thread, &r, BPF_ANY);
	return 0;
}

static __always_inline int is_ours(const __u8 *before, __u64 len)
{
	return ((__u64)before[5] << 16 | (__u64)before[6] << 8 | before[7]) == len;
}

static __always_inline int certificate(const __u8 *der, __u64 len, const int framed)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct webb_reads *reading = bpf_map_lookup_elem(&reads, &thread);
	struct webb_counts *n = get_counts();
	__u8 before[CERT_BEFORE] = {};
	struct webb_cert *r;
	__u32 cap;

	if (!reading || !n || !len || len >= 1 << 24)
		return 0;
	if (framed && (bpf_probe_read_user(before, sizeof(before), der - CERT_BEFORE) || !is_ours(before, len)))
		return 0;
	n->pieces_produced++;
	r = bpf_ringbuf_reserve(&payload_ring, sizeof(*r) + CERT_MAX, 0);
	if (!r) {
		n->pieces_lost++;
		return 0;
	}
	cap = len < CERT_MAX ? len : CERT_MAX;
	r->kind = WEBB_CERT;
	r->framed = framed;
	r->generation = reading->generation;
	r->cookie = reading->cookie;
	r->netns_cookie = reading->netns_cookie;
	r->at = bpf_ktime_get_boot_ns();
	r->len = len;
	r->pad2 = 0;
	__builtin_memcpy(r->before, before, sizeof(before));
	r->cap = cap;
	cap = last_of(cap, CERT_MAX);
	if (bpf_probe_read_user(r + 1, cap + 1, der))
		r->cap = 0;
	bpf_ringbuf_submit(r, payload_wakeup(&payload_ring));
	return 0;
}

/* libcrypto: X509 *d2i_X509(X509 **a, const unsigned char **in, long len) */
SEC("uprobe")
int webb_d2i_x509(__u64 *ctx)
{
	const __u8 *der = 0;

	bpf_probe_read_user(&der, sizeof(der), (void *)argument(ctx, 1));
	return certificate(der, argument(ctx, 2), 1);
}

/* libgnutls: gnutls_pcert_import_x509_raw(pcert, const gnutls_datum_t *cert, ...) */
SEC("uprobe")
int webb_gnutls(__u64 *ctx)
{
	struct {
		const __u8 *data;
		__u32 size;
		__u32 pad;
	} datum = {};

	bpf_probe_read_user(&datum, sizeof(datum), (void *)argument(ctx, 1));
	return certificate(datum.data, datum.size, 0);
}

/* libnss3: CERT_NewTempCertificate(handle, SECItem *derCert, ...) */
SEC("uprobe")
int webb_nss(__u64 *ctx)
{
	struct {
		__u32 type;
		__u32 pad;
		const __u8 *data;
		__u32 len;
		__u32 pad2;
	} item = {};

	bpf_probe_read_user(&item, sizeof(item), (void *)argument(ctx, 1));
	return certificate(item.data, item.len, 1);
}
