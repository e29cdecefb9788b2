use crate::{Desk, names};
use nuncio::core::ports::tool::ToolError;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;
use tokio::time::timeout;

/// One call of each file tool with this path.
fn calls(path: &str) -> [(&'static str, Value); 7] {
    [
        ("apply_patch", json!({"patch": format!("--- {path}\n+++ {path}\n@@ -1 +1 @@\n-secret\n+edited\n")})),
        ("view_image", json!({"path": path})),
        ("read_file", json!({"path": path})),
        ("write_file", json!({"path": path, "content": "overwritten"})),
        ("edit_file", json!({"path": path, "old_string": "secret", "new_string": "edited"})),
        ("list_files", json!({"path": path})),
        ("search_files", json!({"path": path, "pattern": ".*"})),
    ]
}

/// A workspace full of ways out.
fn leaky() -> Desk {
    let desk = Desk::new();
    let link = |target: &str, name: &str| symlink(target, desk.workspace.join(name)).unwrap();
    let outside = desk.outside.to_str().unwrap();
    fs::write(desk.outside.join("secret"), "secret").unwrap();
    fs::create_dir(desk.workspace.with_file_name("workspace-two")).unwrap();
    desk.put("notes", "mine");
    desk.put("sub/file", "mine");
    link("../outside/secret", "file_out");
    link(outside, "folder_out");
    link("hop", "chain");
    link("folder_out/secret", "hop");
    link("/proc/self/root", "magic");
    link("/", "root");
    link("../outside/new", "dangling_out");
    link("nowhere", "dangling");
    link("loop", "loop");
    desk
}

#[tokio::test]
async fn no_path_leads_out() {
    let desk = leaky();
    let absolute = desk.outside.join("secret");
    let dotted = desk.workspace.join("../outside/secret");
    let ways_out = [
        "..",
        "../outside/secret",
        "../outside/new",
        "../workspace-two/new",
        "sub/../../outside/secret",
        "~/../outside/secret",
        "/",
        "/etc/passwd",
        "/etc/passwd/x",
        "/no/such/file",
        "/proc/self/root/etc/passwd",
        "/dev/null",
        absolute.to_str().unwrap(),
        dotted.to_str().unwrap(),
        "file_out",
        "folder_out",
        "folder_out/secret",
        "folder_out/new/file",
        "sub/../folder_out/../outside/secret",
        "chain",
        "magic/etc/passwd",
        "root/etc/passwd",
    ];
    let before = names(&desk.workspace);
    for path in ways_out {
        let expected = format!(
            "`{path}` is outside the workspace, and only the workspace can be accessed. Give a path relative to it, \
             such as `notes.txt` or `src/main.rs`; `.` is the workspace itself."
        );
        // To a patch it is no file at all.
        let is_file = |tool: &str| tool != "apply_patch" || path != "/dev/null";
        for (tool, arguments) in calls(path).into_iter().filter(|(tool, _)| is_file(tool)) {
            assert_eq!(desk.call(tool, arguments).await, Err(ToolError::TellModel(expected.clone())), "{tool} {path}");
        }
    }
    assert_eq!(names(&desk.workspace), before);
    assert_eq!(names(&desk.outside), ["secret"]);
    assert_eq!(fs::read_to_string(absolute).unwrap(), "secret");
    assert_eq!(names(&desk.workspace.with_file_name("workspace-two")), [""; 0]);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_told_apart() {
    let desk = leaky();
    let (name, path) = ("n".repeat(300), "d/".repeat(3000));
    let cut = |text: &str| format!("`{}…`", &text[..199]);
    let cases = [
        ("dangling", "`dangling` is a symlink that leads to nothing in the workspace.".to_owned()),
        ("dangling_out", "`dangling_out` is a symlink that leads to nothing in the workspace.".to_owned()),
        ("dangling_out/x", "`dangling_out` is a symlink that leads to nothing in the workspace.".to_owned()),
        ("loop", "`loop` goes through too many symlinks.".to_owned()),
        ("a\0b", "`a\\u{0}b` holds a NUL character, which no path can.".to_owned()),
        (&name, format!("{} is too long a path or file name.", cut(&name))),
        (&path, format!("{} is too long a path or file name.", cut(&path))),
    ];
    for (path, expected) in cases {
        for (tool, arguments) in calls(path) {
            let told = desk.call(tool, arguments).await;
            let slash = tool == "write_file" && path.ends_with('/');
            assert!(slash || told == Err(ToolError::TellModel(expected.clone())), "{tool} {path}: {told:?}");
        }
    }
    assert_eq!(names(&desk.outside), ["secret"]);
}

#[tokio::test]
async fn every_way_that_stays_inside_is_open() {
    let desk = leaky();
    let absolute = desk.workspace.join("notes");
    symlink(&absolute, desk.workspace.join("absolute_link")).unwrap();
    symlink("../notes", desk.workspace.join("sub/link")).unwrap();
    let paths = [
        "notes",
        "./notes",
        "~/notes",
        "sub/../notes",
        "../workspace/notes",
        "sub/link",
        "absolute_link",
        "folder_out/../workspace/notes",
        absolute.to_str().unwrap(),
    ];
    for path in paths {
        assert_eq!(desk.ok("read_file", json!({"path": path})).await, "1\tmine\n[1 line]", "{path}");
        let written = desk.ok("write_file", json!({"path": path, "content": "mine"})).await;
        assert_eq!(written, "Wrote 4 bytes to `notes`, replacing 4 bytes.", "{path}");
    }
    let new = desk.workspace.join("new/folder/file");
    let written = desk.ok("write_file", json!({"path": new.to_str().unwrap(), "content": ""})).await;
    assert_eq!(written, "Wrote 0 bytes to `new/folder/file`, a new file.");
    let home = desk.ok("write_file", json!({"path": "~user", "content": ""})).await;
    assert_eq!(home, "Wrote 0 bytes to `~user`, a new file.");
    assert!(desk.workspace.join("sub/link").is_symlink() && desk.workspace.join("absolute_link").is_symlink());
}

#[tokio::test]
async fn nothing_hangs_on_a_special_file() {
    let desk = Desk::new();
    mknodat(CWD, desk.workspace.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    mknodat(CWD, desk.workspace.join(".gitignore"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(desk.workspace.join("socket")).unwrap();
    let limit = Duration::from_secs(20);
    for (path, kind) in [("pipe", "a named pipe"), ("socket", "a socket")] {
        for (tool, arguments) in calls(path).into_iter().filter(|(tool, _)| *tool != "list_files") {
            let told = timeout(limit, desk.told(tool, arguments)).await.unwrap();
            let told = told.strip_prefix("Nothing was changed. ").unwrap_or(&told);
            assert_eq!(told, format!("`{path}` is {kind}, not a regular file."), "{tool}");
        }
    }
    let listed = timeout(limit, desk.ok("list_files", json!({}))).await.unwrap();
    assert_eq!(
        listed,
        ".gitignore (not a regular file)\npipe (not a regular file)\nsocket (not a regular file)\n[3 entries]"
    );
    let searched = timeout(limit, desk.ok("search_files", json!({"pattern": "x"}))).await.unwrap();
    assert_eq!(searched, "[no matches]");
}
