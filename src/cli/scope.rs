//! An agent inside: from flags to what is watched.

use std::path::Path;

use super::args::{Global, RedactArg};
use super::error::CliError;
use crate::agent::{
    Agent, AgentOptions, Become, Decoding, Readiness, SourceOptions, drop_privileges, keep_none,
};
use crate::identity::{RuntimeRoots, ScopeRoot, ScopeSpec, cgroup2_mount, resolve_scope};

/// What the flags ask to be watched. `decode_host`: decode requests also where no scope is given.
pub(super) fn agent_options(global: &Global, decode_host: bool) -> Result<AgentOptions, CliError> {
    let cgroup_mount = cgroup2_mount();
    let specs = specs(global);
    let mut scopes = Vec::new();
    for spec in &specs {
        let mount = cgroup_mount.as_ref().map_err(|e| CliError(e.to_string()))?;
        scopes.push(resolve_scope(mount, Path::new("/proc"), &RuntimeRoots::default(), spec)?);
    }
    Ok(AgentOptions {
        label: label(&scopes),
        source: SourceOptions {
            scopes,
            cgroup_mount: cgroup_mount.ok(),
            state_ring_bytes: global.ring,
            decoding: match () {
                () if global.no_requests => Decoding::Unwanted,
                () if global.requests || decode_host || !specs.is_empty() => Decoding::On,
                () => Decoding::WholeHost,
            },
            payload_ring_bytes: None,
            strict: global.redact == RedactArg::Strict,
            identities: global.tls_identities,
            pids: Vec::new(),
        },
        history: global.history as usize,
        cpu_budget: (global.cpu_budget > 0).then(|| f64::from(global.cpu_budget) / 100.0),
    })
}

fn specs(global: &Global) -> Vec<ScopeSpec> {
    let cgroups = global.cgroup.iter().cloned().map(ScopeSpec::Cgroup);
    let units = global.unit.iter().cloned().map(ScopeSpec::Unit);
    let containers = global.container.iter().cloned().map(ScopeSpec::Container);
    let pids = global.pid.iter().copied().map(ScopeSpec::Pid);
    cgroups.chain(units).chain(containers).chain(pids).collect()
}

fn label(scopes: &[ScopeRoot]) -> String {
    match scopes {
        [] => "host".to_owned(),
        [one] => one.path.rsplit('/').find(|s| !s.is_empty()).unwrap_or("/").to_owned(),
        many => format!("{} cgroups", many.len()),
    }
}

/// Starts it with no more privilege than it needs; what runs beside it, the UI above all, keeps none.
pub(super) fn start(options: AgentOptions, user: Become) -> Result<Agent, CliError> {
    drop_privileges(user, options.source.identities)?;
    let agent = Agent::start(options)?;
    keep_none()?;
    Ok(agent)
}

/// Waits until everything that is open has been met, and `slices` slices are sealed.
pub(super) async fn ready(agent: &Agent, slices: u64) -> Result<(), CliError> {
    let mut readiness = agent.readiness();
    let state = readiness.wait_for(|r| *r != Readiness::Starting).await.map(|r| r.clone());
    if let Ok(Readiness::Failed(why)) = state {
        return Err(CliError(why));
    }
    let mut progress = agent.store().progress();
    // Ends early only with the agent.
    let _ = progress.wait_for(|p| p.slice >= slices).await;
    Ok(())
}
