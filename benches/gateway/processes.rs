//! The processes that are measured: they are started, looked at, and ended.

use anyhow::{Context, Result};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub const DAEMON: &str = env!("CARGO_BIN_EXE_nuncio");

pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// Of the daemon: where its data is.
    pub folder: Option<TempDir>,
}

impl Process {
    /// This program in another role.
    pub fn role(role: &str, to: Option<SocketAddr>) -> Result<Self> {
        let mut command = command(&std::env::current_exe()?);
        command.args(["--role", role]).args(to.iter().flat_map(|to| ["--to".to_owned(), to.to_string()]));
        let (child, line) = started(command)?;
        Ok(Self { child, address: line.trim().parse().with_context(|| format!("{role} said {line}"))?, folder: None })
    }

    /// The daemon, as it is but for where its upstream is.
    pub fn daemon(upstream: SocketAddr) -> Result<Self> {
        Self::configured(upstream, "")
    }

    /// The daemon with more of a configuration.
    pub fn configured(upstream: SocketAddr, more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = format!("{more}upstreams: {{default: {{base_url: 'http://{upstream}/v1', model: m}}}}\n");
        fs::write(folder.path().join("config.yaml"), config)?;
        let mut command = command(Path::new(DAEMON));
        command.current_dir(folder.path()).env("HOME", folder.path()).args(["--port", "0", "--data-dir"]);
        let log = fs::File::create(folder.path().join("log"))?;
        command.arg(folder.path().join("data")).stderr(log);
        let (child, line) = started(command)?;
        let url = line.split("http://").nth(1).and_then(|url| url.split('/').next());
        let address = url.and_then(|url| url.trim().parse().ok()).with_context(|| format!("the daemon said {line}"))?;
        Ok(Self { child, address, folder: Some(folder) })
    }

    /// Bytes of memory that are its own or shared, as `ps` counts them.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0
    }

    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// Seconds of processor time so far.
    pub fn processor_time(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // Clock ticks are hundredths of a second, as far as user space is told.
        fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// Bytes of the daemon's database, its log of writes included.
    pub fn stored(&self) -> f64 {
        let size = |name: &str| {
            let folder = self.folder.as_ref().map(|folder| folder.path().join("data").join(name));
            folder.and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len())
        };
        (size("nuncio.db") + size("nuncio.db-wal")) as f64
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the bench starts what it measures")]
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Starts it, and gives the first line that it prints.
fn started(mut command: Command) -> Result<(Child, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let first = lines.next().context("it ended at once")??;
    // Kept open, so that it can go on printing.
    std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
    Ok((child, first))
}
