//! Starts a command with its layers around it. What cannot be put on here is left out, as far as the policy bears it.
//!
//! With namespaces there is a process between the supervisor and the command: the first one of the new process
//! namespace, with whose end everything in it ends.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;

use rustix::process::{Pid, Signal, getpid, getppid, getuid, set_parent_process_death_signal, setsid};
use rustix::thread::set_no_new_privs;

use super::Command;
use super::disk::{self, Meter};
use super::init;
use super::layers::group::{Door, Group};
use super::layers::{Refusal, at, capabilities, landlock, limits, mounts, syscalls, user};
use super::networks;
use super::policy::{Broken, Layer, Level, Policy};
use super::protocol::{Answer, STREAMS};
use super::signals;

/// A command on its way.
pub(super) struct Started {
    /// The child of this process to wait for: the command, or who waits for it.
    pub pid: Pid,
    /// Where that one says how the command ended.
    pub report: Option<PipeReader>,
    /// What holds all its processes.
    pub group: Option<Group>,
    /// What measures its workspace, and where it says what it has found.
    pub meter: Option<(Meter, OwnedFd)>,
}

/// One try to start a command: what of the policy is put on.
pub(super) struct Attempt<'a> {
    pub policy: &'a Policy,
    pub broken: &'a Broken,
    pub command: &'a Command,
    /// The private folder for temporary files, if the policy has a place for it.
    pub tmp: Option<PathBuf>,
    /// The control group that the command is to go into; none if this process is in it already.
    pub group: Option<&'a Group>,
    /// Whether this process is in the session's network already.
    pub in_network: bool,
    /// Whether this process is in a user namespace of the command's own.
    pub own_users: bool,
    /// Whether this process sees nothing but the view.
    pub in_view: bool,
}

/// Starts it, or says why not. `descriptors` are its streams, and the network to join if there is one.
pub(super) fn start(policy: &Policy, command: &Command, mut descriptors: Vec<OwnedFd>) -> Result<Started, Answer> {
    let network = descriptors.split_off(STREAMS.min(descriptors.len()));
    let Ok(streams) = <[OwnedFd; STREAMS]>::try_from(descriptors) else {
        return Err(Answer::Error("a command comes with three streams".to_owned()));
    };
    let fault = |reason: String| Answer::Error(format!("cannot run {}: {reason}", command.program));
    // Else it would be indistinguishable from a program that is not there.
    if !is_folder(policy, &command.cwd) {
        return Err(fault(format!("the working directory {} is not there", command.cwd.display())));
    }
    let tmp = prepare(policy, command, &streams)
        .map_err(|error| fault(format!("its folders cannot be made ready: {error}")))?;
    let mut broken = policy.broken.clone();
    let (mut in_network, mut own_users) = (false, false);
    if !network.is_empty() {
        match networks::join(&network) {
            Ok(with_users) => (in_network, own_users) = (true, with_users),
            Err(error) => drop(broken.insert(Layer::Network, error.to_string())),
        }
    }
    let group = match policy.wants(Layer::Group) && !broken.contains_key(&Layer::Group) {
        true => Group::new(&policy.limits).map_err(|error| broken.insert(Layer::Group, error.to_string())).ok(),
        false => None,
    };
    loop {
        if let Some(layer) = policy.refuses(&broken) {
            return Err(Answer::Refused(layer, broken.remove(&layer).unwrap_or_default()));
        }
        let attempt = Attempt {
            policy,
            broken: &broken,
            command,
            tmp: tmp.clone(),
            group: group.as_ref().filter(|_| !broken.contains_key(&Layer::Group)),
            in_network,
            own_users,
            in_view: false,
        };
        let (layer, reason) = match attempt.start(&streams) {
            Ok((pid, report)) => {
                let roots = disk::roots(&command.cwd, tmp);
                let [_, _, stderr] = streams;
                let meter = policy.disk.map(|budget| (Meter::new(roots, budget), stderr));
                return Ok(Started { pid, report, group, meter });
            }
            Err(Refusal::Command(reason)) => return Err(fault(reason)),
            Err(Refusal::Layer(layer, reason)) => (layer, reason),
        };
        if broken.contains_key(&layer) || !policy.wants(layer) {
            return Err(Answer::Refused(layer, reason));
        }
        broken.insert(layer, reason);
    }
}

fn is_folder(policy: &Policy, path: &Path) -> bool {
    match policy.level {
        Level::Off => path.is_dir(),
        // A link would be followed to what is then given to the command.
        Level::Workspace | Level::Strict => path.symlink_metadata().is_ok_and(|found| found.is_dir()),
    }
}

/// Gives the user what is theirs, and makes the folder for temporary files.
fn prepare(policy: &Policy, command: &Command, streams: &[OwnedFd; STREAMS]) -> io::Result<Option<PathBuf>> {
    let user = policy.user.filter(|_| policy.wants(Layer::User));
    if let Some(user) = user {
        user::give_folder(&command.cwd, user)?;
        streams.iter().try_for_each(|stream| user::give_pipe(stream, user))?;
    }
    let Some(folder) = policy.tmp_of(&command.cwd) else { return Ok(None) };
    user::private_folder(&folder, user)?;
    Ok(Some(folder))
}

impl Attempt<'_> {
    /// Whether a layer shall be put on.
    pub fn has(&self, layer: Layer) -> bool {
        self.policy.wants(layer) && !self.broken.contains_key(&layer)
    }

    fn start(&self, streams: &[OwnedFd; STREAMS]) -> Result<(Pid, Option<PipeReader>), Refusal> {
        match [Layer::Network, Layer::Processes, Layer::View].into_iter().find(|layer| self.has(*layer)) {
            Some(first) => init::start(self, first, streams),
            None => self.spawn(streams).map(|pid| (pid, None)),
        }
    }

    /// Starts the command as a child of this process, and puts on what does not need a namespace.
    pub fn spawn(&self, streams: &[OwnedFd; STREAMS]) -> Result<Pid, Refusal> {
        let Command { program, args, cwd, env } = self.command;
        let fault = |error: io::Error| Refusal::Command(error.to_string());
        let (mut told, tell) = io::pipe().map_err(fault)?;
        let parent = getpid();
        #[expect(clippy::disallowed_methods, reason = "this is the supervisor")]
        let mut process = process::Command::new(program);
        process.args(args).current_dir(cwd).env_clear();
        if self.policy.level != Level::Off {
            process.env("TMPDIR", self.tmp_inside());
        }
        process.envs(env.iter().map(|(name, value)| (name, value)));
        let [stdin, stdout, stderr] = streams;
        process.stdin(stdin.try_clone().map_err(fault)?);
        process.stdout(stdout.try_clone().map_err(fault)?).stderr(stderr.try_clone().map_err(fault)?);
        let entering = self.entering(parent, tell);
        // SAFETY: this process has one thread, so nothing is locked or half done in the forked child.
        let spawned = unsafe { process.pre_exec(entering) }.spawn();
        // With it goes the writing end of the pipe, and the pipe comes to an end.
        drop(process);
        match spawned {
            Ok(child) => Ok(Pid::from_child(&child)),
            Err(error) => {
                let mut text = Vec::new();
                let _ = told.read_to_end(&mut text);
                Err(serde_json::from_slice(&text).unwrap_or_else(|_| fault(error)))
            }
        }
    }

    /// The folder for temporary files as the command sees it.
    fn tmp_inside(&self) -> &Path {
        match (&self.tmp, self.in_view) {
            (_, true) => Path::new(mounts::TMP),
            (Some(tmp), false) => tmp,
            (None, false) => &self.command.cwd,
        }
    }

    /// What the command's process does before it becomes the command. An error is told with its layer over the pipe.
    fn entering(&self, parent: Pid, mut tell: PipeWriter) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
        let layers: Vec<Layer> = Layer::ALL.into_iter().filter(|layer| self.has(*layer)).collect();
        let (policy, own_users) = (self.policy.clone().knowing(self.broken), self.own_users);
        let (workspace, tmp) = (self.command.cwd.clone(), self.tmp_inside().to_owned());
        let mut door = self.group.map(Group::door);
        move || {
            let joined = join(&mut door);
            let entered = joined.and_then(|()| enter(&layers, &policy, parent, own_users, &workspace, &tmp));
            entered.map_err(|refusal| {
                let _ = tell.write_all(&serde_json::to_vec(&refusal).unwrap_or_default());
                io::Error::from(io::ErrorKind::PermissionDenied)
            })
        }
    }
}

/// Goes into the group, if there is one to go into.
pub(super) fn join(door: &mut Option<io::Result<Door>>) -> Result<(), Refusal> {
    match door {
        None => Ok(()),
        Some(Ok(door)) => door.enter().map_err(|error| at(Layer::Group, error)),
        Some(Err(error)) => Err(at(Layer::Group, error)),
    }
}

/// The layers around the command, put on between fork and exec. Their order matters: each may take away the right to
/// put on an earlier one.
fn enter(
    layers: &[Layer],
    policy: &Policy,
    parent: Pid,
    own_users: bool,
    workspace: &Path,
    tmp: &Path,
) -> Result<(), Refusal> {
    let has = |layer: Layer| layers.contains(&layer);
    let fault = |error: rustix::io::Errno| Refusal::Command(error.to_string());
    // A session of its own, so that `kill 0` or `pkill -s 0` in a script does not mean the supervisor.
    setsid().map_err(fault)?;
    signals::reset();
    let user = policy.user.filter(|_| has(Layer::User));
    if has(Layer::Limits) {
        let uid = user.map_or(getuid().as_raw(), |user| user.uid);
        limits::apply(&policy.limits, own_users, uid).map_err(|error| at(Layer::Limits, error))?;
    }
    if has(Layer::Capabilities) {
        capabilities::bound().map_err(|error| at(Layer::Capabilities, error))?;
    }
    if let Some(user) = user {
        user::become_user(user).map_err(|error| at(Layer::User, error))?;
    }
    if has(Layer::Capabilities) {
        capabilities::drop_all().map_err(|error| at(Layer::Capabilities, error))?;
    }
    // A change of user clears the death signal, hence after it. It is the last line, for a supervisor that
    // was itself killed, and reaches the command only.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(fault)?;
    if getppid() != Some(parent) {
        return Err(Refusal::Command("the supervisor is gone".into()));
    }
    if has(Layer::Privileges) {
        set_no_new_privs(true).map_err(|error| at(Layer::Privileges, error))?;
    }
    let of_landlock: Vec<Layer> =
        layers.iter().copied().filter(|layer| matches!(layer, Layer::Files | Layer::Ports | Layer::Scopes)).collect();
    landlock::apply(&of_landlock, policy, workspace, tmp)?;
    if has(Layer::Syscalls) {
        syscalls::apply(policy.network()).map_err(|error| at(Layer::Syscalls, error))?;
    }
    Ok(())
}
