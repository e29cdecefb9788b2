//! Makes an attempt with all layers on, with each that guards against it alone, and with none of these.

use crate::house::is_root;
use crate::{House, calls, files, limits, network, processes, supervisor};
use futures_util::{StreamExt, stream};
use nuncio::sandbox::{Broken, Captured, Ended, Finished, Layer, Level, Network, Policy};
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::sync::OnceCell;

/// They wait for one another more than they work.
const AT_ONCE: usize = 4;

/// One way out that is tried.
#[derive(Clone)]
pub struct Attempt {
    name: &'static str,
    /// For the shell; with `@` in front for the [attacker](crate::attacker). It succeeds if it says so with its exit code.
    script: &'static str,
    /// The layers of which each refuses it by itself, and in which words. The first of them that is on has the word.
    guards: &'static [(Layer, &'static str)],
    network: Network,
    /// Who is not root cannot do it anyway.
    is_for_root: bool,
    change: fn(&mut Policy),
    /// What the kernel must have for it to succeed, if that is not there.
    missing: fn() -> Option<&'static str>,
}

impl Attempt {
    pub const fn new(name: &'static str, script: &'static str, guards: &'static [(Layer, &'static str)]) -> Self {
        let (network, is_for_root) = (Network::All, false);
        Self { name, script, guards, network, is_for_root, change: |_| {}, missing: || None }
    }

    pub const fn on(self, network: Network) -> Self {
        Self { network, ..self }
    }

    pub const fn for_root(self) -> Self {
        Self { is_for_root: true, ..self }
    }

    pub const fn under(self, change: fn(&mut Policy)) -> Self {
        Self { change, ..self }
    }

    pub const fn needing(self, missing: fn() -> Option<&'static str>) -> Self {
        Self { missing, ..self }
    }

    /// What was not as it should be.
    async fn problems(&self, broken: &Broken) -> Vec<String> {
        let house = House::new();
        let mut policy = Policy { network: self.network, ..house.policy() }.knowing(broken);
        (self.change)(&mut policy);
        let mut problems = Vec::new();

        for level in [Level::Workspace, Level::Strict] {
            let policy = Policy { level, ..policy.clone() };
            if self.is_refused_whole(&policy) {
                continue;
            }
            // Where the level has no network of this kind, another refusal may come first.
            let is_as_asked = policy.network() == self.network;
            let wanted = || self.guards.iter().filter(|(layer, _)| policy.wants(*layer));
            let acting = wanted().find(|(layer, _)| !broken.contains_key(layer));
            if let (None, Some((layer, _))) = (acting, wanted().next()) {
                self.skipped(&format!("layer {layer} is not here: {}", broken[layer]));
                continue;
            }
            // The same where it takes root to prepare what is tried.
            let is_prepared = is_root() || !self.is_for_root;
            let words = acting.filter(|_| is_as_asked && is_prepared).map_or("", |(_, words)| words);
            problems.extend(self.refused(&policy, words, &format!("{level:?}")).await);
        }
        if self.is_for_root && !is_root() {
            return problems;
        }
        if let Some(missing) = (self.missing)() {
            self.skipped(missing);
            return problems;
        }
        let guards = self.guards.iter().filter(|(layer, _)| policy.wants(*layer));
        for (alone, words) in guards {
            // Who never had any has none to lose.
            if *alone == Layer::Capabilities && !is_root() {
                continue;
            }
            if let Some(reason) = broken.get(alone) {
                self.skipped(&format!("layer {alone} is not here: {reason}"));
                continue;
            }
            let others = self.guards.iter().map(|(layer, _)| *layer).filter(|layer| layer != alone);
            let policy = others.fold(policy.clone(), Policy::without);
            if self.is_refused_whole(&policy) {
                continue;
            }
            problems.extend(self.refused(&policy, words, &format!("{alone} alone")).await);
        }
        let open = self.guards.iter().fold(policy, |policy, (layer, _)| policy.without(*layer));
        if self.is_refused_whole(&open) {
            return problems;
        }
        match self.outcome(&open).await {
            (Ok(Ended::Exit(0)), _, _) => {}
            (ended, output, _) => problems.push(format!("{} without its guards: {ended:?} {output}", self.name)),
        }
        problems
    }

    /// Whether nothing at all is run here under a policy, for want of another layer.
    fn is_refused_whole(&self, policy: &Policy) -> bool {
        is_refused_whole(self.name, policy)
    }

    async fn refused(&self, policy: &Policy, words: &str, under: &str) -> Option<String> {
        let (ended, output, change) = self.outcome(policy).await;
        let told = format!("{} under {under}: {ended:?} {output}{change}", self.name);
        let refused = matches!(ended, Ok(Ended::Exit(1..) | Ended::Signal(_))) && output.contains(words);
        (!refused || !change.is_empty()).then_some(told)
    }

    /// How it ended, what it said, and what it changed outside.
    async fn outcome(&self, policy: &Policy) -> (Result<Ended, String>, String, String) {
        let house = House::new();
        let victims = Victims::new(&house);
        let script = match self.script.strip_prefix('@') {
            Some(words) => format!("ATTACK='{words}' {{attacker}}"),
            None => self.script.to_owned(),
        };
        let script = victims.fill_in(&house, &script);
        // The house is another one each time, and the policy names its folders.
        let fresh = house.policy();
        let policy = Policy { read: fresh.read, tmp: fresh.tmp, ..policy.clone() };
        let before = house.surroundings();
        let result = supervisor(&policy).run(&house.command(&script), crate::LIMITS, crate::LONG).await;
        let after = house.surroundings();
        let change = if before == after { String::new() } else { format!("\nit changed\n{before}\nto\n{after}") };
        match result {
            Ok(Finished { ended, output: Captured { head, tail, .. } }) => (Ok(ended), head + &tail, change),
            Err(error) => (Err(error.to_string()), String::new(), change),
        }
    }

    fn skipped(&self, why: &str) {
        skipped(self.name, why);
    }
}

/// Makes all of them, and tells of all that were not refused as they should.
pub async fn all_fail(attempts: &[Attempt]) {
    let broken = broken().await;
    let made = stream::iter(attempts).map(|attempt| attempt.problems(broken)).buffered(AT_ONCE);
    let problems = made.collect::<Vec<_>>().await.concat();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// No layer is without an attempt that succeeds when it is off.
#[test]
fn every_layer_guards_against_something() {
    let tables = [files::READS, files::WRITES, processes::ATTEMPTS, network::ATTEMPTS, limits::ATTEMPTS];
    let attempts = [&tables[..], &[calls::ATTEMPTS, calls::OTHERS]].concat().concat();
    assert!(attempts.len() >= 40, "{} attempts", attempts.len());
    for layer in Layer::ALL {
        let guarded = attempts.iter().any(|attempt| attempt.guards.iter().any(|(guard, _)| *guard == layer));
        assert!(guarded, "nothing is tried that {layer} guards against");
    }
}

/// What cannot be put on here.
pub async fn broken() -> &'static Broken {
    static BROKEN: OnceCell<Broken> = OnceCell::const_new();
    // It is here for as long as what it is made with.
    let house = House::new();
    let policy = house.policy();
    BROKEN.get_or_init(|| async { supervisor(&policy).probe(policy.user, &house.data).await.unwrap() }).await
}

/// What is promised in full, at both levels, as far as it can be kept here.
pub async fn all_policies(house: &House) -> Vec<Policy> {
    let broken = broken().await;
    let mut policies = Vec::new();
    for level in [Level::Workspace, Level::Strict] {
        let policy = Policy { level, ..house.policy() }.knowing(broken);
        if !is_refused_whole(&format!("{level:?}"), &policy) {
            policies.push(policy);
        }
    }
    policies
}

/// Whether nothing at all is run here under a policy; says which layer is missing.
pub fn is_refused_whole(what: &str, policy: &Policy) -> bool {
    let unmet = policy.unmet(&policy.broken);
    if let Some(layer) = unmet {
        skipped(what, &format!("layer {layer} is not here: {}", policy.broken[&layer]));
    }
    unmet.is_some()
}

pub fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// What there is to attack.
struct Victims {
    /// As the daemon: what it is started with must not be read, and it must not be ended.
    daemon: Child,
    /// As the command of another session.
    sibling: Child,
    tcp: TcpListener,
    udp: UdpSocket,
    name: String,
    /// In the memory that programs share, under a name and under a number.
    memory: PathBuf,
    segment: i32,
    _sockets: (UnixListener, UnixListener, UnixDatagram),
}

impl Victims {
    fn new(house: &House) -> Self {
        let name = format!("nuncio-{}", uuid::Uuid::now_v7());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let [stream, datagrams] = ["engine.sock", "log.sock"].map(|name| house.outside.join(name));
        let sockets = (
            UnixListener::bind(&stream).unwrap(),
            UnixListener::bind_addr(&address).unwrap(),
            UnixDatagram::bind(&datagrams).unwrap(),
        );
        for socket in [stream, datagrams] {
            rustix::fs::chmod(&socket, rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
        }
        let [daemon, sibling] = [None, house.policy().user].map(|user| {
            #[expect(clippy::disallowed_methods, reason = "a process to attack, not one of the agent")]
            let mut sleep = Command::new("sleep");
            sleep.arg("60").env_clear().env("API_KEY", "secret").current_dir("/").stdin(Stdio::null());
            if let Some(user) = user {
                sleep.uid(user.uid).gid(user.gid);
            }
            sleep.spawn().unwrap()
        });
        let memory = Path::new("/dev/shm").join(&name);
        fs::write(&memory, "secret").unwrap();
        fs::set_permissions(&memory, Permissions::from_mode(0o666)).unwrap();
        // SAFETY: a plain system call; the segment is taken away again with this.
        let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) };
        assert_ne!(segment, -1, "{}", std::io::Error::last_os_error());
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { daemon, sibling, tcp, udp, name, memory, segment, _sockets: sockets }
    }

    fn fill_in(&self, house: &House, script: &str) -> String {
        let attacker = |program: &Path| {
            format!("{} --ignored --exact attacker::role --nocapture --test-threads=1", program.display())
        };
        let values = [
            ("{attacker}", attacker(&house.kit.attacker)),
            ("{setuid}", attacker(&house.kit.setuid)),
            ("{capable}", attacker(&house.kit.capable)),
            ("{data}", house.data.display().to_string()),
            ("{other}", house.other.display().to_string()),
            ("{outside}", house.outside.display().to_string()),
            ("{library}", house.library.display().to_string()),
            ("{workspace}", house.workspace.display().to_string()),
            ("{daemon}", self.daemon.id().to_string()),
            ("{sibling}", self.sibling.id().to_string()),
            ("{tcp}", self.tcp.local_addr().unwrap().port().to_string()),
            ("{udp}", self.udp.local_addr().unwrap().port().to_string()),
            ("{memory}", self.memory.display().to_string()),
            ("{segment}", self.segment.to_string()),
            ("{abstract}", self.name.clone()),
        ];
        values.iter().fold(script.to_owned(), |script, (name, value)| script.replace(name, value))
    }
}

impl Drop for Victims {
    fn drop(&mut self) {
        for victim in [&mut self.daemon, &mut self.sibling] {
            let _ = victim.kill();
            let _ = victim.wait();
        }
        let _ = fs::remove_file(&self.memory);
        // SAFETY: the segment is this one's own.
        unsafe { libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
