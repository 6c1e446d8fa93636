/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that webb reads, and of each only the members it reads. CO-RE relocations find
 * the real offsets at load time, so order and size here mean nothing. Names are the kernel's.
 */
#ifndef WEBB_KERNEL_H
#define WEBB_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[];
};

/* Before 6.1 a cgroup held its ancestors' ids. */
struct cgroup___ids {
	__u64 ancestor_ids[];
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;


struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	union {
		struct {
			__be32 skc_daddr;
			__be32 skc_rcv_saddr;
		};
	};
	union {
		struct {
			__be16 skc_dport;
			__u16 skc_num;
		};
	};
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	unsigned long skc_flags;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	char name[16];
	const struct rtnl_link_ops *rtnl_link_ops;
};

struct xfrm_id {
	__u8 proto;
};

struct xfrm_state {
	struct xfrm_id id;
	struct {
		__u8 ealgo;
	} props;
};

struct dst_entry {
	struct net_device *dev;
	struct xfrm_state *xfrm;
	short obsolete;
};

/* Such is a route whose packets are transformed. */
struct xfrm_dst {
	struct dst_entry *child;
};

struct sock {
	struct sock_common __sk_common;
	struct dst_entry *sk_dst_cache;
	int sk_err;
	__u8 sk_shutdown;
	__u16 sk_protocol;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	struct sock_cgroup_data sk_cgrp_data;
};

enum sock_flags {
	SOCK_DONE,
};

struct socket {
	struct sock *sk;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct minmax_sample {
	__u32 t;
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u32 segs_out;
	__u32 data_segs_in;
	__u32 snd_una;
	__u32 rcv_nxt;
	__u32 srtt_us;
	__u32 total_retrans;
	struct minmax rtt_min;
};

struct nsproxy {
	struct net *net_ns;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int flags;
	int tgid;
	__u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
};

struct file;
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#pragma clang attribute pop

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
};

/* include/net/dst.h */
#define DST_OBSOLETE_DEAD 2

/* include/uapi/linux/pfkeyv2.h: ESP that does not encrypt. */
#define SADB_EALG_NULL 11
#define SADB_X_EALG_NULL_AES_GMAC 23

/* include/net/sock.h */
#define RCV_SHUTDOWN 1

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ESP 50
#define SOCK_DGRAM 2
#define PF_KTHREAD 0x00200000

#endif
