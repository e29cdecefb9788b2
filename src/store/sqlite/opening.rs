//! Opens the database, or says why not and what to do: a daemon that cannot keep what it promises does not start.

use super::fault::explain;
use super::lock::{Lock, LockError};
use super::schema::{APPLICATION, PAGE_SIZE, migrate, version};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the store is not open. The texts are for the one who starts the daemon.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store {path} cannot be used: {source}. Choose another place with --data-dir or `store.path`")]
    Io { path: PathBuf, source: io::Error },
    #[error("the store {path} cannot be used: {what}")]
    Database { path: PathBuf, what: String },
    #[error(
        "the store {path} is in use by another daemon, process {pid}, which holds {lock}. Stop that one, or give this \
         one a folder of its own with --data-dir"
    )]
    InUse { path: PathBuf, lock: PathBuf, pid: String },
    #[error("{path} is not a database of nuncio. Move it away, or choose another place with `store.path`")]
    Foreign { path: PathBuf },
    #[error(
        "the store {path} is damaged: {what}. Put a backup in its place, or move {path} and {path}-wal away to begin \
         with an empty store; `sqlite3 {path} .recover` may save some of it. See docs/durability.md"
    )]
    Damaged { path: PathBuf, what: String },
    #[error(
        "the store {path} is from a newer nuncio: its tables are of version {found}, and this one knows {known}. Start \
         the newer one, or put the copy from before its upgrade, {path}.v*.bak, in its place"
    )]
    Newer { path: PathBuf, found: usize, known: usize },
}

/// An open database that is this process's alone, at the version that `steps` lead to.
pub struct Opened {
    pub db: Connection,
    pub lock: Lock,
}

/// How long to wait for another program, such as a backup, that holds the database.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A database up to this size is checked from end to end, which takes about a second a GiB. Of a larger one only that
/// part is read which each start needs.
pub const CHECKED: u64 = 2 << 30;

pub fn open(path: &Path, steps: &[&str]) -> Result<Opened, OpenError> {
    let io_fault = |source| OpenError::Io { path: path.to_owned(), source };
    let lock = Lock::take(path).map_err(|error| match error {
        LockError::Held { lock, pid } => OpenError::InUse { path: path.to_owned(), lock, pid },
        LockError::Io(source) => io_fault(source),
    })?;
    let size = private_file(path).map_err(io_fault)?;
    let fault = |error| of_database(path, &error);
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    let found = identify(&db, path)?;
    if found > steps.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: steps.len() });
    }
    set_up(&db).map_err(fault)?;
    check(&db, path, size)?;
    if (1..steps.len()).contains(&found) {
        let copy = suffixed(path, &format!(".v{found}.bak"));
        copy_to(&db, &copy).map_err(|what| OpenError::Database {
            path: path.to_owned(),
            what: format!("it must be upgraded, and the copy {} cannot be made first: {what}", copy.display()),
        })?;
        tracing::info!(copy = %copy.display(), from = found, to = steps.len(), "upgrading the store");
    }
    if found < steps.len() {
        migrate(&mut db, steps).map_err(fault)?;
    }
    Ok(Opened { db, lock })
}

/// A connection that only reads.
pub fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&db)?;
    Ok(db)
}

/// Makes the file, or sees to it that nobody else can read it, and gives its size. Files that SQLite puts beside it get
/// its mode.
fn private_file(path: &Path) -> io::Result<u64> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(metadata.len())
}

/// The version of a database, once it is known to be ours; one without anything in it is made ours.
fn identify(db: &Connection, path: &Path) -> Result<usize, OpenError> {
    let ask = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let look = || -> rusqlite::Result<_> { Ok((ask("page_count")?, ask("application_id")?, version(db)?)) };
    let fault = |error| of_database(path, &error);
    match look().map_err(fault)? {
        (0, ..) => begin(db).map_err(fault).map(|()| 0),
        (_, APPLICATION, version) => Ok(version),
        _ => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}

/// What can be set before the first page is written and never again, and then that page, in one piece with our mark.
fn begin(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "page_size", PAGE_SIZE)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "application_id", APPLICATION)
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    configure(db)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    db.pragma_update(None, "wal_autocheckpoint", 500)?;
    // The log stays as long as its longest transaction otherwise.
    db.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |row| row.get::<_, i64>(0))?;
    // What is deleted is overwritten.
    db.pragma_update_and_check(None, "secure_delete", "ON", |row| row.get::<_, i64>(0))?;
    db.pragma_update(None, "synchronous", "NORMAL")
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(64);
    // Statements are prepared once, whatever is asked of them; otherwise some would be anew with each value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What is stored must be in no other file.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -8192)
}

pub fn check(db: &Connection, path: &Path, size: u64) -> Result<(), OpenError> {
    let tables: &[Option<&str>] =
        if size <= CHECKED { &[None] } else { &[Some("links"), Some("running"), Some("keys")] };
    for table in tables {
        let sql = match table {
            None => "PRAGMA quick_check(1)".to_owned(),
            Some(table) => format!("PRAGMA quick_check({table})"),
        };
        let found = db.query_row(&sql, [], |row| row.get::<_, String>(0)).map_err(|error| of_database(path, &error))?;
        if found != "ok" {
            return Err(OpenError::Damaged { path: path.to_owned(), what: found.replace('\n', "; ") });
        }
    }
    Ok(())
}

/// A copy that is whole on the disk before it has its name.
fn copy_to(db: &Connection, copy: &Path) -> Result<(), String> {
    let unfinished = suffixed(copy, ".part");
    let made = || -> io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private_file(&unfinished)?;
        db.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()]).map_err(io::Error::other)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, copy)?;
        File::open(copy.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    made().map_err(|error| error.to_string())
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub fn of_database(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path, what: error.to_string() }
        }
        _ => OpenError::Database { path, what: explain(error) },
    }
}
