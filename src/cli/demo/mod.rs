//! The demo shop: real processes on loopback for webb to watch.
//!
//! [`Shop::start`] runs this same binary again, once per service of [`topology::SERVICES`]
//! (`demo-service NAME`), and once as a reaper (`demo-reaper`). The services talk HTTP/1.1 over
//! 127.0.0.1, some of them over mutual TLS; one fails now and then, one is slow at times, one
//! refuses connections. Each is in a cgroup of its own where cgroups can be made. However the
//! process that holds the [`Shop`] ends, the services end and the cgroups go.
//!
//! ```text
//! shop ──stdin/stdout──▶ service     config, port, go; end of input = end of service
//!      ──stdin/stdout──▶ reaper      makes the cgroups; end of input = remove them
//! ```

mod call;
mod certs;
mod cgroup;
mod dice;
mod handshake;
mod hold;
mod linger;
mod reaper;
mod serve;
mod service;
mod shop;
pub mod topology;

pub use certs::CertError;
pub use handshake::User;
pub use hold::run_shop;
pub use reaper::run_reaper;
pub use service::{DemoServiceArgs, run_service};
pub use shop::{Service, Shop, ShopError, ShopOptions};
