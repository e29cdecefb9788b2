use crate::{Desk, names};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

#[tokio::test]
async fn a_file_is_made_with_its_folders_and_replaced() {
    let desk = Desk::new();
    let new = desk.ok("write_file", json!({"path": "a/b/notes.txt", "content": "zwölf\n"})).await;
    assert_eq!(new, "Wrote 7 bytes to `a/b/notes.txt`, a new file.");
    let old = desk.ok("write_file", json!({"path": "a/b/notes.txt", "content": "1"})).await;
    assert_eq!(old, "Wrote 1 byte to `a/b/notes.txt`, replacing 7 bytes.");
    assert_eq!(desk.content("a/b/notes.txt"), "1");
    assert_eq!(names(&desk.workspace.join("a/b")), ["notes.txt"], "no draft is left");
}

#[tokio::test]
async fn the_mode_stays_and_a_symlink_does_too() {
    let desk = Desk::new();
    desk.put("bin/run", "old");
    fs::set_permissions(desk.workspace.join("bin/run"), Permissions::from_mode(0o750)).unwrap();
    symlink("bin/run", desk.workspace.join("link")).unwrap();
    let told = desk.ok("write_file", json!({"path": "link", "content": "new"})).await;
    assert_eq!(told, "Wrote 3 bytes to `bin/run`, replacing 3 bytes.");
    assert_eq!(desk.content("bin/run"), "new");
    assert_eq!(fs::metadata(desk.workspace.join("bin/run")).unwrap().permissions().mode() & 0o7777, 0o750);
    assert!(desk.workspace.join("link").is_symlink());
}

/// A new file is the daemon's, and what was a program of another user must not become one of the daemon's user.
#[tokio::test]
async fn a_replaced_file_is_no_one_elses_and_no_setuid_program() {
    let desk = Desk::new();
    let path = desk.workspace.join("run");
    desk.put("run", "old");
    // Only root can give a file away; others test the mode alone.
    let given_away = chown(&path, Some(65_534), Some(65_533)).is_ok();
    fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
    desk.ok("edit_file", json!({"path": "run", "old_string": "old", "new_string": "new"})).await;
    let file = fs::metadata(&path).unwrap();
    assert_eq!((desk.content("run").as_str(), file.mode() & 0o7777), ("new", 0o755));
    if given_away {
        assert_eq!((file.uid(), file.gid()), (65_534, 65_533));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_left_as_it_is() {
    let desk = Desk::new();
    desk.put("file", "x");
    desk.put("folder/locked", "x");
    fs::set_permissions(desk.workspace.join("folder/locked"), Permissions::from_mode(0o444)).unwrap();
    let cases = [
        (".", "`.` is a folder, not a file. list_files shows what is in it."),
        ("folder", "`folder` is a folder, not a file. list_files shows what is in it."),
        ("new/", "`new/` names a folder, as it ends in `/`. Folders are made with the files in them."),
        ("file/new", "`file/new` cannot be reached: a part of it is a file, not a folder."),
        ("new/../../x", "`new/../../x` does not exist. list_files shows what there is."),
        ("folder/locked", "`folder/locked` is read-only. If it shall be changed, make it writable first (chmod u+w)."),
    ];
    for (path, expected) in cases {
        assert_eq!(desk.told("write_file", json!({"path": path, "content": "y"})).await, expected);
    }
    assert_eq!(names(&desk.workspace), ["file", "folder"]);
    assert_eq!((desk.content("file"), desk.content("folder/locked")), ("x".into(), "x".into()));
}

/// Readers see whole contents only, whatever writers do at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_changes_in_one_step() {
    let desk = &Desk::new();
    let contents: Vec<String> = (0..4).map(|n| n.to_string().repeat(300_000)).collect();
    desk.put("file", &contents[0]);
    let read = async {
        for _ in 0..40 {
            let seen = tokio::fs::read_to_string(desk.workspace.join("file")).await.unwrap();
            assert!(contents.contains(&seen), "torn: {} bytes", seen.len());
        }
    };
    let write = |content| async move {
        for _ in 0..20 {
            desk.ok("write_file", json!({"path": "file", "content": content})).await;
        }
    };
    tokio::join!(read, write(&contents[1]), write(&contents[2]), write(&contents[3]));
    assert_eq!(names(&desk.workspace), ["file"]);
}
