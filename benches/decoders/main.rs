//! How many bytes a second each decoder takes, from memory, on one core.
//!
//! `cargo bench --bench decoders -- [name …] [--rounds N]`, on a quiet machine. Each line is one shape
//! of conversation, given as a capture gives it: run by run, with a turn where the other side speaks,
//! and what is told thrown away. Shown is the best of the rounds, because whatever else the machine
//! does only takes from it; they are short, so that some are not disturbed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

mod made;
#[path = "../../src/wire/testing.rs"]
#[allow(dead_code, reason = "the bench does not cut runs")]
mod testing;

use std::hint::black_box;
use std::time::Instant;

use testing::{Said, conversations};
use webb::model;
use webb::wire::dns::{self, Queries};
use webb::wire::{Decoder, Speaker, Told, amqp, http1, http2, kafka, memcached, mongodb, mysql};
use webb::wire::{decoder, nats, postgres, redis};

/// Bytes that one round decodes, about.
const ROUND: usize = 10_000_000;

type Make = fn() -> Box<dyn Decoder>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let rounds = args.iter().position(|a| a == "--rounds").and_then(|i| args.get(i + 1)?.parse().ok());
    let names: Vec<&String> =
        args.iter().filter(|a| !a.starts_with("--") && a.parse::<u32>().is_err()).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.contains(n.as_str()));
    let rounds = rounds.unwrap_or(30);
    println!("{:<34} {:>8} {:>12} {:>8}", "shape", "B/exch.", "ns/exchange", "MB/s");
    for (name, make, conversation) in made::all() {
        if wanted(name) {
            show(name, rounds, &[conversation()], make);
        }
    }
    for (file, make) in CAPTURES {
        let name = format!("capture {}", file.trim_end_matches(".pcap"));
        if wanted(&name) {
            let path = format!("{}/tests/captures/{file}", root());
            let captured: Vec<_> = conversations(path).into_iter().map(|(_, c)| c).collect();
            show(&name, rounds, &captured, make);
        }
    }
    if wanted("dns over udp") {
        datagrams(rounds);
    }
}

/// Real conversations, over and over, each time by a new decoder.
const CAPTURES: [(&str, Make); 12] = [
    ("amqp-rabbitmq-pika.pcap", || Box::new(amqp::Amqp::new())),
    ("grpc-python.pcap", || Box::new(http2::Http2::new(false))),
    ("http1-pipelined.pcap", || Box::new(http1::Http1::new(false))),
    ("http2-h2load.pcap", || Box::new(http2::Http2::new(false))),
    ("kafka-librdkafka-mock.pcap", || Box::new(kafka::Kafka::new())),
    ("memcached.pcap", || Box::new(memcached::Memcached::new())),
    ("mongodb-pymongo.pcap", || Box::new(mongodb::Mongodb::new())),
    ("mysql-drivers.pcap", || Box::new(mysql::Mysql::new())),
    ("nats-client.pcap", || Box::new(nats::Nats::new())),
    ("postgres-pgbench-prepared.pcap", || Box::new(postgres::Postgres::new())),
    ("postgres-pgbench-simple.pcap", || Box::new(postgres::Postgres::new())),
    ("redis-benchmark.pcap", || Box::new(redis::Redis::new())),
];

/// The repository, wherever the bench was built.
fn root() -> String {
    let here = env!("CARGO_MANIFEST_DIR");
    let above = format!("{here}/../..");
    if std::path::Path::new(here).join("tests/captures").exists() { here.into() } else { above }
}

fn show(name: &str, rounds: u32, conversations: &[Vec<Said>], make: Make) {
    let bytes: usize = conversations.iter().flatten().map(|s| s.data.len()).sum();
    let passes = (ROUND / bytes).max(1);
    let (mut out, mut told, mut best) = (Vec::new(), 0, f64::INFINITY);
    for _ in 0..rounds {
        told = 0;
        let begun = Instant::now();
        for _ in 0..passes {
            for conversation in conversations {
                told += decode(&mut *make(), conversation, &mut out);
            }
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    line(name, bytes * passes, told, best);
}

fn line(name: &str, bytes: usize, told: usize, seconds: f64) {
    let (each, ns) = (bytes / told.max(1), seconds * 1e9 / told.max(1) as f64);
    println!("{name:<34} {each:>8} {ns:>12.0} {:>8.0}", bytes as f64 / seconds / 1e6);
}

#[inline(never)]
fn decode(decoder: &mut dyn Decoder, conversation: &[Said], out: &mut Vec<Told>) -> usize {
    let (mut offsets, mut last, mut told) = ([0u64; 2], None, 0);
    for said in conversation {
        if last != Some(said.from) {
            decoder.turn(said.from, out);
            last = Some(said.from);
        }
        let offset = &mut offsets[usize::from(said.from == Speaker::Server)];
        decoder.bytes(said.from, said.at, *offset, &said.data, out);
        *offset += said.data.len() as u64;
        told += out.len();
        black_box(&*out);
        out.clear();
    }
    decoder.end(model::BootNs(0), out);
    told += out.len();
    out.clear();
    told
}

fn datagrams(rounds: u32) {
    let (said, mut out) = (made::lookups(), Vec::new());
    let bytes: usize = said.iter().map(|s| s.data.len()).sum();
    let passes = (ROUND / bytes).max(1);
    let (mut told, mut best) = (0, f64::INFINITY);
    for _ in 0..rounds {
        told = 0;
        let mut queries: Queries<u64> = Queries::default();
        let begun = Instant::now();
        for pass in 0..passes as u64 {
            for (i, s) in said.iter().enumerate() {
                let socket = (i as u64 / 2 + pass) % 64;
                let at = model::BootNs(s.at.0 + pass * 1_000_000_000);
                queries.datagram(socket, s.from, at, &s.data, s.data.len() as u32, &mut out);
                told += out.len();
                black_box(&out);
                out.clear();
            }
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    line("dns over udp, matched", bytes * passes, told, best);
    let parsed = |s: &Said| black_box(dns::parse(&s.data)).is_ok_and(|m| m.response);
    let begun = Instant::now();
    let told: usize = (0..passes).map(|_| said.iter().filter(|s| parsed(s)).count()).sum();
    line("dns over udp, parsed only", bytes * passes, told, begun.elapsed().as_secs_f64());
}
