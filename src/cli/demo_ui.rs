//! `webb demo`: the shop, an agent that watches exactly that, and the UI.

use std::path::Path;

use super::args::Global;
use super::demo::{Shop, ShopOptions};
use super::error::CliError;
use super::node::Node;
use crate::identity::{RuntimeRoots, ScopeSpec, cgroup2_mount, resolve_scope};

pub(super) fn run(global: &Global) -> Result<(), CliError> {
    super::ui::check_terminal()?;
    if global.server.is_some() {
        return Err(CliError("the demo runs on this host: leave out --server".to_owned()));
    }
    let shop = Shop::start(&ShopOptions::default())?;
    let mut options = super::scope::agent_options(
        &Global {
            history: global.history,
            ring: global.ring,
            requests: global.requests,
            no_requests: global.no_requests,
            cpu_budget: global.cpu_budget,
            redact: global.redact,
            tls_identities: global.tls_identities,
            ..Global::default()
        },
        true,
    )?;
    "demo".clone_into(&mut options.label);
    if let Some(cgroup) = shop.cgroup() {
        let spec = ScopeSpec::Cgroup(cgroup.display().to_string());
        let root = resolve_scope(&cgroup2_mount()?, Path::new("/proc"), &RuntimeRoots::default(), &spec)?;
        options.source.scopes = vec![root];
    } else {
        // Without a cgroup of its own only the shop's own processes may be looked at.
        options.source.pids = shop.services().iter().map(|s| s.pid).collect();
    }
    let agent = super::scope::start(options, crate::agent::Become::Caller)?;
    let looked = super::ui::run(global, Node::Inside(Box::new(agent)));
    let stopped = shop.stop();
    looked?;
    Ok(stopped?)
}
