//! `webb audit`: what is wrong with the security of connections; the exit status says whether it is
//! what must not be.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{AuditArgs, Global, TableFormat};
use super::error::{CliError, done_or};
use super::node::Node;
use super::tables::{collect, lines};
use crate::export::audit::Audit;
use crate::export::{json, security, table};
use crate::world::security::Report;

/// Rows of each list in JSON; the table shows fewer.
const LIMIT: usize = 1000;
/// Exit status when something of `--fail-on` is there.
const FOUND: u8 = 3;

pub(super) fn run(global: &Global, args: &AuditArgs) -> Result<ExitCode, CliError> {
    let node = Node::find(global)?;
    let audit = super::runtime_of_one()?.block_on(audit(&node, global, args))?;
    let text = match args.format.output {
        TableFormat::Table => table::audit(&audit),
        TableFormat::Json => lines([json::audit(&audit)].into_iter())?,
    };
    done_or(super::print(&text))?;
    Ok(if audit.findings().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn audit(node: &Node, global: &Global, args: &AuditArgs) -> Result<Audit, CliError> {
    node.ready(0).await?;
    if args.wait > 0 {
        let stop = super::stop_signal()?;
        // The time that was asked for with --wait; whoever has seen enough gets the report of that.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.wait)) => {}
            () = stop => {}
        }
    }
    let mut client = node.client(1).await?;
    let seen = collect(&mut client, true).await?;
    let status = client.status().await?;
    let given = security::given(&seen.names, status.now, status.utc, LIMIT);
    let report = Report::new(seen.connections(), &given);
    let identities_offered = global.file.is_none() && status.identities().is_none();
    Ok(Audit {
        node: status.node,
        scope: status.scope.label,
        since: status.started,
        now: status.now,
        utc: status.utc,
        evicted: status.connections.evicted,
        identities_offered,
        report,
        fail_on: args.fail_on.clone(),
    })
}
