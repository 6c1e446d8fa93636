//! What a command looks at: a capture, the agent at `--server`, this host's running one, or one inside.

use std::os::unix::net::UnixStream;

use super::args::Global;
use super::error::CliError;
use crate::api::{Address, default_socket};
use crate::client::{Client, Target, TlsOptions};
use crate::server::{Limits, serve_duplex};
use crate::store::Store;

/// Where facts come from.
pub(super) enum Node {
    /// Another process.
    Remote(Target),
    /// A capture that was read.
    Capture(Store),
    /// An agent of our own.
    #[cfg(all(target_os = "linux", feature = "agent"))]
    Inside(Box<crate::agent::Agent>),
}

impl Node {
    /// Finds or starts it. To be called before other threads are started: privileges that are not
    /// needed are given up here.
    pub(super) fn find(global: &Global) -> Result<Node, CliError> {
        if let Some(path) = &global.file {
            return super::capture::read(global, path).map(Node::Capture);
        }
        if let Some(server) = &global.server {
            let address: Address = server.parse()?;
            return Ok(Node::Remote(Target::Remote(address, tls(global)?)));
        }
        if !has_scope(global)
            && let Some(path) = running_agent()
        {
            return Ok(Node::Remote(Target::Remote(Address::Unix(path), None)));
        }
        Node::inside(global)
    }

    #[cfg(all(target_os = "linux", feature = "agent"))]
    fn inside(global: &Global) -> Result<Node, CliError> {
        let options = super::scope::agent_options(global, true)?;
        super::scope::start(options, crate::agent::Become::Caller).map(|agent| Node::Inside(Box::new(agent)))
    }

    #[cfg(not(all(target_os = "linux", feature = "agent")))]
    fn inside(_: &Global) -> Result<Node, CliError> {
        Err(CliError("this build has no agent inside: give --server ADDRESS of one".to_owned()))
    }

    /// The address to dial; an agent inside begins to serve this process.
    pub(super) fn target(&self) -> Target {
        match self {
            Node::Remote(target) => target.clone(),
            Node::Capture(store) => Target::InProcess(serve_duplex(store.clone(), Limits::default())),
            #[cfg(all(target_os = "linux", feature = "agent"))]
            Node::Inside(agent) => Target::InProcess(serve_duplex(agent.store().clone(), Limits::default())),
        }
    }

    /// Waits until an agent inside has met everything that is open, and sealed `slices` slices.
    #[cfg_attr(
        not(all(target_os = "linux", feature = "agent")),
        expect(unused_variables, reason = "only an agent inside seals slices")
    )]
    pub(super) async fn ready(&self, slices: u64) -> Result<(), CliError> {
        match self {
            Node::Remote(_) | Node::Capture(_) => Ok(()),
            #[cfg(all(target_os = "linux", feature = "agent"))]
            Node::Inside(agent) => super::scope::ready(agent, slices).await,
        }
    }

    /// A client of it, when it is ready.
    pub(super) async fn client(&self, slices: u64) -> Result<Client, CliError> {
        self.ready(slices).await?;
        Ok(Client::connect(&self.target()).await?)
    }
}

fn has_scope(global: &Global) -> bool {
    !(global.cgroup.is_empty()
        && global.unit.is_empty()
        && global.container.is_empty()
        && global.pid.is_empty())
}

/// The socket of an agent that already serves this host: this user's, else root's.
fn running_agent() -> Option<std::path::PathBuf> {
    let mut paths = vec![default_socket()];
    paths.push("/run/webb/webb.sock".into());
    paths.into_iter().find(|path| UnixStream::connect(path).is_ok())
}

fn tls(global: &Global) -> Result<Option<TlsOptions>, CliError> {
    let Some(ca) = global.tls_ca.clone() else {
        if global.tls_cert.is_some() || global.tls_server_name.is_some() {
            return Err(CliError(
                "to use TLS, --tls-ca FILE says who signs the server's certificate".to_owned(),
            ));
        }
        return Ok(None);
    };
    let identity = global.tls_cert.clone().zip(global.tls_key.clone());
    Ok(Some(TlsOptions { ca, identity, server_name: global.tls_server_name.clone() }))
}
