//! What the path of a cgroup says about the workload in it: a container, a systemd unit, a name
//! that a person chose, or nothing. Pure: no file is read here.
//!
//! The forms are those that Docker, containerd, CRI-O and Podman write with the cgroupfs and the
//! systemd driver, on cgroup v1 and v2, and those of Kubernetes' pod cgroups around them.

/// What one path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMeaning {
    /// A container of a runtime that names it by id.
    Container(ContainerId),
    /// A container or virtual machine whose name is in the path (LXC, `machine-NAME.scope`).
    Machine(String),
    /// A systemd unit, unescaped: `nginx.service`, `foo@bar.service`.
    Unit(String),
    /// A component that a person chose.
    Leaf(String),
    /// Nothing that would name a workload.
    Nothing,
}

/// The id of a container and what is known of its runtime from the path alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerId {
    /// 64 lower-case hexadecimal digits.
    pub id: String,
    /// Runtime, when the path tells.
    pub runtime: Option<Runtime>,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker Engine.
    Docker,
    /// containerd, also below Kubernetes and nerdctl.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
}

impl Runtime {
    fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "docker" => Some(Runtime::Docker),
            "cri-containerd" | "containerd" | "nerdctl" => Some(Runtime::Containerd),
            "crio" => Some(Runtime::Crio),
            "libpod" | "libpod_parent" | "podman" => Some(Runtime::Podman),
            _ => None,
        }
    }
}

/// Reads `path`, a cgroup path below its mount. `scope_roots` are paths that only frame what is
/// watched, so their own last component names nothing.
pub fn meaning(path: &str, scope_roots: &[String]) -> PathMeaning {
    if let Some(container) = container(path) {
        return PathMeaning::Container(container);
    }
    if let Some(machine) = machine(path) {
        return PathMeaning::Machine(machine);
    }
    if let Some(unit) = unit(path) {
        return PathMeaning::Unit(unit);
    }
    leaf(path, scope_roots).map_or(PathMeaning::Nothing, PathMeaning::Leaf)
}

/// The innermost container in `path`: nodes of a cluster can themselves be containers.
pub fn container(path: &str) -> Option<ContainerId> {
    let mut outer = "";
    let mut found = None;
    for part in components(path) {
        if let Some(container) = container_of_component(part, outer) {
            found = Some(container);
        }
        outer = part;
    }
    found
}

/// The container that the last component of `path` is the cgroup of.
pub fn container_at(path: &str) -> Option<ContainerId> {
    let mut parts = components(path).rev();
    let part = parts.next()?;
    container_of_component(part, parts.next().unwrap_or(""))
}

fn container_of_component(part: &str, outer: &str) -> Option<ContainerId> {
    // `X.slice:cri-containerd:ID`: a systemd-style path given to the cgroupfs driver.
    if let Some((head, id)) = part.rsplit_once(':') {
        let runtime = Runtime::of_prefix(head.rsplit(':').next().unwrap_or(""));
        return is_container_id(id).then(|| ContainerId { id: id.to_owned(), runtime });
    }
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    if is_container_id(stem) {
        return Some(ContainerId { id: stem.to_owned(), runtime: Runtime::of_prefix(outer) });
    }
    let (prefix, id) = stem.rsplit_once('-')?;
    // The monitor of a container is not in it: `crio-conmon-ID`, `libpod-conmon-ID`.
    if !is_container_id(id) || prefix.ends_with("conmon") {
        return None;
    }
    Some(ContainerId { id: id.to_owned(), runtime: Runtime::of_prefix(prefix) })
}

fn is_container_id(s: &str) -> bool {
    s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// LXC's `lxc.payload.NAME` and `lxc/NAME`, and `machine.slice/machine-NAME.scope` of
/// systemd-machined.
fn machine(path: &str) -> Option<String> {
    let mut outer = "";
    for part in components(path) {
        let name = part
            .strip_prefix("lxc.payload.")
            .or_else(|| matches!(outer, "lxc" | "lxc.payload").then_some(part))
            .or_else(|| part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope")));
        if let Some(name) = name.filter(|n| !n.is_empty()) {
            return Some(unescape(name));
        }
        outer = part;
    }
    None
}

/// The innermost systemd service of `path`, or a scope that somebody named.
fn unit(path: &str) -> Option<String> {
    components(path).rev().find(|part| is_workload_unit(part)).map(unescape)
}

fn is_workload_unit(part: &str) -> bool {
    if let Some(stem) = part.strip_suffix(".service") {
        return !stem.is_empty() && !stem.starts_with("user@");
    }
    let Some(stem) = part.strip_suffix(".scope") else { return false };
    // Sessions, `systemd-run --scope` without a name, and what desktops make for each program they
    // start say nothing that the executable would not say better.
    let generated = ["session-", "run-", "app-", "vte-spawn-", "crio-conmon-", "libpod-conmon-"];
    !stem.is_empty() && stem != "init" && !generated.iter().any(|p| stem.starts_with(p))
}

/// The innermost component that is neither generic nor machine-made, not above a scope root.
fn leaf(path: &str, scope_roots: &[String]) -> Option<String> {
    let parts: Vec<&str> = components(path).collect();
    let frame = scope_roots.iter().filter_map(|root| depth_if_at_or_below(&parts, root)).max().unwrap_or(0);
    parts.get(frame..)?.iter().rev().find(|part| is_chosen(part)).map(|part| unescape(part))
}

fn depth_if_at_or_below(parts: &[&str], root: &str) -> Option<usize> {
    let root: Vec<&str> = components(root).collect();
    parts.starts_with(&root).then_some(root.len())
}

fn is_chosen(part: &str) -> bool {
    const GENERIC: [&str; 18] = [
        "init",
        "container",
        "payload",
        "supervisor",
        "kubepods",
        "burstable",
        "besteffort",
        "guaranteed",
        "docker",
        "lxc",
        "libpod_parent",
        "conmon",
        "machine",
        "system",
        "user",
        "unified",
        "buildkit",
        "nested",
    ];
    let systemd = [".slice", ".scope", ".service", ".mount", ".swap", ".socket"];
    let generated = part.len() >= 12 && part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'_');
    let pod = part.strip_prefix("pod").is_some_and(|uid| uid.len() >= 32);
    let number = part.bytes().all(|b| b.is_ascii_digit());
    !GENERIC.contains(&part)
        && !systemd.iter().any(|s| part.ends_with(s))
        && !generated
        && !pod
        && !number
        && !part.starts_with("crio-conmon-")
        && !part.starts_with("libpod-conmon-")
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|c| !c.is_empty() && *c != "." && *c != "..")
}

/// Undoes systemd's escaping of unit names (`\x2d` is `-`) and of cgroup names (a leading `_`).
/// What would not be UTF-8 afterwards stays as it was.
pub fn unescape(name: &str) -> String {
    let name = name.strip_prefix('_').filter(|rest| !rest.is_empty()).unwrap_or(name);
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = bytes.get(i..i + 4).and_then(|e| match e {
            [b'\\', b'x', high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
            _ => None,
        });
        match escaped {
            Some(byte) => {
                out.push(byte);
                i += 4;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| name.to_owned())
}

fn hex_digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa00112233445566778899";
    const OUTER: &str = "00000000000000000000000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn finds_containers_in_every_form() {
        use Runtime::{Containerd, Crio, Docker, Podman};
        let pod = "8c0a2b3e_1111_4222_8333_444455556666";
        let uid = "8c0a2b3e-1111-4222-8333-444455556666";
        let table = [
            (format!("/docker/{ID}"), Some(Docker)),
            (format!("/system.slice/docker-{ID}.scope"), Some(Docker)),
            (format!("/docker/{ID}/system.slice/kubelet.service"), Some(Docker)),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Containerd),
            ),
            (format!("/kubepods.slice/kubepods-pod{pod}.slice/crio-{ID}.scope"), Some(Crio)),
            (format!("/kubepods.slice/kubepods-pod{pod}.slice/crio-{ID}.scope/container"), Some(Crio)),
            (format!("/kubepods/burstable/pod{uid}/{ID}"), None),
            (format!("/kubepods/besteffort/pod{uid}/crio-{ID}"), Some(Crio)),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{pod}.slice:cri-containerd:{ID}"
                ),
                Some(Containerd),
            ),
            (format!("/machine.slice/libpod-{ID}.scope"), Some(Podman)),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some(Podman)),
            (format!("/libpod_parent/libpod-{ID}"), Some(Podman)),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
                Some(Podman),
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), Some(Containerd)),
            // A node of a cluster that is itself a container: the innermost one counts.
            (
                format!(
                    "/docker/{OUTER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{pod}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Containerd),
            ),
        ];
        for (path, runtime) in table {
            let expected = PathMeaning::Container(ContainerId { id: ID.to_owned(), runtime });
            assert_eq!(meaning(&path, &[]), expected, "{path}");
        }
    }

    #[test]
    fn finds_units_leaves_and_nothing() {
        use PathMeaning::{Leaf, Machine, Nothing, Unit};
        let table = [
            ("/system.slice/nginx.service", Unit("nginx.service".into())),
            ("/system.slice/nginx.service/worker", Unit("nginx.service".into())),
            ("/system.slice/system-getty.slice/getty@tty1.service", Unit("getty@tty1.service".into())),
            (r"/system.slice/my\x2dapp.service", Unit("my-app.service".into())),
            ("/system.slice/_cpu.service", Unit("cpu.service".into())),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
                Unit("syncthing.service".into()),
            ),
            ("/system.slice/shop.scope", Unit("shop.scope".into())),
            ("/user.slice/user-1000.slice/session-3.scope", Nothing),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", Nothing),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-foo-12.scope", Nothing),
            ("/user.slice/user-1000.slice/user@1000.service/session.slice/run-r1f.scope", Nothing),
            ("/init.scope", Nothing),
            ("/system.slice", Nothing),
            ("/", Nothing),
            ("", Nothing),
            ("/shop/checkout", Leaf("checkout".into())),
            ("/shop/checkout/init", Leaf("checkout".into())),
            ("/job/0bf4ac47a484277a18f0a8c1cba2ecd2", Leaf("job".into())),
            (&*format!("/machine.slice/libpod-conmon-{ID}.scope"), Nothing),
            (&*format!("/libpod_parent/libpod-conmon-{ID}"), Nothing),
            ("/lxc.payload.web/system.slice/nginx.service", Machine("web".into())),
            ("/lxc/web", Machine("web".into())),
            (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope", Machine("qemu-1-vm".into())),
            ("/kubepods/burstable/pod8c0a2b3e-1111-4222-8333-444455556666", Nothing),
        ];
        for (path, expected) in table {
            assert_eq!(meaning(path, &[]), expected, "{path}");
        }
    }

    #[test]
    fn a_scope_root_only_frames_the_view() {
        let roots = vec!["/team/shop".to_owned()];
        assert_eq!(meaning("/team/shop", &roots), PathMeaning::Nothing);
        assert_eq!(meaning("/team/shop/", &roots), PathMeaning::Nothing);
        assert_eq!(meaning("/team/shop/init", &roots), PathMeaning::Nothing);
        assert_eq!(meaning("/team/shop/cart", &roots), PathMeaning::Leaf("cart".into()));
        assert_eq!(meaning("/team/shopping", &roots), PathMeaning::Leaf("shopping".into()));
    }

    #[test]
    fn unescape_keeps_what_is_not_an_escape() {
        assert_eq!(unescape(r"a\x2db\x2"), r"a-b\x2");
        assert_eq!(unescape(r"a\xffb"), r"a\xffb");
        assert_eq!(unescape("_"), "_");
    }

    proptest! {
        #[test]
        fn no_path_panics(path in ".{0,200}", root in ".{0,40}") {
            let _ = meaning(&path, &[root]);
            let _ = container_at(&path);
        }

        #[test]
        fn no_path_of_likely_parts_panics(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "docker", "kubepods", ".scope", "-", ":", "\\x", "\\x2", "_", "..", "libpod-", ".service",
                    "user@", "lxc.payload.", "machine-.scope", ID,
                ]), 0..12),
            sep in prop::sample::select(vec!["/", "-", ":", ""]),
        ) {
            let path = parts.join(sep);
            let _ = meaning(&path, &[]);
        }

        #[test]
        fn a_container_below_anything_is_found(prefix in "(/[a-z.@-]{1,12}){0,5}") {
            let path = format!("{prefix}/docker-{ID}.scope");
            prop_assert_eq!(container(&path).map(|c| c.id), Some(ID.to_owned()));
        }
    }
}
