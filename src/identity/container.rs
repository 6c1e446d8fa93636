//! Names of containers from what their runtimes keep on disk, or over Docker's socket where only
//! that can be read.
//!
//! The directories belong to root and no container can write in them; still every read is bounded
//! and follows no symbolic link, and ids were checked to be hexadecimal before they become paths.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cgroup_path::{ContainerId, Runtime};
use super::read;

/// Bytes of one state file that are read.
const STATE_LIMIT: u64 = 1 << 20;
/// Namespaces of containerd that are looked through.
const MAX_NAMESPACES: usize = 64;
/// Names that are remembered.
const MAX_CACHED: usize = 8_192;
/// How long the socket may take, for each of connecting, writing and one read.
const SOCKET_PATIENCE: Duration = Duration::from_millis(500);
/// How long a socket that failed is left alone.
const SOCKET_REST: Duration = Duration::from_secs(60);

/// Where runtimes keep their state.
#[derive(Clone, Debug)]
pub struct RuntimeRoots {
    /// Docker's data root; below it `containers/ID/config.v2.json`.
    pub docker: PathBuf,
    /// Docker's API socket.
    pub docker_socket: PathBuf,
    /// Where containerd keeps bundles; below it `NAMESPACE/ID/config.json`.
    pub containerd: PathBuf,
    /// Storage of CRI-O and Podman; below it `overlay-containers/`.
    pub storage: Vec<PathBuf>,
}

impl Default for RuntimeRoots {
    fn default() -> Self {
        RuntimeRoots {
            docker: "/var/lib/docker".into(),
            docker_socket: "/var/run/docker.sock".into(),
            containerd: "/run/containerd/io.containerd.runtime.v2.task".into(),
            storage: vec!["/var/lib/containers/storage".into(), "/run/containers/storage".into()],
        }
    }
}

/// A container's name and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerName {
    /// `shop-cart-1`; in Kubernetes `POD/CONTAINER`; else the first 12 digits of the id.
    pub name: String,
    /// "docker config.v2.json", "container id".
    pub source: &'static str,
}

/// Finds names of containers and remembers them.
#[derive(Debug)]
pub struct ContainerNames {
    roots: RuntimeRoots,
    cache: HashMap<String, ContainerName>,
    socket_rests_until: Option<Instant>,
}

impl ContainerNames {
    /// Names below `roots`.
    pub fn new(roots: RuntimeRoots) -> Self {
        ContainerNames { roots, cache: HashMap::new(), socket_rests_until: None }
    }

    /// The name of a container; its short id when no runtime's state has it.
    pub fn name(&mut self, container: &ContainerId) -> ContainerName {
        if let Some(known) = self.cache.get(&container.id) {
            return known.clone();
        }
        let Some(found) = self.look_up(container) else {
            // Not remembered: the state may be written a moment later.
            let short = container.id.get(..12).unwrap_or(&container.id).to_owned();
            return ContainerName { name: short, source: "container id" };
        };
        if self.cache.len() >= MAX_CACHED {
            self.cache.clear();
        }
        self.cache.insert(container.id.clone(), found.clone());
        found
    }

    fn look_up(&mut self, container: &ContainerId) -> Option<ContainerName> {
        let id = container.id.as_str();
        // Docker runs its containers in containerd too, where they have no name: Docker goes first.
        let maybe = |runtime| container.runtime.is_none_or(|r| r == runtime);
        let docker = maybe(Runtime::Docker);
        None.or_else(|| docker.then(|| self.docker(id)).flatten())
            .or_else(|| maybe(Runtime::Containerd).then(|| self.containerd(id)).flatten())
            .or_else(|| (maybe(Runtime::Crio) || maybe(Runtime::Podman)).then(|| self.storage(id)).flatten())
            .or_else(|| docker.then(|| self.docker_socket(id)).flatten())
    }

    fn docker(&self, id: &str) -> Option<ContainerName> {
        let path = self.roots.docker.join("containers").join(id).join("config.v2.json");
        let state = read::json(&path, STATE_LIMIT)?;
        named(docker_name(text(&state, "Name")?), "docker config.v2.json")
    }

    fn containerd(&self, id: &str) -> Option<ContainerName> {
        let namespaces = std::fs::read_dir(&self.roots.containerd).ok()?;
        namespaces.flatten().take(MAX_NAMESPACES).find_map(|namespace| {
            let config = read::json(&namespace.path().join(id).join("config.json"), STATE_LIMIT)?;
            named(annotated_name(config.get("annotations")?)?, "containerd config.json")
        })
    }

    fn storage(&self, id: &str) -> Option<ContainerName> {
        self.roots.storage.iter().find_map(|root| storage_name(&root.join("overlay-containers"), id))
    }

    fn docker_socket(&mut self, id: &str) -> Option<ContainerName> {
        if self.socket_rests_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = ask_docker(&self.roots.docker_socket, id);
        if answer.is_none() {
            self.socket_rests_until = Some(Instant::now() + SOCKET_REST);
        }
        named(docker_name(text(&answer?, "Name")?), "docker socket")
    }
}

fn storage_name(containers: &Path, id: &str) -> Option<ContainerName> {
    let config = read::json(&containers.join(id).join("userdata/config.json"), STATE_LIMIT);
    if let Some(name) = config.as_ref().and_then(|c| c.get("annotations")).and_then(annotated_name) {
        return named(name, "container storage config.json");
    }
    let list = read::json(&containers.join("containers.json"), STATE_LIMIT)?;
    let entry = list.as_array()?.iter().find(|entry| text(entry, "id") == Some(id))?;
    let name = entry.get("names")?.as_array()?.iter().find_map(Value::as_str)?;
    named(docker_name(name), "container storage containers.json")
}

fn named(name: String, source: &'static str) -> Option<ContainerName> {
    (!name.is_empty()).then_some(ContainerName { name, source })
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|s| !s.is_empty())
}

/// Docker's `/name`; of `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT` (also CRI-O's form) `POD/CONTAINER`.
fn docker_name(name: &str) -> String {
    let name = name.trim_start_matches('/');
    let mut parts = name.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("k8s"), Some(container), Some(pod), Some(_)) => pod_name(pod, container),
        _ => name.to_owned(),
    }
}

/// The name that the annotations of an OCI bundle give: of containerd's CRI, nerdctl, CRI-O.
fn annotated_name(annotations: &Value) -> Option<String> {
    let one_of = |keys: &[&str]| keys.iter().find_map(|key| text(annotations, key));
    let pod = one_of(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let container = one_of(&["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]);
    match (pod, container) {
        (Some(pod), Some(container)) => Some(pod_name(pod, container)),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => one_of(&["nerdctl/name", "io.kubernetes.cri-o.Name"]).map(docker_name),
    }
}

/// A pod's own sandbox is the pod.
fn pod_name(pod: &str, container: &str) -> String {
    if matches!(container, "POD" | "") { pod.to_owned() } else { format!("{pod}/{container}") }
}

/// `GET /containers/ID/json` of the Docker Engine API. HTTP/1.0, so that the answer is not chunked
/// and ends with the connection. `None` when the daemon cannot be asked.
fn ask_docker(socket: &Path, id: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(SOCKET_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(SOCKET_PATIENCE)).ok()?;
    write!(stream, "GET /containers/{id}/json HTTP/1.0\r\nHost: docker\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(STATE_LIMIT).read_to_end(&mut answer).ok()?;
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    serde_json::from_slice(answer.get(body..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;

    const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa00112233445566778899";

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(dir: &Path) -> ContainerNames {
        ContainerNames::new(RuntimeRoots {
            docker: dir.join("docker"),
            docker_socket: dir.join("docker.sock"),
            containerd: dir.join("containerd"),
            storage: vec![dir.join("storage"), dir.join("run-storage")],
        })
    }

    fn container(runtime: Option<Runtime>) -> ContainerId {
        ContainerId { id: ID.to_owned(), runtime }
    }

    #[test]
    fn reads_each_runtime() {
        use Runtime::{Containerd, Crio, Docker, Podman};
        let k8s = r#"{"annotations":{"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"cart-1"}}"#;
        let sandbox = r#"{"annotations":{"io.kubernetes.cri.sandbox-name":"cart-1"}}"#;
        let crio =
            r#"{"annotations":{"io.kubernetes.container.name":"POD","io.kubernetes.pod.name":"cart-2"}}"#;
        let bundle = format!("containerd/k8s.io/{ID}/config.json");
        let userdata = format!("run-storage/overlay-containers/{ID}/userdata/config.json");
        let docker = format!("docker/containers/{ID}/config.v2.json");
        let list = "storage/overlay-containers/containers.json".to_owned();
        let listed = format!(r#"[{{"id":"x"}},{{"id":"{ID}","names":["web"]}}]"#);
        let table = [
            (Some(Docker), &docker, r#"{"Name":"/shop-cart-1"}"#, "shop-cart-1"),
            (None, &docker, r#"{"Name":"/k8s_app_cart-0_shop_uid_0"}"#, "cart-0/app"),
            (Some(Containerd), &bundle, k8s, "cart-1/app"),
            (None, &bundle, sandbox, "cart-1"),
            (Some(Containerd), &bundle, r#"{"annotations":{"nerdctl/name":"web"}}"#, "web"),
            (Some(Crio), &userdata, crio, "cart-2"),
            (Some(Podman), &list, &listed, "web"),
        ];
        for (runtime, path, state, expected) in table {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path().join(path), state);
            assert_eq!(names(dir.path()).name(&container(runtime)).name, expected, "{path}");
        }
    }

    #[test]
    fn falls_back_to_the_short_id() {
        for state in ["", "{", "[]", r#"{"Name":""}"#, r#"{"Name":7}"#] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path().join(format!("docker/containers/{ID}/config.v2.json")), state);
            let found = names(dir.path()).name(&container(Some(Runtime::Docker)));
            assert_eq!((found.name.as_str(), found.source), (&ID[..12], "container id"));
        }
    }

    #[test]
    fn what_is_too_large_or_a_link_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("docker/containers/{ID}/config.v2.json"));
        let padding = " ".repeat(STATE_LIMIT as usize);
        write(path.clone(), &format!(r#"{{"Name":"/big"{padding}}}"#));
        assert_eq!(names(dir.path()).name(&container(None)).name, ID[..12]);

        fs::remove_file(&path).unwrap();
        write(dir.path().join("elsewhere"), r#"{"Name":"/elsewhere"}"#);
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert_eq!(names(dir.path()).name(&container(None)).name, ID[..12]);
    }

    #[test]
    fn a_name_is_remembered_after_its_state_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("docker/containers/{ID}/config.v2.json"));
        write(path.clone(), r#"{"Name":"/a"}"#);
        let mut names = names(dir.path());
        assert_eq!(names.name(&container(None)).name, "a");
        fs::remove_file(path).unwrap();
        assert_eq!(names.name(&container(None)).name, "a");
    }

    #[test]
    fn asks_the_socket_when_the_disk_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0u8; 512];
            let n = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Name\":\"/cart\"}")
                .unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let found = names(dir.path()).name(&container(Some(Runtime::Docker)));
        assert_eq!((found.name.as_str(), found.source), ("cart", "docker socket"));
        assert!(server.join().unwrap().starts_with(&format!("GET /containers/{ID}/json HTTP/1.0\r\n")));
    }
}
