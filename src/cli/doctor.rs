//! `webb doctor`: what this host allows, and each datum with its hook.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::args::{Format, Global, TableFormat};
use super::error::{CliError, done_or};
use crate::model::{Hook, HookState};
use crate::source::probe::{Capability, HostFacts, Lockdown, OLDEST_KERNEL};

pub(super) fn run(global: &Global, format: Format) -> Result<ExitCode, CliError> {
    let options = super::scope::agent_options(global, true)?;
    let facts = HostFacts::read(Path::new("/"));
    let hooks = crate::agent::try_hooks(&options.source);
    let well = hooks.iter().all(|h| !h.essential || h.state == HookState::On);
    let text = match format.output {
        TableFormat::Table => report(&facts, &hooks, well),
        TableFormat::Json => json(&facts, &hooks, well),
    };
    done_or(super::print(&text))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(facts: &HostFacts, hooks: &[Hook], well: bool) -> String {
    let mut out = String::new();
    for (name, value) in rows(facts) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{name:<24} {value}");
    }
    out.push('\n');
    for h in hooks {
        let (mark, why) = match &h.state {
            HookState::On => ("on ", ""),
            HookState::Off(why) => ("OFF", why.as_str()),
        };
        let _ = writeln!(out, "{mark}  {:<46} {}", h.datum, h.hook);
        if !why.is_empty() {
            let _ = writeln!(out, "     why:     {}", crate::model::escape(why));
            let _ = writeln!(out, "     without: {}", h.without);
        }
        if !h.advice.is_empty() {
            let _ = writeln!(out, "     do:      {}", h.advice);
        }
    }
    out.push('\n');
    out.push_str(if well {
        "The essentials hold: webb sees every connection in scope.\n"
    } else {
        "An essential is missing: webb shows what sock_diag shows, and says what that leaves out.\n"
    });
    out
}

/// The host's facts, each with what it means where that is not plain.
fn rows(facts: &HostFacts) -> Vec<(String, String)> {
    let unknown = || "unknown".to_owned();
    let yes_no = |b| if b { "yes" } else { "no" }.to_owned();
    let mut kernel = facts.kernel.as_ref().map_or_else(unknown, |k| k.text.clone());
    if facts.kernel_is_too_old() == Some(true) {
        let (major, minor) = OLDEST_KERNEL;
        kernel.push_str(&format!(" (older than {major}.{minor}: expect gaps)"));
    }
    let held = facts.capabilities.map_or_else(unknown, |held| {
        let names: Vec<&str> =
            Capability::ALL.into_iter().filter(|c| held.has(*c)).map(Capability::as_str).collect();
        if names.is_empty() { "none of those that webb uses".to_owned() } else { names.join(" ") }
    });
    let lockdown = match facts.lockdown {
        Some(Lockdown::Confidentiality) => "confidentiality (forbids to trace the kernel)".to_owned(),
        Some(l) => l.as_str().to_owned(),
        None => unknown(),
    };
    [
        ("kernel", kernel),
        ("btf", if facts.btf { yes_no(true) } else { "no (CONFIG_DEBUG_INFO_BTF is off)".to_owned() }),
        ("capabilities", held),
        ("initial user namespace", facts.initial_user_namespace.map_or_else(unknown, yes_no)),
        ("lockdown", lockdown),
        ("cgroup mode", facts.cgroup.as_ref().map_or_else(unknown, |c| c.as_str().to_owned())),
        ("program statistics", facts.bpf_stats.map_or_else(unknown, yes_no)),
        ("may trace", yes_no(facts.may_trace())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn json(facts: &HostFacts, hooks: &[Hook], well: bool) -> String {
    let host: serde_json::Map<String, serde_json::Value> =
        rows(facts).into_iter().map(|(k, v)| (k.replace(' ', "_"), v.into())).collect();
    let hooks: Vec<_> = hooks.iter().map(crate::export::json::hook).collect();
    let report = serde_json::json!({ "essentials": well, "host": host, "hooks": hooks });
    format!("{report}\n")
}
