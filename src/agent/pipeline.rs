//! The loop: read, apply, publish, seal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Readiness;
use super::budget::{Budget, Change};
use super::clock::{boot_now, process_cpu_ns, thread_cpu, utc_offset};
use super::cost;
use super::naming::Naming;
use super::scope::Scopes;
use super::source::Source;
use crate::identity::{Answer, Ask, Identity};
use crate::model::{AgentInstance, BootNs, Cause, Hook, HookState, Loss, LossKind, Scope, Slice, Status};
use crate::store::Store;
use crate::track::{Fact, Observation, Track};
use crate::world::SliceBuilder;

/// Length of a slice.
const SLICE_NS: u64 = 1_000_000_000;
/// A slice is sealed this long after its end: what comes later goes into the next one.
const GRACE_NS: u64 = 300_000_000;
/// Questions to identity that wait for room.
const ASKS: usize = 65_536;

/// What a pipeline is made of.
pub(super) struct Parts {
    pub source: Source,
    pub track: Track,
    pub identity: Identity,
    pub store: Store,
    pub instance: AgentInstance,
    pub node: String,
    pub scopes: Scopes,
    pub label: String,
    pub budget: Option<Budget>,
}

/// The pipeline thread's state.
pub(super) struct Pipeline {
    parts: Parts,
    builder: SliceBuilder,
    naming: Naming,
    asks: Vec<Ask>,
    started: BootNs,
    sequence: u64,
    start: BootNs,
    loss: Loss,
    blind: u64,
    cpu_ns: u64,
    thread_cpu: Duration,
    state_seen: u64,
}

impl Pipeline {
    pub(super) fn new(parts: Parts) -> Self {
        let now = boot_now();
        let mut pipeline = Pipeline {
            parts,
            builder: SliceBuilder::default(),
            naming: Naming::default(),
            asks: Vec::new(),
            started: now,
            sequence: 0,
            // The first slice is short, so that the first figures come at once.
            start: BootNs(now.0 - now.0 % SLICE_NS),
            loss: Loss::default(),
            blind: 0,
            cpu_ns: process_cpu_ns(),
            thread_cpu: thread_cpu(),
            state_seen: 0,
        };
        pipeline.status(now);
        pipeline
    }

    pub(super) fn run(mut self, stop: &AtomicBool, ready: &watch::Sender<Readiness>) {
        while !stop.load(Ordering::Acquire) {
            let end = self.end();
            let (track, seen) = (&mut self.parts.track, &mut self.state_seen);
            self.parts.source.poll(boot_now(), end, |o| {
                *seen += u64::from(is_state(&o));
                track.observe(o);
            });
            let opaque = self.parts.track.take_opaque();
            self.parts.source.look_away(opaque.into_iter());
            if self.parts.track.wants_description() {
                self.parts.source.describe_again();
            }
            self.publish();
            self.identity();
            if *ready.borrow() == Readiness::Starting && self.parts.source.has_walked() {
                self.status(boot_now());
                ready.send_replace(Readiness::Running);
            }
            let now = boot_now();
            if now.0 >= end.0 + GRACE_NS {
                self.seal(now);
            }
        }
    }

    fn end(&self) -> BootNs {
        BootNs(self.start.0 + SLICE_NS)
    }

    /// Gives what changed to the store, and asks for the names of what is new.
    fn publish(&mut self) {
        let now = boot_now();
        let flushed = self.parts.track.flush(now);
        for entity in &flushed.entities {
            self.naming.entity(entity, now);
        }
        if !flushed.entities.is_empty() || !flushed.far.is_empty() || !flushed.names.is_empty() {
            self.parts.store.learn(&flushed.entities, &[]);
            self.parts.store.learn(&flushed.far, &flushed.names);
        }
        for name in flushed.names {
            self.builder.name(name);
        }
        for entity in flushed.entities {
            self.builder.describe(entity);
        }
        for (process, cgroup, entity) in flushed.processes {
            self.naming.process(process.key, entity);
            self.ask(Ask::Process { key: process.key, comm: process.comm.clone(), cgroup });
        }
        for cgroup in flushed.cgroups {
            self.ask(Ask::Cgroup(cgroup));
        }
        if !flushed.events.is_empty() || !flushed.changed.is_empty() || !flushed.removed.is_empty() {
            self.parts.store.publish(flushed.events, &flushed.changed, &flushed.removed);
        }
        self.parts.source.tell_roles(flushed.roles.into_iter());
        self.parts.store.publish_requests(flushed.requests, flushed.requests_skipped);
    }

    fn ask(&mut self, ask: Ask) {
        // Beyond the bound a name stays what the entity itself says.
        if self.asks.len() < ASKS {
            self.asks.push(ask);
        }
    }

    fn identity(&mut self) {
        while let Some(ask) = self.asks.pop() {
            if !self.parts.identity.try_ask(ask.clone()) {
                self.asks.push(ask);
                break;
            }
        }
        let now = boot_now();
        for answer in self.parts.identity.answers() {
            match answer {
                Answer::Process { key, exe, names } => {
                    if let Some(exe) = exe {
                        self.parts.track.set_exe(key, exe);
                    }
                    self.naming.process_answer(key, names, now);
                }
                Answer::Cgroup { id, path, names } => {
                    if let Some(path) = path {
                        self.parts.track.set_cgroup_path(id, Arc::from(path));
                    }
                    self.naming.cgroup_answer(id, names, now);
                }
            }
        }
        let names = self.naming.take(now);
        if !names.is_empty() {
            self.parts.store.learn(&[], &names);
        }
        for name in names {
            self.builder.name(name);
        }
    }

    /// Seals the slice that ended, and any that were slept through.
    fn seal(&mut self, now: BootNs) {
        let (track, seen) = (&mut self.parts.track, &mut self.state_seen);
        self.parts.source.drain(|o| {
            *seen += u64::from(is_state(&o));
            track.observe(o);
        });
        self.publish();
        self.look_at_scopes(now);
        self.naming.listening(self.parts.track.listening());
        while now.0 >= self.end().0 + GRACE_NS {
            let slice = self.build(now);
            // The only writer numbers them one by one: it cannot be out of sequence.
            let _ = self.parts.store.seal(slice);
            self.start = self.end();
        }
        self.keep_to_budget();
        self.status(now);
    }

    /// After a second: sheds what is said while there is no processor time for it.
    fn keep_to_budget(&mut self) {
        let cpu = thread_cpu();
        let used = cpu.saturating_sub(std::mem::replace(&mut self.thread_cpu, cpu));
        match self.parts.budget.as_mut().map(|b| b.second(used)) {
            Some(Change::Shed) => self.parts.source.shed(true),
            Some(Change::Capture) => self.parts.source.shed(false),
            Some(Change::None) | None => {}
        }
    }

    fn build(&mut self, now: BootNs) -> Slice {
        let late = self.parts.track.seal_into(self.start, self.end(), &mut self.builder);
        self.sequence += 1;
        let cpu = process_cpu_ns();
        let cpu_ns = cpu.saturating_sub(std::mem::replace(&mut self.cpu_ns, cpu));
        let all = self.all_loss();
        let loss = all.after(&self.loss);
        self.loss = all;
        Slice {
            agent: self.parts.instance,
            sequence: self.sequence,
            start: self.start,
            length_ns: SLICE_NS,
            utc: utc_offset(),
            loss,
            late,
            cpu_ns,
            ..self.builder.take(now)
        }
    }

    /// Everything lost since the start, in the kernel and here.
    fn all_loss(&self) -> Loss {
        let (_, mut loss) = self.parts.source.losses();
        loss.add(LossKind::State, Cause::TableFull, self.parts.track.lost());
        loss.add(LossKind::State, Cause::Blind, self.blind);
        loss.add(LossKind::Exchange, Cause::NoConnection, self.parts.track.pieces().1);
        loss.add(LossKind::Exchange, Cause::TableFull, self.parts.track.shed());
        loss
    }

    fn look_at_scopes(&mut self, now: BootNs) {
        let changes = self.parts.scopes.look(now);
        self.blind += changes.vanished;
        if changes.any {
            self.parts.source.rescope(&self.parts.scopes.present(), &changes.returned);
        }
    }

    fn status(&mut self, now: BootNs) {
        let source = &self.parts.source;
        let (seen, without) = self.parts.track.pieces();
        let mut hooks = source.hooks();
        hooks.extend(self.parts.scopes.hooks(now));
        if self.parts.budget.as_ref().is_some_and(Budget::sheds) {
            hooks.push(shed_hook());
        }
        self.parts.store.set_status(Status {
            agent: self.parts.instance,
            node: self.parts.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: source.name().to_owned(),
            scope: Scope { cgroups: self.parts.scopes.paths(), label: self.parts.label.clone() },
            started: self.started,
            now,
            utc: utc_offset(),
            connections: self.parts.track.counts(),
            ends: source.ends().unwrap_or_default(),
            state_produced: source.losses().0,
            state_seen: self.state_seen,
            pieces_produced: source.pieces_produced(),
            pieces_seen: seen - without,
            loss: self.all_loss(),
            hooks,
            cost: cost::read(source.bpf_bytes(), source.last_walk(), source.last_pass()),
        });
    }
}

/// What it means that requests are shed.
fn shed_hook() -> Hook {
    Hook {
        datum: Hook::REQUESTS.to_owned(),
        hook: "processor budget".to_owned(),
        state: HookState::Off("the agent used more than its share of a core".to_owned()),
        without: "requests are not decoded for a while, and counted as lost; turns are measured".to_owned(),
        advice: "narrow the scope, or raise --cpu-budget".to_owned(),
        essential: false,
    }
}

/// Whether a fact came as a record of the state ring.
fn is_state(observation: &Observation<'_>) -> bool {
    let Observation::Fact(fact) = observation else { return false };
    match fact {
        Fact::End(f) => f.moment != crate::track::Moment::Met,
        Fact::ListenClosed { .. } => true,
        Fact::Listen(f) => !f.met,
        _ => false,
    }
}
