//! Loading and attaching, once, at start.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::HashMap;
use aya::maps::{Array, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Iter,
    Program,
};
use aya::{Btf, Ebpf, EbpfLoader};

use super::iter::Iterator;
use super::ladder::{self, Datum};
use super::records::{Config, Counts};
use super::walker::Iterators;
use super::{EbpfError, EbpfOptions};
use crate::model::Hook;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/webb.bpf.o"));

/// Everything that is alive while webb watches; dropping it detaches all.
pub(super) struct Loaded {
    /// Holds programs and links.
    pub ebpf: Ebpf,
    pub config: Array<MapData, Config>,
    pub counts: PerCpuArray<MapData, Counts>,
    pub state_ring: RingBuf<MapData>,
    pub sample_ring: RingBuf<MapData>,
    pub payload_ring: RingBuf<MapData>,
    /// What user space says of sockets, by cookie.
    pub modes: HashMap<MapData, u64, u32>,
    /// In which direction the clients of adopted sockets speak, by cookie.
    pub roles: HashMap<MapData, u64, u32>,
    pub iterators: Iterators,
    pub hooks: Vec<Hook>,
}

/// Loads the object and every program that this kernel takes. `first` is in place before the first
/// program is attached.
pub(super) fn load(options: &EbpfOptions, first: Config) -> Result<Loaded, EbpfError> {
    let btf = Btf::from_sys_fs().map_err(|e| EbpfError::NoBtf(e.to_string()))?;
    let wake_at = u64::from(options.state_ring_bytes) / 4;
    let mut ebpf = EbpfLoader::new()
        .btf(Some(&btf))
        .override_global("wake_at", &wake_at, true)
        .override_global("arm64", &u32::from(cfg!(target_arch = "aarch64")), true)
        .map_max_entries("state_ring", options.state_ring_bytes)
        .override_global("payload_wake_at", &(u64::from(options.payload_ring_bytes) / 4), true)
        .map_max_entries("sample_ring", options.sample_ring_bytes)
        .map_max_entries("payload_ring", options.payload_ring_bytes)
        .load(OBJECT)
        .map_err(|e| EbpfError::Object(ladder::with_causes(&e)))?;

    let mut config: Array<MapData, Config> = take(&mut ebpf, "config")?;
    config.set(0, first, 0).map_err(|e| EbpfError::Object(e.to_string()))?;
    let mut hooks = Vec::new();

    // Two, because neither interrupts itself: see bpf/state.bpf.c.
    let states = ["webb_state", "webb_state_too"];
    let attached = states.iter().try_for_each(|p| trace_point(&mut ebpf, p, "inet_sock_set_state", &btf));
    hooks.push(ladder::STATE.row(attached));
    let socks = match ebpf.map("socks") {
        Some(Map::SkStorage(data)) => {
            data.fd().as_fd().try_clone_to_owned().map_err(|e| EbpfError::Object(e.to_string()))?
        }
        _ => return Err(EbpfError::Object("the object has no map `socks`".to_owned())),
    };
    let talks = match ebpf.map("talks") {
        Some(Map::HashMap(data)) => {
            data.fd().as_fd().try_clone_to_owned().map_err(|e| EbpfError::Object(e.to_string()))?
        }
        _ => return Err(EbpfError::Object("the object has no map `talks`".to_owned())),
    };
    let walk = iterator(&mut ebpf, "webb_walk", "bpf_sk_storage_map", &btf, Some(socks.as_fd()));
    let files = iterator(&mut ebpf, "webb_files", "task_file", &btf, None);
    let talks = iterator(&mut ebpf, "webb_talks", "bpf_map_elem", &btf, Some(talks.as_fd()));
    hooks.push(ladder::WALK.row(walk.as_ref().map(|_| ()).map_err(Clone::clone)));
    hooks.push(ladder::FILES.row(files.as_ref().map(|_| ()).map_err(Clone::clone)));
    hooks.push(ladder::TALKS.row(talks.as_ref().map(|_| ()).map_err(Clone::clone)));
    for (datum, name) in CGROUP_PROGRAMS {
        let loaded = match ebpf.program_mut(name) {
            Some(Program::CgroupSockAddr(p)) => p.load().map_err(|e| ladder::why(&e)),
            Some(Program::CgroupSock(p)) => p.load().map_err(|e| ladder::why(&e)),
            Some(Program::CgroupSkb(p)) => p.load().map_err(|e| ladder::why(&e)),
            _ => Err(format!("the object has no program `{name}`")),
        };
        let attached = loaded.and_then(|()| {
            options.attach_at.iter().try_for_each(|path| attach_cgroup(&mut ebpf, name, path))
        });
        hooks.push(datum.row(attached));
    }
    Ok(Loaded {
        config,
        counts: take(&mut ebpf, "counts")?,
        state_ring: take(&mut ebpf, "state_ring")?,
        sample_ring: take(&mut ebpf, "sample_ring")?,
        payload_ring: take(&mut ebpf, "payload_ring")?,
        modes: take(&mut ebpf, "modes")?,
        roles: take(&mut ebpf, "roles")?,
        iterators: Iterators { sockets: walk.ok(), talks: talks.ok(), files: files.ok() },
        hooks,
        ebpf,
    })
}

const CGROUP_PROGRAMS: [(Datum, &str); 6] = [
    (ladder::ATTEMPT4, "webb_connect4"),
    (ladder::ATTEMPT6, "webb_connect6"),
    (ladder::RELEASE, "webb_release"),
    (ladder::INGRESS, "webb_ingress"),
    (ladder::EGRESS, "webb_egress"),
    (ladder::SOCKETS, "webb_sock_create"),
];

/// Attaches all cgroup programs that were loaded to one more cgroup: a watched path that returned.
pub(super) fn attach_all(ebpf: &mut Ebpf, path: &Path) -> Result<(), String> {
    for (_, name) in CGROUP_PROGRAMS {
        attach_cgroup(ebpf, name, path)?;
    }
    Ok(())
}

fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T, EbpfError>
where
    T::Error: std::fmt::Display,
{
    let map =
        ebpf.take_map(name).ok_or_else(|| EbpfError::Object(format!("the object has no map `{name}`")))?;
    T::try_from(map).map_err(|e| EbpfError::Object(format!("map `{name}`: {e}")))
}

pub(super) fn trace_point(ebpf: &mut Ebpf, name: &str, point: &str, btf: &Btf) -> Result<(), String> {
    let Some(Program::BtfTracePoint(p)) = ebpf.program_mut(name) else {
        return Err(format!("the object has no program `{name}`"));
    };
    let p: &mut BtfTracePoint = p;
    p.load(point, btf).map_err(|e| ladder::why(&e))?;
    p.attach().map(|_| ()).map_err(|e| ladder::why(&e))
}

fn iterator(
    ebpf: &mut Ebpf,
    name: &str,
    over: &str,
    btf: &Btf,
    map: Option<std::os::fd::BorrowedFd<'_>>,
) -> Result<Iterator, String> {
    let Some(Program::Iter(p)) = ebpf.program_mut(name) else {
        return Err(format!("the object has no program `{name}`"));
    };
    let p: &mut Iter = p;
    p.load(over, btf).map_err(|e| ladder::why(&e))?;
    let fd = p.fd().map_err(|e| e.to_string())?;
    Iterator::link(fd.as_fd(), map).map_err(|e| format!("cannot be attached: {e}"))
}

/// Links are multi by nature; flags other than 0 (aya: `Single`) are refused for them.
fn attach_cgroup(ebpf: &mut Ebpf, name: &str, path: &Path) -> Result<(), String> {
    let dir = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    match ebpf.program_mut(name) {
        Some(Program::CgroupSockAddr(p)) => {
            let p: &mut CgroupSockAddr = p;
            p.attach(dir, CgroupAttachMode::Single).map(|_| ()).map_err(|e| ladder::why(&e))
        }
        Some(Program::CgroupSock(p)) => {
            let p: &mut CgroupSock = p;
            p.attach(dir, CgroupAttachMode::Single).map(|_| ()).map_err(|e| ladder::why(&e))
        }
        Some(Program::CgroupSkb(p)) => {
            let way = if name == "webb_ingress" {
                CgroupSkbAttachType::Ingress
            } else {
                CgroupSkbAttachType::Egress
            };
            let p: &mut CgroupSkb = p;
            p.attach(dir, way, CgroupAttachMode::Single).map(|_| ()).map_err(|e| ladder::why(&e))
        }
        _ => Err(format!("the object has no program `{name}`")),
    }
}
