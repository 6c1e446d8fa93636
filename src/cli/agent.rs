//! `webb agent`: watch this host, serve viewers.

use super::args::{AgentArgs, Global};
use super::error::CliError;
use super::scope;
use crate::agent::{Become, Readiness};
use crate::api::{Address, default_socket};
use crate::server::{Bound, Limits, Listen, TlsFiles, serve};

pub(super) fn run(global: &Global, args: &AgentArgs) -> Result<(), CliError> {
    if global.server.is_some() {
        return Err(CliError(
            "an agent watches this host: leave out --server, or use --listen to say where to serve"
                .to_owned(),
        ));
    }
    let listen = listen(global, args)?;
    let options = scope::agent_options(global, false)?;
    // The socket's directory may be root's alone: bound before privileges are given up.
    let runtime = super::runtime_of_one()?;
    // And from then on nothing ends this without the socket being removed.
    let (stop, bound) = runtime.block_on(async {
        let stop = super::stop_signal()?;
        Ok::<_, CliError>((stop, Bound::bind(&listen).await?))
    })?;
    let agent = scope::start(options, Become::Same)?;
    runtime.block_on(async {
        let mut stop = std::pin::pin!(stop);
        tokio::select! {
            ready = scope::ready(&agent, 0) => ready?,
            () = &mut stop => return Ok(()),
        }
        say_start(&agent, &listen, &bound);
        let mut failed = agent.readiness();
        tokio::select! {
            served = serve(agent.store().clone(), bound, Limits::default(), stop) => Ok(served?),
            _ = failed.wait_for(|r| matches!(r, Readiness::Failed(_))) => {
                Err(CliError("the agent stopped watching".to_owned()))
            }
        }
    })
}

fn listen(global: &Global, args: &AgentArgs) -> Result<Listen, CliError> {
    let address = match &args.listen {
        Some(text) => text.parse()?,
        None => Address::Unix(default_socket()),
    };
    let tls = global.tls_cert.clone().zip(global.tls_key.clone()).map(|(cert, key)| TlsFiles {
        cert,
        key,
        client_ca: args.tls_client_ca.clone(),
    });
    Ok(Listen { address, tls, insecure: args.insecure })
}

fn say_start(agent: &crate::agent::Agent, listen: &Listen, bound: &Bound) {
    let status = agent.store().status();
    let address = match bound.tcp_address() {
        Some(tcp) => tcp.to_string(),
        None => listen.address.to_string(),
    };
    eprintln!("webb agent: watching {} by {}, serving {address}", status.scope.label, status.source);
    for hook in &status.hooks {
        if let crate::model::HookState::Off(why) = &hook.state {
            eprintln!("webb agent: off: {} ({}): {why}; {}", hook.datum, hook.hook, hook.without);
        }
    }
}
