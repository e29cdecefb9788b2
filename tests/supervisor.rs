//! Whatever a command starts is gone when it ends, when its time is up, when its run is dropped, and when the
//! daemon dies. The daemon is played by this test binary, the supervisor is the real one.

use std::fs;
use std::future::Future;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nuncio::sandbox::{
    Captured, Command, CommandSignal, CommandsLock, Ended, Finished, OutputLimits, SpawnError, Streams, Supervisor,
};
use rstest::rstest;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};

const LIMITS: OutputLimits = OutputLimits { head: 1000, tail: 1000 };
/// Nothing here takes that long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);
/// What the issue allows.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Starts processes that are hard to get rid of, seven with itself, and then says so.
const STUBBORN: &str = "
    trap '' TERM INT HUP
    sleep 1000 &
    setsid sleep 1001 &
    (setsid sh -c 'sleep 1002 & sleep 1003' &)
    sleep 1004 &
    echo up
    wait
";
const STUBBORN_PROCESSES: usize = 7;

fn supervisor() -> Supervisor {
    Supervisor::new(env!("CARGO_BIN_EXE_nuncio"))
}

/// A mark in the environment that every process of one command inherits.
struct Mark(String);

impl Mark {
    fn new() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        Command {
            program: program.into(),
            args: args.iter().map(|arg| arg.to_string()).collect(),
            cwd: "/".into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("MARK".into(), self.0.clone())],
        }
    }

    fn script(&self, script: &str) -> Command {
        self.command("sh", &["-c", script])
    }

    /// The live processes of the command. (A zombie has no environment any more.)
    fn processes(&self) -> Vec<u32> {
        let mark = format!("MARK={}", self.0).into_bytes();
        let marked = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark)
        };
        all_processes().into_iter().filter(marked).collect()
    }

    async fn up(&self, count: usize) {
        until("the processes are up", LONG, || self.processes().len() >= count).await;
    }

    async fn gone(&self) {
        until("the processes are gone", GONE_WITHIN, || self.processes().is_empty()).await;
    }
}

fn all_processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process with their states, as `ps` would name them.
fn children(parent: u32) -> Vec<(u32, String)> {
    let child = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        (fields.next()? == parent.to_string()).then_some((pid, state))
    };
    all_processes().into_iter().filter_map(child).collect()
}

async fn until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "after {limit:?}, not yet: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("it hangs")
}

async fn run(command: &Command) -> Result<Finished, SpawnError> {
    in_time(supervisor().run(command, LIMITS, LONG)).await
}

fn finished(ended: Ended, output: &str) -> Finished {
    Finished { ended, output: Captured { head: output.into(), cut: 0, tail: String::new() } }
}

#[rstest]
#[case::code("echo one; echo two >&2; echo three; exit 7", Ended::Exit(7), "one\ntwo\nthree\n")]
#[case::signal("echo dying; kill -SEGV $$", Ended::Signal(11), "dying\n")]
#[case::its_whole_group("echo dying; sleep 1000 & kill -KILL 0", Ended::Signal(9), "dying\n")]
#[case::closed_output("echo early; exec >&- 2>&-; sleep 0.3; exit 3", Ended::Exit(3), "early\n")]
#[case::left_behind("sleep 1000 & setsid sleep 1001 & (sleep 1002 &); echo done", Ended::Exit(0), "done\n")]
#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_reported_when_nothing_is_left(#[case] script: &str, #[case] ended: Ended, #[case] output: &str) {
    let mark = Mark::new();
    assert_eq!(run(&mark.script(script)).await.unwrap(), finished(ended, output));
    assert_eq!(mark.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_starts_from_a_clean_state() {
    // A descriptor that the daemon forgot to protect.
    let leak = fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let mark = Mark::new();
    let environment = format!("MARK={}\nPATH=/usr/bin:/bin\n", mark.0);
    let state = [
        (mark.command("env", &[]), environment.as_str()),
        // The supervisor's own is as readable as that of any process of the same user.
        (mark.script("wc -c < /proc/$PPID/environ"), "0\n"),
        (mark.script("pwd; readlink /proc/$$/fd/0; ls /proc/$$/fd"), "/tmp\n/dev/null\n0\n1\n2\n"),
        (mark.command("grep", &["SigBlk", "/proc/self/status"]), "SigBlk:\t0000000000000000\n"),
    ];
    for (command, expected) in state {
        let command = Command { cwd: "/tmp".into(), ..command };
        assert_eq!(run(&command).await.unwrap(), finished(Ended::Exit(0), expected));
    }
    let ignored = run(&mark.command("grep", &["SigIgn", "/proc/self/status"])).await.unwrap().output.head;
    let (_, ignored) = ignored.trim().rsplit_once('\t').unwrap();
    // The two signals above these 31 are glibc's own, and it sets them in every process it spawns.
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 0, "{ignored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_said() {
    let mark = Mark::new();
    let failures = [
        (mark.command("no-such-program", &[]), "cannot run no-such-program: No such file or directory (os error 2)"),
        (mark.command("/etc/passwd", &[]), "cannot run /etc/passwd: Permission denied (os error 13)"),
        (
            Command { cwd: "/no/such/folder".into(), ..mark.script("true") },
            "cannot run sh: the working directory /no/such/folder is not there",
        ),
        (mark.script("a\0b"), "cannot run sh: nul byte found in provided data"),
        (mark.script(&"#".repeat(3 << 20)), "cannot run sh: Argument list too long (os error 7)"),
    ];
    for (command, expected) in failures {
        match run(&command).await {
            Err(SpawnError::Command(error)) => assert_eq!(error, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let no_binary = Supervisor::new("/no/such/binary").run(&mark.script("true"), LIMITS, LONG).await;
    assert!(matches!(no_binary, Err(SpawnError::Supervisor { .. })), "{no_binary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_leaves_nothing_but_the_output() {
    let mark = Mark::new();
    let start = Instant::now();
    let limit = Duration::from_secs(2);
    let result = in_time(supervisor().run(&mark.script(STUBBORN), LIMITS, limit)).await;
    assert_eq!(result.unwrap(), finished(Ended::TimedOut, "up\n"));
    assert_eq!(mark.processes(), [0; 0]);
    assert!(start.elapsed() < limit + GONE_WITHIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_nothing() {
    let mark = Mark::new();
    let command = mark.script(STUBBORN);
    tokio::select! {
        result = run(&command) => panic!("{result:?}"),
        () = mark.up(STUBBORN_PROCESSES) => {}
    }
    mark.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_leaves_nothing() {
    let mark = Mark::new();
    let mut daemon = play("play_the_daemon", &mark.0);
    mark.up(STUBBORN_PROCESSES).await;
    let supervisors = children(daemon.id());
    assert_eq!(supervisors.len(), 1, "{supervisors:?}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    mark.gone().await;
    let supervisor = format!("/proc/{}", supervisors[0].0);
    until("the supervisor is gone", GONE_WITHIN, || !fs::exists(&supervisor).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_takes_the_command_with_it() {
    let mark = Mark::new();
    let result = run(&mark.script("kill -KILL $PPID; exec sleep 1000")).await;
    assert!(matches!(result, Err(SpawnError::Lost)), "{result:?}");
    mark.gone().await;
}

/// It stops its supervisor, which then could kill nothing.
const STOPPER: &str = "kill -STOP $PPID; setsid sleep 1000 & echo up; wait";
const STOPPER_PROCESSES: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_supervisor_still_keeps_the_time() {
    let mark = Mark::new();
    let limit = Duration::from_secs(1);
    let result = in_time(supervisor().run(&mark.script(STOPPER), LIMITS, limit)).await;
    assert_eq!(result.unwrap(), finished(Ended::TimedOut, "up\n"));
    assert_eq!(mark.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_supervisor_still_hears_that_its_run_was_dropped() {
    let mark = Mark::new();
    let command = mark.script(STOPPER);
    tokio::select! {
        result = run(&command) => panic!("{result:?}"),
        () = mark.up(STOPPER_PROCESSES) => {}
    }
    mark.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_supervisor_still_hears_that_the_daemon_died() {
    let mark = Mark::new();
    let mut daemon = play("play_the_daemon_of_a_stopper", &mark.0);
    mark.up(STOPPER_PROCESSES).await;
    let supervisors = children(daemon.id());
    assert!(matches!(&supervisors[..], [(_, state)] if state == "T"), "{supervisors:?}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    mark.gone().await;
}

/// Eight lines of processes that each do nothing but fork the next one into a new session, and end. The end of
/// their common output is the kernel's word that none is left.
#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_forking_does_not_get_away() {
    let this = std::env::current_exe().unwrap();
    let mut command = Mark::new().command(this.to_str().unwrap(), &["--ignored", "--exact", "play_the_fugitive"]);
    command.env.push(("PLAY".into(), "8".into()));
    let (streams, mut output) = Streams::combined().unwrap();
    let mut running = supervisor().spawn(&command, streams).await.unwrap();
    let mut hops = vec![0; 4000];
    in_time(output.read_exact(&mut hops)).await.unwrap();

    running.kill();
    let start = Instant::now();
    in_time(output.read_to_end(&mut hops)).await.unwrap();
    assert!(start.elapsed() < GONE_WITHIN, "{:?}", start.elapsed());
    in_time(running.wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_read_but_not_kept() {
    let before = peak_memory();
    let flood = run(&Mark::new().script("head -c 50000000 /dev/zero | tr '\\0' x")).await.unwrap();
    let kept = "x".repeat(1000);
    let output = Captured { head: kept.clone(), cut: 50_000_000 - 2000, tail: kept };
    assert_eq!(flood, Finished { ended: Ended::Exit(0), output });
    assert!(peak_memory() - before < 32 << 10, "{before} kB, then {} kB", peak_memory());
}

/// In kB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_can_be_talked_to() {
    let (stdin, input) = std::io::pipe().unwrap();
    let (output, stdout) = std::io::pipe().unwrap();
    let mut input = pipe::Sender::from_owned_fd(input.into()).unwrap();
    let mut output = pipe::Receiver::from_owned_fd(output.into()).unwrap();
    let stderr = fs::File::create("/dev/null").unwrap();
    let streams = Streams { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
    let mut running = supervisor().spawn(&Mark::new().command("cat", &[]), streams).await.unwrap();

    let mut echo = [0; 5];
    input.write_all(b"hello").await.unwrap();
    in_time(output.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"hello");
    drop(input);
    assert_eq!(in_time(running.wait()).await.unwrap(), Ended::Exit(0));
    assert_eq!(in_time(output.read(&mut echo)).await.unwrap(), 0);
}

/// Each after the last one, and the first as early as can be.
#[tokio::test]
async fn signals_reach_the_command() {
    let mark = Mark::new();
    let (streams, _input, mut output) = Streams::interactive().unwrap();
    let mut running = supervisor().spawn(&mark.script("sleep 1000"), streams).await.unwrap();
    running.signal(CommandSignal::Terminate);
    assert_eq!(in_time(running.wait()).await.unwrap(), Ended::Signal(15));
    assert_eq!(in_time(output.read(&mut [0])).await.unwrap(), 0);

    let script = "trap 'echo no' INT; trap 'echo yes; exit 3' TERM; echo up; while :; do sleep 0.01; done 2>/dev/null";
    let (streams, _input, output) = Streams::interactive().unwrap();
    let mut lines = BufReader::new(output).lines();
    let mut running = supervisor().spawn(&mark.script(script), streams).await.unwrap();
    for (said, signal) in [("up", CommandSignal::Interrupt), ("no", CommandSignal::Terminate)] {
        assert_eq!(in_time(lines.next_line()).await.unwrap().unwrap(), said);
        running.signal(signal);
    }
    assert_eq!(in_time(lines.next_line()).await.unwrap().unwrap(), "yes");
    assert_eq!(in_time(running.wait()).await.unwrap(), Ended::Exit(3));
    // Nobody is there to hear it.
    running.signal(CommandSignal::Interrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_supervisor_stays_a_zombie() {
    let mark = Mark::new();
    for _ in 0..5 {
        run(&mark.script("true")).await.unwrap();
        let dropped = timeout(Duration::from_millis(50), run(&mark.script("sleep 1000"))).await;
        assert!(dropped.is_err());
    }
    let zombies = || children(std::process::id()).into_iter().filter(|(_, state)| state == "Z");
    // Those of the tests beside this one come and go.
    until("no zombie is left", LONG, || zombies().next().is_none()).await;
}

/// Starts this binary once more, in one of the roles below.
#[expect(clippy::disallowed_methods, reason = "the test itself, in another role")]
fn play(role: &str, part: &str) -> Child {
    let mut this = std::process::Command::new(std::env::current_exe().unwrap());
    this.args(["--ignored", "--exact", role]).env("PLAY", part);
    this.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
#[ignore = "a role in another test"]
async fn play_the_daemon() {
    let Ok(mark) = std::env::var("PLAY") else {
        return;
    };
    let _ = supervisor().run(&Mark(mark).script(STUBBORN), LIMITS, LONG).await;
}

#[tokio::test]
#[ignore = "a role in another test"]
async fn play_the_daemon_of_a_stopper() {
    let Ok(mark) = std::env::var("PLAY") else {
        return;
    };
    let _ = supervisor().run(&Mark(mark).script(STOPPER), LIMITS, LONG).await;
}

#[test]
#[ignore = "a role in another test"]
fn play_the_fugitive() {
    let Ok(lines) = std::env::var("PLAY") else {
        return;
    };
    let end = Instant::now() + LONG;
    for _ in 0..lines.parse().unwrap() {
        // SAFETY: the child calls nothing that could need a lock that another thread held.
        if unsafe { libc::fork() } == 0 {
            flee(end);
        }
    }
    std::thread::sleep(LONG);
}

fn flee(end: Instant) -> ! {
    while Instant::now() < end {
        // SAFETY: plain system calls on a descriptor that stays open.
        unsafe {
            libc::setsid();
            libc::write(1, b".".as_ptr().cast(), 1);
            if libc::fork() > 0 {
                libc::_exit(0);
            }
        }
    }
    // SAFETY: no destructor matters in a forked test.
    unsafe { libc::_exit(0) }
}

/// The daemon that comes after one that was killed must not go on before the commands of that one are gone.
#[tokio::test]
async fn the_lock_is_held_until_nothing_of_a_command_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let lock = CommandsLock::new(folder.path().join("commands.lock"));
    timeout(LONG, lock.is_free()).await.unwrap().unwrap();
    let mark = Mark::new();
    let (streams, _output) = Streams::combined().unwrap();
    let running = supervisor().holding(lock.clone()).spawn(&mark.script(STUBBORN), streams).await.unwrap();
    mark.up(STUBBORN_PROCESSES).await;
    let mut free = std::pin::pin!(lock.is_free());
    assert!(futures_util::poll!(free.as_mut()).is_pending());
    drop(running);
    timeout(LONG, free).await.unwrap().unwrap();
    assert_eq!(mark.processes(), Vec::<u32>::new());
    // The command does not hold the descriptor itself.
    let holder = format!("ls -l /proc/self/fd | grep -c {}", lock.path().display());
    let found = supervisor().holding(lock.clone()).run(&mark.script(&holder), LIMITS, LONG).await.unwrap();
    assert_eq!((found.output.head.trim(), found.ended), ("0", Ended::Exit(1)));
}
